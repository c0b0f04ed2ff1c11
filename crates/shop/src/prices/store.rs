//! SQL of prices and their log.

use std::collections::HashMap;

use db::{Conn, Error, Param, ToParam, Tx, params};
use kernel::money::{Currency, Money};
use kernel::{Id, Timestamp};

use crate::ids::{Price, Product, Variant};
use crate::prices::VariantPrice;

db::row! {
    struct PriceRow {
        variant_id: Id<Variant>,
        currency: Currency,
        min_quantity: i64,
        amount: i64,
        compare_at: Option<i64>,
        valid_from: Option<Timestamp>,
        valid_until: Option<Timestamp>,
    }
}

impl From<PriceRow> for VariantPrice {
    fn from(row: PriceRow) -> VariantPrice {
        VariantPrice {
            price: Money::new(row.amount, row.currency),
            compare_at: row.compare_at.map(|minor| Money::new(minor, row.currency)),
            min_quantity: row.min_quantity,
            valid_from: row.valid_from,
            valid_until: row.valid_until,
        }
    }
}

/// The prices of one variant, by currency and quantity.
pub(crate) fn of_variant(c: &mut Conn, variant: Id<Variant>) -> Result<Vec<VariantPrice>, Error> {
    let rows = c.all::<PriceRow>(
        "SELECT variant_id, currency, min_quantity, amount, compare_at, valid_from, valid_until FROM shop_prices \
         WHERE variant_id = ? AND list_id IS NULL ORDER BY currency, min_quantity, id LIMIT 100",
        params![variant],
    )?;
    Ok(rows.into_iter().map(VariantPrice::from).collect())
}

/// The prices of all variants of a product, by variant.
pub(crate) fn of_product(c: &mut Conn, product: Id<Product>) -> Result<HashMap<Id<Variant>, Vec<VariantPrice>>, Error> {
    let mut all: HashMap<Id<Variant>, Vec<VariantPrice>> = HashMap::new();
    c.each::<PriceRow>(
        "SELECT r.variant_id, r.currency, r.min_quantity, r.amount, r.compare_at, r.valid_from, r.valid_until FROM shop_prices r \
         JOIN shop_variants v ON v.id = r.variant_id WHERE v.product_id = ? AND r.list_id IS NULL ORDER BY r.currency, r.min_quantity, r.id",
        params![product],
        |row| {
            all.entry(row.variant_id).or_default().push(VariantPrice::from(row));
            Ok(())
        },
    )?;
    Ok(all)
}

/// The lowest and the highest price of one unit of each of these products, in one currency, at `now`.
pub(crate) fn ranges(
    c: &mut Conn,
    products: &[Id<Product>],
    currency: Currency,
    now: Timestamp,
) -> Result<HashMap<Id<Product>, (i64, i64)>, Error> {
    if products.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT v.product_id, MIN(r.amount), MAX(r.amount) FROM shop_variants v JOIN shop_prices r ON r.variant_id = v.id \
         WHERE v.is_active = 1 AND r.currency = ? AND r.list_id IS NULL AND r.min_quantity = 1 AND (r.valid_from IS NULL OR r.valid_from <= ?) \
         AND (r.valid_until IS NULL OR r.valid_until > ?) AND v.product_id IN ({}) GROUP BY v.product_id",
        vec!["?"; products.len()].join(", ")
    );
    let mut params: Vec<Param<'_>> = vec![currency.to_param(), now.to_param(), now.to_param()];
    params.extend(products.iter().map(ToParam::to_param));
    let rows = c.all::<(Id<Product>, i64, i64)>(sql, &params)?;
    Ok(rows.into_iter().map(|(product, low, high)| (product, (low, high))).collect())
}

pub(crate) fn delete_all(tx: &mut Tx<'_>, variant: Id<Variant>) -> Result<(), Error> {
    tx.execute("DELETE FROM shop_prices WHERE variant_id = ? AND list_id IS NULL", params![variant])?;
    Ok(())
}

pub(crate) fn insert(tx: &mut Tx<'_>, id: Id<Price>, variant: Id<Variant>, price: &VariantPrice) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_prices (id, variant_id, currency, min_quantity, amount, compare_at, valid_from, valid_until) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            id,
            variant,
            price.price.currency,
            price.min_quantity,
            price.price.minor,
            price.compare_at.map(|money| money.minor),
            price.valid_from,
            price.valid_until
        ],
    )?;
    Ok(())
}

/// Appends to the log what a price is from now on; no amount means that it is gone.
pub(crate) fn log(
    tx: &mut Tx<'_>,
    id: Id<Price>,
    variant: Id<Variant>,
    price: &VariantPrice,
    is_gone: bool,
    actor: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_price_log (id, variant_id, currency, min_quantity, amount, compare_at, at, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            id,
            variant,
            price.price.currency,
            price.min_quantity,
            (!is_gone).then_some(price.price.minor),
            price.compare_at.filter(|_| !is_gone).map(|money| money.minor),
            now,
            actor
        ],
    )?;
    Ok(())
}
