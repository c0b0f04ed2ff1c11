//! What `accounts` can refuse beyond the kernel's list (accounts.md §6); the codes are public API.

kernel::problems! {
    /// Every failed login looks like this one, whatever the reason (ENU-1).
    INVALID_CREDENTIALS = Unauthenticated, "invalid_credentials", "The name or the password is wrong.", "Check both, or reset the password.";
    /// Unknown, spent and revoked refresh tokens look the same (TOK-7).
    REFRESH_TOKEN_INVALID = Unauthenticated, "refresh_token_invalid", "The refresh token is not valid.", "Log in again.";
    /// Answered before any look-up (SGN-7).
    SIGNUP_CLOSED = Forbidden, "signup_closed", "New accounts cannot be made here.", "Ask an administrator for an invitation.";
    /// Too many failures for this name from unknown devices (LOG-1).
    CHALLENGE_REQUIRED = Forbidden, "challenge_required", "This login needs a proof that the mailbox is yours.", "Use one of the methods listed in methods, for example a password reset.";
    /// Unknown, malformed, or made for another purpose (RST-4).
    TOKEN_INVALID = Malformed, "token_invalid", "The token or code is not valid.", "Copy the whole token or code from the mail, or request a new one.";
    /// Used, voided by a newer one, or expired.
    TOKEN_SPENT = Gone, "token_spent", "The token was used already or has expired.", "Request a new one.";
    /// Told only to a person whose mailbox is proven (ENU-6).
    USERNAME_TAKEN = Conflict, "username_taken", "Somebody else has this username.", "Choose another username.";
    /// The instance always keeps one owner (ADM-3).
    LAST_OWNER = Conflict, "last_owner", "This is the last owner.", "Make somebody else an owner first.";
    /// Deleting a role asks where its holders go (accounts.md §7).
    ROLE_IN_USE = Conflict, "role_in_use", "Somebody holds this role.", "Name the role that its holders get instead in the parameter heir.";
    /// The queue of the hashing threads is full (HSH-2).
    HASHER_BUSY = Unavailable, "hasher_busy", "Too many logins are being checked at the moment.", "Repeat the request after the time in Retry-After.";
}
