//! What the catalog, the stock and the cart can refuse beyond the kernel's list (shop.md §12); the codes are public API.

kernel::problems! {
    /// Decided by the affected rows of one conditional UPDATE (INV-S1).
    OUT_OF_STOCK = Conflict, "out_of_stock", "There is not enough of something.", "See lines for what is available, and change the quantities.";
    /// An adjustment that would leave orders without their goods (INV-S8).
    STOCK_RESERVED = Conflict, "stock_reserved", "Orders hold what would be taken away.", "See orders; cancel or ship them first.";
    /// One order per cart (INV-I2).
    CART_ORDERED = Conflict, "cart_ordered", "The cart was ordered already.", "See order_id, or begin a new cart.";
    /// A currency that the store does not take, or that a variant has no price in.
    CURRENCY_NOT_SUPPORTED = Invalid, "currency_not_supported", "This cannot be paid in that currency.", "Use one of the currencies in allowed.";
    /// Unknown, expired or exhausted (INV-R2).
    CODE_INVALID = Invalid, "code_invalid", "The code cannot be used.", "See reason, and check the spelling.";
    /// An address that no parcel would reach.
    ADDRESS_INVALID = Invalid, "address_invalid", "The address is not complete.", "Correct the members listed in errors.";
    /// No method delivers these goods to that address (INV-H1).
    NOT_SHIPPABLE = Invalid, "not_shippable", "No shipping method delivers this there.", "Choose another address or method; see lines.";
    /// Two variants cannot share a stock keeping unit.
    SKU_TAKEN = Conflict, "sku_taken", "Another variant has this SKU.", "Choose another SKU.";
    /// Two coupons cannot share a code.
    CODE_TAKEN = Conflict, "code_taken", "Another coupon has this code.", "Choose another code.";
    /// Something else depends on it.
    IN_USE = Conflict, "in_use", "This is still in use.", "Archive it instead, or remove what uses it first.";
}
