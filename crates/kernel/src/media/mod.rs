//! The media library: files that people upload, the sizes made of pictures, and who may see them (MED-1 to MED-8).
//!
//! `service` has the verbs, `store` their SQL, `storage` the files. `kinds` says what a file is, `strip` takes out what a
//! picture tells about its maker, `images` makes the sizes of the presets in `settings`. Other modules declare what they use:
//! [`link`] and [`unlink`] in the transaction of the change, [`exists`] and [`views`] for what they show.

mod events;
mod http;
mod images;
mod kinds;
mod service;
mod settings;
mod storage;
mod store;
mod strip;

use db::Conn;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::actor::{Permission, UserId};
use crate::ctx::Ctx;
use crate::error::Result;
use crate::id::Id;
use crate::module::Parts;
use crate::time::Timestamp;

pub use events::{MediaCreated, MediaData, MediaDeleted, MediaUpdated};
pub use http::MediaView;
pub use settings::{MediaSettings, MediaStorage, Preset, PresetFormat, PresetMode, Presets};

crate::problems! {
    IMAGE_INVALID = Invalid, "image_invalid", "The picture cannot be read.", "Save it anew with another program and upload it again.";
    IMAGE_TOO_LARGE = Invalid, "image_too_large", "The picture has too many pixels or frames.", "Make it smaller and upload it again.";
    MEDIA_IN_USE = Conflict, "media_in_use", "The file is in use.", "Remove it from the subjects first, or delete it with force=true.";
}

/// Who may upload.
pub static CREATE_FILES: Permission = Permission::new("media:files:create", "Upload files, and change or delete one's own.");
/// Who may see and change the files of everybody.
pub static UPDATE_FILES: Permission = Permission::new("media:files:update", "See and change the files of everybody.");
/// Who may delete the files of everybody.
pub static DELETE_FILES: Permission = Permission::new("media:files:delete", "Delete the files of everybody, also those in use.");

/// An uploaded file.
#[derive(Clone, Debug)]
pub struct MediaFile {
    /// The file.
    pub id: Id<MediaFile>,
    /// Who uploaded it; nobody when the system did.
    pub owner_id: Option<UserId>,
    /// The digest of what is stored.
    pub sha256: [u8; 32],
    /// The media type, by content.
    pub mime: String,
    /// `image`, `audio`, `video` or `other`.
    pub kind: String,
    /// The size of what is stored.
    pub byte_count: i64,
    /// The width of a picture.
    pub width: Option<i64>,
    /// The height of a picture.
    pub height: Option<i64>,
    /// What a picture shows, for those who do not see it.
    pub alt: Option<String>,
    /// Whether a picture says nothing and needs no alt text.
    pub is_decorative: bool,
    /// The point of a picture that every cut keeps, in ten thousandths of width and height.
    pub focal: (i64, i64),
    /// A BlurHash of a picture.
    pub placeholder: Option<String>,
    /// Where it lies.
    pub storage_key: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// The name it was uploaded with, its extension corrected.
    pub original_name: String,
    /// Counts the changes.
    pub version: i64,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Who may see a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MediaVisibility)]
pub enum Visibility {
    /// Everybody who knows its address.
    #[default]
    Public,
    /// Its owner, those who may change all files, and whoever holds a signed address.
    Private,
}

impl Visibility {
    fn as_str(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Private => "private",
        }
    }
}

/// A picture in the size of a preset, as it is stored.
#[derive(Clone, Debug)]
struct Variant {
    preset: String,
    format: String,
    /// Of preset and focal point: when it is another, the variant is made anew.
    spec_hash: String,
    width: i64,
    height: i64,
    byte_count: i64,
    storage_key: String,
}

/// A place where a file is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Usage {
    subject_kind: String,
    subject_id: Uuid,
}

/// Which files to list.
#[derive(Clone, Debug, Default)]
struct MediaFilter {
    kind: Option<String>,
    lacks_alt: bool,
}

/// Adds the library to the kernel's own module.
pub(crate) fn register(parts: &mut Parts<'_>) {
    parts
        .settings::<MediaSettings>()
        .problems(PROBLEMS)
        .permissions(&[&CREATE_FILES, &UPDATE_FILES, &DELETE_FILES])
        .emits::<MediaCreated>()
        .emits::<MediaUpdated>()
        .emits::<MediaDeleted>()
        .state(service::Library::of)
        .job(service::make_variants)
        .job(service::sweep_orphans)
        .every("41 3 * * *", service::SweepOrphans {})
        .routes(http::operations());
}

/// Notes that `subject` uses the file, so that it is neither swept nor deleted by mistake; false when there is no such file.
///
/// `subject_kind` is the module's own word for the thing, such as `blog.post`. Noting it twice is fine.
pub fn link(tx: &mut db::Tx<'_>, id: Id<MediaFile>, subject_kind: &str, subject_id: Uuid) -> Result<bool> {
    // Locked, so that nobody deletes it before this use is seen.
    let is_there = store::find_to_change(tx, id)?.is_some();
    if is_there {
        store::insert_usage(tx, id, subject_kind, subject_id)?;
    }
    Ok(is_there)
}

/// Notes that `subject` does not use the file any more.
pub fn unlink(tx: &mut db::Tx<'_>, id: Id<MediaFile>, subject_kind: &str, subject_id: Uuid) -> Result<()> {
    Ok(store::delete_usage(tx, id, subject_kind, subject_id)?)
}

/// Notes that `subject` neither uses nor keeps a file any more: it was purged.
pub fn unlink_all(tx: &mut db::Tx<'_>, subject_kind: &str, subject_id: Uuid) -> Result<()> {
    store::delete_keeps_of(tx, subject_kind, subject_id)?;
    Ok(store::delete_usages_of(tx, subject_kind, subject_id)?)
}

/// Notes that `subject` uses these files and no others; answers those of them that it uses now, in no order.
///
/// A file that the caller may not see and the subject did not use before counts as none: nobody can keep another's private file
/// from being deleted. Four statements, and one for each new file.
pub fn use_only(tx: &mut db::Tx<'_>, ctx: &Ctx, ids: &[Id<MediaFile>], subject_kind: &str, subject_id: Uuid) -> Result<Vec<Id<MediaFile>>> {
    let before = store::used_by(tx, subject_kind, subject_id)?;
    let dropped: Vec<_> = before.iter().filter(|id| !ids.contains(id)).copied().collect();
    store::delete_usages(tx, &dropped, subject_kind, subject_id)?;
    let mut used: Vec<_> = before.into_iter().filter(|id| ids.contains(id)).collect();
    let added: Vec<_> = ids.iter().filter(|id| !used.contains(id)).copied().collect();
    for file in store::find_many_to_change(tx, &added)?.iter().filter(|file| service::may_see(ctx, file)) {
        store::insert_usage(tx, file.id, subject_kind, subject_id)?;
        used.push(file.id);
    }
    Ok(used)
}

/// Keeps the files that `subject` uses now from being swept for as long as it exists, also when it does not use them any more.
///
/// For things with a history, such as revisions: what they showed once may be shown again. Deleting by hand stays possible.
pub fn keep(tx: &mut db::Tx<'_>, subject_kind: &str, subject_id: Uuid) -> Result<()> {
    Ok(store::keep(tx, subject_kind, subject_id)?)
}

/// The most files that one text is looked through for.
const MENTIONED_MAX: usize = 500;

/// The files whose addresses stand in a text, such as HTML, each once, in their order; those after the 500th are not looked for.
pub fn mentioned_in(text: &str) -> Vec<Id<MediaFile>> {
    let mut ids = Vec::new();
    for (at, address) in text.match_indices(ADDRESS) {
        let id = text.get(at + address.len()..).and_then(|rest| rest.get(..36)).and_then(|id| id.parse().ok());
        match id {
            Some(id) if !ids.contains(&id) => ids.push(id),
            _ => continue,
        }
        if ids.len() == MENTIONED_MAX {
            break;
        }
    }
    ids
}

/// What the addresses of all files begin with.
const ADDRESS: &str = "/api/v1/media/";

/// Those of the ids that are files of the library, in no order.
pub fn exists(c: &mut Conn, ids: &[Id<MediaFile>]) -> Result<Vec<Id<MediaFile>>> {
    Ok(store::known(c, ids)?)
}

/// Those of the ids that are files the caller may see, in no order: another's private file looks like none.
pub fn visible_to(c: &mut Conn, ctx: &Ctx, ids: &[Id<MediaFile>]) -> Result<Vec<Id<MediaFile>>> {
    let files = store::find_many(c, ids)?;
    Ok(files.iter().filter(|file| service::may_see(ctx, file)).map(|file| file.id).collect())
}

/// What answers show of these files, in the order of the ids; unknown ids are left out. One statement for up to a hundred.
///
/// It asks nobody for permission: a private file that a public text shows is shown with an address that only few may open.
pub fn views(c: &mut Conn, ids: &[Id<MediaFile>]) -> Result<Vec<MediaView>> {
    let files = store::find_many(c, ids)?;
    let find = |id: &Id<MediaFile>| files.iter().find(|file| file.id == *id).map(MediaView::of);
    Ok(ids.iter().filter_map(find).collect())
}
