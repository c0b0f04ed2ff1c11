//! SQL of carts.

use db::{Conn, Error, Tx, params};
use kernel::money::Currency;
use kernel::{Id, Timestamp, UserId};

use crate::carts::{Address, CartRecord, CartState};
use crate::ids::{Cart, CartLine, Coupon, Item, Location, Order, Product, ShippingMethod, TaxClass, Variant};

db::row! {
    struct CartRow {
        id: Id<Cart>,
        secret_hash: Option<[u8; 32]>,
        user_id: Option<UserId>,
        state: String,
        currency: Currency,
        email: Option<String>,
        locale: String,
        note: Option<String>,
        attributes: String,
        shipping_address: Option<String>,
        billing_address: Option<String>,
        shipping_method_id: Option<Id<ShippingMethod>>,
        order_id: Option<Id<Order>>,
        merged_into_id: Option<Id<Cart>>,
        created_at: Timestamp,
        updated_at: Timestamp,
        expires_at: Timestamp,
        version: i64,
    }
}

impl From<CartRow> for CartRecord {
    fn from(row: CartRow) -> CartRecord {
        let address = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Address>(&text).ok());
        CartRecord {
            id: row.id,
            secret_hash: row.secret_hash,
            user_id: row.user_id,
            state: CartState::parse(&row.state),
            currency: row.currency,
            email: row.email,
            locale: row.locale,
            note: row.note,
            attributes: row.attributes,
            shipping_address: address(row.shipping_address),
            billing_address: address(row.billing_address),
            shipping_method_id: row.shipping_method_id,
            order_id: row.order_id,
            merged_into_id: row.merged_into_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            expires_at: row.expires_at,
            version: row.version,
        }
    }
}

pub(crate) fn find(c: &mut Conn, id: Id<Cart>) -> Result<Option<CartRecord>, Error> {
    let row = c.opt::<CartRow>(
        "SELECT id, secret_hash, user_id, state, currency, email, locale, note, attributes, shipping_address, billing_address, \
         shipping_method_id, order_id, merged_into_id, created_at, updated_at, expires_at, version FROM shop_carts WHERE id = ?",
        params![id],
    )?;
    Ok(row.map(CartRecord::from))
}

/// The same, held until the transaction ends, so that everything read of the cart afterwards stays true.
pub(crate) fn lock(tx: &mut Tx<'_>, id: Id<Cart>) -> Result<Option<CartRecord>, Error> {
    let row = tx.opt::<CartRow>(
        "SELECT id, secret_hash, user_id, state, currency, email, locale, note, attributes, shipping_address, billing_address, \
         shipping_method_id, order_id, merged_into_id, created_at, updated_at, expires_at, version FROM shop_carts WHERE id = ? {for_update}",
        params![id],
    )?;
    Ok(row.map(CartRecord::from))
}

/// The open cart of a person.
pub(crate) fn open_of(c: &mut Conn, user: UserId) -> Result<Option<Id<Cart>>, Error> {
    Ok(c.opt::<(Id<Cart>,)>("SELECT id FROM shop_carts WHERE user_id = ? AND open_slot = 1", params![user])?.map(|(id,)| id))
}

pub(crate) struct NewCart<'a> {
    pub(crate) id: Id<Cart>,
    pub(crate) secret_hash: Option<[u8; 32]>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) currency: Currency,
    pub(crate) email: Option<&'a str>,
    pub(crate) locale: &'a str,
    pub(crate) expires_at: Timestamp,
}

/// Begins a cart; false when the person has an open one already.
pub(crate) fn insert(tx: &mut Tx<'_>, new: &NewCart<'_>, now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO shop_carts (id, secret_hash, user_id, open_slot, state, currency, email, locale, attributes, created_at, updated_at, expires_at, version) \
         VALUES (?, ?, ?, ?, 'open', ?, ?, ?, '{}', ?, ?, ?, 1)",
        params![
            new.id,
            new.secret_hash,
            new.user_id,
            new.user_id.map(|_| 1),
            new.currency,
            new.email,
            new.locale,
            now,
            now,
            new.expires_at
        ],
    )
}

/// Notes that an open cart was used; false when it is not open any more.
pub(crate) fn touch(tx: &mut Tx<'_>, id: Id<Cart>, now: Timestamp, expires_at: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_carts SET updated_at = ?, expires_at = ?, version = version + 1 WHERE id = ? AND state = 'open'",
        params![now, expires_at, id],
    )?;
    Ok(changed == 1)
}

/// What may be changed of a cart beside its lines.
pub(crate) fn update(tx: &mut Tx<'_>, cart: &CartRecord) -> Result<(), Error> {
    let json = |address: &Option<Address>| address.as_ref().and_then(|address| serde_json::to_string(address).ok());
    tx.execute(
        "UPDATE shop_carts SET currency = ?, email = ?, locale = ?, note = ?, attributes = ?, shipping_address = ?, billing_address = ?, \
         shipping_method_id = ? WHERE id = ?",
        params![
            cart.currency,
            cart.email,
            cart.locale,
            cart.note,
            cart.attributes,
            json(&cart.shipping_address),
            json(&cart.billing_address),
            cart.shipping_method_id,
            cart.id
        ],
    )?;
    Ok(())
}

/// Gives a guest's open cart to a person; false when it is taken or not open.
pub(crate) fn adopt(tx: &mut Tx<'_>, id: Id<Cart>, user: UserId, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_carts SET user_id = ?, open_slot = 1, secret_hash = NULL, updated_at = ?, version = version + 1 \
         WHERE id = ? AND user_id IS NULL AND state = 'open'",
        params![user, now, id],
    )?;
    Ok(changed == 1)
}

/// Ends a cart whose lines have moved into another.
pub(crate) fn mark_merged(tx: &mut Tx<'_>, id: Id<Cart>, into: Id<Cart>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_carts SET state = 'merged', open_slot = NULL, merged_into_id = ?, updated_at = ?, version = version + 1 \
         WHERE id = ? AND state = 'open'",
        params![into, now, id],
    )?;
    Ok(changed == 1)
}

/// Makes an order of an open cart; false for everybody but the first (INV-I2).
pub(crate) fn mark_ordered(tx: &mut Tx<'_>, id: Id<Cart>, order: Id<Order>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_carts SET state = 'ordered', open_slot = NULL, order_id = ?, updated_at = ?, version = version + 1 \
         WHERE id = ? AND state = 'open' AND expires_at > ?",
        params![order, now, id, now],
    )?;
    Ok(changed == 1)
}

/// Ends open carts that were not used for too long, at most a batch.
///
/// The conditions stand twice: servers look at the outer ones again when somebody used or ordered a cart of the batch meanwhile.
pub(crate) fn expire(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "UPDATE shop_carts SET state = 'expired', open_slot = NULL, version = version + 1 WHERE state = 'open' AND expires_at <= ? \
         AND id IN (SELECT id FROM (SELECT id FROM shop_carts WHERE state = 'open' AND expires_at <= ? LIMIT 500) AS batch)",
        params![now, now],
    )
}

/// Carts that ended before `before` without becoming an order, at most a batch.
pub(crate) fn forgotten(c: &mut Conn, before: Timestamp) -> Result<Vec<Id<Cart>>, Error> {
    let rows = c.all::<(Id<Cart>,)>(
        "SELECT id FROM shop_carts WHERE state IN ('expired', 'merged') AND expires_at <= ? ORDER BY expires_at LIMIT 200",
        params![before],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub(crate) fn delete(tx: &mut Tx<'_>, id: Id<Cart>) -> Result<(), Error> {
    tx.execute("DELETE FROM shop_cart_codes WHERE cart_id = ?", params![id])?;
    tx.execute("DELETE FROM shop_cart_lines WHERE cart_id = ?", params![id])?;
    tx.execute("DELETE FROM shop_carts WHERE id = ?", params![id])?;
    Ok(())
}

db::row! {
    /// A line as it is stored.
    #[derive(Clone, Debug)]
    pub(crate) struct LineRow {
        pub(crate) id: Id<CartLine>,
        pub(crate) variant_id: Id<Variant>,
        pub(crate) quantity: u32,
        pub(crate) seen_price: Option<i64>,
        pub(crate) position: i64,
    }
}

pub(crate) fn lines(c: &mut Conn, cart: Id<Cart>) -> Result<Vec<LineRow>, Error> {
    c.all(
        "SELECT id, variant_id, quantity, seen_price, position FROM shop_cart_lines WHERE cart_id = ? ORDER BY position, id LIMIT 501",
        params![cart],
    )
}

pub(crate) fn insert_line(tx: &mut Tx<'_>, cart: Id<Cart>, line: &LineRow, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_cart_lines (id, cart_id, variant_id, quantity, seen_price, position, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![line.id, cart, line.variant_id, line.quantity, line.seen_price, line.position, now],
    )?;
    Ok(())
}

pub(crate) fn update_line(tx: &mut Tx<'_>, line: Id<CartLine>, quantity: u32, seen_price: Option<i64>) -> Result<(), Error> {
    tx.execute("UPDATE shop_cart_lines SET quantity = ?, seen_price = ? WHERE id = ?", params![quantity, seen_price, line])?;
    Ok(())
}

pub(crate) fn delete_line(tx: &mut Tx<'_>, cart: Id<Cart>, line: Id<CartLine>) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM shop_cart_lines WHERE id = ? AND cart_id = ?", params![line, cart])? == 1)
}

/// Forgets the lines that hold a variant which is about to be deleted.
pub(crate) fn delete_lines_of(tx: &mut Tx<'_>, variant: Id<Variant>) -> Result<(), Error> {
    tx.execute("DELETE FROM shop_cart_lines WHERE variant_id = ?", params![variant])?;
    Ok(())
}

db::row! {
    /// A line with its variant, its product and one of its prices.
    pub(crate) struct PriceRow {
        pub(crate) id: Id<CartLine>,
        pub(crate) variant_id: Id<Variant>,
        pub(crate) quantity: u32,
        pub(crate) seen_price: Option<i64>,
        pub(crate) product_id: Id<Product>,
        pub(crate) variant_title: String,
        pub(crate) sku: Option<String>,
        pub(crate) weight_grams: i64,
        pub(crate) is_shippable: bool,
        pub(crate) is_digital: bool,
        pub(crate) is_active: bool,
        pub(crate) tax_class_id: Id<TaxClass>,
        pub(crate) product_title: String,
        pub(crate) slug: String,
        pub(crate) status: String,
        pub(crate) min_quantity: Option<i64>,
        pub(crate) amount: Option<i64>,
        pub(crate) compare_at: Option<i64>,
        pub(crate) valid_from: Option<Timestamp>,
        pub(crate) valid_until: Option<Timestamp>,
    }
}

/// The lines of a cart, each once for every price that its quantity reaches.
pub(crate) fn priced_lines(c: &mut Conn, cart: Id<Cart>, currency: Currency) -> Result<Vec<PriceRow>, Error> {
    c.all(
        "SELECT l.id, l.variant_id, l.quantity, l.seen_price, v.product_id, v.title AS variant_title, v.sku, v.weight_grams, v.is_shippable, \
         v.is_digital, v.is_active, v.tax_class_id, p.title AS product_title, p.slug, p.status, r.min_quantity, r.amount, r.compare_at, \
         r.valid_from, r.valid_until FROM shop_cart_lines l JOIN shop_variants v ON v.id = l.variant_id JOIN shop_products p ON p.id = v.product_id \
         LEFT JOIN shop_prices r ON r.variant_id = l.variant_id AND r.currency = ? AND r.list_id IS NULL AND r.min_quantity <= l.quantity \
         WHERE l.cart_id = ? ORDER BY l.position, l.id",
        params![currency, cart],
    )
}

db::row! {
    /// One item that a line takes, with what lies of it in one open location.
    pub(crate) struct DemandRow {
        pub(crate) line_id: Id<CartLine>,
        pub(crate) item_id: Id<Item>,
        pub(crate) per_unit: i64,
        pub(crate) location_id: Option<Id<Location>>,
        pub(crate) available: Option<i64>,
    }
}

/// What the lines of a cart take from the stock; lines whose stock does not matter are left out.
pub(crate) fn demand(c: &mut Conn, cart: Id<Cart>) -> Result<Vec<DemandRow>, Error> {
    c.all(
        "SELECT l.id AS line_id, i.item_id, i.quantity AS per_unit, s.location_id, s.on_hand + s.backorder_limit - s.reserved AS available \
         FROM shop_cart_lines l JOIN shop_variants v ON v.id = l.variant_id AND v.is_stock_tracked = 1 \
         JOIN shop_variant_items i ON i.variant_id = l.variant_id \
         LEFT JOIN shop_stock_levels s ON s.item_id = i.item_id AND s.location_id IN (SELECT id FROM shop_locations WHERE is_active = 1) \
         WHERE l.cart_id = ? ORDER BY l.position, l.id, i.item_id",
        params![cart],
    )
}

pub(crate) fn insert_code(tx: &mut Tx<'_>, cart: Id<Cart>, coupon: Id<Coupon>, now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore("INSERT INTO shop_cart_codes (cart_id, coupon_id, created_at) VALUES (?, ?, ?)", params![cart, coupon, now])
}

pub(crate) fn delete_code(tx: &mut Tx<'_>, cart: Id<Cart>, coupon: Id<Coupon>) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM shop_cart_codes WHERE cart_id = ? AND coupon_id = ?", params![cart, coupon])? == 1)
}

pub(crate) fn codes(c: &mut Conn, cart: Id<Cart>) -> Result<Vec<Id<Coupon>>, Error> {
    let rows = c.all::<(Id<Coupon>,)>(
        "SELECT coupon_id FROM shop_cart_codes WHERE cart_id = ? ORDER BY created_at, coupon_id LIMIT 100",
        params![cart],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The coupons of a cart with this code.
pub(crate) fn coupon_in_cart(c: &mut Conn, cart: Id<Cart>, code_key: &str) -> Result<Option<Id<Coupon>>, Error> {
    let found = c.opt::<(Id<Coupon>,)>(
        "SELECT k.coupon_id FROM shop_cart_codes k JOIN shop_coupons c ON c.id = k.coupon_id WHERE k.cart_id = ? AND c.code_key = ?",
        params![cart, code_key],
    )?;
    Ok(found.map(|(id,)| id))
}

db::row! {
    /// What of a variant decides whether it can be put into a cart.
    pub(crate) struct OfferRow {
        pub(crate) is_active: bool,
        pub(crate) status: String,
        pub(crate) amount: Option<i64>,
        pub(crate) min_quantity: Option<i64>,
        pub(crate) valid_from: Option<Timestamp>,
        pub(crate) valid_until: Option<Timestamp>,
    }
}

/// A variant, once for every price in this currency that the quantity reaches; nothing when there is no such variant.
pub(crate) fn offers(c: &mut Conn, variant: Id<Variant>, currency: Currency, quantity: u32) -> Result<Vec<OfferRow>, Error> {
    c.all(
        "SELECT v.is_active, p.status, r.amount, r.min_quantity, r.valid_from, r.valid_until FROM shop_variants v \
         JOIN shop_products p ON p.id = v.product_id \
         LEFT JOIN shop_prices r ON r.variant_id = v.id AND r.currency = ? AND r.list_id IS NULL AND r.min_quantity <= ? WHERE v.id = ?",
        params![currency, quantity, variant],
    )
}

/// How many units of a variant can be promised; none when stock does not matter.
pub(crate) fn left_of(c: &mut Conn, variant: Id<Variant>) -> Result<Option<i64>, Error> {
    let rows = c.all::<(i64, i64)>(
        "SELECT i.quantity, (SELECT COALESCE(SUM(s.on_hand + s.backorder_limit - s.reserved), 0) FROM shop_stock_levels s \
           WHERE s.item_id = i.item_id AND s.location_id IN (SELECT id FROM shop_locations WHERE is_active = 1)) \
         FROM shop_variant_items i JOIN shop_variants v ON v.id = i.variant_id AND v.is_stock_tracked = 1 WHERE i.variant_id = ?",
        params![variant],
    )?;
    Ok(rows.into_iter().map(|(per_unit, left)| left.max(0) / per_unit.max(1)).min())
}
