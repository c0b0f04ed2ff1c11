//! What `links` can refuse beyond the kernel's list; the codes are public API.

pub(crate) use kernel::error::SLUG_TAKEN;

kernel::problems! {
    /// A route of the server begins with it (R-9, INV-L18).
    SLUG_RESERVED = Invalid, "slug_reserved", "The server needs addresses that begin like this slug.", "Choose a slug with another first part.";
    /// The target leads back to the link (INV-L8).
    REDIRECT_LOOP = Invalid, "redirect_loop", "The target leads back to this link.", "Choose a target that does not end at a short link of its own.";
    /// A dark code on a dark ground is not read by any phone (INV-L26).
    QR_CONTRAST = Invalid, "qr_contrast", "The two colours are too alike to be scanned.", "Choose colours with a contrast of at least 3 to 1.";
}
