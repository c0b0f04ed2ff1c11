//! SQL of shipping zones and methods.

use std::collections::BTreeSet;

use db::{Conn, OnViolation as _, Tx, params};
use kernel::page::Keyset;
use kernel::{Ctx, Error, FieldError, Id, Result, Timestamp};

use crate::ids::{ShippingMethod, ShippingZone, TaxClass};
use crate::places::{self, Spot};
use crate::problems::IN_USE;
use crate::resources::{Record, Stored, dangling};
use crate::shipping::{Calculator, Method, NewShippingMethod, NewShippingZone};

db::row! {
    /// A place of a shipping zone with one of the zone's methods.
    struct MethodAtPlace {
        zone_id: Id<ShippingZone>,
        priority: i64,
        position: i64,
        country: String,
        region: String,
        postal_from: String,
        postal_to: String,
        id: Id<ShippingMethod>,
        name: String,
        calculator: String,
        prices: String,
        conditions: String,
        tax_class_id: Option<Id<TaxClass>>,
    }
}

/// The active methods of the nearest zone, in the order in which they are offered.
pub(crate) fn methods_at(c: &mut Conn, spot: &Spot) -> Result<Vec<Method>> {
    let rows = c.all::<MethodAtPlace>(
        "SELECT p.zone_id, z.priority, p.position, p.country, p.region, p.postal_from, p.postal_to, m.id, m.name, m.calculator, m.prices, m.conditions, \
         m.tax_class_id FROM shop_zone_places p JOIN shop_shipping_zones z ON z.id = p.zone_id \
         JOIN shop_shipping_methods m ON m.zone_id = z.id AND m.is_active = 1 WHERE p.country IN (?, '*') ORDER BY m.position, m.id, p.position",
        params![spot.country],
    )?;
    let nearest = places::nearest(rows, |row| {
        let narrowness = places::narrowness(spot, &row.country, &row.region, &row.postal_from, &row.postal_to);
        (narrowness, row.priority, row.zone_id, row.position)
    });
    Ok(nearest.into_iter().map(Method::from).collect())
}

impl From<MethodAtPlace> for Method {
    fn from(row: MethodAtPlace) -> Method {
        Method {
            id: row.id,
            name: row.name,
            calculator: Calculator::parse(&row.calculator),
            prices: serde_json::from_str(&row.prices).unwrap_or_default(),
            conditions: serde_json::from_str(&row.conditions).unwrap_or_default(),
            tax_class_id: row.tax_class_id,
        }
    }
}

db::row! {
    struct ZoneRow {
        id: Id<ShippingZone>,
        name: String,
        priority: i64,
        created_at: Timestamp,
        version: i64,
    }
}

impl Stored for NewShippingZone {
    type Marker = ShippingZone;

    fn check(&self, _: &mut Conn, _: &Ctx) -> Result<()> {
        places::check(&self.places)
    }

    fn find(c: &mut Conn, id: Id<ShippingZone>) -> Result<Option<Record<Self>>> {
        let row = c.opt::<ZoneRow>("SELECT id, name, priority, created_at, version FROM shop_shipping_zones WHERE id = ?", params![id])?;
        let Some(row) = row else { return Ok(None) };
        let value = NewShippingZone { name: row.name, priority: row.priority, places: places::of_zone(c, id)? };
        Ok(Some(Record { id, value, created_at: row.created_at, version: row.version }))
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!(
            "SELECT id, name, priority, created_at, version FROM shop_shipping_zones WHERE {condition} ORDER BY {} LIMIT {}",
            keyset.order_by(),
            keyset.limit()
        );
        let rows = c.all::<ZoneRow>(sql, &values)?;
        let mut places = places::of_zones(c, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
        let record = |row: ZoneRow| Record {
            value: NewShippingZone { name: row.name, priority: row.priority, places: places.remove(&row.id.uuid()).unwrap_or_default() },
            id: row.id,
            created_at: row.created_at,
            version: row.version,
        };
        Ok(rows.into_iter().map(record).collect())
    }

    fn insert(&self, tx: &mut Tx<'_>, id: Id<ShippingZone>, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO shop_shipping_zones (id, name, priority, created_at, version) VALUES (?, ?, ?, ?, 1)",
            params![id, self.name, self.priority, now],
        )?;
        Ok(places::replace(tx, id, &self.places)?)
    }

    fn update(&self, tx: &mut Tx<'_>, id: Id<ShippingZone>, expected: Option<i64>, _: Timestamp) -> Result<bool> {
        let changed = tx.execute(
            "UPDATE shop_shipping_zones SET name = ?, priority = ?, version = version + 1 WHERE id = ? AND version = COALESCE(?, version)",
            params![self.name, self.priority, id, expected],
        )?;
        if changed == 1 {
            places::replace(tx, id, &self.places)?;
        }
        Ok(changed == 1)
    }

    fn delete(tx: &mut Tx<'_>, id: Id<ShippingZone>) -> Result<bool> {
        places::replace(tx, id, &[])?;
        let deleted = tx.execute("DELETE FROM shop_shipping_zones WHERE id = ?", params![id]).on_foreign_key(|| IN_USE.error())?;
        Ok(deleted == 1)
    }
}

db::row! {
    struct MethodRow {
        id: Id<ShippingMethod>,
        zone_id: Id<ShippingZone>,
        name: String,
        calculator: String,
        prices: String,
        conditions: String,
        tax_class_id: Option<Id<TaxClass>>,
        position: i64,
        is_active: bool,
        created_at: Timestamp,
        version: i64,
    }
}

impl From<MethodRow> for Record<NewShippingMethod> {
    fn from(row: MethodRow) -> Self {
        let value = NewShippingMethod {
            zone_id: row.zone_id,
            name: row.name,
            calculator: Calculator::parse(&row.calculator),
            prices: serde_json::from_str(&row.prices).unwrap_or_default(),
            conditions: serde_json::from_str(&row.conditions).unwrap_or_default(),
            tax_class_id: row.tax_class_id,
            position: row.position,
            is_active: row.is_active,
        };
        Record { id: row.id, value, created_at: row.created_at, version: row.version }
    }
}

impl Stored for NewShippingMethod {
    type Marker = ShippingMethod;

    fn check(&self, c: &mut Conn, _: &Ctx) -> Result<()> {
        let mut errors = Vec::new();
        if NewShippingZone::find(c, self.zone_id)?.is_none() {
            errors.push(FieldError::body("/zone_id", "unknown_reference", "There is no such shipping zone."));
        }
        if let Some(class) = self.tax_class_id
            && !crate::taxes::store::has_class(c, class)?
        {
            errors.push(FieldError::body("/tax_class_id", "unknown_reference", "There is no such tax class."));
        }
        let mut currencies = BTreeSet::new();
        for (index, price) in self.prices.iter().enumerate() {
            if !currencies.insert(price.currency) {
                errors.push(FieldError::body(format!("/prices/{index}/currency"), "not_unique", "One price for each currency."));
            }
            if !price.steps.is_sorted_by(|a, b| a.from < b.from) {
                errors.push(FieldError::body(format!("/prices/{index}/steps"), "not_allowed", "Steps ascend."));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
    }

    fn find(c: &mut Conn, id: Id<ShippingMethod>) -> Result<Option<Record<Self>>> {
        let row = c.opt::<MethodRow>(
            "SELECT id, zone_id, name, calculator, prices, conditions, tax_class_id, position, is_active, created_at, version \
             FROM shop_shipping_methods WHERE id = ?",
            params![id],
        )?;
        Ok(row.map(Record::from))
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!(
            "SELECT id, zone_id, name, calculator, prices, conditions, tax_class_id, position, is_active, created_at, version \
             FROM shop_shipping_methods WHERE {condition} ORDER BY {} LIMIT {}",
            keyset.order_by(),
            keyset.limit()
        );
        Ok(c.all::<MethodRow>(sql, &values)?.into_iter().map(Record::from).collect())
    }

    fn insert(&self, tx: &mut Tx<'_>, id: Id<ShippingMethod>, now: Timestamp) -> Result<()> {
        let (prices, conditions) = self.json()?;
        tx.execute(
            "INSERT INTO shop_shipping_methods (id, zone_id, name, calculator, prices, conditions, tax_class_id, position, is_active, created_at, version) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            params![
                id,
                self.zone_id,
                self.name,
                self.calculator.as_str(),
                prices,
                conditions,
                self.tax_class_id,
                self.position,
                self.is_active,
                now
            ],
        )
        .on_foreign_key(dangling)?;
        Ok(())
    }

    fn update(&self, tx: &mut Tx<'_>, id: Id<ShippingMethod>, expected: Option<i64>, _: Timestamp) -> Result<bool> {
        let (prices, conditions) = self.json()?;
        let changed = tx.execute(
            "UPDATE shop_shipping_methods SET zone_id = ?, name = ?, calculator = ?, prices = ?, conditions = ?, tax_class_id = ?, position = ?, \
             is_active = ?, version = version + 1 WHERE id = ? AND version = COALESCE(?, version)",
            params![
                self.zone_id,
                self.name,
                self.calculator.as_str(),
                prices,
                conditions,
                self.tax_class_id,
                self.position,
                self.is_active,
                id,
                expected
            ],
        )
        .on_foreign_key(dangling)?;
        Ok(changed == 1)
    }

    fn delete(tx: &mut Tx<'_>, id: Id<ShippingMethod>) -> Result<bool> {
        Ok(tx.execute("DELETE FROM shop_shipping_methods WHERE id = ?", params![id])? == 1)
    }
}

impl NewShippingMethod {
    /// Prices and conditions as they are stored.
    fn json(&self) -> Result<(String, String)> {
        let prices = serde_json::to_string(&self.prices).map_err(Error::internal)?;
        Ok((prices, serde_json::to_string(&self.conditions).map_err(Error::internal)?))
    }
}
