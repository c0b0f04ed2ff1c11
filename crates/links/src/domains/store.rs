//! SQL of domains.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

use crate::domains::Domain;

db::row! {
    /// A row of `links_domains`, as far as redirects need it.
    pub(crate) struct DomainRow {
        pub(crate) id: Id<Domain>,
        pub(crate) host: String,
        pub(crate) is_case_sensitive: bool,
    }
}

impl From<DomainRow> for Domain {
    fn from(row: DomainRow) -> Domain {
        Domain { id: row.id, host: row.host, is_case_sensitive: row.is_case_sensitive }
    }
}

pub(crate) fn find_default(c: &mut Conn) -> Result<Option<Domain>, Error> {
    let row =
        c.opt::<DomainRow>("SELECT id, host, is_case_sensitive FROM links_domains WHERE is_default = 1 ORDER BY id LIMIT 1", params![])?;
    Ok(row.map(Domain::from))
}

/// Makes the default domain, unless another node was faster.
pub(crate) fn insert_default(tx: &mut db::Tx<'_>, domain: &Domain, now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO links_domains (id, host, is_default, is_case_sensitive, schemes, created_at, updated_at, version) \
         VALUES (?, ?, 1, ?, 'http https', ?, ?, 1)",
        params![domain.id, domain.host, domain.is_case_sensitive, now, now],
    )
}

pub(crate) fn set_host(tx: &mut db::Tx<'_>, id: Id<Domain>, host: &str, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE links_domains SET host = ?, updated_at = ?, version = version + 1 WHERE id = ?", params![host, now, id])?;
    Ok(())
}

/// Makes writers of links that point to links wait for each other, so that two cannot close a circle together (INV-L8).
pub(crate) fn lock(tx: &mut db::Tx<'_>, id: Id<Domain>) -> Result<(), Error> {
    tx.opt::<i64>("SELECT version FROM links_domains WHERE id = ? {for_update}", params![id])?;
    Ok(())
}

/// A link whose slug is this part, or begins with it.
pub(crate) fn first_below(c: &mut Conn, part: &str) -> Result<Option<String>, Error> {
    // `0` follows `/`: the span holds every slug below the part.
    let (from, until) = (format!("{part}/"), format!("{part}0"));
    c.opt::<String>(
        "SELECT slug FROM links_links WHERE deleted_at IS NULL AND (slug_key = ? OR (slug_key > ? AND slug_key < ?)) ORDER BY slug_key LIMIT 1",
        params![part, from, until],
    )
}
