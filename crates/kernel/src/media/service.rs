//! The verbs of the library: upload, list, read, change, delete, serve, sign; and the jobs that make variants and sweep.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::kinds::{self, FileType};
use super::settings::{MediaSettings, Preset};
use super::storage::{self, Storage};
use super::{
    CREATE_FILES, DELETE_FILES, MEDIA_IN_USE, MediaCreated, MediaData, MediaDeleted, MediaFile, MediaFilter, MediaUpdated, UPDATE_FILES,
    Variant, Visibility, images, store,
};
use crate::app::Setup;
use crate::audit::AuditEntry;
use crate::ctx::Ctx;
use crate::error::{
    Error, FORBIDDEN, FieldError, LogAndContinue as _, NOT_FOUND, OUTCOME_UNKNOWN, PAYLOAD_TOO_LARGE, Result, UNSUPPORTED_MEDIA_TYPE,
};
use crate::http::{IfMatch, version_conflict};
use crate::id::Id;
use crate::jobs::Job;
use crate::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use crate::platform::PlatformSettings;
use crate::time::Timestamp;
use crate::tx::Tx;
use crate::workers::Workers;

/// The middle of a picture.
const CENTRE: i64 = 5_000;
/// How long a file may be without a row: its upload may still be under way.
const UPLOAD_TIME: Duration = Duration::from_secs(3_600);
/// What the tags of signed addresses are for.
const PURPOSE: &str = "media.url/1";

const SORT_KEYS: &[SortKey] = &[
    SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int },
    SortKey { name: "size_bytes", column: "byte_count", kind: KeyKind::Int },
];

/// The files, the threads that work on them, and the variants that are being made; state of the platform module.
pub(crate) struct Library {
    storage: Storage,
    pool: Workers,
    flights: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Library {
    /// The library in the data folder.
    pub(super) fn of(setup: &Setup<'_>) -> Result<Arc<Library>> {
        let storage = Storage::new(&setup.settings::<PlatformSettings>().data_dir);
        // Each thread may hold a whole picture of max_pixels.
        Ok(Arc::new(Library { storage, pool: Workers::new("media", 2, 256), flights: Mutex::default() }))
    }

    /// Runs work that blocks: on files and pictures.
    async fn run<T: Send + 'static>(self: &Arc<Self>, work: impl FnOnce(&Storage) -> Result<T> + Send + 'static) -> Result<T> {
        let library = self.clone();
        self.pool.run(move || work(&library.storage)).await?
    }

    /// What the makers of one variant lock, so that only the first of them makes it.
    fn flight(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(tokio::sync::Mutex::new(()));
        flights.insert(key.to_owned(), Arc::downgrade(&flight));
        flight
    }
}

fn library(ctx: &Ctx) -> &Arc<Library> {
    ctx.state::<Arc<Library>>()
}

/// A file about to be stored.
#[derive(Debug)]
pub(super) struct NewFile {
    pub(super) bytes: Bytes,
    pub(super) name: String,
    pub(super) alt: Option<String>,
    pub(super) is_decorative: bool,
    pub(super) visibility: Visibility,
}

/// What of an uploaded file is worked out off the request workers.
struct Prepared {
    sha256: [u8; 32],
    byte_count: usize,
    size: Option<(u32, u32)>,
    placeholder: Option<String>,
    storage_key: String,
}

/// Takes a file in: looks at its content, cleans it, stores it durably, then makes its row.
pub(super) async fn upload(ctx: &Ctx, new: NewFile) -> Result<MediaFile> {
    ctx.actor.require(&CREATE_FILES)?;
    let kind = admitted(ctx, &new.bytes)?;
    let (id, scratch) = (ctx.new_id::<MediaFile>(), ctx.new_id::<MediaFile>().uuid());
    let (bytes, max_pixels) = (new.bytes, ctx.settings::<MediaSettings>().max_pixels);
    let prepared = library(ctx).run(move |storage| prepare(storage, kind, &bytes, max_pixels, id.uuid(), scratch)).await?;
    let now = ctx.now();
    let file = MediaFile {
        id,
        owner_id: ctx.actor.maybe_user_id(),
        sha256: prepared.sha256,
        mime: kind.mime.to_owned(),
        kind: kind.kind.to_owned(),
        byte_count: i64::try_from(prepared.byte_count).map_err(Error::internal)?,
        width: prepared.size.map(|(width, _)| width.into()),
        height: prepared.size.map(|(_, height)| height.into()),
        alt: new.alt,
        is_decorative: new.is_decorative,
        focal: (CENTRE, CENTRE),
        placeholder: prepared.placeholder,
        storage_key: prepared.storage_key,
        visibility: new.visibility,
        original_name: kinds::corrected_name(&new.name, kind),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let (row, is_picture) = (file.clone(), kind.image.is_some());
    let written = ctx.write(move |tx| {
        store::insert(tx, &row)?;
        tx.record(&MediaCreated { file: MediaData::of(&row) })?;
        if is_picture { tx.enqueue(&MakeVariants { media_id: id }) } else { Ok(()) }
    });
    if let Err(error) = written.await {
        // Whether the row was written is not known then; the sweeper will know.
        if !error.is(&OUTCOME_UNKNOWN) {
            remove_files(ctx, vec![file.storage_key]).await;
        }
        return Err(error);
    }
    Ok(file)
}

/// The type of an upload that is small enough and of a type that is taken.
fn admitted(ctx: &Ctx, bytes: &[u8]) -> Result<&'static FileType> {
    let settings = ctx.settings::<MediaSettings>();
    if bytes.is_empty() {
        return Err(Error::invalid(vec![FieldError::body("/file", "too_short", "The file is empty.")]));
    }
    if bytes.len() > settings.max_bytes.as_usize() {
        return Err(PAYLOAD_TOO_LARGE.because(format!("A file has at most {} bytes.", settings.max_bytes.as_usize())));
    }
    let kind = kinds::sniff(bytes);
    let fits = |allowed: &String| match allowed.strip_suffix("/*") {
        Some(group) => kind.mime.split('/').next() == Some(group),
        None => allowed == kind.mime,
    };
    if kinds::ALL.contains(&kind) && settings.allowed_types.iter().any(fits) {
        return Ok(kind);
    }
    Err(UNSUPPORTED_MEDIA_TYPE.because(format!("The content is {}, which is not taken here.", kind.mime)))
}

fn prepare(storage: &Storage, kind: &FileType, bytes: &[u8], max_pixels: u32, id: Uuid, scratch: Uuid) -> Result<Prepared> {
    let inspected = kind.image.map(|format| images::inspect(format, bytes, max_pixels)).transpose()?;
    let stored = inspected.as_ref().map_or(bytes, |inspected| &inspected.bytes);
    let sha256: [u8; 32] = Sha256::digest(stored).into();
    let storage_key = storage::key_of(id, &sha256);
    storage.put(&storage_key, scratch, stored).map_err(Error::internal)?;
    Ok(Prepared {
        sha256,
        byte_count: stored.len(),
        size: inspected.as_ref().map(|inspected| (inspected.width, inspected.height)),
        placeholder: inspected.map(|inspected| inspected.placeholder),
        storage_key,
    })
}

/// Removes files whose rows are gone; what cannot be removed now is found by the sweeper.
async fn remove_files(ctx: &Ctx, keys: Vec<String>) {
    let removed = library(ctx).run(move |storage| keys.iter().try_for_each(|key| storage.remove(key)).map_err(Error::internal)).await;
    removed.log_and_continue("removing files of the media library");
}

fn is_owner(ctx: &Ctx, file: &MediaFile) -> bool {
    file.owner_id.is_some() && file.owner_id == ctx.actor.maybe_user_id()
}

pub(super) fn may_see(ctx: &Ctx, file: &MediaFile) -> bool {
    file.visibility == Visibility::Public || is_owner(ctx, file) || ctx.actor.may(&UPDATE_FILES)
}

/// The caller's files, or those of everybody for who may change them.
pub(super) async fn list(ctx: &Ctx, request: PageRequest, sort: Option<&str>, filter: MediaFilter) -> Result<Page<MediaFile>> {
    let owner = if ctx.actor.may(&UPDATE_FILES) { None } else { Some(ctx.actor.user_id()?) };
    let narrowed = format!("{:?} {:?} {}", owner, filter.kind, filter.lacks_alt);
    let keyset = Keyset::parse(ctx, SORT_KEYS, "-created_at", sort, "listMedia", &narrowed, &request)?;
    let place = keyset.clone();
    let files = ctx.read(move |c| Ok(store::page(c, owner, &filter, &place)?)).await?;
    let is_by_size = keyset.key() == "size_bytes";
    let key = |file: &MediaFile| if is_by_size { file.byte_count } else { file.created_at.as_millis() };
    Ok(keyset.page(ctx, files, |file| (CursorValue::Int(key(file)), file.id.uuid())))
}

/// One file.
pub(super) async fn get(ctx: &Ctx, id: Id<MediaFile>) -> Result<MediaFile> {
    let file = ctx.read(move |c| Ok(store::find(c, id)?)).await?;
    file.filter(|file| may_see(ctx, file)).ok_or_else(|| NOT_FOUND.error())
}

/// What to change about a file.
#[derive(Clone, Debug, Default)]
pub(super) struct FilePatch {
    pub(super) alt: Option<Option<String>>,
    pub(super) is_decorative: Option<bool>,
    pub(super) focal_x: Option<i64>,
    pub(super) focal_y: Option<i64>,
    pub(super) visibility: Option<Visibility>,
    pub(super) name: Option<String>,
}

impl FilePatch {
    fn apply(&self, file: &mut MediaFile) {
        file.alt = self.alt.clone().unwrap_or(file.alt.take());
        file.is_decorative = self.is_decorative.unwrap_or(file.is_decorative);
        file.focal = (self.focal_x.unwrap_or(file.focal.0), self.focal_y.unwrap_or(file.focal.1));
        file.visibility = self.visibility.unwrap_or(file.visibility);
        if let Some(name) = &self.name {
            file.original_name = kinds::corrected_name(name, kinds::of_mime(&file.mime));
        }
    }
}

/// The file for a change, locked, if the caller may see it, and may change it because of `permission` or because it is theirs.
fn changeable(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<MediaFile>, permission: &'static crate::Permission) -> Result<MediaFile> {
    let file = store::find_to_change(tx, id)?.filter(|file| may_see(ctx, file)).ok_or_else(|| NOT_FOUND.error())?;
    let may = ctx.actor.may(permission) || (is_owner(ctx, &file) && ctx.actor.may(&CREATE_FILES));
    if may { Ok(file) } else { Err(FORBIDDEN.because(format!("The file is not yours; this needs the permission {}.", permission.name))) }
}

/// Changes what is known about a file.
pub(super) async fn update(ctx: &Ctx, id: Id<MediaFile>, if_match: IfMatch, patch: FilePatch) -> Result<MediaFile> {
    let this = ctx.clone();
    ctx.write(move |tx| {
        let mut file = changeable(tx, &this, id, &UPDATE_FILES)?;
        if_match.expected(file.version)?;
        let (version, focal) = (file.version, file.focal);
        patch.apply(&mut file);
        file.version += 1;
        file.updated_at = this.now();
        if !store::update(tx, &file, version)? {
            return Err(version_conflict(version));
        }
        tx.record(&MediaUpdated { file: MediaData::of(&file) })?;
        if file.focal != focal && kinds::of_mime(&file.mime).image.is_some() {
            tx.enqueue(&MakeVariants { media_id: id })?;
        }
        Ok(file)
    })
    .await
}

/// Deletes a file that nothing uses; with `force` also one in use.
pub(super) async fn delete(ctx: &Ctx, id: Id<MediaFile>, if_match: IfMatch, force: bool) -> Result<()> {
    let this = ctx.clone();
    let keys = ctx
        .write(move |tx| {
            let file = changeable(tx, &this, id, &DELETE_FILES)?;
            if_match.expected(file.version)?;
            let usages = store::usages(tx, id)?;
            if !usages.is_empty() && !force {
                return Err(MEDIA_IN_USE.error().with_member("subjects", json!(usages)));
            }
            if !usages.is_empty() && !this.actor.may(&DELETE_FILES) {
                return Err(FORBIDDEN.because(format!("The file is in use; this needs the permission {}.", DELETE_FILES.name)));
            }
            delete_in(tx, &file)
        })
        .await?;
    remove_files(ctx, keys).await;
    Ok(())
}

/// Deletes the rows of a file and gives the keys of what is stored.
fn delete_in(tx: &mut Tx<'_, '_>, file: &MediaFile) -> Result<Vec<String>> {
    let mut keys: Vec<String> = store::variants(tx, file.id)?.into_iter().map(|variant| variant.storage_key).collect();
    keys.push(file.storage_key.clone());
    store::delete(tx, file.id)?;
    tx.record(&MediaDeleted { media_id: file.id.uuid() })?;
    tx.audit(AuditEntry::ok("media.file.delete", &format!("media:{}", file.id)))?;
    Ok(keys)
}

/// What an address says beside the file: the version that it was made for, and a signature.
#[derive(Clone, Debug, Default)]
pub(super) struct Ticket {
    pub(super) version: Option<String>,
    pub(super) expires: Option<i64>,
    pub(super) signature: Option<String>,
}

/// Bytes to be served, and how.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) path: PathBuf,
    pub(super) length: u64,
    pub(super) mime: &'static str,
    pub(super) etag: String,
    pub(super) name: String,
    pub(super) is_inline: bool,
    pub(super) is_public: bool,
    /// Whether the address names this very content, so that it may be kept for good.
    pub(super) is_versioned: bool,
}

/// The version in addresses: it changes with the content and with the focal point.
pub(super) fn address_version(file: &MediaFile) -> String {
    let digest = Sha256::new().chain_update(file.sha256).chain_update(file.focal.0.to_be_bytes()).chain_update(file.focal.1.to_be_bytes());
    storage::hex(&digest.finalize()[..6])
}

/// The original of a file.
pub(super) async fn content(ctx: &Ctx, id: Id<MediaFile>, ticket: &Ticket) -> Result<Served> {
    let file = readable(ctx, id, "content", ticket).await?;
    let kind = kinds::of_mime(&file.mime);
    let path = library(ctx).storage.path(&file.storage_key);
    serve(&file, path, file.byte_count, kind.mime, storage::hex(&file.sha256[..16]), file.original_name.clone(), kind.is_inline, ticket)
}

/// A picture in the size of a preset; it is made when it is asked for the first time.
pub(super) async fn variant(ctx: &Ctx, id: Id<MediaFile>, name: &str, ticket: &Ticket) -> Result<Served> {
    let (preset_name, extension) = name.split_once('.').map_or((name, None), |(preset, extension)| (preset, Some(extension)));
    let presets = &ctx.settings::<MediaSettings>().presets;
    let preset = presets.get(preset_name).copied().ok_or_else(|| NOT_FOUND.error())?;
    if extension.is_some_and(|extension| extension != preset.format.extension()) {
        return Err(NOT_FOUND.error());
    }
    let file = readable(ctx, id, preset_name, ticket).await?;
    let variant = ready_variant(ctx, &file, preset_name, &preset).await?;
    let path = library(ctx).storage.path(&variant.storage_key);
    let etag = format!("{}{}", storage::hex(&file.sha256[..8]), variant.spec_hash);
    let name = format!("{preset_name}-{}", file.original_name);
    let name = kinds::corrected_name(&name, kinds::of_mime(preset.format.mime()));
    serve(&file, path, variant.byte_count, preset.format.mime(), etag, name, true, ticket)
}

/// The file whose bytes the caller may read: it is public, or theirs, or the address is signed for just this part of it.
async fn readable(ctx: &Ctx, id: Id<MediaFile>, part: &str, ticket: &Ticket) -> Result<MediaFile> {
    let file = ctx.read(move |c| Ok(store::find(c, id)?)).await?.ok_or_else(|| NOT_FOUND.error())?;
    if may_see(ctx, &file) || is_signed(ctx, id, part, ticket) { Ok(file) } else { Err(NOT_FOUND.error()) }
}

#[expect(clippy::too_many_arguments, reason = "each is a column of the answer, named at its place in the struct")]
fn serve(
    file: &MediaFile,
    path: PathBuf,
    length: i64,
    mime: &'static str,
    etag: String,
    name: String,
    is_inline: bool,
    ticket: &Ticket,
) -> Result<Served> {
    let length = u64::try_from(length).map_err(Error::internal)?;
    let is_public = file.visibility == Visibility::Public;
    let is_versioned = ticket.version.as_deref() == Some(address_version(file).as_str());
    Ok(Served { path, length, mime, etag, name, is_inline, is_public, is_versioned })
}

fn signed_text(id: Id<MediaFile>, part: &str, expires: i64) -> Vec<u8> {
    format!("{id}\n{part}\n{expires}").into_bytes()
}

fn is_signed(ctx: &Ctx, id: Id<MediaFile>, part: &str, ticket: &Ticket) -> bool {
    let (Some(expires), Some(signature)) = (ticket.expires, &ticket.signature) else { return false };
    let Ok(tag) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    ctx.now() < Timestamp::from_millis(expires.saturating_mul(1_000))
        && ctx.app.keyring().verify_mac(PURPOSE, &signed_text(id, part, expires), &tag)
}

/// An address of a private file that opens for everybody who has it, until it expires.
pub(super) async fn sign(ctx: &Ctx, id: Id<MediaFile>, preset: Option<&str>, lasts: Duration) -> Result<(String, Timestamp)> {
    let file = get(ctx, id).await?;
    if !(is_owner(ctx, &file) || ctx.actor.may(&UPDATE_FILES)) {
        return Err(FORBIDDEN.because(format!("The file is not yours; this needs the permission {}.", UPDATE_FILES.name)));
    }
    let part = match preset {
        None => "content",
        Some(name) => {
            let is_there = ctx.settings::<MediaSettings>().presets.get(name).is_some() && kinds::of_mime(&file.mime).image.is_some();
            if !is_there {
                return Err(Error::invalid(vec![FieldError::body(
                    "/preset",
                    "unknown_reference",
                    "There is no such preset of this file.",
                )]));
            }
            name
        }
    };
    let expires = (ctx.now() + lasts).as_millis() / 1_000;
    let tag = ctx.app.keyring().mac(PURPOSE, &signed_text(id, part, expires));
    let path = if preset.is_some() { format!("variants/{part}") } else { part.to_owned() };
    let url =
        format!("{}/api/v1/media/{id}/{path}?expires={expires}&signature={}", ctx.app.public_url(), URL_SAFE_NO_PAD.encode(&tag[..16]));
    Ok((url, Timestamp::from_millis(expires * 1_000)))
}

/// The variant as it should be now: made if it is not there, made anew if preset or focal point changed or its file is lost.
async fn ready_variant(ctx: &Ctx, file: &MediaFile, name: &str, preset: &Preset) -> Result<Variant> {
    let format = kinds::of_mime(&file.mime).image.ok_or_else(|| NOT_FOUND.error())?;
    let digest = Sha256::digest(format!("{preset} {} {}", file.focal.0, file.focal.1).as_bytes());
    let spec_hash = storage::hex(&digest[..8]);
    let (found, _) = find_variant(ctx, file, name, preset, &spec_hash).await?;
    if let Some(variant) = found {
        return Ok(variant);
    }
    let flight = library(ctx).flight(&format!("{}/{name}/{spec_hash}", file.id));
    let _flying = flight.lock().await;
    let (found, outdated) = find_variant(ctx, file, name, preset, &spec_hash).await?;
    if let Some(variant) = found {
        return Ok(variant);
    }
    let (original, preset, focal, scratch) = (file.storage_key.clone(), *preset, file.focal, ctx.new_id::<MediaFile>().uuid());
    let key = storage::variant_key(&original, name, &spec_hash, preset.format.extension());
    let (max_pixels, target) = (ctx.settings::<MediaSettings>().max_pixels, key.clone());
    let made = library(ctx)
        .run(move |storage| {
            let bytes = storage.read(&original).map_err(Error::internal)?;
            let made = images::variant(format, &bytes, max_pixels, &preset, focal)?;
            storage.put(&target, scratch, &made.bytes).map_err(Error::internal)?;
            Ok((made.width, made.height, made.bytes.len()))
        })
        .await?;
    let variant = Variant {
        preset: name.to_owned(),
        format: preset.format.extension().to_owned(),
        spec_hash,
        width: made.0.into(),
        height: made.1.into(),
        byte_count: i64::try_from(made.2).map_err(Error::internal)?,
        storage_key: key.clone(),
    };
    let (id, row, now) = (file.id, variant.clone(), ctx.now());
    let is_noted = ctx
        .write(move |tx| {
            let is_there = store::find_to_change(tx, id)?.is_some();
            if is_there {
                store::put_variant(tx, id, &row, now)?;
            }
            Ok(is_there)
        })
        .await?;
    if !is_noted {
        // The file was deleted meanwhile.
        remove_files(ctx, vec![key]).await;
        return Err(NOT_FOUND.error());
    }
    remove_files(ctx, outdated.into_iter().filter(|old| *old != key).collect()).await;
    Ok(variant)
}

/// The variant if it is as it should be and its file is there; else the keys of what is outdated.
async fn find_variant(ctx: &Ctx, file: &MediaFile, name: &str, preset: &Preset, spec_hash: &str) -> Result<(Option<Variant>, Vec<String>)> {
    let id = file.id;
    let all = ctx.read(move |c| Ok(store::variants(c, id)?)).await?;
    let of_preset = |variant: &Variant| variant.preset == name && variant.format == preset.format.extension();
    let mut outdated = Vec::new();
    for variant in all.into_iter().filter(of_preset) {
        let is_stored = tokio::fs::try_exists(library(ctx).storage.path(&variant.storage_key)).await.unwrap_or(false);
        if variant.spec_hash == spec_hash && is_stored {
            return Ok((Some(variant), Vec::new()));
        }
        outdated.push(variant.storage_key);
    }
    Ok((None, outdated))
}

/// Makes the variants of a file before somebody asks for them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MakeVariants {
    media_id: Id<MediaFile>,
}

impl Job for MakeVariants {
    const KIND: &'static str = "media.make_variants";
}

pub(super) async fn make_variants(ctx: Ctx, job: MakeVariants) -> Result<()> {
    let id = job.media_id;
    let Some(file) = ctx.read(move |c| Ok(store::find(c, id)?)).await? else { return Ok(()) };
    let presets = ctx.settings::<MediaSettings>().presets.clone();
    for (name, preset) in presets.iter() {
        match ready_variant(&ctx, &file, name, preset).await {
            Err(error) if error.is(&NOT_FOUND) => return Ok(()),
            outcome => outcome?,
        };
    }
    Ok(())
}

/// Deletes uploads that nothing uses, and files without a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SweepOrphans {}

impl Job for SweepOrphans {
    const KIND: &'static str = "media.sweep_orphans";
}

pub(super) async fn sweep_orphans(ctx: Ctx, _job: SweepOrphans) -> Result<()> {
    let days = ctx.settings::<MediaSettings>().orphan_days;
    if days > 0 {
        sweep_unused(&ctx, ctx.now() - Duration::from_secs(u64::from(days) * 86_400)).await?;
    }
    sweep_files(&ctx, ctx.now() - UPLOAD_TIME).await
}

async fn sweep_unused(ctx: &Ctx, before: Timestamp) -> Result<()> {
    loop {
        let unused = ctx.read_long(move |c| Ok(store::unused(c, before)?)).await?;
        if unused.is_empty() {
            return Ok(());
        }
        for id in unused {
            let keys = ctx.write(move |tx| match store::find_to_change(tx, id)? {
                // Somebody may have begun to use it meanwhile; the lock makes that certain.
                Some(file) if store::is_unused(tx, id)? => delete_in(tx, &file),
                _ => Ok(Vec::new()),
            });
            remove_files(ctx, keys.await?).await;
        }
    }
}

/// Removes files that no row knows: an upload or a deletion was cut off between the two.
async fn sweep_files(ctx: &Ctx, before: Timestamp) -> Result<()> {
    let folders = library(ctx).run(|storage| storage.folders().map_err(Error::internal)).await?;
    for folder in folders {
        let files = library(ctx).run(move |storage| storage.files(&folder).map_err(Error::internal)).await?;
        let old: Vec<(String, Uuid)> = files.into_iter().filter(|(_, id)| made_at(*id).is_some_and(|at| at < before)).collect();
        for files in old.chunks(500) {
            let mut ids: Vec<Id<MediaFile>> = files.iter().map(|(_, id)| Id::from_uuid(*id)).collect();
            ids.dedup();
            // An unfinished file has an id of its own, which is that of no row.
            let known = ctx.read_long(move |c| Ok(store::known(c, &ids)?)).await?;
            let keys = files.iter().filter(|(_, id)| !known.contains(&Id::from_uuid(*id))).map(|(key, _)| key.clone()).collect();
            remove_files(ctx, keys).await;
        }
    }
    Ok(())
}

/// When the id was made, which a UUIDv7 tells; the clock of the disk is another one.
fn made_at(id: Uuid) -> Option<Timestamp> {
    let (secs, nanos) = id.get_timestamp()?.to_unix();
    Some(Timestamp::from_millis(i64::try_from(secs).ok()? * 1_000 + i64::from(nanos / 1_000_000)))
}

impl MediaData {
    fn of(file: &MediaFile) -> MediaData {
        MediaData {
            id: file.id.uuid(),
            owner_id: file.owner_id.map(Id::uuid),
            mime: file.mime.clone(),
            size_bytes: file.byte_count,
            width: file.width,
            height: file.height,
            alt: file.alt.clone(),
            visibility: file.visibility.as_str().to_owned(),
            version: file.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn med3_makers_of_one_variant_share_a_lock_that_is_forgotten_after_them() {
        let library = Library { storage: Storage::new("unused"), pool: Workers::new("test", 1, 1), flights: Mutex::default() };
        let (first, second, other) = (library.flight("a/thumb"), library.flight("a/thumb"), library.flight("a/card"));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
        drop((first, second, other));
        let last = library.flight("b/thumb");
        assert_eq!((library.flights.lock().unwrap().len(), Arc::strong_count(&last)), (1, 1));
    }

    #[test]
    fn med8_an_id_tells_when_its_upload_began() {
        let at: Timestamp = "2026-11-22T12:00:00.123Z".parse().unwrap();
        let ids = crate::IdSource::new(crate::Clock::manual(at), crate::Random::seeded(1));
        assert_eq!(made_at(ids.next()), Some(at));
        assert_eq!(made_at(Uuid::from_u128(7)), None);
    }

    #[test]
    fn med6_files_are_found_by_their_addresses_in_a_text() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(0xABCDEF));
        let html = format!(
            "<img src=\"/api/v1/media/{one}/content?v=1\" srcset=\"https://example.com/api/v1/media/{two}/variants/card 2x\">\
             /api/v1/media/{one} /api/v1/media/ /api/v1/media/nothing /api/v1/media/{}",
            "é".repeat(40)
        );
        assert_eq!(crate::media::mentioned_in(&html), [Id::from_uuid(one), Id::from_uuid(two)]);
        let many: String = (0..600_u128).map(|n| format!("/api/v1/media/{} ", Uuid::from_u128(n))).collect();
        assert_eq!(crate::media::mentioned_in(&many).len(), 500);
    }
}
