//! SQL of taxes.

use db::{Conn, OnViolation as _, Tx, params};
use kernel::error::ALREADY_EXISTS;
use kernel::page::Keyset;
use kernel::{Ctx, FieldError, Id, Result, Timestamp};

use crate::ids::{TaxClass, TaxRate, TaxZone};
use crate::places::{self, Spot};
use crate::pricing::{Rate, TaxCategory};
use crate::problems::IN_USE;
use crate::resources::{Record, Stored, dangling};
use crate::taxes::{NewTaxClass, NewTaxRate, NewTaxZone, TaxTable};

db::row! {
    /// A place of a tax zone with one of the zone's rates.
    struct RateAtPlace {
        zone_id: Id<TaxZone>,
        priority: i64,
        position: i64,
        country: String,
        region: String,
        postal_from: String,
        postal_to: String,
        tax_class_id: Option<Id<TaxClass>>,
        name: Option<String>,
        rate_ppm: Option<u32>,
        category: Option<String>,
        valid_from: Option<Timestamp>,
        valid_until: Option<Timestamp>,
    }
}

/// The rates of the nearest zone that hold at `now`.
pub(crate) fn table(c: &mut Conn, spot: &Spot, now: Timestamp) -> Result<TaxTable> {
    let rows = c.all::<RateAtPlace>(
        "SELECT p.zone_id, z.priority, p.position, p.country, p.region, p.postal_from, p.postal_to, r.tax_class_id, r.name, r.rate_ppm, r.category, \
         r.valid_from, r.valid_until FROM shop_zone_places p JOIN shop_tax_zones z ON z.id = p.zone_id \
         LEFT JOIN shop_tax_rates r ON r.zone_id = z.id WHERE p.country IN (?, '*') ORDER BY p.zone_id, p.position",
        params![spot.country],
    )?;
    let nearest = places::nearest(rows, |row| {
        let narrowness = places::narrowness(spot, &row.country, &row.region, &row.postal_from, &row.postal_to);
        (narrowness, row.priority, row.zone_id, row.position)
    });
    let holds = |row: &RateAtPlace| row.valid_from.is_none_or(|from| from <= now) && row.valid_until.is_none_or(|until| now < until);
    let rates = nearest.into_iter().filter(holds).filter_map(|row| {
        let rate = Rate { name: row.name?, ppm: row.rate_ppm?, category: TaxCategory::parse(&row.category?) };
        Some((row.tax_class_id?, rate))
    });
    Ok(TaxTable(rates.collect()))
}

db::row! {
    struct ClassRow {
        id: Id<TaxClass>,
        code: String,
        name: String,
        is_default: bool,
        created_at: Timestamp,
        version: i64,
    }
}

impl From<ClassRow> for Record<NewTaxClass> {
    fn from(row: ClassRow) -> Self {
        let value = NewTaxClass { code: row.code, name: row.name, is_default: row.is_default };
        Record { id: row.id, value, created_at: row.created_at, version: row.version }
    }
}

fn code_taken() -> kernel::Error {
    ALREADY_EXISTS.error().with_field(FieldError::body("/code", "not_unique", "Another tax class has this code."))
}

/// One class at most is the default.
fn clear_default(tx: &mut Tx<'_>, except: Id<TaxClass>) -> Result<()> {
    tx.execute("UPDATE shop_tax_classes SET is_default = 0, version = version + 1 WHERE is_default = 1 AND id <> ?", params![except])?;
    Ok(())
}

impl Stored for NewTaxClass {
    type Marker = TaxClass;

    fn check(&self, _: &mut Conn, _: &Ctx) -> Result<()> {
        Ok(())
    }

    fn find(c: &mut Conn, id: Id<TaxClass>) -> Result<Option<Record<Self>>> {
        let row =
            c.opt::<ClassRow>("SELECT id, code, name, is_default, created_at, version FROM shop_tax_classes WHERE id = ?", params![id])?;
        Ok(row.map(Record::from))
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!(
            "SELECT id, code, name, is_default, created_at, version FROM shop_tax_classes WHERE {condition} ORDER BY {} LIMIT {}",
            keyset.order_by(),
            keyset.limit()
        );
        Ok(c.all::<ClassRow>(sql, &values)?.into_iter().map(Record::from).collect())
    }

    fn insert(&self, tx: &mut Tx<'_>, id: Id<TaxClass>, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO shop_tax_classes (id, code, name, is_default, created_at, version) VALUES (?, ?, ?, ?, ?, 1)",
            params![id, self.code, self.name, self.is_default, now],
        )
        .on_unique("shop_tax_classes_code", code_taken)?;
        if self.is_default { clear_default(tx, id) } else { Ok(()) }
    }

    fn update(&self, tx: &mut Tx<'_>, id: Id<TaxClass>, expected: Option<i64>, _: Timestamp) -> Result<bool> {
        let changed = tx
            .execute(
                "UPDATE shop_tax_classes SET code = ?, name = ?, is_default = ?, version = version + 1 WHERE id = ? AND version = COALESCE(?, version)",
                params![self.code, self.name, self.is_default, id, expected],
            )
            .on_unique("shop_tax_classes_code", code_taken)?;
        if changed == 1 && self.is_default {
            clear_default(tx, id)?;
        }
        Ok(changed == 1)
    }

    fn delete(tx: &mut Tx<'_>, id: Id<TaxClass>) -> Result<bool> {
        let deleted = tx.execute("DELETE FROM shop_tax_classes WHERE id = ?", params![id]).on_foreign_key(|| IN_USE.error())?;
        Ok(deleted == 1)
    }
}

/// Makes the first class, unless there is one.
pub(crate) fn insert_first_class(tx: &mut Tx<'_>, id: Id<TaxClass>, now: Timestamp) -> Result<()> {
    if tx.opt::<i64>("SELECT 1 FROM shop_tax_classes LIMIT 1", &[])?.is_none() {
        tx.insert_ignore(
            "INSERT INTO shop_tax_classes (id, code, name, is_default, created_at, version) VALUES (?, 'standard', 'Standard', 1, ?, 1)",
            params![id, now],
        )?;
    }
    Ok(())
}

/// The class of new variants: the default, else the oldest.
pub(crate) fn default_class(c: &mut Conn) -> Result<Option<Id<TaxClass>>> {
    let found = c.opt::<(Id<TaxClass>,)>("SELECT id FROM shop_tax_classes ORDER BY is_default DESC, id LIMIT 1", &[])?;
    Ok(found.map(|(id,)| id))
}

pub(crate) fn has_class(c: &mut Conn, id: Id<TaxClass>) -> Result<bool> {
    Ok(c.opt::<i64>("SELECT 1 FROM shop_tax_classes WHERE id = ?", params![id])?.is_some())
}

db::row! {
    struct ZoneRow {
        id: Id<TaxZone>,
        name: String,
        priority: i64,
        created_at: Timestamp,
        version: i64,
    }
}

fn zone_of(c: &mut Conn, row: ZoneRow) -> Result<Record<NewTaxZone>> {
    let value = NewTaxZone { name: row.name, priority: row.priority, places: places::of_zone(c, row.id)? };
    Ok(Record { id: row.id, value, created_at: row.created_at, version: row.version })
}

impl Stored for NewTaxZone {
    type Marker = TaxZone;

    fn check(&self, _: &mut Conn, _: &Ctx) -> Result<()> {
        places::check(&self.places)
    }

    fn find(c: &mut Conn, id: Id<TaxZone>) -> Result<Option<Record<Self>>> {
        let row = c.opt::<ZoneRow>("SELECT id, name, priority, created_at, version FROM shop_tax_zones WHERE id = ?", params![id])?;
        row.map(|row| zone_of(c, row)).transpose()
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!(
            "SELECT id, name, priority, created_at, version FROM shop_tax_zones WHERE {condition} ORDER BY {} LIMIT {}",
            keyset.order_by(),
            keyset.limit()
        );
        let rows = c.all::<ZoneRow>(sql, &values)?;
        let mut places = places::of_zones(c, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
        let record = |row: ZoneRow| Record {
            value: NewTaxZone { name: row.name, priority: row.priority, places: places.remove(&row.id.uuid()).unwrap_or_default() },
            id: row.id,
            created_at: row.created_at,
            version: row.version,
        };
        Ok(rows.into_iter().map(record).collect())
    }

    fn insert(&self, tx: &mut Tx<'_>, id: Id<TaxZone>, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO shop_tax_zones (id, name, priority, created_at, version) VALUES (?, ?, ?, ?, 1)",
            params![id, self.name, self.priority, now],
        )?;
        Ok(places::replace(tx, id, &self.places)?)
    }

    fn update(&self, tx: &mut Tx<'_>, id: Id<TaxZone>, expected: Option<i64>, _: Timestamp) -> Result<bool> {
        let changed = tx.execute(
            "UPDATE shop_tax_zones SET name = ?, priority = ?, version = version + 1 WHERE id = ? AND version = COALESCE(?, version)",
            params![self.name, self.priority, id, expected],
        )?;
        if changed == 1 {
            places::replace(tx, id, &self.places)?;
        }
        Ok(changed == 1)
    }

    fn delete(tx: &mut Tx<'_>, id: Id<TaxZone>) -> Result<bool> {
        tx.execute("DELETE FROM shop_tax_rates WHERE zone_id = ?", params![id])?;
        places::replace(tx, id, &[])?;
        let deleted = tx.execute("DELETE FROM shop_tax_zones WHERE id = ?", params![id]).on_foreign_key(|| IN_USE.error())?;
        Ok(deleted == 1)
    }
}

db::row! {
    struct RateRow {
        id: Id<TaxRate>,
        zone_id: Id<TaxZone>,
        tax_class_id: Id<TaxClass>,
        name: String,
        rate_ppm: u32,
        category: String,
        valid_from: Option<Timestamp>,
        valid_until: Option<Timestamp>,
        created_at: Timestamp,
        version: i64,
    }
}

impl From<RateRow> for Record<NewTaxRate> {
    fn from(row: RateRow) -> Self {
        let value = NewTaxRate {
            zone_id: row.zone_id,
            tax_class_id: row.tax_class_id,
            name: row.name,
            rate_ppm: row.rate_ppm,
            category: TaxCategory::parse(&row.category),
            valid_from: row.valid_from,
            valid_until: row.valid_until,
        };
        Record { id: row.id, value, created_at: row.created_at, version: row.version }
    }
}

impl Stored for NewTaxRate {
    type Marker = TaxRate;

    fn check(&self, c: &mut Conn, _: &Ctx) -> Result<()> {
        let mut errors = Vec::new();
        if NewTaxZone::find(c, self.zone_id)?.is_none() {
            errors.push(FieldError::body("/zone_id", "unknown_reference", "There is no such tax zone."));
        }
        if !has_class(c, self.tax_class_id)? {
            errors.push(FieldError::body("/tax_class_id", "unknown_reference", "There is no such tax class."));
        }
        if self.valid_from.zip(self.valid_until).is_some_and(|(from, until)| from >= until) {
            errors.push(FieldError::body("/valid_until", "out_of_range", "Later than valid_from."));
        }
        if errors.is_empty() { Ok(()) } else { Err(kernel::Error::invalid(errors)) }
    }

    fn find(c: &mut Conn, id: Id<TaxRate>) -> Result<Option<Record<Self>>> {
        let row = c.opt::<RateRow>(
            "SELECT id, zone_id, tax_class_id, name, rate_ppm, category, valid_from, valid_until, created_at, version FROM shop_tax_rates WHERE id = ?",
            params![id],
        )?;
        Ok(row.map(Record::from))
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!(
            "SELECT id, zone_id, tax_class_id, name, rate_ppm, category, valid_from, valid_until, created_at, version FROM shop_tax_rates \
             WHERE {condition} ORDER BY {} LIMIT {}",
            keyset.order_by(),
            keyset.limit()
        );
        Ok(c.all::<RateRow>(sql, &values)?.into_iter().map(Record::from).collect())
    }

    fn insert(&self, tx: &mut Tx<'_>, id: Id<TaxRate>, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO shop_tax_rates (id, zone_id, tax_class_id, name, rate_ppm, category, valid_from, valid_until, created_at, version) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            params![
                id,
                self.zone_id,
                self.tax_class_id,
                self.name,
                self.rate_ppm,
                self.category.as_str(),
                self.valid_from,
                self.valid_until,
                now
            ],
        )
        .on_foreign_key(dangling)?;
        Ok(())
    }

    fn update(&self, tx: &mut Tx<'_>, id: Id<TaxRate>, expected: Option<i64>, _: Timestamp) -> Result<bool> {
        let changed = tx
            .execute(
            "UPDATE shop_tax_rates SET zone_id = ?, tax_class_id = ?, name = ?, rate_ppm = ?, category = ?, valid_from = ?, valid_until = ?, \
             version = version + 1 WHERE id = ? AND version = COALESCE(?, version)",
            params![
                self.zone_id,
                self.tax_class_id,
                self.name,
                self.rate_ppm,
                self.category.as_str(),
                self.valid_from,
                self.valid_until,
                id,
                expected
            ],
        )
        .on_foreign_key(dangling)?;
        Ok(changed == 1)
    }

    fn delete(tx: &mut Tx<'_>, id: Id<TaxRate>) -> Result<bool> {
        Ok(tx.execute("DELETE FROM shop_tax_rates WHERE id = ?", params![id])? == 1)
    }
}
