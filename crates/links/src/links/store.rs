//! SQL of links.

use db::{Conn, Error, Param, ToParam as _, params};
use kernel::{Id, Timestamp, UserId};

use crate::domains::Domain;
use crate::links::{Draft, Link, LinkRecord, LinkStatus};
use crate::targets::ForwardQuery;

/// The columns of [`LinkRow`] as a literal, so that statements stay static.
macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " l.id, l.domain_id, l.slug, l.slug_key, l.url, l.owner_user_id, l.external_id, l.status, l.redirect_status, l.valid_from, \
             l.expires_at, l.expired_url, l.max_clicks, l.used_clicks, l.password_phc, l.forward_query, l.forward_path, l.is_crawlable, \
             l.is_unlisted, l.title, l.note, l.click_count, l.human_click_count, l.last_clicked_at, l.created_at, l.updated_at, l.version, \
             l.deleted_at ",
            $after
        )
    };
}

db::row! {
    /// A row of `links_links`.
    pub(crate) struct LinkRow {
        pub(crate) id: Id<Link>,
        pub(crate) domain_id: Id<Domain>,
        pub(crate) slug: String,
        pub(crate) slug_key: String,
        pub(crate) url: String,
        pub(crate) owner_user_id: UserId,
        pub(crate) external_id: Option<String>,
        pub(crate) status: String,
        pub(crate) redirect_status: u16,
        pub(crate) valid_from: Option<Timestamp>,
        pub(crate) expires_at: Option<Timestamp>,
        pub(crate) expired_url: Option<String>,
        pub(crate) max_clicks: Option<i64>,
        pub(crate) used_clicks: i64,
        pub(crate) password_phc: Option<String>,
        pub(crate) forward_query: String,
        pub(crate) forward_path: bool,
        pub(crate) is_crawlable: bool,
        pub(crate) is_unlisted: bool,
        pub(crate) title: String,
        pub(crate) note: String,
        pub(crate) click_count: i64,
        pub(crate) human_click_count: i64,
        pub(crate) last_clicked_at: Timestamp,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) version: i64,
        pub(crate) deleted_at: Option<Timestamp>,
    }
}

impl From<LinkRow> for LinkRecord {
    fn from(row: LinkRow) -> LinkRecord {
        LinkRecord {
            id: row.id,
            domain_id: row.domain_id,
            slug: row.slug,
            slug_key: row.slug_key,
            url: row.url,
            owner: row.owner_user_id,
            external_id: row.external_id,
            status: LinkStatus::of(&row.status),
            redirect_status: row.redirect_status,
            valid_from: row.valid_from,
            expires_at: row.expires_at,
            expired_url: row.expired_url,
            max_clicks: row.max_clicks,
            used_clicks: row.used_clicks,
            password_phc: row.password_phc,
            forward_query: ForwardQuery::of(&row.forward_query),
            forward_path: row.forward_path,
            is_crawlable: row.is_crawlable,
            is_unlisted: row.is_unlisted,
            title: row.title,
            note: row.note,
            click_count: row.click_count,
            human_click_count: row.human_click_count,
            last_clicked_at: (row.last_clicked_at > NEVER).then_some(row.last_clicked_at),
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
            deleted_at: row.deleted_at,
        }
    }
}

/// When a link that nobody followed was last followed: it sorts first on every engine.
pub(crate) const NEVER: Timestamp = Timestamp::from_millis(0);

/// What a new row has beside what its owner decides.
pub(crate) struct NewRow<'a> {
    pub(crate) id: Id<Link>,
    pub(crate) domain_id: Id<Domain>,
    pub(crate) slug: &'a str,
    pub(crate) slug_key: &'a str,
    pub(crate) owner: UserId,
    pub(crate) url_hash: [u8; 32],
    pub(crate) dedupe_key: Option<[u8; 32]>,
    pub(crate) password_phc: Option<&'a str>,
    pub(crate) now: Timestamp,
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, row: &NewRow<'_>, draft: &Draft) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO links_links (id, domain_id, slug, slug_key, url, url_hash, dedupe_key, owner_user_id, external_id, status, redirect_status, \
         valid_from, expires_at, expired_url, max_clicks, used_clicks, password_phc, forward_query, forward_path, is_crawlable, is_unlisted, \
         title, note, search_text, click_count, human_click_count, last_clicked_at, created_at, updated_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'active', ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, 1)",
        params![
            row.id,
            row.domain_id,
            row.slug,
            row.slug_key,
            draft.url.as_str(),
            row.url_hash,
            row.dedupe_key,
            row.owner,
            draft.external_id,
            draft.redirect_status,
            draft.valid_from,
            draft.expires_at,
            draft.expired_url.as_ref().map(|url| url.as_str()),
            draft.max_clicks,
            row.password_phc,
            draft.forward_query.as_str(),
            draft.forward_path,
            draft.is_crawlable,
            draft.is_unlisted,
            draft.title,
            draft.note,
            draft.search_text(row.slug),
            NEVER,
            row.now,
            row.now
        ],
    )?;
    Ok(())
}

/// What a changed row has beside what its owner decides.
pub(crate) struct ChangedRow<'a> {
    pub(crate) slug: &'a str,
    pub(crate) slug_key: &'a str,
    pub(crate) url_hash: [u8; 32],
    pub(crate) keeps_dedupe_key: bool,
    pub(crate) password_phc: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// Changes a link that still has this version; false when somebody was faster.
pub(crate) fn update(tx: &mut db::Tx<'_>, id: Id<Link>, version: i64, row: &ChangedRow<'_>, draft: &Draft) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE links_links SET slug = ?, slug_key = ?, url = ?, url_hash = ?, dedupe_key = CASE WHEN ? = 1 THEN dedupe_key ELSE NULL END, \
         external_id = ?, redirect_status = ?, valid_from = ?, expires_at = ?, expired_url = ?, max_clicks = ?, password_phc = ?, \
         forward_query = ?, forward_path = ?, is_crawlable = ?, is_unlisted = ?, title = ?, note = ?, search_text = ?, updated_at = ?, \
         version = version + 1 WHERE id = ? AND version = ? AND deleted_at IS NULL",
        params![
            row.slug,
            row.slug_key,
            draft.url.as_str(),
            row.url_hash,
            row.keeps_dedupe_key,
            draft.external_id,
            draft.redirect_status,
            draft.valid_from,
            draft.expires_at,
            draft.expired_url.as_ref().map(|url| url.as_str()),
            draft.max_clicks,
            row.password_phc,
            draft.forward_query.as_str(),
            draft.forward_path,
            draft.is_crawlable,
            draft.is_unlisted,
            draft.title,
            draft.note,
            draft.search_text(row.slug),
            row.now,
            id,
            version
        ],
    )?;
    Ok(changed == 1)
}

pub(crate) fn find(c: &mut Conn, id: Id<Link>) -> Result<Option<LinkRecord>, Error> {
    let row = c.opt::<LinkRow>(columns!("SELECT", "FROM links_links l WHERE l.id = ? AND l.deleted_at IS NULL"), params![id])?;
    Ok(row.map(LinkRecord::from))
}

/// The link, locked until the transaction ends.
pub(crate) fn find_locked(tx: &mut db::Tx<'_>, id: Id<Link>) -> Result<Option<LinkRecord>, Error> {
    let row =
        tx.opt::<LinkRow>(columns!("SELECT", "FROM links_links l WHERE l.id = ? AND l.deleted_at IS NULL {for_update}"), params![id])?;
    Ok(row.map(LinkRecord::from))
}

/// The link that holds a slug, deleted or not.
pub(crate) fn holder(c: &mut Conn, domain: Id<Domain>, slug_key: &str) -> Result<Option<LinkRecord>, Error> {
    let row =
        c.opt::<LinkRow>(columns!("SELECT", "FROM links_links l WHERE l.domain_id = ? AND l.slug_key = ?"), params![domain, slug_key])?;
    Ok(row.map(LinkRecord::from))
}

/// The most keys that one look-up asks for: a path and its eight beginnings.
pub(crate) const MAX_KEYS: usize = 9;

/// The links behind these keys, deleted ones left out. At most [`MAX_KEYS`].
pub(crate) fn by_keys(c: &mut Conn, domain: Id<Domain>, keys: &[String]) -> Result<Vec<LinkRecord>, Error> {
    if let [key] = keys {
        let row = c.opt::<LinkRow>(
            columns!("SELECT", "FROM links_links l WHERE l.domain_id = ? AND l.slug_key = ? AND l.deleted_at IS NULL"),
            params![domain, key],
        )?;
        return Ok(row.map(LinkRecord::from).into_iter().collect());
    }
    // Always nine, so that there is one statement; the last key stands for those that are missing.
    let Some(last) = keys.last() else { return Ok(Vec::new()) };
    let mut params: Vec<Param<'_>> = vec![domain.to_param()];
    params.extend((0..MAX_KEYS).map(|n| keys.get(n).unwrap_or(last).to_param()));
    let rows = c.all::<LinkRow>(
        columns!(
            "SELECT",
            "FROM links_links l WHERE l.domain_id = ? AND l.slug_key IN (?, ?, ?, ?, ?, ?, ?, ?, ?) AND l.deleted_at IS NULL LIMIT 9"
        ),
        &params,
    )?;
    Ok(rows.into_iter().map(LinkRecord::from).collect())
}

pub(crate) fn find_by_external_id(c: &mut Conn, owner: UserId, external_id: &str) -> Result<Option<LinkRecord>, Error> {
    let row = c.opt::<LinkRow>(
        columns!("SELECT", "FROM links_links l WHERE l.owner_user_id = ? AND l.external_id = ? AND l.deleted_at IS NULL"),
        params![owner, external_id],
    )?;
    Ok(row.map(LinkRecord::from))
}

/// The oldest link of an owner to this address.
pub(crate) fn find_by_url(c: &mut Conn, domain: Id<Domain>, owner: UserId, url_hash: &[u8; 32]) -> Result<Option<LinkRecord>, Error> {
    let row = c.opt::<LinkRow>(
        columns!(
            "SELECT",
            "FROM links_links l WHERE l.owner_user_id = ? AND l.url_hash = ? AND l.domain_id = ? AND l.deleted_at IS NULL ORDER BY l.id LIMIT 1"
        ),
        params![owner, url_hash, domain],
    )?;
    Ok(row.map(LinkRecord::from))
}

/// Takes the slug away from a link that is deleted or past its end; false when it is neither, or was changed since it was read.
pub(crate) fn vacate(tx: &mut db::Tx<'_>, link: &LinkRecord, now: Timestamp) -> Result<bool, Error> {
    // A blank cannot occur in a slug, and the id makes it unique.
    let vacated = format!(" {}", link.id);
    let changed = tx.execute(
        "UPDATE links_links SET slug_key = ?, deleted_at = COALESCE(deleted_at, ?), dedupe_key = NULL, external_id = NULL, version = version + 1 \
         WHERE id = ? AND version = ? AND (deleted_at IS NOT NULL OR expires_at <= ?)",
        params![vacated, now, link.id, link.version, now],
    )?;
    Ok(changed == 1)
}

/// Marks a link as deleted; its slug stays taken.
pub(crate) fn delete(tx: &mut db::Tx<'_>, id: Id<Link>, version: i64, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE links_links SET deleted_at = ?, dedupe_key = NULL, external_id = NULL, updated_at = ?, version = version + 1 \
         WHERE id = ? AND version = ? AND deleted_at IS NULL",
        params![now, now, id, version],
    )?;
    Ok(changed == 1)
}

/// Moves a link from one status to another; false when it has another version or status by now.
pub(crate) fn set_status(tx: &mut db::Tx<'_>, link: &LinkRecord, to: LinkStatus, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE links_links SET status = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ? AND status = ? AND deleted_at IS NULL",
        params![to.as_str(), now, link.id, link.version, link.status.as_str()],
    )?;
    Ok(changed == 1)
}

/// Uses one of the clicks that a link may have; false when none is left (INV-L4).
pub(crate) fn consume(tx: &mut db::Tx<'_>, id: Id<Link>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE links_links SET used_clicks = used_clicks + 1 WHERE id = ? AND status = 'active' AND deleted_at IS NULL \
         AND (max_clicks IS NULL OR used_clicks < max_clicks) AND (valid_from IS NULL OR valid_from <= ?) AND (expires_at IS NULL OR expires_at > ?)",
        params![id, now, now],
    )?;
    Ok(changed == 1)
}

/// What narrows a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) owner: Option<UserId>,
    pub(crate) domain: Option<Id<Domain>>,
    pub(crate) status: Option<LinkStatus>,
    pub(crate) tag_key: Option<String>,
    pub(crate) external_id: Option<String>,
    /// A pattern for `LIKE`.
    pub(crate) text: Option<String>,
}

/// The keys that a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortKey {
    CreatedAt,
    Clicks,
    LastClickedAt,
    Slug,
}

impl SortKey {
    fn column(self) -> &'static str {
        match self {
            SortKey::CreatedAt => "l.created_at",
            SortKey::Clicks => "l.click_count",
            SortKey::LastClickedAt => "l.last_clicked_at",
            SortKey::Slug => "l.slug_key",
        }
    }
}

/// An order; the id is always its last key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) key: SortKey,
    pub(crate) is_descending: bool,
}

/// The row after which a page goes on.
#[derive(Clone, Debug)]
pub(crate) enum After {
    Int(i64, Id<Link>),
    Text(String, Id<Link>),
}

pub(crate) fn list(c: &mut Conn, filter: &Filter, sort: Sort, after: Option<&After>, limit: u32) -> Result<Vec<LinkRecord>, Error> {
    let mut sql = String::from(columns!("SELECT", "FROM links_links l WHERE l.deleted_at IS NULL"));
    let mut params: Vec<Param<'_>> = Vec::new();
    let (column, sign, direction) =
        (sort.key.column(), if sort.is_descending { "<" } else { ">" }, if sort.is_descending { "DESC" } else { "ASC" });
    let conditions: [(Option<Param<'_>>, &str); 5] = [
        (filter.owner.as_ref().map(|owner| owner.to_param()), "l.owner_user_id = ?"),
        (filter.domain.as_ref().map(|domain| domain.to_param()), "l.domain_id = ?"),
        (filter.status.map(|status| Param::Text(status.as_str())), "l.status = ?"),
        (filter.external_id.as_ref().map(|id| id.to_param()), "l.external_id = ?"),
        (filter.text.as_ref().map(|text| text.to_param()), "l.search_text LIKE ? ESCAPE '!'"),
    ];
    for (param, condition) in conditions {
        if let Some(param) = param {
            sql.push_str(" AND ");
            sql.push_str(condition);
            params.push(param);
        }
    }
    if let Some(key) = &filter.tag_key {
        sql.push_str(
            " AND EXISTS (SELECT 1 FROM links_link_tags lt JOIN links_tags t ON t.id = lt.tag_id WHERE lt.link_id = l.id AND t.name_key = ?)",
        );
        params.push(key.to_param());
    }
    if let Some(after) = after {
        sql.push_str(&format!(" AND ({column} {sign} ? OR ({column} = ? AND l.id {sign} ?))"));
        let (value, id) = match after {
            After::Int(value, id) => (Param::Int(*value), id),
            After::Text(value, id) => (Param::Text(value), id),
        };
        params.extend([value, value, id.to_param()]);
    }
    sql.push_str(&format!(" ORDER BY {column} {direction}, l.id {direction} LIMIT {limit}"));
    Ok(c.all::<LinkRow>(sql, &params)?.into_iter().map(LinkRecord::from).collect())
}
