//! SQL of files, their variants and their uses.

use db::{Conn, Error, Param, ToParam as _, params};
use uuid::Uuid;

use super::{MediaFile, MediaFilter, Usage, Variant, Visibility};
use crate::actor::UserId;
use crate::id::Id;
use crate::page::Keyset;
use crate::time::Timestamp;

db::row! {
    /// A row of `media_files`.
    pub(super) struct FileRow {
        id: Id<MediaFile>,
        owner_user_id: Option<UserId>,
        sha256: [u8; 32],
        mime: String,
        kind: String,
        byte_count: i64,
        width: Option<i64>,
        height: Option<i64>,
        alt: Option<String>,
        is_decorative: bool,
        focal_x: i64,
        focal_y: i64,
        placeholder: Option<String>,
        storage_key: String,
        visibility: String,
        original_name: String,
        version: i64,
        created_at: Timestamp,
        updated_at: Timestamp,
    }
}

const COLUMNS: &str = "id, owner_user_id, sha256, mime, kind, byte_count, width, height, alt, is_decorative, focal_x, focal_y, placeholder, \
    storage_key, visibility, original_name, version, created_at, updated_at";

impl From<FileRow> for MediaFile {
    fn from(row: FileRow) -> MediaFile {
        MediaFile {
            id: row.id,
            owner_id: row.owner_user_id,
            sha256: row.sha256,
            mime: row.mime,
            kind: row.kind,
            byte_count: row.byte_count,
            width: row.width,
            height: row.height,
            alt: row.alt,
            is_decorative: row.is_decorative,
            focal: (row.focal_x, row.focal_y),
            placeholder: row.placeholder,
            storage_key: row.storage_key,
            visibility: if row.visibility == "private" { Visibility::Private } else { Visibility::Public },
            original_name: row.original_name,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub(super) fn insert(tx: &mut db::Tx<'_>, file: &MediaFile) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO media_files (id, owner_user_id, sha256, mime, kind, byte_count, width, height, alt, is_decorative, focal_x, focal_y, \
         placeholder, storage_key, visibility, original_name, version, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            file.id,
            file.owner_id,
            file.sha256,
            file.mime,
            file.kind,
            file.byte_count,
            file.width,
            file.height,
            file.alt,
            file.is_decorative,
            file.focal.0,
            file.focal.1,
            file.placeholder,
            file.storage_key,
            file.visibility.as_str(),
            file.original_name,
            file.version,
            file.created_at,
            file.updated_at
        ],
    )
    .map(drop)
}

pub(super) fn find(c: &mut Conn, id: Id<MediaFile>) -> Result<Option<MediaFile>, Error> {
    Ok(c.opt::<FileRow>(format!("SELECT {COLUMNS} FROM media_files WHERE id = ?"), params![id])?.map(MediaFile::from))
}

pub(super) fn find_to_change(tx: &mut db::Tx<'_>, id: Id<MediaFile>) -> Result<Option<MediaFile>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM media_files WHERE id = ? {{for_update}}");
    Ok(tx.opt::<FileRow>(sql, params![id])?.map(MediaFile::from))
}

/// The files of these ids, in no order.
pub(super) fn find_many(c: &mut Conn, ids: &[Id<MediaFile>]) -> Result<Vec<MediaFile>, Error> {
    find_in_chunks(c, ids, "")
}

/// The files of these ids, in no order, locked; in the order of their ids, so that two who ask do not wait for each other.
pub(super) fn find_many_to_change(tx: &mut db::Tx<'_>, ids: &[Id<MediaFile>]) -> Result<Vec<MediaFile>, Error> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    find_in_chunks(tx, &ids, "ORDER BY id {for_update}")
}

fn find_in_chunks(c: &mut Conn, ids: &[Id<MediaFile>], end: &str) -> Result<Vec<MediaFile>, Error> {
    let mut files = Vec::new();
    for ids in ids.chunks(100) {
        let values: Vec<Param<'_>> = ids.iter().map(|id| id.to_param()).collect();
        let rows = c.all::<FileRow>(format!("SELECT {COLUMNS} FROM media_files WHERE id IN ({}) {end}", list(ids.len())), &values)?;
        files.extend(rows.into_iter().map(MediaFile::from));
    }
    Ok(files)
}

/// Those of the ids that are there.
pub(super) fn known(c: &mut Conn, ids: &[Id<MediaFile>]) -> Result<Vec<Id<MediaFile>>, Error> {
    let mut known = Vec::new();
    for ids in ids.chunks(100) {
        let values: Vec<Param<'_>> = ids.iter().map(|id| id.to_param()).collect();
        known.extend(c.all::<(Id<MediaFile>,)>(format!("SELECT id FROM media_files WHERE id IN ({})", list(ids.len())), &values)?);
    }
    Ok(known.into_iter().map(|(id,)| id).collect())
}

fn list(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// One page of the files; only those of this owner if one is given.
pub(super) fn page(c: &mut Conn, owner: Option<UserId>, filter: &MediaFilter, keyset: &Keyset) -> Result<Vec<MediaFile>, Error> {
    let (condition, values) = keyset.condition();
    let mut narrowed: Vec<Param<'_>> = Vec::new();
    let mut narrow = String::new();
    if let Some(owner) = &owner {
        narrow.push_str("owner_user_id = ? AND ");
        narrowed.push(owner.to_param());
    }
    if let Some(kind) = &filter.kind {
        narrow.push_str("kind = ? AND ");
        narrowed.push(kind.to_param());
    }
    if filter.lacks_alt {
        narrow.push_str("kind = 'image' AND alt IS NULL AND is_decorative = 0 AND ");
    }
    let sql =
        format!("SELECT {COLUMNS} FROM media_files WHERE {narrow}{condition} ORDER BY {} LIMIT {}", keyset.order_by(), keyset.limit());
    let rows = c.all::<FileRow>(sql, &[narrowed, values].concat())?;
    Ok(rows.into_iter().map(MediaFile::from).collect())
}

/// Writes what may change; false when the version is another one.
pub(super) fn update(tx: &mut db::Tx<'_>, file: &MediaFile, expected_version: i64) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE media_files SET alt = ?, is_decorative = ?, focal_x = ?, focal_y = ?, visibility = ?, original_name = ?, version = ?, updated_at = ? \
         WHERE id = ? AND version = ?",
        params![
            file.alt,
            file.is_decorative,
            file.focal.0,
            file.focal.1,
            file.visibility.as_str(),
            file.original_name,
            file.version,
            file.updated_at,
            file.id,
            expected_version
        ],
    )?;
    Ok(changed == 1)
}

/// Deletes the row, its variants and its uses; the caller has locked it.
pub(super) fn delete(tx: &mut db::Tx<'_>, id: Id<MediaFile>) -> Result<(), Error> {
    tx.execute("DELETE FROM media_keeps WHERE media_id = ?", params![id])?;
    tx.execute("DELETE FROM media_usages WHERE media_id = ?", params![id])?;
    tx.execute("DELETE FROM media_variants WHERE media_id = ?", params![id])?;
    tx.execute("DELETE FROM media_files WHERE id = ?", params![id]).map(drop)
}

/// Whether a file is neither used nor kept; it is certain when the caller has locked it.
pub(super) fn is_unused(c: &mut Conn, id: Id<MediaFile>) -> Result<bool, Error> {
    let kept = c.opt::<(i64,)>("SELECT 1 FROM media_keeps WHERE media_id = ? LIMIT 1", params![id])?;
    Ok(kept.is_none() && usages(c, id)?.is_empty())
}

/// Files older than this that nothing uses or keeps, oldest first.
pub(super) fn unused(c: &mut Conn, before: Timestamp) -> Result<Vec<Id<MediaFile>>, Error> {
    let rows = c.all::<(Id<MediaFile>,)>(
        "SELECT f.id FROM media_files f WHERE f.created_at < ? AND NOT EXISTS (SELECT 1 FROM media_usages u WHERE u.media_id = f.id) \
         AND NOT EXISTS (SELECT 1 FROM media_keeps k WHERE k.media_id = f.id) ORDER BY f.created_at, f.id LIMIT 100",
        params![before],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

db::row! {
    /// A row of `media_variants`.
    pub(super) struct VariantRow {
        preset: String,
        format: String,
        spec_hash: String,
        width: i64,
        height: i64,
        byte_count: i64,
        storage_key: String,
    }
}

impl From<VariantRow> for Variant {
    fn from(row: VariantRow) -> Variant {
        Variant {
            preset: row.preset,
            format: row.format,
            spec_hash: row.spec_hash,
            width: row.width,
            height: row.height,
            byte_count: row.byte_count,
            storage_key: row.storage_key,
        }
    }
}

pub(super) fn variants(c: &mut Conn, id: Id<MediaFile>) -> Result<Vec<Variant>, Error> {
    let rows = c.all::<VariantRow>(
        "SELECT preset, format, spec_hash, width, height, byte_count, storage_key FROM media_variants WHERE media_id = ?",
        params![id],
    )?;
    Ok(rows.into_iter().map(Variant::from).collect())
}

/// Notes a variant in place of the one before it; the caller has locked the file.
pub(super) fn put_variant(tx: &mut db::Tx<'_>, id: Id<MediaFile>, variant: &Variant, now: Timestamp) -> Result<(), Error> {
    tx.execute("DELETE FROM media_variants WHERE media_id = ? AND preset = ? AND format = ?", params![id, variant.preset, variant.format])?;
    tx.execute(
        "INSERT INTO media_variants (media_id, preset, format, spec_hash, width, height, byte_count, storage_key, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            id,
            variant.preset,
            variant.format,
            variant.spec_hash,
            variant.width,
            variant.height,
            variant.byte_count,
            variant.storage_key,
            now
        ],
    )
    .map(drop)
}

pub(super) fn insert_usage(tx: &mut db::Tx<'_>, id: Id<MediaFile>, kind: &str, subject: Uuid) -> Result<(), Error> {
    tx.insert_ignore(
        "INSERT INTO media_usages (media_id, subject_kind, subject_id) VALUES (?, ?, ?)",
        params![id, kind, Param::Id(subject.into_bytes())],
    )
    .map(drop)
}

pub(super) fn delete_usage(tx: &mut db::Tx<'_>, id: Id<MediaFile>, kind: &str, subject: Uuid) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM media_usages WHERE media_id = ? AND subject_kind = ? AND subject_id = ?",
        params![id, kind, Param::Id(subject.into_bytes())],
    )
    .map(drop)
}

/// The files that a subject uses, in no order.
pub(super) fn used_by(c: &mut Conn, kind: &str, subject: Uuid) -> Result<Vec<Id<MediaFile>>, Error> {
    let rows = c.all::<(Id<MediaFile>,)>(
        "SELECT media_id FROM media_usages WHERE subject_kind = ? AND subject_id = ?",
        params![kind, Param::Id(subject.into_bytes())],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub(super) fn delete_usages(tx: &mut db::Tx<'_>, ids: &[Id<MediaFile>], kind: &str, subject: Uuid) -> Result<(), Error> {
    for ids in ids.chunks(100) {
        let mut values = vec![Param::Text(kind), Param::Id(subject.into_bytes())];
        values.extend(ids.iter().map(|id| id.to_param()));
        let sql = format!("DELETE FROM media_usages WHERE subject_kind = ? AND subject_id = ? AND media_id IN ({})", list(ids.len()));
        tx.execute(sql, &values)?;
    }
    Ok(())
}

pub(super) fn keep(tx: &mut db::Tx<'_>, kind: &str, subject: Uuid) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO media_keeps (media_id, subject_kind, subject_id) \
         SELECT u.media_id, u.subject_kind, u.subject_id FROM media_usages u WHERE u.subject_kind = ? AND u.subject_id = ? AND NOT EXISTS \
         (SELECT 1 FROM media_keeps k WHERE k.media_id = u.media_id AND k.subject_kind = u.subject_kind AND k.subject_id = u.subject_id)",
        params![kind, Param::Id(subject.into_bytes())],
    )
    .map(drop)
}

pub(super) fn delete_keeps_of(tx: &mut db::Tx<'_>, kind: &str, subject: Uuid) -> Result<(), Error> {
    tx.execute("DELETE FROM media_keeps WHERE subject_kind = ? AND subject_id = ?", params![kind, Param::Id(subject.into_bytes())])
        .map(drop)
}

pub(super) fn delete_usages_of(tx: &mut db::Tx<'_>, kind: &str, subject: Uuid) -> Result<(), Error> {
    tx.execute("DELETE FROM media_usages WHERE subject_kind = ? AND subject_id = ?", params![kind, Param::Id(subject.into_bytes())])
        .map(drop)
}

/// Where a file is used, at most a hundred places.
pub(super) fn usages(c: &mut Conn, id: Id<MediaFile>) -> Result<Vec<Usage>, Error> {
    let rows = c.all::<(String, [u8; 16])>(
        "SELECT subject_kind, subject_id FROM media_usages WHERE media_id = ? ORDER BY subject_kind, subject_id LIMIT 100",
        params![id],
    )?;
    Ok(rows.into_iter().map(|(subject_kind, id)| Usage { subject_kind, subject_id: Uuid::from_bytes(id) }).collect())
}
