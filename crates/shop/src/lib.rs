//! The shop: products, stock, carts, checkout, payments, orders.
//!
//! * `products`, `categories`, `prices`: what is sold and what it costs
//! * `stock`, `locations`: what lies where, and what orders hold of it
//! * `carts`: what somebody is about to buy, priced by the one function of `pricing`
//! * `taxes`, `shipping`, `promotions`: what is added and what is taken off; `places` says where a zone is
//! * `resources`: what the small documents of the merchant have in common
//! * `selling`: checkout, payments, orders, refunds and the books

mod audit;
pub mod carts;
mod categories;
pub mod checkout;
pub mod events;
mod fulfilments;
pub mod ids;
mod ledger;
mod locations;
mod mails;
pub mod order_events;
mod order_lists;
pub mod orders;
pub mod payments;
pub mod permissions;
mod places;
mod prices;
pub mod pricing;
pub mod problems;
mod products;
pub mod promotions;
mod refunds;
mod reports;
mod required_key;
mod resources;
mod selling;
pub mod selling_problems;
mod settings;
mod shipping;
pub mod stock;
mod taxes;

use futures_util::future::BoxFuture;
use kernel::media::{CREATE_FILES, UPDATE_FILES};
use kernel::{App, Ctx, Finding, Module, Parts, Result};

pub use settings::{CrossZone, ShippingTax, ShopRules, ShopSettings, TaxSettings};

const MIGRATIONS: &[db::Migration] = db::migrations![
    (1, "catalog", include_str!("../migrations/0001_catalog.sql")),
    (2, "orders", include_str!("../migrations/0002_orders.sql")),
    (
        3,
        "append_only",
        include_str!("../migrations/0003_append_only.sql"),
        mysql = include_str!("../migrations/0003_append_only.mysql.sql"),
        postgres = include_str!("../migrations/0003_append_only.postgres.sql")
    ),
    (
        4,
        "money_back",
        include_str!("../migrations/0004_money_back.sql"),
        mysql = include_str!("../migrations/0004_money_back.mysql.sql"),
        postgres = include_str!("../migrations/0004_money_back.postgres.sql")
    ),
];

/// The module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shop;

impl Shop {
    /// The module as it ships.
    pub fn new() -> Shop {
        Shop
    }
}

impl Module for Shop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts
            .settings::<ShopSettings>()
            .settings::<TaxSettings>()
            .migrations(MIGRATIONS)
            .problems(problems::PROBLEMS)
            .permissions(permissions::ALL)
            .role("shop_manager", "Runs the shop.", &[permissions::ALL, &[&CREATE_FILES, &UPDATE_FILES]].concat())
            .role("shop_clerk", "Packs and ships.", permissions::CLERK)
            .role("accountant", "Keeps the books.", permissions::ACCOUNTANT)
            .routes(products::http::operations())
            .routes(prices::http::operations())
            .routes(resources::http::operations::<categories::NewCategory>())
            .routes(stock::http::operations())
            .routes(resources::http::operations::<locations::NewLocation>())
            .routes(carts::http::operations())
            .routes(resources::http::operations::<taxes::NewTaxClass>())
            .routes(resources::http::operations::<taxes::NewTaxZone>())
            .routes(resources::http::operations::<taxes::NewTaxRate>())
            .routes(resources::http::operations::<shipping::NewShippingZone>())
            .routes(resources::http::operations::<shipping::NewShippingMethod>())
            .routes(resources::http::operations::<promotions::NewPromotion>())
            .routes(resources::http::operations::<promotions::NewCoupon>())
            .job(carts::expire_carts)
            .every("17 * * * *", carts::ExpireCarts {})
            .samples(products::samples::fill);
        register_events(parts);
        selling::checkout_parts(parts);
    }

    fn check<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<Vec<Finding>>> {
        Box::pin(async move { Ok(selling::findings(app)) })
    }

    fn start<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            settings::check(app)?;
            selling::check(app)?;
            supply(app).await
        })
    }
}

fn register_events(parts: &mut Parts<'_>) {
    parts
        .emits::<events::ProductCreated>()
        .emits::<events::ProductUpdated>()
        .emits::<events::ProductDeleted>()
        .emits::<events::StockAdjusted>()
        .emits::<events::VariantLowStock>()
        .emits::<events::CartCreated>();
}

/// Makes sure that there is a place with shelves and a tax class: without them nothing could be sold.
async fn supply(app: &App) -> Result<()> {
    let ctx = Ctx::system(app, "supply-shop");
    let (location, class, now) = (ctx.new_id(), ctx.new_id(), ctx.now());
    ctx.write(move |tx| {
        locations::store::insert_first(tx, location, now)?;
        taxes::store::insert_first_class(tx, class, now)
    })
    .await
}
