//! The media library over HTTP: uploads as multipart or bare bytes, files as they are shown, and the bytes themselves.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_RANGE, RANGE,
};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use utoipa::ToSchema;

use super::service::{self, FilePatch, NewFile, Served, Ticket};
use super::settings::PresetFormat;
use super::{
    CREATE_FILES, DELETE_FILES, IMAGE_INVALID, IMAGE_TOO_LARGE, MEDIA_IN_USE, MediaFile, MediaFilter, MediaSettings, UPDATE_FILES,
    Visibility, kinds,
};
use crate::actor::User;
use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{
    CURSOR_INVALID, Error, FORBIDDEN, FieldError, MALFORMED_REQUEST, Result, SORT_NOT_SUPPORTED, UNAVAILABLE, UNSUPPORTED_MEDIA_TYPE,
};
use crate::http::{
    Body, Created, Describe, Etag, IfMatch, Json, List, NoCompression, NoContent, Operation, OperationDoc, Path, Query, RawBody,
    ResponseDoc,
};
use crate::id::Id;
use crate::page::PageRequest;
use crate::time::Timestamp;

/// What a multipart body may have beside the file itself.
const MULTIPART_ROOM: usize = 64 * 1024;
/// The most parts of a multipart body.
const PARTS_MAX: usize = 16;
/// The most characters of an alt text and of a name.
const ALT_MAX: usize = 1_000;
const NAME_MAX: usize = 255;
/// How many bytes are read from disk at once.
const PIECE: usize = 64 * 1024;

pub(super) fn operations() -> [Operation; 8] {
    [
        Operation::get("/api/v1/media", "listMedia", list)
            .tag("Media")
            .summary("List files")
            .describe("Your own files; those of everybody with the permission media:files:update.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .keys_with(&[&CREATE_FILES, &UPDATE_FILES])
            .authenticated(),
        Operation::post("/api/v1/media", "uploadMedia", upload)
            .tag("Media")
            .summary("Upload a file")
            .describe(
                "As multipart/form-data with the part file and, if you like, name, alt, is_decorative and visibility; or as bare bytes with \
                 name, alt and visibility in the query. What the file is, its content says. Pictures lose their metadata.",
            )
            .takes(&["multipart/form-data", "application/octet-stream", "image/jpeg", "image/png", "image/gif", "image/webp"])
            .body_limit(|app: &App| app.settings::<MediaSettings>().max_bytes.as_usize() + MULTIPART_ROOM)
            .raises(&[&IMAGE_INVALID, &IMAGE_TOO_LARGE, &UNSUPPORTED_MEDIA_TYPE])
            .requires(&CREATE_FILES),
        Operation::get("/api/v1/media/{media_id}", "getMedia", get)
            .tag("Media")
            .summary("Read what is known about a file")
            .describe("A private file is shown to its owner and to those who may change all files.")
            .public(),
        Operation::patch("/api/v1/media/{media_id}", "updateMedia", update)
            .tag("Media")
            .summary("Change what is known about a file")
            .describe("Absent members stay as they are; a null alt removes it. The file is yours, or you may change those of everybody.")
            .raises(&[&FORBIDDEN])
            .keys_with(&[&CREATE_FILES, &UPDATE_FILES])
            .authenticated(),
        Operation::delete("/api/v1/media/{media_id}", "deleteMedia", delete)
            .tag("Media")
            .summary("Delete a file")
            .describe("The file is yours, or you may delete those of everybody. One in use needs force=true and the permission media:files:delete.")
            .raises(&[&FORBIDDEN, &MEDIA_IN_USE])
            .keys_with(&[&CREATE_FILES, &DELETE_FILES])
            .authenticated(),
        Operation::get("/api/v1/media/{media_id}/content", "getMediaContent", content)
            .tag("Media")
            .summary("Download a file")
            .describe("What could hold script is always an attachment. With the v of the file's url the answer may be kept for good.")
            .public(),
        Operation::get("/api/v1/media/{media_id}/variants/{name}", "getMediaVariant", variant)
            .tag("Media")
            .summary("Download a picture in the size of a preset")
            .describe("The name is that of a preset, such as thumb, with or without its extension. Sizes of your own cannot be asked for.")
            .raises(&[&IMAGE_INVALID, &IMAGE_TOO_LARGE])
            .public(),
        Operation::post("/api/v1/media/{media_id}/signed-urls", "createMediaSignedUrl", sign)
            .tag("Media")
            .summary("Make an address that opens a private file")
            .describe("It opens the original or one preset, for everybody who has it, until it expires; it cannot be revoked.")
            .raises(&[&FORBIDDEN])
            .answers_secrets()
            .keys_with(&[&CREATE_FILES, &UPDATE_FILES])
            .authenticated(),
    ]
}

/// A file as answers show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "owner_id": "019ab0b2-8f00-7000-8000-000000000002", "kind": "image", "mime": "image/jpeg",
    "size_bytes": 48213, "width": 1600, "height": 900, "alt": "A lighthouse", "is_decorative": false, "focal_x": 5000, "focal_y": 4000,
    "placeholder": "LEHV6nWB2yk8pyo0adR*.7kCMdnj", "visibility": "public", "name": "lighthouse.jpg",
    "url": "/api/v1/media/019ab0b2-8f00-7000-8000-000000000001/content?v=0a1b2c3d4e5f",
    "variants_url": "/api/v1/media/019ab0b2-8f00-7000-8000-000000000001/variants/{preset}?v=0a1b2c3d4e5f",
    "version": 1, "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub struct MediaView {
    /// The file.
    #[schema(value_type = uuid::Uuid)]
    pub id: Id<MediaFile>,
    /// Who uploaded it; null when the system did.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub owner_id: Option<Id<User>>,
    /// `image`, `audio`, `video` or `other`.
    pub kind: String,
    /// The media type, by content.
    pub mime: String,
    /// The size of the original.
    pub size_bytes: i64,
    /// The width of a picture; null for other files.
    pub width: Option<i64>,
    /// The height of a picture; null for other files.
    pub height: Option<i64>,
    /// What a picture shows, for those who do not see it.
    pub alt: Option<String>,
    /// Whether a picture says nothing and needs no alt text.
    pub is_decorative: bool,
    /// The point that every cut keeps, in ten thousandths of the width.
    pub focal_x: i64,
    /// The point that every cut keeps, in ten thousandths of the height.
    pub focal_y: i64,
    /// A BlurHash, to be shown until the picture is there; null for other files.
    pub placeholder: Option<String>,
    /// Who may see it.
    pub visibility: Visibility,
    /// Its name, with the extension that its content asks for.
    pub name: String,
    /// The path of the original.
    pub url: String,
    /// The path of a preset's size, with the preset's name for `{preset}`; null when there are no sizes.
    pub variants_url: Option<String>,
    /// Counts the changes.
    pub version: i64,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl MediaView {
    pub(super) fn of(file: &MediaFile) -> MediaView {
        let (id, version) = (file.id, service::address_version(file));
        let has_variants = kinds::of_mime(&file.mime).image.is_some();
        MediaView {
            id,
            owner_id: file.owner_id,
            kind: file.kind.clone(),
            mime: file.mime.clone(),
            size_bytes: file.byte_count,
            width: file.width,
            height: file.height,
            alt: file.alt.clone(),
            is_decorative: file.is_decorative,
            focal_x: file.focal.0,
            focal_y: file.focal.1,
            placeholder: file.placeholder.clone(),
            visibility: file.visibility,
            name: file.original_name.clone(),
            url: format!("/api/v1/media/{id}/content?v={version}"),
            variants_url: has_variants.then(|| format!("/api/v1/media/{id}/variants/{{preset}}?v={version}")),
            version: file.version,
            created_at: file.created_at,
            updated_at: file.updated_at,
        }
    }
}

/// Which files to list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MediaQuery {
    /// How many files a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// The order: `created_at` or `size_bytes`, with a minus for descending; `-created_at` when absent.
    #[schema(max_length = 64)]
    sort: Option<String>,
    /// Only files of this kind: `image`, `audio`, `video` or `other`.
    #[schema(pattern = "^(image|audio|video|other)$", max_length = 8)]
    kind: Option<String>,
    /// Only pictures that lack an alt text and are not decorative.
    missing_alt: Option<bool>,
}

async fn list(ctx: Ctx, Query(query): Query<MediaQuery>) -> Result<List<MediaView>> {
    let request = PageRequest::new(query.limit, query.cursor);
    let filter = MediaFilter { kind: query.kind, lacks_alt: query.missing_alt.unwrap_or(false) };
    let page = service::list(&ctx, request, query.sort.as_deref(), filter).await?;
    Ok(List(page.map(|file| MediaView::of(&file))))
}

/// What to say about a file that is uploaded as bare bytes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    /// Its name.
    #[schema(max_length = 255)]
    name: Option<String>,
    /// What a picture shows, for those who do not see it.
    #[schema(max_length = 1000)]
    alt: Option<String>,
    /// `public` or `private`.
    #[schema(value_type = Option<String>, pattern = "^(public|private)$", max_length = 8)]
    visibility: Option<Visibility>,
}

async fn upload(ctx: Ctx, Query(query): Query<UploadQuery>, raw: RawBody) -> Result<Etag<Created<MediaView>>> {
    let file = service::upload(&ctx, read_upload(query, raw).await?).await?;
    let location = format!("/api/v1/media/{}", file.id);
    Ok(Etag { version: file.version, answer: Created { location, body: MediaView::of(&file) } })
}

async fn read_upload(query: UploadQuery, raw: RawBody) -> Result<NewFile> {
    let new = NewFile {
        bytes: Bytes::new(),
        name: query.name.unwrap_or_default(),
        alt: query.alt,
        is_decorative: false,
        visibility: query.visibility.unwrap_or_default(),
    };
    let essence = raw.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "multipart/form-data" => read_multipart(new, raw).await,
        // Whoever sends these meant another operation.
        "application/json" | "application/x-www-form-urlencoded" => {
            Err(UNSUPPORTED_MEDIA_TYPE.because("Send the file itself, or multipart/form-data with a part named file."))
        }
        _ => Ok(NewFile { bytes: raw.bytes, ..new }),
    }
}

async fn read_multipart(mut new: NewFile, raw: RawBody) -> Result<NewFile> {
    let broken = |error: multer::Error| MALFORMED_REQUEST.because("The multipart body cannot be read.").with_source(error);
    let boundary = multer::parse_boundary(&raw.content_type).map_err(broken)?;
    let mut parts = multer::Multipart::new(stream::iter([Ok::<_, Infallible>(raw.bytes)]), boundary);
    let (mut errors, mut file, mut count) = (Vec::new(), None, 0);
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        count += 1;
        if count > PARTS_MAX {
            return Err(MALFORMED_REQUEST.because(format!("A multipart body has at most {PARTS_MAX} parts here.")));
        }
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = part.file_name().map(str::to_owned);
        let bytes = part.bytes().await.map_err(broken)?;
        if name == "file" {
            if file.replace(bytes).is_some() {
                errors.push(FieldError::body("/file", "not_allowed", "Send one file."));
            }
            if new.name.is_empty() {
                new.name = file_name.unwrap_or_default();
            }
        } else if let Err(error) = read_text_part(&mut new, &name, &bytes) {
            errors.push(error);
        }
    }
    if file.is_none() {
        errors.push(FieldError::body("/file", "required", "There is no part named file."));
    }
    new.bytes = file.unwrap_or_default();
    if errors.is_empty() { Ok(new) } else { Err(Error::invalid(errors)) }
}

fn read_text_part(new: &mut NewFile, name: &str, bytes: &[u8]) -> Result<(), FieldError> {
    let wrong = |code: &'static str, detail: &'static str| FieldError::body(format!("/{name}"), code, detail);
    let is_text = |text: &&str| !text.contains('\0');
    let text = std::str::from_utf8(bytes).ok().filter(is_text).ok_or_else(|| wrong("invalid_format", "It is not UTF-8 text."))?;
    match name {
        "name" if text.chars().count() <= NAME_MAX => new.name = text.to_owned(),
        "alt" if text.chars().count() <= ALT_MAX => new.alt = Some(text.to_owned()),
        "name" | "alt" => return Err(wrong("too_long", "It is too long.")),
        "is_decorative" => new.is_decorative = text.parse().map_err(|_| wrong("not_allowed", "true or false."))?,
        "visibility" => {
            new.visibility = match text {
                "public" => Visibility::Public,
                "private" => Visibility::Private,
                _ => return Err(wrong("not_allowed", "public or private.")),
            };
        }
        _ => {
            let shown: String = name.chars().take(40).collect();
            return Err(FieldError::body(format!("/{shown}"), "unknown_field", "There is no such part."));
        }
    }
    Ok(())
}

async fn get(ctx: Ctx, Path(id): Path<Id<MediaFile>>) -> Result<Etag<Json<MediaView>>> {
    Ok(with_etag(&service::get(&ctx, id).await?))
}

fn with_etag(file: &MediaFile) -> Etag<Json<MediaView>> {
    Etag { version: file.version, answer: Json(MediaView::of(file)) }
}

/// What to change about a file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"alt": "A lighthouse in a storm", "focal_y": 4000}))]
struct MediaPatch {
    /// What a picture shows, for those who do not see it; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    alt: Option<Option<String>>,
    /// Whether a picture says nothing and needs no alt text.
    is_decorative: Option<bool>,
    /// The point that every cut keeps, in ten thousandths of the width.
    #[schema(minimum = 0, maximum = 10000)]
    focal_x: Option<i64>,
    /// The point that every cut keeps, in ten thousandths of the height.
    #[schema(minimum = 0, maximum = 10000)]
    focal_y: Option<i64>,
    /// Who may see it.
    visibility: Option<Visibility>,
    /// Its name; the extension stays that of its content.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
}

/// Tells a member that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

async fn update(
    ctx: Ctx,
    Path(id): Path<Id<MediaFile>>,
    if_match: IfMatch,
    Body(patch): Body<MediaPatch>,
) -> Result<Etag<Json<MediaView>>> {
    let MediaPatch { alt, is_decorative, focal_x, focal_y, visibility, name } = patch;
    let patch = FilePatch { alt, is_decorative, focal_x, focal_y, visibility, name };
    Ok(with_etag(&service::update(&ctx, id, if_match, patch).await?))
}

/// How to delete a file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    /// Also when it is in use.
    force: Option<bool>,
}

async fn delete(ctx: Ctx, Path(id): Path<Id<MediaFile>>, if_match: IfMatch, Query(query): Query<DeleteQuery>) -> Result<NoContent> {
    service::delete(&ctx, id, if_match, query.force.unwrap_or(false)).await?;
    Ok(NoContent)
}

/// What an address of bytes carries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TicketQuery {
    /// The version that the address was made for; the answer may then be kept for good.
    #[schema(max_length = 64)]
    v: Option<String>,
    /// Until when a signed address opens, in seconds since 1970.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    expires: Option<i64>,
    /// The signature of a signed address.
    #[schema(max_length = 64)]
    signature: Option<String>,
}

impl TicketQuery {
    fn ticket(self) -> Ticket {
        Ticket { version: self.v, expires: self.expires, signature: self.signature }
    }
}

async fn content(ctx: Ctx, Path(id): Path<Id<MediaFile>>, Query(query): Query<TicketQuery>, part: WantedPart) -> Result<Original> {
    let served = service::content(&ctx, id, &query.ticket()).await?;
    answer(served, &part).await.map(Original)
}

async fn variant(
    ctx: Ctx,
    Path((id, name)): Path<(Id<MediaFile>, String)>,
    Query(query): Query<TicketQuery>,
    part: WantedPart,
) -> Result<Resized> {
    let served = service::variant(&ctx, id, &name, &query.ticket()).await?;
    answer(served, &part).await.map(Resized)
}

/// What an address is to open, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"preset": "card", "expires_in_seconds": 3600}))]
struct NewSignedUrl {
    /// The preset; the original when it is absent.
    #[schema(min_length = 1, max_length = 32)]
    preset: Option<String>,
    /// How long it opens, up to a week; an hour when it is absent.
    #[schema(minimum = 1, maximum = 604_800)]
    expires_in_seconds: Option<u32>,
}

/// An address that opens a private file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "url": "https://example.com/api/v1/media/019ab0b2-8f00-7000-8000-000000000001/variants/card?expires=1763816400&signature=3q2-7wAAAAAAAAAAAAAAAA",
    "expires_at": "2026-11-22T13:00:00.000Z"
}))]
struct SignedUrl {
    /// The address.
    url: String,
    /// Until when it opens.
    expires_at: Timestamp,
}

async fn sign(ctx: Ctx, Path(id): Path<Id<MediaFile>>, Body(new): Body<NewSignedUrl>) -> Result<Created<SignedUrl>> {
    let lasts = Duration::from_secs(new.expires_in_seconds.unwrap_or(3_600).into());
    let (url, expires_at) = service::sign(&ctx, id, new.preset.as_deref(), lasts).await?;
    Ok(Created { location: url.clone(), body: SignedUrl { url, expires_at } })
}

/// The part of a file that is asked for with `Range` and `If-Range`.
#[derive(Debug, Default)]
struct WantedPart {
    range: Option<String>,
    if_range: Option<String>,
}

impl FromRequestParts<App> for WantedPart {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        Ok(WantedPart { range: text(RANGE), if_range: text(IF_RANGE) })
    }
}

impl Describe for WantedPart {
    fn describe(doc: &mut OperationDoc) {
        doc.request_headers.push(("Range", "One range of bytes; anything else gets the whole file."));
        doc.request_headers.push(("If-Range", "Send the range only while the file has this ETag."));
    }
}

impl WantedPart {
    /// The first and the last byte that are asked for; none for the whole file, also where the header makes no sense.
    fn of(&self, etag: &str, length: u64) -> Option<(u64, u64)> {
        if self.if_range.as_deref().is_some_and(|wanted| wanted != etag) {
            return None;
        }
        let (first, last) = self.range.as_deref()?.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let (first, last) = match (first, last) {
            ("", last) => (length.checked_sub(number(last)?.min(length)).filter(|first| *first < length)?, length - 1),
            (first, "") => (number(first)?, length.checked_sub(1)?),
            (first, last) => (number(first)?, number(last)?.min(length.checked_sub(1)?)),
        };
        (first <= last && first < length).then_some((first, last))
    }
}

/// The bytes of an original.
struct Original(Response);

/// The bytes of a picture in the size of a preset.
struct Resized(Response);

impl IntoResponse for Original {
    fn into_response(self) -> Response {
        self.0
    }
}

impl IntoResponse for Resized {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Describe for Original {
    fn describe(doc: &mut OperationDoc) {
        describe_bytes(doc, kinds::ALL.iter().map(|kind| kind.mime));
    }
}

impl Describe for Resized {
    fn describe(doc: &mut OperationDoc) {
        describe_bytes(doc, [PresetFormat::Jpg, PresetFormat::Png, PresetFormat::Webp].into_iter().map(PresetFormat::mime));
    }
}

fn describe_bytes(doc: &mut OperationDoc, types: impl Iterator<Item = &'static str> + Clone) {
    for status in [StatusCode::OK, StatusCode::PARTIAL_CONTENT] {
        let response = |mime| ResponseDoc { status, body: None, is_list: false, media_type: Some(mime), headers: &["ETag"] };
        doc.responses.extend(types.clone().map(response));
    }
    doc.problems.push(&UNAVAILABLE);
}

async fn answer(served: Served, part: &WantedPart) -> Result<Response> {
    let etag = format!("\"{}\"", served.etag);
    let range = part.of(&etag, served.length);
    let (first, length) = range.map_or((0, served.length), |(first, last)| (first, last - first + 1));
    let mut file = match tokio::fs::File::open(&served.path).await {
        Ok(file) => file,
        // It was made anew under another key at this very moment.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(UNAVAILABLE.error().retry_after(1).with_source(error)),
        Err(error) => return Err(Error::internal(error)),
    };
    file.seek(std::io::SeekFrom::Start(first)).await.map_err(Error::internal)?;
    let mut response = HttpBody::from_stream(pieces(file, length)).into_response();
    if let Some((first, last)) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(&mut response, CONTENT_RANGE, format!("bytes {first}-{last}/{}", served.length))?;
    }
    let caching = match (served.is_public, served.is_versioned) {
        (true, true) => "public, max-age=31536000, immutable",
        (true, false) => "public, max-age=0, must-revalidate",
        (false, _) => "private, no-cache",
    };
    set(&mut response, ETAG, etag)?;
    set(&mut response, CONTENT_TYPE, served.mime.to_owned())?;
    set(&mut response, CONTENT_LENGTH, length.to_string())?;
    set(&mut response, ACCEPT_RANGES, "bytes".to_owned())?;
    set(&mut response, CACHE_CONTROL, caching.to_owned())?;
    set(&mut response, CONTENT_DISPOSITION, disposition(served.is_inline, &served.name))?;
    set(&mut response, CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned())?;
    // A page of another site may show a public picture.
    set(&mut response, http::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin".to_owned())?;
    // Ranges count bytes as they are stored.
    response.extensions_mut().insert(NoCompression);
    Ok(response)
}

fn set(response: &mut Response, name: http::HeaderName, value: String) -> Result<()> {
    response.headers_mut().insert(name, HeaderValue::try_from(value).map_err(Error::internal)?);
    Ok(())
}

/// The file piece by piece, so that a slow client does not hold it in memory.
fn pieces(file: tokio::fs::File, length: u64) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    stream::unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        match file.read(&mut piece).await {
            Ok(0) => Some((Err(std::io::ErrorKind::UnexpectedEof.into()), (file, 0))),
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(piece.into()), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    })
    .fuse() // a layer around the body may ask once more after the end
}

/// How the file is to be shown and called (RFC 6266).
fn disposition(is_inline: bool, name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || "-_. ".contains(character) { character } else { '_' })
        .collect();
    let encoded: String = name
        .bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect();
    format!("{}; filename=\"{ascii}\"; filename*=UTF-8''{encoded}", if is_inline { "inline" } else { "attachment" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn med5_one_range_of_bytes_is_understood_and_anything_else_means_the_whole_file() {
        let part = |range: &str| WantedPart { range: Some(range.to_owned()), if_range: None }.of("\"e\"", 10);
        assert_eq!(
            [part("bytes=0-3"), part("bytes=4-"), part("bytes=-3"), part("bytes=8-99")],
            [Some((0, 3)), Some((4, 9)), Some((7, 9)), Some((8, 9))]
        );
        assert_eq!(part("bytes=-99"), Some((0, 9)));
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=-0",
            "bytes=3-1",
            "bytes=10-",
            "bytes=0-1,3-4",
            "bytes=+1-2",
            "items=0-1",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(part(range), None, "{range}");
        }
        let other = WantedPart { range: Some("bytes=0-3".to_owned()), if_range: Some("\"x\"".to_owned()) };
        assert_eq!((other.of("\"e\"", 10), other.of("\"x\"", 10), other.of("\"x\"", 0)), (None, Some((0, 3)), None));
    }

    #[test]
    fn pos5_names_cannot_leave_their_header() {
        assert_eq!(
            disposition(false, "a\"b\r\nc é.html"),
            "attachment; filename=\"a_b__c _.html\"; filename*=UTF-8''a%22b%0D%0Ac%20%C3%A9.html"
        );
    }
}
