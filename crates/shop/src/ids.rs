//! What the identifiers of the shop identify: `Id<Product>`, `Id<Order>`.

macro_rules! markers {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {
        $($(#[doc = $doc])+ #[derive(Debug)] pub enum $name {})+
    };
}

markers! {
    /// Something that is sold, in one or more variants.
    Product;
    /// One thing that a buyer can put into a cart.
    Variant;
    /// One amount for which a variant is sold.
    Price;
    /// A group of products.
    Category;
    /// A kind of thing that lies on shelves and is counted.
    Item;
    /// A place with shelves.
    Location;
    /// A part of the stock that an order holds.
    Reservation;
    /// One change of what lies on a shelf.
    Movement;
    /// What somebody is about to buy.
    Cart;
    /// One variant in a cart.
    CartLine;
    /// A kind of goods that is taxed alike.
    TaxClass;
    /// A region with rates of its own.
    TaxZone;
    /// What a class of goods is taxed in a zone.
    TaxRate;
    /// A region that is delivered to.
    ShippingZone;
    /// A way to deliver, and what it costs.
    ShippingMethod;
    /// A reason to charge less.
    Promotion;
    /// A code that makes a promotion apply.
    Coupon;
    /// What somebody has bought.
    Order;
    /// One variant of an order.
    OrderLine;
    /// An attempt to be paid.
    Payment;
    /// Money given back.
    Refund;
    /// A parcel, or another way of handing goods over.
    Fulfilment;
}
