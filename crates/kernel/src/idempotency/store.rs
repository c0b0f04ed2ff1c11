//! SQL of remembered answers.

use db::{Conn, Error, params};

use crate::time::Timestamp;

db::row! {
    /// A row of `platform_idempotency`.
    pub(crate) struct AnswerRow {
        pub(crate) fingerprint: Vec<u8>,
        pub(crate) status: Option<u16>,
        pub(crate) answer_sealed: Option<Vec<u8>>,
        pub(crate) created_at: Timestamp,
    }
}

pub(crate) fn find(c: &mut Conn, key_hash: &[u8; 32]) -> Result<Option<AnswerRow>, Error> {
    c.opt("SELECT fingerprint, status, answer_sealed, created_at FROM platform_idempotency WHERE key_hash = ?", params![key_hash])
}

/// Claims a key; false when somebody has it.
pub(crate) fn claim(tx: &mut db::Tx<'_>, key_hash: &[u8; 32], fingerprint: &[u8; 32], now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO platform_idempotency (key_hash, fingerprint, created_at) VALUES (?, ?, ?)",
        params![key_hash, fingerprint, now],
    )
}

pub(crate) fn remember(tx: &mut db::Tx<'_>, key_hash: &[u8; 32], status: u16, sealed: &[u8]) -> Result<(), Error> {
    tx.execute("UPDATE platform_idempotency SET status = ?, answer_sealed = ? WHERE key_hash = ?", params![status, sealed, key_hash])?;
    Ok(())
}

/// Forgets answers older than `before`.
pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM platform_idempotency WHERE key_hash IN (SELECT key_hash FROM (SELECT key_hash FROM platform_idempotency WHERE created_at < ? LIMIT 500) AS batch)", params![before])
}
