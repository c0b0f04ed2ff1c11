//! SQL of the places of zones of either kind.

use std::collections::HashMap;

use db::{Conn, Error, Param, ToParam, Tx, params};
use kernel::Id;
use uuid::Uuid;

use crate::places::{Place, folded};

db::row! {
    struct PlaceRow {
        zone_id: Id<()>,
        country: String,
        region: String,
        postal_from: String,
        postal_to: String,
    }
}

impl From<PlaceRow> for Place {
    fn from(row: PlaceRow) -> Place {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Place { country: row.country, region: some(row.region), postal_from: some(row.postal_from), postal_to: some(row.postal_to) }
    }
}

/// Replaces the places of a zone.
pub(crate) fn replace<Z>(tx: &mut Tx<'_>, zone: Id<Z>, places: &[Place]) -> Result<(), Error> {
    tx.execute("DELETE FROM shop_zone_places WHERE zone_id = ?", params![zone])?;
    for (position, place) in places.iter().enumerate() {
        let code = |text: &Option<String>| folded(text.as_deref().unwrap_or(""));
        tx.execute(
            "INSERT INTO shop_zone_places (zone_id, position, country, region, postal_from, postal_to) VALUES (?, ?, ?, ?, ?, ?)",
            params![
                zone,
                i64::try_from(position).unwrap_or(i64::MAX),
                place.country,
                code(&place.region),
                code(&place.postal_from),
                code(&place.postal_to)
            ],
        )?;
    }
    Ok(())
}

/// The places of a zone, in their order.
pub(crate) fn of_zone<Z>(c: &mut Conn, zone: Id<Z>) -> Result<Vec<Place>, Error> {
    Ok(of_zones(c, &[zone])?.remove(&zone.uuid()).unwrap_or_default())
}

/// The places of several zones at once, by zone, in their order.
pub(crate) fn of_zones<Z>(c: &mut Conn, zones: &[Id<Z>]) -> Result<HashMap<Uuid, Vec<Place>>, Error> {
    let mut all: HashMap<Uuid, Vec<Place>> = HashMap::new();
    if zones.is_empty() {
        return Ok(all);
    }
    let sql = format!(
        "SELECT zone_id, country, region, postal_from, postal_to FROM shop_zone_places WHERE zone_id IN ({}) ORDER BY zone_id, position",
        vec!["?"; zones.len()].join(", ")
    );
    let params: Vec<Param<'_>> = zones.iter().map(ToParam::to_param).collect();
    c.each::<PlaceRow>(sql, &params, |row| {
        all.entry(row.zone_id.uuid()).or_default().push(Place::from(row));
        Ok(())
    })?;
    Ok(all)
}
