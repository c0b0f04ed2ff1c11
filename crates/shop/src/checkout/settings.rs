//! The `[shop.checkout]` settings.

kernel::settings! {
    /// Checking out.
    pub struct CheckoutSettings in "shop.checkout" {
        /// Your own page for one order in mailed links; its id and #secret follow. Empty: the page under /account.
        pub order_page: String = String::new(),
        /// How often one cart may be checked out from one address, per minute. Failed tries count; a request that is repeated with its
        /// key does not, but it calls the payment provider for one order at most three times as often.
        pub tries_per_minute: u32 = 10,
    }
}
