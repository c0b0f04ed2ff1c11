//! SQL of recorded events.

use db::{Conn, Error, Param, ToParam as _, params};

use crate::actor::UserId;
use crate::events::StoredEvent;
use crate::id::Id;
use crate::time::Timestamp;

db::row! {
    /// A row of `platform_events`.
    pub(crate) struct EventRow {
        pub(crate) id: Id<StoredEvent>,
        pub(crate) name: String,
        pub(crate) at: Timestamp,
        pub(crate) actor_id: Option<UserId>,
        pub(crate) request_id: Option<String>,
        pub(crate) data: String,
    }
}

impl From<EventRow> for StoredEvent {
    fn from(row: EventRow) -> Self {
        let data = serde_json::from_str(&row.data).unwrap_or_default();
        StoredEvent { id: row.id, name: row.name, at: row.at, actor_id: row.actor_id, request_id: row.request_id, data }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, event: &StoredEvent) -> Result<(), Error> {
    let data = event.data.to_string();
    tx.execute(
        "INSERT INTO platform_events (id, name, at, actor_id, request_id, data) VALUES (?, ?, ?, ?, ?, ?)",
        params![event.id, event.name, event.at, event.actor_id, event.request_id, data],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, id: Id<StoredEvent>) -> Result<Option<StoredEvent>, Error> {
    let row = c.opt::<EventRow>("SELECT id, name, at, actor_id, request_id, data FROM platform_events WHERE id = ?", params![id])?;
    Ok(row.map(StoredEvent::from))
}

/// Where an event stands among those of all nodes: when it happened, and which one it is.
pub(crate) type Place = (Timestamp, Id<StoredEvent>);

/// The events of these kinds in the order of their times, after this place.
pub(crate) fn places_after(c: &mut Conn, names: &[&str], (at, id): Place, limit: u32) -> Result<Vec<Place>, Error> {
    let sql = format!(
        "SELECT at, id FROM platform_events WHERE name IN ({}) AND at >= ? AND (at > ? OR id > ?) ORDER BY at, id LIMIT {limit}",
        list(names.len())
    );
    let mut values: Vec<Param<'_>> = names.iter().map(|name| Param::Text(name)).collect();
    values.extend_from_slice(params![at, at, id]);
    c.all::<Place>(sql, &values)
}

/// The events of these ids, in the order of their times.
pub(crate) fn find_many(c: &mut Conn, ids: &[Id<StoredEvent>]) -> Result<Vec<StoredEvent>, Error> {
    let sql =
        format!("SELECT id, name, at, actor_id, request_id, data FROM platform_events WHERE id IN ({}) ORDER BY at, id", list(ids.len()));
    let values: Vec<Param<'_>> = ids.iter().map(|id| id.to_param()).collect();
    Ok(c.all::<EventRow>(sql, &values)?.into_iter().map(StoredEvent::from).collect())
}

fn list(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Forgets events older than `before`.
pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM platform_events WHERE id IN (SELECT id FROM (SELECT id FROM platform_events WHERE at < ? LIMIT 500) AS batch)",
        params![before],
    )
}
