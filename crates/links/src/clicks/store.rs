//! SQL of clicks: single ones, their sums by hour, and how far journals are counted.

use db::{Conn, Error, Param, ToParam as _, params};
use kernel::{Id, Timestamp};
use uuid::Uuid;

use crate::links::Link;

/// How far a journal is counted: segment and records of it.
pub(crate) fn position(c: &mut Conn, journal: Uuid) -> Result<Option<(i64, i64)>, Error> {
    c.opt::<(i64, i64)>("SELECT segment, position FROM links_journal_state WHERE node_id = ?", params![Id::<Uuid>::from_uuid(journal)])
}

/// Moves on from one position to a later one; false when somebody else has moved it (INV-L2).
pub(crate) fn advance(tx: &mut db::Tx<'_>, journal: Uuid, from: Option<(i64, i64)>, to: (i64, i64), now: Timestamp) -> Result<bool, Error> {
    let journal: Id<Uuid> = Id::from_uuid(journal);
    match from {
        None => tx.insert_ignore(
            "INSERT INTO links_journal_state (node_id, segment, position, updated_at) VALUES (?, ?, ?, ?)",
            params![journal, to.0, to.1, now],
        ),
        Some(from) => {
            let changed = tx.execute(
                "UPDATE links_journal_state SET segment = ?, position = ?, updated_at = ? WHERE node_id = ? AND segment = ? AND position = ?",
                params![to.0, to.1, now, journal, from.0, from.1],
            )?;
            Ok(changed == 1)
        }
    }
}

/// Adds to a sum.
pub(crate) fn add_hour(tx: &mut db::Tx<'_>, key: &HourKey, clicks: i64) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE links_click_hours SET clicks = clicks + ? WHERE link_id = ? AND dimension = ? AND hour = ? AND class = ? AND value = ?",
        params![clicks, key.link, key.dimension, key.hour, key.class, key.value],
    )?;
    Ok(changed == 1)
}

/// Begins a sum; false when somebody else has begun it meanwhile.
pub(crate) fn insert_hour(tx: &mut db::Tx<'_>, key: &HourKey, clicks: i64) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO links_click_hours (link_id, hour, class, dimension, value, clicks) VALUES (?, ?, ?, ?, ?, ?)",
        params![key.link, key.hour, key.class, key.dimension, key.value, clicks],
    )
}

/// One sum of clicks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HourKey {
    pub(crate) link: Id<Link>,
    pub(crate) dimension: &'static str,
    pub(crate) hour: i64,
    pub(crate) class: &'static str,
    pub(crate) value: String,
}

/// Makes whoever begins sums of this link wait for each other.
pub(crate) fn lock_link(tx: &mut db::Tx<'_>, link: Id<Link>) -> Result<(), Error> {
    tx.opt::<i64>("SELECT version FROM links_links WHERE id = ? {for_update}", params![link])?;
    Ok(())
}

/// How many values a dimension of a link has in a day.
pub(crate) fn count_values(c: &mut Conn, link: Id<Link>, dimension: &str, from: i64, until: i64) -> Result<i64, Error> {
    c.one(
        "SELECT COUNT(DISTINCT value) FROM links_click_hours WHERE link_id = ? AND dimension = ? AND hour >= ? AND hour < ?",
        params![link, dimension, from, until],
    )
}

/// Adds to the totals that stand on the link itself; a deleted link keeps counting what was under way.
pub(crate) fn add_to_link(tx: &mut db::Tx<'_>, link: Id<Link>, clicks: i64, human: i64, last_at: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE links_links SET click_count = click_count + ?, human_click_count = human_click_count + ?, \
         last_clicked_at = CASE WHEN last_clicked_at < ? THEN ? ELSE last_clicked_at END WHERE id = ?",
        params![clicks, human, last_at, last_at, link],
    )?;
    Ok(())
}

/// A click with what is told of it.
#[derive(Clone, Debug)]
pub(crate) struct ClickRow {
    pub(crate) id: Id<ClickRow>,
    pub(crate) link: Id<Link>,
    pub(crate) at: i64,
    pub(crate) class: &'static str,
    pub(crate) via: &'static str,
    pub(crate) device: Option<&'static str>,
    pub(crate) browser: Option<&'static str>,
    pub(crate) os: Option<&'static str>,
    pub(crate) language: Option<String>,
    pub(crate) referrer_host: Option<String>,
}

/// Rows of one statement.
const ROWS: usize = 32;

/// Stores clicks, many with one statement.
pub(crate) fn insert_clicks(tx: &mut db::Tx<'_>, clicks: &[ClickRow]) -> Result<(), Error> {
    for chunk in clicks.chunks(ROWS) {
        let marks = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; chunk.len()].join(", ");
        let sql =
            format!("INSERT INTO links_clicks (id, link_id, at, class, via, device, browser, os, language, referrer_host) VALUES {marks}");
        let values: Vec<Param<'_>> = chunk
            .iter()
            .flat_map(|click| {
                [
                    click.id.to_param(),
                    click.link.to_param(),
                    click.at.to_param(),
                    Param::Text(click.class),
                    Param::Text(click.via),
                    click.device.map_or(Param::Null, Param::Text),
                    click.browser.map_or(Param::Null, Param::Text),
                    click.os.map_or(Param::Null, Param::Text),
                    click.language.to_param(),
                    click.referrer_host.to_param(),
                ]
            })
            .collect();
        tx.execute(sql, &values)?;
    }
    Ok(())
}

/// Clicks of one purging transaction.
pub(crate) const PURGE_BATCH: u64 = 500;

/// Forgets single clicks with ids before this one; tells how many. The sums stay.
pub(crate) fn purge_clicks(tx: &mut db::Tx<'_>, before: Uuid) -> Result<u64, Error> {
    let before: Id<ClickRow> = Id::from_uuid(before);
    let sql = format!("SELECT id FROM links_clicks WHERE id < ? ORDER BY id LIMIT {PURGE_BATCH}");
    let old = tx.all::<(Id<ClickRow>,)>(sql, params![before])?;
    match old.last() {
        Some((last,)) => tx.execute("DELETE FROM links_clicks WHERE id <= ?", params![last]),
        None => Ok(0),
    }
}

/// Forgets journals that nobody has written to for long.
pub(crate) fn purge_journals(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM links_journal_state WHERE updated_at < ?", params![before])
}

/// The sums of a dimension in a span of time, the largest first.
pub(crate) fn sums(
    c: &mut Conn,
    link: Id<Link>,
    dimension: &str,
    from: i64,
    until: i64,
    only_people: bool,
    limit: u32,
) -> Result<Vec<(String, i64)>, Error> {
    let class = if only_people { " AND class = 'human'" } else { "" };
    let sql = format!(
        "SELECT value, SUM(clicks) AS total FROM links_click_hours WHERE link_id = ? AND dimension = ? AND hour >= ? AND hour < ?{class} \
         GROUP BY value ORDER BY total DESC, value LIMIT {limit}"
    );
    c.all(sql, params![link, dimension, from, until])
}

/// The sums of all clicks by class.
pub(crate) fn sums_by_class(c: &mut Conn, link: Id<Link>, from: i64, until: i64) -> Result<Vec<(String, i64)>, Error> {
    c.all(
        "SELECT class, SUM(clicks) AS total FROM links_click_hours WHERE link_id = ? AND dimension = 'total' AND hour >= ? AND hour < ? \
         GROUP BY class ORDER BY total DESC, class",
        params![link, from, until],
    )
}

/// The sums of all clicks by hour, in order.
pub(crate) fn sums_by_hour(c: &mut Conn, link: Id<Link>, from: i64, until: i64, only_people: bool) -> Result<Vec<(i64, i64)>, Error> {
    let sql = if only_people {
        "SELECT hour, SUM(clicks) AS total FROM links_click_hours WHERE link_id = ? AND dimension = 'total' AND hour >= ? AND hour < ? \
         AND class = 'human' GROUP BY hour ORDER BY hour"
    } else {
        "SELECT hour, SUM(clicks) AS total FROM links_click_hours WHERE link_id = ? AND dimension = 'total' AND hour >= ? AND hour < ? \
         GROUP BY hour ORDER BY hour"
    };
    c.all(sql, params![link, from, until])
}
