//! What happens in the catalog, the stock and the cart, for subscribers (shop.md §10); payloads grow only.

use kernel::event;
use uuid::Uuid;

event! {
    /// A product was made.
    pub struct ProductCreated as "shop.product.created" {
        /// The product.
        pub product_id: Uuid,
    }
}

event! {
    /// A product, one of its variants or one of its prices was changed.
    pub struct ProductUpdated as "shop.product.updated" {
        /// The product.
        pub product_id: Uuid,
        /// The version after the change.
        pub version: i64,
    }
}

event! {
    /// A product was deleted.
    pub struct ProductDeleted as "shop.product.deleted" {
        /// The product.
        pub product_id: Uuid,
    }
}

event! {
    /// Somebody corrected what lies on a shelf.
    pub struct StockAdjusted as "shop.stock.adjusted" {
        /// The kind of thing.
        pub item_id: Uuid,
        /// The place.
        pub location_id: Uuid,
        /// By how many units.
        pub quantity: i64,
        /// How many lie there now.
        pub on_hand: i64,
    }
}

event! {
    /// Little is left of something: as many units as its threshold, or fewer, can be sold.
    pub struct VariantLowStock as "shop.variant.low_stock" {
        /// The kind of thing.
        pub item_id: Uuid,
        /// How many units can be sold.
        pub available: i64,
    }
}

event! {
    /// A cart was begun.
    pub struct CartCreated as "shop.cart.created" {
        /// The cart.
        pub cart_id: Uuid,
    }
}
