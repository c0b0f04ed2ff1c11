//! Who may do what in the shop (shop.md §10).

use kernel::Permission;

macro_rules! permissions {
    ($($name:ident = $text:literal, $doc:literal;)+) => {
        $(#[doc = $doc] pub static $name: Permission = Permission::new($text, $doc);)+
        /// Every permission of the shop.
        pub static ALL: &[&Permission] = &[$(&$name),+];
    };
}

permissions! {
    READ_ANY_PRODUCT = "shop:products:read_any", "Read products that are not active.";
    MANAGE_PRODUCTS = "shop:products:manage", "Change products, variants and categories.";
    MANAGE_PRICES = "shop:prices:manage", "Change prices.";
    READ_STOCK = "shop:stock:read", "Read stock, movements and reservations.";
    ADJUST_STOCK = "shop:stock:adjust", "Correct what lies on the shelves.";
    READ_ORDERS = "shop:orders:read", "Read the orders of everybody.";
    MANAGE_ORDERS = "shop:orders:manage", "Change orders and their notes.";
    CANCEL_ORDERS = "shop:orders:cancel", "Cancel orders.";
    READ_PAYMENTS = "shop:payments:read", "Read payments.";
    CAPTURE_PAYMENTS = "shop:payments:capture", "Capture authorised payments.";
    CONFIRM_PAYMENTS = "shop:payments:confirm", "Say that an offline payment has come or not.";
    CREATE_REFUNDS = "shop:refunds:create", "Give money back.";
    MANAGE_FULFILMENTS = "shop:fulfilments:manage", "Ship orders.";
    READ_INVOICES = "shop:invoices:read", "Read invoices.";
    ISSUE_INVOICES = "shop:invoices:issue", "Issue invoices.";
    READ_CUSTOMERS = "shop:customers:read", "Read customers.";
    MANAGE_CUSTOMERS = "shop:customers:manage", "Change customers.";
    MANAGE_PROMOTIONS = "shop:promotions:manage", "Change promotions and coupons.";
    MANAGE_SETTINGS = "shop:settings:manage", "Change taxes, shipping and locations.";
    READ_REPORTS = "shop:reports:read", "Read reports.";
    READ_LEDGER = "shop:ledger:read", "Read the ledger.";
    RUN_IMPORTS = "shop:imports:run", "Import and export the catalog.";
    RUN_AUDITS = "shop:audits:run", "Run audits of the books.";
}

/// What somebody who packs and ships may do.
pub(crate) static CLERK: &[&Permission] = &[&READ_ORDERS, &MANAGE_ORDERS, &MANAGE_FULFILMENTS, &READ_STOCK, &READ_ANY_PRODUCT];

/// What somebody who keeps the books may do.
pub(crate) static ACCOUNTANT: &[&Permission] = &[&READ_ORDERS, &READ_PAYMENTS, &READ_INVOICES, &READ_LEDGER, &READ_REPORTS, &RUN_AUDITS];
