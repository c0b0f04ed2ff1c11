//! SQL of stock levels, reservations and movements.

use db::{Conn, Error, Param, ToParam, Tx, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp};

use crate::ids::{Item, Location, Movement, Order, OrderLine, Reservation as ReservationId, Variant};
use crate::stock::{Reservation, ReservationState};

db::row! {
    /// What lies of one item in one place.
    #[derive(Clone, Debug)]
    pub(crate) struct LevelRow {
        pub(crate) item_id: Id<Item>,
        pub(crate) location_id: Id<Location>,
        pub(crate) on_hand: i64,
        pub(crate) reserved: i64,
        pub(crate) backorder_limit: i64,
        /// None where the location is closed.
        pub(crate) priority: Option<i64>,
    }
}

impl LevelRow {
    /// How many units can still be promised.
    pub(crate) fn available(&self) -> i64 {
        self.on_hand.saturating_add(self.backorder_limit).saturating_sub(self.reserved)
    }
}

/// `?, ?, ?`
pub(crate) fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// The levels of these items in every place, locked in the order of their ids.
pub(crate) fn lock_levels(tx: &mut Tx<'_>, items: &[Id<Item>]) -> Result<Vec<LevelRow>, Error> {
    let params: Vec<Param<'_>> = items.iter().map(ToParam::to_param).collect();
    if items.len() == 1 {
        return tx.all(
            "SELECT item_id, location_id, on_hand, reserved, backorder_limit, \
             (SELECT priority FROM shop_locations WHERE id = location_id AND is_active = 1) AS priority \
             FROM shop_stock_levels WHERE item_id = ? ORDER BY item_id, location_id {for_update}",
            &params,
        );
    }
    let sql = format!(
        "SELECT item_id, location_id, on_hand, reserved, backorder_limit, \
         (SELECT priority FROM shop_locations WHERE id = location_id AND is_active = 1) AS priority \
         FROM shop_stock_levels WHERE item_id IN ({}) ORDER BY item_id, location_id {{for_update}}",
        marks(items.len())
    );
    tx.all(sql, &params)
}

/// Holds the levels of these items until the transaction ends; none is fine.
pub(crate) fn lock_levels_of(tx: &mut Tx<'_>, items: &[Id<Item>]) -> Result<(), Error> {
    if items.is_empty() { Ok(()) } else { lock_levels(tx, items).map(|_| ()) }
}

/// Promises units unless that would be more than there are (INV-S2).
pub(crate) fn reserve(tx: &mut Tx<'_>, item: Id<Item>, location: Id<Location>, quantity: i64, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_stock_levels SET reserved = reserved + ?, updated_at = ? \
         WHERE item_id = ? AND location_id = ? AND reserved + ? <= on_hand + backorder_limit",
        params![quantity, now, item, location, quantity],
    )?;
    Ok(changed == 1)
}

/// Takes a promise back; false when less was promised.
pub(crate) fn unreserve(tx: &mut Tx<'_>, item: Id<Item>, location: Id<Location>, quantity: i64, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_stock_levels SET reserved = reserved - ?, updated_at = ? WHERE item_id = ? AND location_id = ? AND reserved >= ?",
        params![quantity, now, item, location, quantity],
    )?;
    Ok(changed == 1)
}

/// Hands promised units over; false when they are not there (INV-S8).
pub(crate) fn hand_over(tx: &mut Tx<'_>, item: Id<Item>, location: Id<Location>, quantity: i64, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_stock_levels SET on_hand = on_hand - ?, reserved = reserved - ?, updated_at = ? \
         WHERE item_id = ? AND location_id = ? AND on_hand >= ? AND reserved >= ?",
        params![quantity, quantity, now, item, location, quantity, quantity],
    )?;
    Ok(changed == 1)
}

/// Makes sure that there is a level to change.
pub(crate) fn ensure_level(tx: &mut Tx<'_>, item: Id<Item>, location: Id<Location>, now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO shop_stock_levels (item_id, location_id, on_hand, reserved, backorder_limit, updated_at) VALUES (?, ?, 0, 0, 0, ?)",
        params![item, location, now],
    )
}

/// Changes what lies there, unless that would break a promise.
pub(crate) fn adjust(tx: &mut Tx<'_>, item: Id<Item>, location: Id<Location>, delta: i64, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_stock_levels SET on_hand = on_hand + ?, updated_at = ? \
         WHERE item_id = ? AND location_id = ? AND on_hand + ? >= 0 AND reserved <= on_hand + ? + backorder_limit",
        params![delta, now, item, location, delta, delta],
    )?;
    Ok(changed == 1)
}

/// Changes how many units may be promised beyond what lies there, unless that would break a promise.
pub(crate) fn set_backorder_limit(
    tx: &mut Tx<'_>,
    item: Id<Item>,
    location: Id<Location>,
    limit: i64,
    now: Timestamp,
) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_stock_levels SET backorder_limit = ?, updated_at = ? WHERE item_id = ? AND location_id = ? AND reserved <= on_hand + ?",
        params![limit, now, item, location, limit],
    )?;
    Ok(changed == 1)
}

pub(crate) fn find_level(c: &mut Conn, item: Id<Item>, location: Id<Location>) -> Result<Option<LevelRow>, Error> {
    c.opt(
        "SELECT item_id, location_id, on_hand, reserved, backorder_limit, \
         (SELECT priority FROM shop_locations WHERE id = location_id AND is_active = 1) AS priority \
         FROM shop_stock_levels WHERE item_id = ? AND location_id = ?",
        params![item, location],
    )
}

/// Holds a level until the transaction ends.
pub(crate) fn lock_level(tx: &mut Tx<'_>, item: Id<Item>, location: Id<Location>) -> Result<Option<LevelRow>, Error> {
    tx.opt(
        "SELECT item_id, location_id, on_hand, reserved, backorder_limit, \
         (SELECT priority FROM shop_locations WHERE id = location_id AND is_active = 1) AS priority \
         FROM shop_stock_levels WHERE item_id = ? AND location_id = ? {for_update}",
        params![item, location],
    )
}

/// How many units of an item can be promised over all open locations, and its threshold for "little is left".
pub(crate) fn left_of(c: &mut Conn, item: Id<Item>) -> Result<(i64, Option<i64>), Error> {
    let low = c.opt::<(Option<i64>,)>("SELECT low_stock_at FROM shop_items WHERE id = ?", params![item])?;
    let rows = c.all::<(i64,)>(
        "SELECT l.on_hand + l.backorder_limit - l.reserved FROM shop_stock_levels l \
         JOIN shop_locations p ON p.id = l.location_id AND p.is_active = 1 WHERE l.item_id = ?",
        params![item],
    )?;
    Ok((rows.into_iter().map(|(left,)| left).sum(), low.and_then(|(low,)| low)))
}

db::row! {
    /// A level with the names that people know it by.
    #[derive(Clone, Debug)]
    pub(crate) struct StockRow {
        pub(crate) item_id: Id<Item>,
        pub(crate) name: String,
        pub(crate) sku: Option<String>,
        pub(crate) location_id: Id<Location>,
        pub(crate) location_code: String,
        pub(crate) on_hand: i64,
        pub(crate) reserved: i64,
        pub(crate) backorder_limit: i64,
        pub(crate) updated_at: Timestamp,
    }
}

pub(crate) struct StockFilter {
    pub(crate) item_id: Option<Id<Item>>,
    pub(crate) location_id: Option<Id<Location>>,
    pub(crate) variant_id: Option<Id<Variant>>,
}

const STOCK: &str = "SELECT l.item_id, i.name, i.sku, l.location_id, p.code AS location_code, l.on_hand, l.reserved, l.backorder_limit, l.updated_at \
    FROM shop_stock_levels l JOIN shop_items i ON i.id = l.item_id JOIN shop_locations p ON p.id = l.location_id";

/// One level with its names.
pub(crate) fn find_stock(c: &mut Conn, item: Id<Item>, location: Id<Location>) -> Result<Option<StockRow>, Error> {
    c.opt(format!("{STOCK} WHERE l.item_id = ? AND l.location_id = ?"), params![item, location])
}

/// Levels by item and location, those that the keyset asks for.
pub(crate) fn list(c: &mut Conn, filter: &StockFilter, keyset: &Keyset) -> Result<Vec<StockRow>, Error> {
    let (condition, mut params) = keyset.condition();
    let mut conditions = vec![condition.as_str()];
    if let Some(item) = &filter.item_id {
        conditions.push("l.item_id = ?");
        params.push(item.to_param());
    }
    if let Some(location) = &filter.location_id {
        conditions.push("l.location_id = ?");
        params.push(location.to_param());
    }
    if let Some(variant) = &filter.variant_id {
        conditions.push("l.item_id IN (SELECT item_id FROM shop_variant_items WHERE variant_id = ?)");
        params.push(variant.to_param());
    }
    let sql = format!("{STOCK} WHERE {} ORDER BY {} LIMIT {}", conditions.join(" AND "), keyset.order_by(), keyset.limit());
    c.all(sql, &params)
}

pub(crate) fn insert_item(
    tx: &mut Tx<'_>,
    id: Id<Item>,
    name: &str,
    sku: Option<&str>,
    low_stock_at: Option<i64>,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_items (id, name, sku, low_stock_at, created_at) VALUES (?, ?, ?, ?, ?)",
        params![id, name, sku, low_stock_at, now],
    )?;
    Ok(())
}

pub(crate) fn set_low_stock_at(tx: &mut Tx<'_>, item: Id<Item>, threshold: Option<i64>) -> Result<(), Error> {
    tx.execute("UPDATE shop_items SET low_stock_at = ? WHERE id = ?", params![threshold, item])?;
    Ok(())
}

pub(crate) fn has_item(c: &mut Conn, item: Id<Item>) -> Result<bool, Error> {
    Ok(c.opt::<i64>("SELECT 1 FROM shop_items WHERE id = ?", params![item])?.is_some())
}

pub(crate) fn link_item(tx: &mut Tx<'_>, variant: Id<Variant>, item: Id<Item>, quantity: i64) -> Result<(), Error> {
    tx.execute("INSERT INTO shop_variant_items (variant_id, item_id, quantity) VALUES (?, ?, ?)", params![variant, item, quantity])?;
    Ok(())
}

pub(crate) fn items_of(c: &mut Conn, variant: Id<Variant>) -> Result<Vec<Id<Item>>, Error> {
    let rows = c.all::<(Id<Item>,)>("SELECT item_id FROM shop_variant_items WHERE variant_id = ? ORDER BY item_id", params![variant])?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Whether an order still holds units of what this variant is made of.
pub(crate) fn variant_is_held(c: &mut Conn, variant: Id<Variant>) -> Result<bool, Error> {
    let held = c.opt::<i64>(
        "SELECT 1 FROM shop_reservations r JOIN shop_variant_items v ON v.item_id = r.item_id \
         WHERE v.variant_id = ? AND r.state IN ('held', 'committed') LIMIT 1",
        params![variant],
    )?;
    Ok(held.is_some())
}

db::row! {
    /// A row of `shop_reservations`.
    pub(crate) struct ReservationRow {
        pub(crate) id: Id<ReservationId>,
        pub(crate) order_id: Id<Order>,
        pub(crate) item_id: Id<Item>,
        pub(crate) location_id: Id<Location>,
        pub(crate) quantity: i64,
        pub(crate) state: String,
        pub(crate) expires_at: Option<Timestamp>,
    }
}

impl From<ReservationRow> for Reservation {
    fn from(row: ReservationRow) -> Reservation {
        Reservation {
            id: row.id,
            order_id: row.order_id,
            item_id: row.item_id,
            location_id: row.location_id,
            quantity: row.quantity,
            state: ReservationState::parse(&row.state),
            expires_at: row.expires_at,
        }
    }
}

pub(crate) fn insert_reservation(tx: &mut Tx<'_>, new: &Reservation, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_reservations (id, order_id, item_id, location_id, quantity, state, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![new.id, new.order_id, new.item_id, new.location_id, new.quantity, new.state.as_str(), new.expires_at, now],
    )?;
    Ok(())
}

pub(crate) fn reservations(c: &mut Conn, order: Id<Order>) -> Result<Vec<Reservation>, Error> {
    let rows = c.all::<ReservationRow>(
        "SELECT id, order_id, item_id, location_id, quantity, state, expires_at FROM shop_reservations \
         WHERE order_id = ? ORDER BY item_id, location_id, id",
        params![order],
    )?;
    Ok(rows.into_iter().map(Reservation::from).collect())
}

/// Live reservations, all or those of one item, those that the keyset asks for.
pub(crate) fn live_reservations(c: &mut Conn, item: Option<Id<Item>>, keyset: &Keyset) -> Result<Vec<Reservation>, Error> {
    let (condition, mut params) = keyset.condition();
    let mut of_item = "";
    if let Some(item) = &item {
        of_item = "AND item_id = ?";
        params.push(item.to_param());
    }
    let sql = format!(
        "SELECT id, order_id, item_id, location_id, quantity, state, expires_at FROM shop_reservations \
         WHERE {condition} {of_item} AND state IN ('held', 'committed') ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    Ok(c.all::<ReservationRow>(sql, &params)?.into_iter().map(Reservation::from).collect())
}

/// The orders that hold something in this place.
pub(crate) fn holders(c: &mut Conn, item: Id<Item>, location: Id<Location>) -> Result<Vec<Id<Order>>, Error> {
    let rows = c.all::<(Id<Order>,)>(
        "SELECT DISTINCT order_id FROM shop_reservations WHERE item_id = ? AND location_id = ? AND state IN ('held', 'committed') \
         ORDER BY order_id LIMIT 100",
        params![item, location],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub(crate) fn commit_reservations(tx: &mut Tx<'_>, order: Id<Order>) -> Result<u64, Error> {
    tx.execute("UPDATE shop_reservations SET state = 'committed', expires_at = NULL WHERE order_id = ? AND state = 'held'", params![order])
}

/// Ends a live reservation; false for everybody but the first (INV-S6).
pub(crate) fn close_reservation(tx: &mut Tx<'_>, id: Id<ReservationId>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_reservations SET state = 'released', closed_at = ? WHERE id = ? AND state IN ('held', 'committed')",
        params![now, id],
    )?;
    Ok(changed == 1)
}

/// Takes units out of a committed reservation; false when it has fewer.
pub(crate) fn draw_reservation(tx: &mut Tx<'_>, id: Id<ReservationId>, quantity: i64, now: Timestamp) -> Result<bool, Error> {
    // MySQL assigns from left to right: the state is decided before the quantity changes.
    let changed = tx.execute(
        "UPDATE shop_reservations SET state = CASE WHEN quantity = ? THEN 'fulfilled' ELSE state END, \
         closed_at = CASE WHEN quantity = ? THEN ? ELSE closed_at END, quantity = quantity - ? \
         WHERE id = ? AND state = 'committed' AND quantity >= ?",
        params![quantity, quantity, now, quantity, id, quantity],
    )?;
    Ok(changed == 1)
}

pub(crate) struct NewMovement<'a> {
    pub(crate) id: Id<Movement>,
    pub(crate) item_id: Id<Item>,
    pub(crate) location_id: Id<Location>,
    pub(crate) quantity: i64,
    pub(crate) kind: &'a str,
    pub(crate) order_line_id: Option<Id<OrderLine>>,
    pub(crate) source_id: Option<uuid::Uuid>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) actor: &'a str,
}

/// Appends a movement, unless the same one stands there already.
pub(crate) fn insert_movement(tx: &mut Tx<'_>, new: &NewMovement<'_>, now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO shop_stock_movements (id, item_id, location_id, quantity, kind, order_line_id, source_id, reason, actor, at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            new.id,
            new.item_id,
            new.location_id,
            new.quantity,
            new.kind,
            new.order_line_id,
            new.source_id.map(Id::<()>::from_uuid),
            new.reason,
            new.actor,
            now
        ],
    )
}

db::row! {
    /// A row of `shop_stock_movements`.
    #[derive(Clone, Debug)]
    pub(crate) struct MovementRow {
        pub(crate) id: Id<Movement>,
        pub(crate) item_id: Id<Item>,
        pub(crate) location_id: Id<Location>,
        pub(crate) quantity: i64,
        pub(crate) kind: String,
        pub(crate) order_line_id: Option<Id<OrderLine>>,
        pub(crate) reason: Option<String>,
        pub(crate) actor: String,
        pub(crate) at: Timestamp,
    }
}

/// The movements of an item, those that the keyset asks for.
pub(crate) fn movements(c: &mut Conn, item: Id<Item>, keyset: &Keyset) -> Result<Vec<MovementRow>, Error> {
    let (condition, mut params) = keyset.condition();
    params.push(item.to_param());
    let sql = format!(
        "SELECT id, item_id, location_id, quantity, kind, order_line_id, reason, actor, at FROM shop_stock_movements \
         WHERE {condition} AND item_id = ? ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    c.all(sql, &params)
}

db::row! {
    /// An item whose books do not agree: what the rows say against what the sums say.
    #[derive(Clone, Debug)]
    pub(crate) struct Difference {
        pub(crate) item_id: Id<Item>,
        pub(crate) location_id: Id<Location>,
        pub(crate) on_hand: i64,
        pub(crate) moved: i64,
        pub(crate) reserved: i64,
        pub(crate) held: i64,
    }
}

/// Levels that differ from the sum of their movements or of their live reservations (INV-S4).
pub(crate) fn differences(c: &mut Conn) -> Result<Vec<Difference>, Error> {
    c.all(
        "SELECT item_id, location_id, on_hand, moved, reserved, held FROM ( \
           SELECT l.item_id AS item_id, l.location_id AS location_id, l.on_hand AS on_hand, l.reserved AS reserved, \
             COALESCE((SELECT SUM(m.quantity) FROM shop_stock_movements m \
               WHERE m.item_id = l.item_id AND m.location_id = l.location_id), 0) AS moved, \
             COALESCE((SELECT SUM(r.quantity) FROM shop_reservations r WHERE r.item_id = l.item_id AND r.location_id = l.location_id \
               AND r.state IN ('held', 'committed')), 0) AS held \
           FROM shop_stock_levels l) AS books WHERE on_hand <> moved OR reserved <> held LIMIT 1000",
        &[],
    )
}
