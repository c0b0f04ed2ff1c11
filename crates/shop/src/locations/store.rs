//! SQL of locations.

use db::{Conn, OnViolation as _, params};
use kernel::error::ALREADY_EXISTS;
use kernel::page::Keyset;
use kernel::{Ctx, FieldError, Id, Result, Timestamp};

use crate::ids::Location;
use crate::locations::NewLocation;
use crate::problems::IN_USE;
use crate::resources::{Record, Stored};

db::row! {
    struct Row {
        id: Id<Location>,
        code: String,
        name: String,
        priority: i64,
        is_active: bool,
        created_at: Timestamp,
        version: i64,
    }
}

impl From<Row> for Record<NewLocation> {
    fn from(row: Row) -> Self {
        let value = NewLocation { code: row.code, name: row.name, priority: row.priority, is_active: row.is_active };
        Record { id: row.id, value, created_at: row.created_at, version: row.version }
    }
}

fn code_taken() -> kernel::Error {
    ALREADY_EXISTS.error().with_field(FieldError::body("/code", "not_unique", "Another location has this code."))
}

impl Stored for NewLocation {
    type Marker = Location;

    fn check(&self, _: &mut Conn, _: &Ctx) -> Result<()> {
        Ok(())
    }

    fn find(c: &mut Conn, id: Id<Location>) -> Result<Option<Record<Self>>> {
        let row =
            c.opt::<Row>("SELECT id, code, name, priority, is_active, created_at, version FROM shop_locations WHERE id = ?", params![id])?;
        Ok(row.map(Record::from))
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!(
            "SELECT id, code, name, priority, is_active, created_at, version FROM shop_locations WHERE {condition} ORDER BY {} LIMIT {}",
            keyset.order_by(),
            keyset.limit()
        );
        Ok(c.all::<Row>(sql, &values)?.into_iter().map(Record::from).collect())
    }

    fn insert(&self, tx: &mut db::Tx<'_>, id: Id<Location>, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO shop_locations (id, code, name, priority, is_active, created_at, version) VALUES (?, ?, ?, ?, ?, ?, 1)",
            params![id, self.code, self.name, self.priority, self.is_active, now],
        )
        .on_unique("shop_locations_code", code_taken)?;
        Ok(())
    }

    fn update(&self, tx: &mut db::Tx<'_>, id: Id<Location>, expected: Option<i64>, _: Timestamp) -> Result<bool> {
        let changed = tx
            .execute(
                "UPDATE shop_locations SET code = ?, name = ?, priority = ?, is_active = ?, version = version + 1 \
                 WHERE id = ? AND version = COALESCE(?, version)",
                params![self.code, self.name, self.priority, self.is_active, id, expected],
            )
            .on_unique("shop_locations_code", code_taken)?;
        Ok(changed == 1)
    }

    fn delete(tx: &mut db::Tx<'_>, id: Id<Location>) -> Result<bool> {
        let deleted = tx.execute("DELETE FROM shop_locations WHERE id = ?", params![id]).on_foreign_key(|| IN_USE.error())?;
        Ok(deleted == 1)
    }
}

/// Makes the first location, unless there is one.
pub(crate) fn insert_first(tx: &mut db::Tx<'_>, id: Id<Location>, now: Timestamp) -> Result<()> {
    if tx.opt::<i64>("SELECT 1 FROM shop_locations LIMIT 1", &[])?.is_none() {
        tx.insert_ignore(
            "INSERT INTO shop_locations (id, code, name, priority, is_active, created_at, version) VALUES (?, 'main', 'Main', 0, 1, ?, 1)",
            params![id, now],
        )?;
    }
    Ok(())
}

pub(crate) fn is_known(c: &mut Conn, id: Id<Location>) -> Result<bool> {
    Ok(c.opt::<i64>("SELECT 1 FROM shop_locations WHERE id = ?", params![id])?.is_some())
}

/// The open location that orders take from first.
pub(crate) fn first(c: &mut Conn) -> Result<Option<Id<Location>>> {
    let found = c.opt::<(Id<Location>,)>("SELECT id FROM shop_locations WHERE is_active = 1 ORDER BY priority, id LIMIT 1", &[])?;
    Ok(found.map(|(id,)| id))
}
