//! Sample orders, made the way buyers and staff make them: paid, shipped, waiting, called off.

use kernel::{Ctx, Id, Result};

use crate::carts::service::{Beginning, add_line, begin, options, set_addresses, set_shipping};
use crate::carts::{Address, CartAccess, CartSecret};
use crate::checkout::{self, NewCheckout, Outcome};
use crate::fulfilments::service::NewFulfilment;
use crate::ids::{Order, Variant};
use crate::orders::access::{OrderAccess, OrderSecret};
use crate::orders::{service, store};
use crate::payments::offline;
use crate::payments::service::{Receipt, confirm_offline};
use crate::payments::settings::PaymentSettings;
use crate::{fulfilments, stock};
use kernel::http::IfMatch;

/// What becomes of a sample order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting,
    Paid,
    Shipped,
    Canceled,
}

/// Name, address, street, postal code, town, units, fate.
type Sample = (&'static str, &'static str, &'static str, &'static str, &'static str, u32, Fate);

const ORDERS: [Sample; 5] = [
    ("Marta Lindqvist", "marta@example.com", "Lange Reihe 14", "20099", "Hamburg", 1, Fate::Shipped),
    ("Jonas Albrecht", "jonas@example.com", "Karlstraße 7", "80333", "München", 2, Fate::Paid),
    ("Ines Carvalho", "ines@example.com", "Torstraße 98", "10119", "Berlin", 1, Fate::Waiting),
    ("Theo Brandt", "theo@example.com", "Am Markt 3", "28195", "Bremen", 3, Fate::Canceled),
    ("Salma Haddad", "salma@example.com", "Ringstraße 21", "50677", "Köln", 1, Fate::Paid),
];

/// Makes the orders, unless the shop has some already, or nothing that can be ordered without a provider.
pub(crate) async fn fill(ctx: Ctx) -> Result<()> {
    let methods = &ctx.settings::<PaymentSettings>().methods;
    let Some(method) = methods.iter().find(|method| method.starts_with(offline::NAME)).cloned() else { return Ok(()) };
    let (has_orders, variants) = ctx.read(|c| Ok((store::has_any(c)?, store::sellable_variants(c)?))).await?;
    if has_orders || variants.is_empty() {
        return Ok(());
    }
    for (index, sample) in ORDERS.into_iter().enumerate() {
        if let Some(order) = place(&ctx, &method, variants[index % variants.len()], sample).await? {
            live_on(&ctx, order, sample.6).await?;
        }
    }
    Ok(())
}

async fn place(ctx: &Ctx, method: &str, variant: Id<Variant>, sample: Sample) -> Result<Option<Id<Order>>> {
    let (name, email, line1, postal_code, city, units, _) = sample;
    let begun = begin(ctx, Beginning { currency: None, email: Some(email.to_owned()), locale: Some("de".to_owned()) }).await?;
    let (id, secret) = (begun.cart.cart.id, CartSecret(begun.secret));
    let access = CartAccess::of(ctx, &secret);
    add_line(ctx, id, access.clone(), variant, units).await?;
    let address = Address {
        name: name.to_owned(),
        company: None,
        line1: line1.to_owned(),
        line2: None,
        postal_code: Some(postal_code.to_owned()),
        city: city.to_owned(),
        region: None,
        country: "DE".to_owned(),
        phone: None,
    };
    let mut cart = set_addresses(ctx, id, access.clone(), Some(address), None).await?;
    if cart.needs_shipping() {
        let Some((parcel, _)) = options(ctx, id, access.clone()).await?.into_iter().next() else { return Ok(None) };
        cart = set_shipping(ctx, id, access, Some(parcel.id)).await?;
    }
    let new = NewCheckout { cart_id: id, expected_total: cart.totals.total, payment_method: method.to_owned(), note: None };
    match checkout::service::check_out(ctx, new, secret, &format!("sample-order-of-{email}")).await? {
        Outcome::Ordered { order_id, .. } => Ok(Some(order_id)),
        Outcome::Refused(_) => Ok(None),
    }
}

async fn live_on(ctx: &Ctx, order: Id<Order>, fate: Fate) -> Result<()> {
    let whole = service::get(ctx, order, OrderAccess::of(ctx, &OrderSecret::default())).await?;
    if let (Fate::Paid | Fate::Shipped, Some(payment)) = (fate, whole.payments.first()) {
        confirm_offline(ctx, payment.id, Receipt { reference: Some("sample".to_owned()), received_on: None }).await?;
    }
    match fate {
        Fate::Shipped => ship(ctx, order, &whole.lines).await,
        Fate::Canceled => {
            let access = OrderAccess::of(ctx, &OrderSecret::default());
            service::cancel(ctx, order, access, IfMatch::Any, Some("The buyer changed their mind.".to_owned())).await.map(|_| ())
        }
        Fate::Waiting | Fate::Paid => Ok(()),
    }
}

async fn ship(ctx: &Ctx, order: Id<Order>, lines: &[crate::orders::LineRecord]) -> Result<()> {
    let held = ctx.read(move |c| Ok(stock::store::reservations(c, order)?)).await?;
    let Some(location_id) = held.first().map(|held| held.location_id) else { return Ok(()) };
    let new = NewFulfilment {
        location_id,
        lines: lines.iter().map(|line| (line.id, line.quantity)).collect(),
        carrier: Some("DHL".to_owned()),
        tracking: Some("00340434161094042557".to_owned()),
    };
    let (parcel, _) = fulfilments::service::create(ctx, order, new).await?;
    fulfilments::service::ship(ctx, parcel.id).await.map(|_| ())
}
