//! SQL of the audit trail and its chain.

use db::{Conn, Error, Param, ToParam as _, params};
use serde::Serialize;

use crate::audit::chain::{self, Hash};
use crate::id::Id;
use crate::page::Keyset;
use crate::random::Random;
use crate::time::Timestamp;

db::row! {
    /// A row of `platform_audit`.
    #[derive(Clone, Debug)]
    pub(crate) struct AuditRow {
        pub(crate) id: Id<AuditRow>,
        pub(crate) at: Timestamp,
        pub(crate) actor: String,
        pub(crate) action: String,
        pub(crate) subject: Option<String>,
        pub(crate) result: String,
        pub(crate) ip: Option<String>,
        pub(crate) user_agent: Option<String>,
        pub(crate) origin_salt: Option<[u8; 16]>,
        pub(crate) origin_hash: Option<Hash>,
        pub(crate) request_id: Option<String>,
        pub(crate) detail: Option<String>,
        pub(crate) personal: Option<String>,
        pub(crate) personal_salt: Option<[u8; 16]>,
        pub(crate) personal_hash: Option<Hash>,
        pub(crate) seq: Option<i64>,
        pub(crate) prev_hash: Option<Hash>,
        pub(crate) hash: Option<Hash>,
    }
}

/// The columns of [`AuditRow`], before what follows.
macro_rules! select {
    ($($rest:literal),*) => {
        concat!(
            "SELECT id, at, actor, action, subject, result, ip, user_agent, origin_salt, origin_hash, request_id, detail, personal, ",
            "personal_salt, personal_hash, seq, prev_hash, hash FROM platform_audit ",
            $($rest),*
        )
    };
}

/// A row about to be inserted, unsealed.
pub(super) struct NewRow<'a> {
    pub(super) id: Id<AuditRow>,
    pub(super) at: Timestamp,
    pub(super) actor: &'a str,
    pub(super) action: &'a str,
    pub(super) subject: Option<&'a str>,
    pub(super) result: &'a str,
    pub(super) ip: Option<&'a str>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) request_id: Option<&'a str>,
    pub(super) detail: Option<&'a str>,
    pub(super) personal: Option<&'a str>,
    /// Random; the first half salts the origin, the second what is personal.
    pub(super) salts: [[u8; 16]; 2],
}

/// Two fresh salts, asked of the operating system at once.
pub(super) fn salts(random: &Random) -> [[u8; 16]; 2] {
    let bytes: [u8; 32] = random.bytes();
    let (mut first, mut second) = ([0; 16], [0; 16]);
    first.copy_from_slice(&bytes[..16]);
    second.copy_from_slice(&bytes[16..]);
    [first, second]
}

pub(super) fn insert(tx: &mut db::Tx<'_>, row: &NewRow<'_>) -> Result<(), Error> {
    let [origin_salt, personal_salt] = row.salts;
    let has_origin = row.ip.is_some() || row.user_agent.is_some();
    let origin_hash = has_origin.then(|| chain::origin_hash(&origin_salt, row.ip, row.user_agent));
    let personal_hash = row.personal.map(|personal| chain::personal_hash(&personal_salt, personal));
    let salt = |salt: [u8; 16], is_used: bool| if is_used { Param::Id(salt) } else { Param::Null };
    tx.execute(
        "INSERT INTO platform_audit (id, at, actor, action, subject, result, ip, user_agent, origin_salt, origin_hash, request_id, detail, \
         personal, personal_salt, personal_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            row.id,
            row.at,
            row.actor,
            row.action,
            row.subject,
            row.result,
            row.ip,
            row.user_agent,
            salt(origin_salt, has_origin),
            origin_hash,
            row.request_id,
            row.detail,
            row.personal,
            salt(personal_salt, personal_hash.is_some()),
            personal_hash,
        ],
    )?;
    Ok(())
}

/// Whether a row waits to be sealed.
pub(super) fn has_unsealed(c: &mut Conn) -> Result<bool, Error> {
    // Ordered by the place, which none has, so that every engine looks into that index and nowhere else.
    Ok(c.opt::<(Id<AuditRow>,)>("SELECT id FROM platform_audit WHERE seq IS NULL ORDER BY seq LIMIT 1", params![])?.is_some())
}

/// Rows that wait to be sealed, some of them, in the order of their making.
pub(super) fn unsealed(c: &mut Conn) -> Result<Vec<AuditRow>, Error> {
    let mut rows: Vec<AuditRow> = c.all(select!("WHERE seq IS NULL ORDER BY seq LIMIT 200"), params![])?;
    rows.sort_unstable_by_key(|row| row.id);
    Ok(rows)
}

/// Gives a row its place in the chain; false when it has one.
pub(super) fn seal(tx: &mut db::Tx<'_>, id: Id<AuditRow>, seq: i64, prev_hash: &Hash, hash: &Hash) -> Result<bool, Error> {
    let sealed = tx.execute(
        "UPDATE platform_audit SET seq = ?, prev_hash = ?, hash = ? WHERE id = ? AND seq IS NULL",
        params![seq, prev_hash, hash, id],
    )?;
    Ok(sealed == 1)
}

db::row! {
    /// Where the chain ends.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Head {
        pub(crate) seq: i64,
        pub(crate) hash: Hash,
        pub(crate) at: Timestamp,
        pub(crate) mac: Hash,
        pub(crate) addresses_until: Timestamp,
    }
}

pub(super) fn head(c: &mut Conn) -> Result<Option<Head>, Error> {
    c.opt("SELECT seq, hash, at, mac, addresses_until FROM platform_audit_head WHERE id = 1", params![])
}

/// The head, locked until the transaction ends; none while another sealer has it.
pub(super) fn lock_head(tx: &mut db::Tx<'_>) -> Result<Option<Head>, Error> {
    tx.opt("SELECT seq, hash, at, mac, addresses_until FROM platform_audit_head WHERE id = 1 {skip_locked}", params![])
}

/// The head of a chain that has no row yet; false when another sealer made it.
pub(super) fn insert_head(tx: &mut db::Tx<'_>, head: &Head) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO platform_audit_head (id, seq, hash, at, mac, addresses_until) VALUES (1, ?, ?, ?, ?, ?)",
        params![head.seq, head.hash, head.at, head.mac, head.addresses_until],
    )
}

/// Moves the head on, if it is still where it was.
pub(super) fn move_head(tx: &mut db::Tx<'_>, from: &Head, to: &Head) -> Result<bool, Error> {
    let moved = tx.execute(
        "UPDATE platform_audit_head SET seq = ?, hash = ?, at = ?, mac = ? WHERE id = 1 AND seq = ? AND hash = ?",
        params![to.seq, to.hash, to.at, to.mac, from.seq, from.hash],
    )?;
    Ok(moved == 1)
}

/// Whether there was a chain before: a row that is sealed, or a place that was written down.
pub(super) fn has_history(c: &mut Conn) -> Result<bool, Error> {
    let sealed = c.one::<Option<i64>>("SELECT MAX(seq) FROM platform_audit", params![])?;
    let written = c.opt::<i64>("SELECT seq FROM platform_audit_checkpoints LIMIT 1", params![])?;
    Ok(sealed.is_some() || written.is_some())
}

/// How far the addresses of old rows are erased.
pub(super) fn set_addresses_until(tx: &mut db::Tx<'_>, until: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE platform_audit_head SET addresses_until = ? WHERE id = 1", params![until])?;
    Ok(())
}

/// Where the chain is every day.
pub(super) const DAILY: &str = "daily";
/// The last row that was pruned.
pub(super) const PRUNED: &str = "pruned";

db::row! {
    /// A place in the chain that was written down.
    #[derive(Clone, Debug)]
    pub(crate) struct Checkpoint {
        pub(crate) kind: String,
        pub(crate) seq: i64,
        pub(crate) hash: Hash,
        pub(crate) at: Timestamp,
        pub(crate) mac: Hash,
    }
}

/// Writes a place down; false when it was before.
pub(super) fn insert_checkpoint(tx: &mut db::Tx<'_>, checkpoint: &Checkpoint) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO platform_audit_checkpoints (kind, seq, hash, at, mac) VALUES (?, ?, ?, ?, ?)",
        params![checkpoint.kind, checkpoint.seq, checkpoint.hash, checkpoint.at, checkpoint.mac],
    )
}

/// The row before the first that is kept, if rows were pruned.
pub(super) fn base(c: &mut Conn) -> Result<Option<Checkpoint>, Error> {
    c.opt("SELECT kind, seq, hash, at, mac FROM platform_audit_checkpoints WHERE kind = 'pruned' ORDER BY seq DESC LIMIT 1", params![])
}

/// The next daily heads after a place, one for each of the rows that are looked at with them at most.
pub(super) fn daily_after(c: &mut Conn, seq: i64) -> Result<Vec<Checkpoint>, Error> {
    c.all(
        "SELECT kind, seq, hash, at, mac FROM platform_audit_checkpoints WHERE kind = 'daily' AND seq > ? ORDER BY seq LIMIT 1000",
        params![seq],
    )
}

/// Forgets the places before this one, which no row stands for any more.
pub(super) fn delete_checkpoints_before(tx: &mut db::Tx<'_>, seq: i64) -> Result<(), Error> {
    tx.execute("DELETE FROM platform_audit_checkpoints WHERE kind IN ('daily', 'pruned') AND seq < ?", params![seq])?;
    Ok(())
}

/// The first place that a row has.
pub(super) fn first_seq(c: &mut Conn) -> Result<Option<i64>, Error> {
    c.one("SELECT MIN(seq) FROM platform_audit", params![])
}

/// Hands over sealed rows after a place, a thousand at most, without keeping them.
pub(super) fn each_sealed(c: &mut Conn, after: i64, mut f: impl FnMut(AuditRow)) -> Result<(), Error> {
    c.each(select!("WHERE seq > ? ORDER BY seq LIMIT 1000"), params![after], |row| {
        f(row);
        Ok(())
    })
}

/// Place, time and hash of the next sealed rows.
pub(super) fn oldest(c: &mut Conn, after: i64) -> Result<Vec<(i64, Timestamp, Hash)>, Error> {
    c.all("SELECT seq, at, hash FROM platform_audit WHERE seq > ? ORDER BY seq LIMIT 500", params![after])
}

/// Deletes the rows up to a place; the checkpoint of that place must stand already.
pub(super) fn prune(tx: &mut db::Tx<'_>, up_to: i64) -> Result<u64, Error> {
    tx.execute("DELETE FROM platform_audit WHERE seq <= ?", params![up_to])
}

/// Where a row stands in the order of time.
pub(super) type Place = (Timestamp, Id<AuditRow>);

/// Whose rows are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rows<'a> {
    /// What somebody did.
    Of(&'a str),
    /// What was done to somebody.
    About(&'a str),
    /// All before this time.
    Before(Timestamp),
}

/// The places of the next rows that hold something erasable, 500 at most.
pub(super) fn erasable(c: &mut Conn, rows: Rows<'_>, (at, id): Place) -> Result<Vec<Place>, Error> {
    let (sql, value) = match rows {
        Rows::Of(label) => (
            "SELECT at, id FROM platform_audit WHERE actor = ? AND at >= ? AND (at > ? OR id > ?) AND origin_salt IS NOT NULL \
             ORDER BY at, id LIMIT 500",
            Param::Text(label),
        ),
        Rows::About(label) => (
            "SELECT at, id FROM platform_audit WHERE subject = ? AND at >= ? AND (at > ? OR id > ?) \
             AND (personal_salt IS NOT NULL OR (origin_salt IS NOT NULL AND actor = 'anonymous')) ORDER BY at, id LIMIT 500",
            Param::Text(label),
        ),
        Rows::Before(before) => (
            "SELECT at, id FROM platform_audit WHERE at < ? AND at >= ? AND (at > ? OR id > ?) AND origin_salt IS NOT NULL \
             ORDER BY at, id LIMIT 500",
            Param::Int(before.as_millis()),
        ),
    };
    c.all(sql, params![value, at, at, id])
}

/// Erases what [`erasable`] found: where somebody called from, and of rows about somebody also what is personal.
pub(super) fn erase(tx: &mut db::Tx<'_>, rows: Rows<'_>, ids: &[Id<AuditRow>]) -> Result<(), Error> {
    let only = if matches!(rows, Rows::About(_)) { "actor = 'anonymous' AND " } else { "" };
    let values: Vec<Param<'_>> = ids.iter().map(|id| id.to_param()).collect();
    let list = vec!["?"; ids.len()].join(", ");
    tx.execute(format!("UPDATE platform_audit SET ip = NULL, user_agent = NULL, origin_salt = NULL WHERE {only}id IN ({list})"), &values)?;
    if matches!(rows, Rows::About(_)) {
        tx.execute(format!("UPDATE platform_audit SET personal = NULL, personal_salt = NULL WHERE id IN ({list})"), &values)?;
    }
    Ok(())
}

/// What narrows a list.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Narrowed {
    pub(crate) actor: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) result: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

impl Narrowed {
    /// Whether an index leads to the rows, or every row fits.
    pub(super) fn is_indexed(&self) -> bool {
        let is_narrowed = self.action.is_some() || self.result.is_some() || self.request_id.is_some();
        self.actor.is_some() || self.subject.is_some() || !is_narrowed
    }

    fn condition(&self) -> (String, Vec<Param<'_>>) {
        let mut condition = String::new();
        let mut values = Vec::new();
        let texts = [
            ("actor = ? AND ", &self.actor),
            ("action = ? AND ", &self.action),
            ("subject = ? AND ", &self.subject),
            ("result = ? AND ", &self.result),
            ("request_id = ? AND ", &self.request_id),
        ];
        for (piece, value) in texts {
            if let Some(value) = value {
                condition += piece;
                values.push(value.to_param());
            }
        }
        for (piece, value) in [("at >= ? AND ", &self.from), ("at < ? AND ", &self.to)] {
            if let Some(value) = value {
                condition += piece;
                values.push(value.to_param());
            }
        }
        (condition, values)
    }
}

pub(super) fn list(c: &mut Conn, narrowed: &Narrowed, keyset: &Keyset) -> Result<Vec<AuditRow>, Error> {
    let ((condition, mut values), (after, more)) = (narrowed.condition(), keyset.condition());
    values.extend(more);
    let sql = format!("{}{condition}{after} ORDER BY {} LIMIT {}", select!("WHERE "), keyset.order_by(), keyset.limit());
    c.all(sql, &values)
}

/// The rows of an export after a place, oldest first, 500 at most.
pub(super) fn export(c: &mut Conn, narrowed: &Narrowed, (at, id): Place) -> Result<Vec<AuditRow>, Error> {
    let (condition, mut values) = narrowed.condition();
    values.extend_from_slice(params![at, at, id]);
    c.all(format!("{}{condition}at >= ? AND (at > ? OR id > ?) ORDER BY at, id LIMIT 500", select!("WHERE ")), &values)
}

pub(super) fn find(c: &mut Conn, id: Id<AuditRow>) -> Result<Option<AuditRow>, Error> {
    c.opt(select!("WHERE id = ?"), params![id])
}

db::row! {
    /// A verification of the chain.
    #[derive(Clone, Debug)]
    pub(crate) struct VerificationRow {
        pub(crate) id: Id<VerificationRow>,
        pub(crate) status: String,
        pub(crate) created_at: Timestamp,
        pub(crate) finished_at: Option<Timestamp>,
        pub(crate) row_count: i64,
        pub(crate) first_seq: Option<i64>,
        pub(crate) last_seq: Option<i64>,
        pub(crate) last_hash: Option<Hash>,
        pub(crate) bad_seq: Option<i64>,
        pub(crate) fault: Option<String>,
    }
}

pub(super) fn insert_verification(tx: &mut db::Tx<'_>, id: Id<VerificationRow>, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO platform_audit_verifications (id, status, created_at, row_count) VALUES (?, 'running', ?, 0)",
        params![id, now],
    )?;
    Ok(())
}

/// Writes the outcome down; false when that was done before.
pub(super) fn finish_verification(tx: &mut db::Tx<'_>, row: &VerificationRow) -> Result<bool, Error> {
    let finished = tx.execute(
        "UPDATE platform_audit_verifications SET status = ?, finished_at = ?, row_count = ?, first_seq = ?, last_seq = ?, last_hash = ?, \
         bad_seq = ?, fault = ? WHERE id = ? AND status = 'running'",
        params![row.status, row.finished_at, row.row_count, row.first_seq, row.last_seq, row.last_hash, row.bad_seq, row.fault, row.id],
    )?;
    Ok(finished == 1)
}

pub(super) fn find_verification(c: &mut Conn, id: Id<VerificationRow>) -> Result<Option<VerificationRow>, Error> {
    c.opt(
        "SELECT id, status, created_at, finished_at, row_count, first_seq, last_seq, last_hash, bad_seq, fault \
         FROM platform_audit_verifications WHERE id = ?",
        params![id],
    )
}

/// One since this time that a job has not finished.
pub(super) fn running_verification(c: &mut Conn, since: Timestamp) -> Result<Option<VerificationRow>, Error> {
    c.opt(
        "SELECT id, status, created_at, finished_at, row_count, first_seq, last_seq, last_hash, bad_seq, fault \
         FROM platform_audit_verifications WHERE created_at >= ? AND status = 'running' ORDER BY created_at DESC LIMIT 1",
        params![since],
    )
}

pub(super) fn purge_verifications(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM platform_audit_verifications WHERE id IN \
         (SELECT id FROM (SELECT id FROM platform_audit_verifications WHERE created_at < ? LIMIT 500) AS batch)",
        params![before],
    )
}
