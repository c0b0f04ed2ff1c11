//! SQL of parcels.

use db::{Conn, Error, params};
use kernel::Id;

use crate::fulfilments::FulfilmentRecord;
use crate::ids::{Fulfilment, Location, Order, OrderLine};

/// A parcel, a line, and how many units of it.
pub(crate) type PackedLine = (Id<Fulfilment>, Id<OrderLine>, i64);

macro_rules! select_fulfilment {
    ($tail:literal) => {
        concat!(
            "SELECT id, order_id, location_id, state, carrier, tracking, shipped_at, delivered_at, created_at, updated_at, version \
             FROM shop_fulfilments ",
            $tail
        )
    };
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, parcel: &FulfilmentRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_fulfilments (id, order_id, location_id, state, carrier, tracking, shipped_at, delivered_at, created_at, updated_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            parcel.id,
            parcel.order_id,
            parcel.location_id,
            parcel.state,
            parcel.carrier,
            parcel.tracking,
            parcel.shipped_at,
            parcel.delivered_at,
            parcel.created_at,
            parcel.updated_at,
            parcel.version
        ],
    )?;
    Ok(())
}

pub(crate) fn insert_line(tx: &mut db::Tx<'_>, parcel: Id<Fulfilment>, line: Id<OrderLine>, quantity: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_fulfilment_lines (fulfilment_id, order_line_id, quantity) VALUES (?, ?, ?)",
        params![parcel, line, quantity],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, id: Id<Fulfilment>) -> Result<Option<FulfilmentRecord>, Error> {
    c.opt(select_fulfilment!("WHERE id = ?"), params![id])
}

pub(crate) fn lines(c: &mut Conn, id: Id<Fulfilment>) -> Result<Vec<(Id<OrderLine>, i64)>, Error> {
    c.all("SELECT order_line_id, quantity FROM shop_fulfilment_lines WHERE fulfilment_id = ? ORDER BY order_line_id", params![id])
}

pub(crate) fn of_order(c: &mut Conn, order: Id<Order>) -> Result<Vec<FulfilmentRecord>, Error> {
    c.all(select_fulfilment!("WHERE order_id = ? ORDER BY id LIMIT 500"), params![order])
}

/// The lines of all parcels of an order, each with its parcel.
pub(crate) fn lines_of_order(c: &mut Conn, order: Id<Order>) -> Result<Vec<PackedLine>, Error> {
    c.all(
        "SELECT l.fulfilment_id, l.order_line_id, l.quantity FROM shop_fulfilment_lines l JOIN shop_fulfilments f ON f.id = l.fulfilment_id \
         WHERE f.order_id = ? ORDER BY l.fulfilment_id, l.order_line_id LIMIT 5000",
        params![order],
    )
}

pub(crate) fn has_location(c: &mut Conn, id: Id<Location>) -> Result<bool, Error> {
    Ok(c.opt::<(Id<Location>,)>("SELECT id FROM shop_locations WHERE id = ?", params![id])?.is_some())
}

/// Writes what may change of a parcel; false when somebody else changed it since it was read.
pub(crate) fn save(tx: &mut db::Tx<'_>, parcel: &FulfilmentRecord) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_fulfilments SET state = ?, carrier = ?, tracking = ?, shipped_at = ?, delivered_at = ?, updated_at = ?, version = version + 1 \
         WHERE id = ? AND version = ?",
        params![
            parcel.state,
            parcel.carrier,
            parcel.tracking,
            parcel.shipped_at,
            parcel.delivered_at,
            parcel.updated_at,
            parcel.id,
            parcel.version
        ],
    )?;
    Ok(changed == 1)
}

/// Where units of a line have left from, most units first.
pub(crate) fn shipped_from(c: &mut Conn, order: Id<Order>, line: Id<OrderLine>) -> Result<Vec<(Id<Location>, i64)>, Error> {
    c.all(
        "SELECT f.location_id, l.quantity FROM shop_fulfilments f JOIN shop_fulfilment_lines l ON l.fulfilment_id = f.id \
         WHERE f.order_id = ? AND l.order_line_id = ? AND f.state IN ('shipped', 'delivered') ORDER BY l.quantity DESC, f.id LIMIT 50",
        params![order, line],
    )
}
