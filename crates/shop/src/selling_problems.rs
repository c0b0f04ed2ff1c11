//! What checkout, payments, refunds and parcels can refuse beyond the kernel's list (shop.md §12); the codes are public API.

kernel::problems! {
    /// The buyer agreed to another total (INV-I6).
    PRICE_CHANGED = Conflict, "price_changed", "The total is not what you expected.", "Show totals to the buyer, and send the new total as expected_total.";
    /// Nothing to buy.
    CART_EMPTY = Invalid, "cart_empty", "The cart is empty.", "Put something into it first.";
    /// Something that the checkout needs is missing in the cart.
    CART_INCOMPLETE = Invalid, "cart_incomplete", "Something in the cart must be settled first.", "See problems.";
    /// The provider said no; the order stays and can be paid in another way.
    PAYMENT_REQUIRED = PaymentRequired, "payment_required", "The payment was refused.", "See provider_code; pay the order order_id with another method.";
    /// The body was not signed by the provider (INV-P1).
    SIGNATURE_INVALID = Malformed, "signature_invalid", "The event is not signed by the provider.", "Check the endpoint's secret and the clock of both sides.";
    /// More would go back than has come (INV-P9).
    REFUND_EXCEEDS_CAPTURED = Conflict, "refund_exceeds_captured", "More would be refunded than was paid.", "See refundable.";
    /// More units than the line has left.
    REFUND_EXCEEDS_LINE = Invalid, "refund_exceeds_line", "More would be refunded than is left of a line.", "See errors.";
    /// More units than the order still has to ship.
    FULFILMENT_EXCEEDS_LINE = Invalid, "fulfilment_exceeds_line", "More would be shipped than is left of a line.", "See errors.";
}
