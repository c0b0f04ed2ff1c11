//! Links over HTTP.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kernel::error::{ALREADY_EXISTS, CURSOR_INVALID, FORBIDDEN, INVALID_STATE, NOT_FOUND, NOT_IMPLEMENTED, SORT_NOT_SUPPORTED};
use kernel::http::{
    Body, Created, Describe, Etag, IfMatch, Json, List, NoContent, Operation, OperationDoc, Path, Query, ResponseDoc, TypeRef,
};
use kernel::page::PageRequest;
use kernel::{Ctx, Error, FieldError, Id, Result, Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::domains::{self, Domain, Domains};
use crate::links::service::{self, Options, Wish};
use crate::links::{Draft, IfExists, Link, LinkStatus, NOBODY, Outcome, PasswordChange, Tagged, tags};
use crate::problems::{REDIRECT_LOOP, SLUG_RESERVED, SLUG_TAKEN};
use crate::settings::LinkSettings;
use crate::slugs::Slug;
use crate::targets::{ForwardQuery, Target};
use crate::{CREATE_LINKS, DELETE_ANY_LINK, READ_ANY_LINK, UPDATE_ANY_LINK};

pub(crate) fn operations() -> [Operation; 9] {
    [
        Operation::get("/api/v1/links", "listLinks", list)
            .tag("Links")
            .summary("List links")
            .describe("Your links, or everybody's with links:links:read_any. sort is created_at, clicks, last_clicked_at or slug, with - before it for the other way round. q looks into slug, target, title and note.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .keys_with(&[&CREATE_LINKS, &READ_ANY_LINK])
            .authenticated(),
        Operation::post("/api/v1/links", "createLink", create)
            .tag("Links")
            .summary("Make a link")
            .describe("Without slug it gets a random one. With if_exists, a link with the same external_id, or else to the same target, is returned (200) or changed instead of made twice. A slug of a deleted or expired link of yours is taken over with reuse.")
            .raises(&[&FORBIDDEN, &SLUG_TAKEN, &SLUG_RESERVED, &REDIRECT_LOOP, &ALREADY_EXISTS, &NOT_FOUND, &NOT_IMPLEMENTED])
            .keys_with(&[&CREATE_LINKS])
            .authenticated(),
        Operation::get("/api/v1/links/lookup", "lookUpLink", lookup)
            .tag("Links")
            .summary("Find a link by its slug")
            .describe("Counts no click.")
            .raises(&[&NOT_FOUND])
            .keys_with(&[&CREATE_LINKS, &READ_ANY_LINK])
            .authenticated(),
        Operation::get("/api/v1/links/{link_id}", "getLink", get)
            .tag("Links")
            .summary("Read a link")
            .describe("Another's link is not found. Click counts are a few seconds old.")
            .keys_with(&[&CREATE_LINKS, &READ_ANY_LINK])
            .authenticated(),
        Operation::put("/api/v1/links/{link_id}", "replaceLink", replace)
            .tag("Links")
            .summary("Replace a link")
            .describe("Absent members get their default; the slug and the password stay unless they are sent. Clicks are kept.")
            .raises(&[&FORBIDDEN, &SLUG_TAKEN, &SLUG_RESERVED, &REDIRECT_LOOP, &ALREADY_EXISTS, &NOT_IMPLEMENTED])
            .keys_with(&[&CREATE_LINKS, &UPDATE_ANY_LINK])
            .authenticated(),
        Operation::patch("/api/v1/links/{link_id}", "updateLink", update)
            .tag("Links")
            .summary("Change a link")
            .describe("Absent members stay as they are; null removes. The next visitor meets the change. Send If-Match to change only what you saw.")
            .raises(&[&FORBIDDEN, &SLUG_TAKEN, &SLUG_RESERVED, &REDIRECT_LOOP, &ALREADY_EXISTS, &NOT_IMPLEMENTED])
            .keys_with(&[&CREATE_LINKS, &UPDATE_ANY_LINK])
            .authenticated(),
        Operation::delete("/api/v1/links/{link_id}", "deleteLink", delete)
            .tag("Links")
            .summary("Delete a link")
            .describe("Visitors find nothing there any more. The slug stays taken until you reuse it.")
            .raises(&[&FORBIDDEN])
            .keys_with(&[&CREATE_LINKS, &DELETE_ANY_LINK])
            .authenticated(),
        Operation::post("/api/v1/links/{link_id}/actions/enable", "enableLink", enable)
            .tag("Links")
            .summary("Switch a link on")
            .describe("Only a link that its owner switched off; others wait for a decision.")
            .raises(&[&FORBIDDEN, &INVALID_STATE])
            .keys_with(&[&CREATE_LINKS, &UPDATE_ANY_LINK])
            .authenticated(),
        Operation::post("/api/v1/links/{link_id}/actions/disable", "disableLink", disable)
            .tag("Links")
            .summary("Switch a link off")
            .describe("To visitors it looks as if there were no such link.")
            .raises(&[&FORBIDDEN, &INVALID_STATE])
            .keys_with(&[&CREATE_LINKS, &UPDATE_ANY_LINK])
            .authenticated(),
    ]
}

/// A short link.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000003", "version": 1, "domain_id": "019ab0b2-8f00-7000-8000-000000000002", "domain": "go.example.com",
    "slug": "sale", "short_url": "https://go.example.com/sale", "url": "https://example.com/sale?utm_source=poster", "title": "Autumn sale",
    "note": "", "tags": ["autumn"], "status": "active", "redirect_status": 302, "valid_from": null, "expires_at": null, "expired_url": null,
    "max_clicks": null, "has_password": false, "forward_query": "off", "forward_path": false, "is_crawlable": false, "is_unlisted": false,
    "external_id": null, "owner_id": "019ab0b2-8f00-7000-8000-000000000001", "click_count": 12, "human_click_count": 9,
    "last_clicked_at": "2026-11-22T12:00:00.000Z", "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct LinkView {
    /// The link.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Link>,
    /// Grows with every change.
    version: i64,
    /// The domain it lives under.
    #[schema(value_type = uuid::Uuid)]
    domain_id: Id<Domain>,
    /// The host of that domain.
    domain: String,
    /// What follows the host.
    slug: String,
    /// The whole short address.
    short_url: String,
    /// Where it leads.
    url: String,
    /// A name for people.
    title: String,
    /// Remarks for people.
    note: String,
    /// Names to find it by, sorted.
    tags: Vec<String>,
    /// Whether it works.
    status: LinkStatus,
    /// How it redirects: 301, 302, 307 or 308.
    redirect_status: u16,
    /// Before this it looks like no link.
    valid_from: Option<Timestamp>,
    /// From this on it is over.
    expires_at: Option<Timestamp>,
    /// Where it leads once it is over; null: nowhere (410).
    expired_url: Option<String>,
    /// How often it can be followed.
    max_clicks: Option<i64>,
    /// Whether visitors must know a password.
    has_password: bool,
    /// What happens to the query of the visitor.
    forward_query: ForwardQuery,
    /// Whether paths below the slug lead to paths below the target.
    forward_path: bool,
    /// Whether search engines may index it.
    is_crawlable: bool,
    /// Whether its random slug is too long to be guessed.
    is_unlisted: bool,
    /// The caller's own name of it.
    external_id: Option<String>,
    /// Whose it is; null: the server's.
    #[schema(value_type = Option<uuid::Uuid>)]
    owner_id: Option<UserId>,
    /// All clicks, bots included.
    click_count: i64,
    /// Clicks of people.
    human_click_count: i64,
    /// The last click of all.
    last_clicked_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed; clicks are no change.
    updated_at: Timestamp,
}

impl LinkView {
    pub(crate) fn of(ctx: &Ctx, Tagged { link, tags }: Tagged) -> LinkView {
        let domain = ctx.state::<Domains>().default_domain().map(|domain| domain.host.clone()).unwrap_or_default();
        LinkView {
            short_url: domains::short_url(&ctx.app, &link.slug),
            domain,
            id: link.id,
            version: link.version,
            domain_id: link.domain_id,
            slug: link.slug,
            url: link.url,
            title: link.title,
            note: link.note,
            tags,
            status: link.status,
            redirect_status: link.redirect_status,
            valid_from: link.valid_from,
            expires_at: link.expires_at,
            expired_url: link.expired_url,
            max_clicks: link.max_clicks,
            has_password: link.password_phc.is_some(),
            forward_query: link.forward_query,
            forward_path: link.forward_path,
            is_crawlable: link.is_crawlable,
            is_unlisted: link.is_unlisted,
            external_id: link.external_id,
            owner_id: (link.owner != NOBODY).then_some(link.owner),
            click_count: link.click_count,
            human_click_count: link.human_click_count,
            last_clicked_at: link.last_clicked_at,
            created_at: link.created_at,
            updated_at: link.updated_at,
        }
    }
}

/// A link to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://example.com/sale?utm_source=poster", "slug": "sale", "title": "Autumn sale", "tags": ["autumn"]}))]
struct NewLink {
    /// Where it leads: an absolute http or https address of at most 8 KiB, without user info.
    #[schema(min_length = 1)]
    url: String,
    /// 1 to 200 letters, digits and -_.~ of any script, up to 8 parts by /; absent: random.
    #[schema(min_length = 1)]
    slug: Option<String>,
    /// The domain it lives under; absent: the default one.
    #[schema(value_type = Option<uuid::Uuid>)]
    domain_id: Option<Id<Domain>>,
    /// A name for people.
    #[schema(max_length = 255)]
    title: Option<String>,
    /// Remarks for people.
    #[schema(max_length = 2000)]
    note: Option<String>,
    /// Names to find it by, 1 to 50 characters each.
    #[schema(max_items = 50)]
    tags: Option<Vec<String>>,
    /// How it redirects: 301, 302, 307 or 308.
    redirect_status: Option<i64>,
    /// Before this it looks like no link.
    valid_from: Option<Timestamp>,
    /// From this on it is over.
    expires_at: Option<Timestamp>,
    /// Where it leads once it is over.
    expired_url: Option<String>,
    /// How often it can be followed.
    #[schema(minimum = 1)]
    max_clicks: Option<i64>,
    /// What visitors must know; never shown again.
    #[schema(min_length = 1, max_length = 256)]
    password: Option<String>,
    /// What happens to the query of the visitor.
    forward_query: Option<ForwardQuery>,
    /// Whether paths below the slug lead to paths below the target.
    forward_path: Option<bool>,
    /// Whether search engines may index it.
    is_crawlable: Option<bool>,
    /// Whether a random slug shall be too long to be guessed.
    is_unlisted: Option<bool>,
    /// The caller's own name of it, unique per owner.
    #[schema(min_length = 1, max_length = 190)]
    external_id: Option<String>,
    /// What to do when a link with this external_id, or else to this target, is there already.
    if_exists: Option<IfExists>,
    /// Whether to take the slug over from a deleted or expired link of yours.
    reuse: Option<bool>,
}

/// Collects what is wrong, so that it is told at once.
#[derive(Default)]
struct Wrong(Vec<FieldError>);

impl Wrong {
    fn ok<T>(&mut self, outcome: Result<T, FieldError>) -> Option<T> {
        outcome.map_err(|error| self.0.push(error)).ok()
    }

    fn or<T>(self, value: Option<T>) -> Result<T> {
        value.filter(|_| self.0.is_empty()).ok_or_else(|| Error::invalid(self.0))
    }
}

fn slug_of(ctx: &Ctx, typed: &str) -> Result<Slug, FieldError> {
    let is_case_sensitive = ctx.state::<Domains>().default_domain().is_ok_and(|domain| domain.is_case_sensitive);
    Slug::parse(typed, is_case_sensitive).map_err(|_| {
        FieldError::body(
            "/slug",
            "invalid_format",
            "1 to 200 letters, digits and -_.~, up to 8 parts by /, none empty or with a leading dot.",
        )
    })
}

fn status_of(value: i64) -> Result<u16, FieldError> {
    match value {
        301 | 302 | 307 | 308 => Ok(u16::try_from(value).unwrap_or(302)),
        _ => Err(FieldError::body("/redirect_status", "not_allowed", "301, 302, 307 or 308.")),
    }
}

fn plain(text: String, pointer: &'static str) -> Result<String, FieldError> {
    if Draft::is_plain(&text) { Ok(text) } else { Err(FieldError::body(pointer, "invalid_format", "No control characters.")) }
}

impl NewLink {
    fn checked(self, ctx: &Ctx) -> Result<(Draft, PasswordChange, Options)> {
        if let Some(domain) = self.domain_id {
            service::require_domain(ctx, domain)?;
        }
        let mut wrong = Wrong::default();
        let url = wrong.ok(Target::from_body(&self.url, "/url"));
        let slug = self.slug.and_then(|typed| wrong.ok(slug_of(ctx, &typed)));
        let expired_url = self.expired_url.and_then(|typed| wrong.ok(Target::from_body(&typed, "/expired_url")));
        let default_status = i64::from(ctx.settings::<LinkSettings>().default_status);
        let redirect_status = wrong.ok(status_of(self.redirect_status.unwrap_or(default_status)));
        let tags = wrong.ok(tags::from_body(self.tags.unwrap_or_default()));
        let title = wrong.ok(plain(self.title.unwrap_or_default(), "/title"));
        let note = wrong.ok(plain(self.note.unwrap_or_default(), "/note"));
        let draft = url.zip(redirect_status).zip(tags).zip(title.zip(note)).map(|(((url, status), tags), (title, note))| Draft {
            slug,
            title,
            note,
            tags,
            valid_from: self.valid_from,
            expires_at: self.expires_at,
            expired_url,
            max_clicks: self.max_clicks,
            forward_query: self.forward_query.unwrap_or_default(),
            forward_path: self.forward_path.unwrap_or(false),
            is_crawlable: self.is_crawlable.unwrap_or(false),
            is_unlisted: self.is_unlisted.unwrap_or(false),
            external_id: self.external_id,
            ..Draft::to(url, status)
        });
        let draft = wrong.or(draft)?;
        let password = self.password.map_or(PasswordChange::Keep, PasswordChange::Set);
        Ok((draft, password, Options { if_exists: self.if_exists, reuse: self.reuse.unwrap_or(false) }))
    }
}

/// All of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://example.com/winter", "slug": "winter", "title": "Winter sale"}))]
struct LinkReplacement {
    /// Where it leads.
    #[schema(min_length = 1)]
    url: String,
    /// What follows the host; absent: as it is.
    #[schema(min_length = 1)]
    slug: Option<String>,
    /// A name for people.
    #[schema(max_length = 255)]
    title: Option<String>,
    /// Remarks for people.
    #[schema(max_length = 2000)]
    note: Option<String>,
    /// All its tags.
    #[schema(max_items = 50)]
    tags: Option<Vec<String>>,
    /// How it redirects: 301, 302, 307 or 308.
    redirect_status: Option<i64>,
    /// Before this it looks like no link.
    valid_from: Option<Timestamp>,
    /// From this on it is over.
    expires_at: Option<Timestamp>,
    /// Where it leads once it is over.
    expired_url: Option<String>,
    /// How often it can be followed.
    #[schema(minimum = 1)]
    max_clicks: Option<i64>,
    /// What visitors must know; absent: as it is.
    #[schema(min_length = 1, max_length = 256)]
    password: Option<String>,
    /// What happens to the query of the visitor.
    forward_query: Option<ForwardQuery>,
    /// Whether paths below the slug lead to paths below the target.
    forward_path: Option<bool>,
    /// Whether search engines may index it.
    is_crawlable: Option<bool>,
    /// The caller's own name of it, unique per owner.
    #[schema(min_length = 1, max_length = 190)]
    external_id: Option<String>,
}

impl LinkReplacement {
    fn into_new(self) -> NewLink {
        NewLink {
            url: self.url,
            slug: self.slug,
            domain_id: None,
            title: self.title,
            note: self.note,
            tags: self.tags,
            redirect_status: self.redirect_status,
            valid_from: self.valid_from,
            expires_at: self.expires_at,
            expired_url: self.expired_url,
            max_clicks: self.max_clicks,
            password: self.password,
            forward_query: self.forward_query,
            forward_path: self.forward_path,
            is_crawlable: self.is_crawlable,
            is_unlisted: None,
            external_id: self.external_id,
            if_exists: None,
            reuse: None,
        }
    }
}

/// What to change about a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://example.com/winter", "expires_at": "2027-01-31T23:00:00.000Z"}))]
struct LinkPatch {
    /// Where it leads.
    #[schema(value_type = String, required = false, min_length = 1)]
    url: Option<String>,
    /// What follows the host.
    #[schema(value_type = String, required = false, min_length = 1)]
    slug: Option<String>,
    /// A name for people.
    #[schema(value_type = String, required = false, max_length = 255)]
    title: Option<String>,
    /// Remarks for people.
    #[schema(value_type = String, required = false, max_length = 2000)]
    note: Option<String>,
    /// All its tags.
    #[schema(value_type = Vec<String>, required = false, max_items = 50)]
    tags: Option<Vec<String>>,
    /// How it redirects: 301, 302, 307 or 308.
    #[schema(value_type = i64, required = false)]
    redirect_status: Option<i64>,
    /// Before this it looks like no link; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Timestamp>)]
    valid_from: Option<Option<Timestamp>>,
    /// From this on it is over; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<Option<Timestamp>>,
    /// Where it leads once it is over; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    expired_url: Option<Option<String>>,
    /// How often it can be followed; null removes the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1)]
    max_clicks: Option<Option<i64>>,
    /// What visitors must know; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    password: Option<Option<String>>,
    /// What happens to the query of the visitor.
    #[schema(value_type = ForwardQuery, required = false)]
    forward_query: Option<ForwardQuery>,
    /// Whether paths below the slug lead to paths below the target.
    #[schema(value_type = bool, required = false)]
    forward_path: Option<bool>,
    /// Whether search engines may index it.
    #[schema(value_type = bool, required = false)]
    is_crawlable: Option<bool>,
    /// The caller's own name of it; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 190)]
    external_id: Option<Option<String>>,
}

/// Tells a member that is null from one that is absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A change whose members are known to be fine.
struct Change {
    url: Option<Target>,
    slug: Option<Slug>,
    title: Option<String>,
    note: Option<String>,
    tags: Option<Vec<String>>,
    redirect_status: Option<u16>,
    valid_from: Option<Option<Timestamp>>,
    expires_at: Option<Option<Timestamp>>,
    expired_url: Option<Option<Target>>,
    max_clicks: Option<Option<i64>>,
    forward_query: Option<ForwardQuery>,
    forward_path: Option<bool>,
    is_crawlable: Option<bool>,
    external_id: Option<Option<String>>,
}

impl LinkPatch {
    fn checked(self, ctx: &Ctx) -> Result<(Change, PasswordChange)> {
        let mut wrong = Wrong::default();
        let change = Change {
            url: self.url.and_then(|typed| wrong.ok(Target::from_body(&typed, "/url"))),
            slug: self.slug.and_then(|typed| wrong.ok(slug_of(ctx, &typed))),
            title: self.title.and_then(|typed| wrong.ok(plain(typed, "/title"))),
            note: self.note.and_then(|typed| wrong.ok(plain(typed, "/note"))),
            tags: self.tags.and_then(|typed| wrong.ok(tags::from_body(typed))),
            redirect_status: self.redirect_status.and_then(|value| wrong.ok(status_of(value))),
            valid_from: self.valid_from,
            expires_at: self.expires_at,
            expired_url: self.expired_url.map(|typed| typed.and_then(|typed| wrong.ok(Target::from_body(&typed, "/expired_url")))),
            max_clicks: self.max_clicks,
            forward_query: self.forward_query,
            forward_path: self.forward_path,
            is_crawlable: self.is_crawlable,
            external_id: self.external_id,
        };
        let password = match self.password {
            None => PasswordChange::Keep,
            Some(None) => PasswordChange::Remove,
            Some(Some(password)) => PasswordChange::Set(password),
        };
        Ok((wrong.or(Some(change))?, password))
    }
}

impl Change {
    fn apply(&self, mut draft: Draft) -> Draft {
        fn set<T: Clone>(place: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                place.clone_from(value);
            }
        }
        set(&mut draft.url, &self.url);
        draft.slug.clone_from(&self.slug);
        set(&mut draft.title, &self.title);
        set(&mut draft.note, &self.note);
        set(&mut draft.tags, &self.tags);
        set(&mut draft.redirect_status, &self.redirect_status);
        set(&mut draft.valid_from, &self.valid_from);
        set(&mut draft.expires_at, &self.expires_at);
        set(&mut draft.expired_url, &self.expired_url);
        set(&mut draft.max_clicks, &self.max_clicks);
        set(&mut draft.forward_query, &self.forward_query);
        set(&mut draft.forward_path, &self.forward_path);
        set(&mut draft.is_crawlable, &self.is_crawlable);
        set(&mut draft.external_id, &self.external_id);
        draft
    }
}

fn with_etag(ctx: &Ctx, tagged: Tagged) -> Etag<Json<LinkView>> {
    Etag { version: tagged.link.version, answer: Json(LinkView::of(ctx, tagged)) }
}

/// 201 with a new link, or 200 with the one that was there.
enum MadeLink {
    Created(Box<Etag<Created<LinkView>>>),
    Found(Box<Etag<Json<LinkView>>>),
}

impl IntoResponse for MadeLink {
    fn into_response(self) -> Response {
        match self {
            MadeLink::Created(answer) => answer.into_response(),
            MadeLink::Found(answer) => answer.into_response(),
        }
    }
}

impl Describe for MadeLink {
    fn describe(doc: &mut OperationDoc) {
        let answer =
            |status, headers| ResponseDoc { status, body: Some(TypeRef::of::<LinkView>()), is_list: false, media_type: None, headers };
        doc.responses.push(answer(StatusCode::CREATED, &["Location", "ETag"]));
        doc.responses.push(answer(StatusCode::OK, &["ETag"]));
    }
}

async fn create(ctx: Ctx, Body(new): Body<NewLink>) -> Result<MadeLink> {
    let (draft, password, options) = new.checked(&ctx)?;
    let (tagged, outcome) = service::create(&ctx, draft, password, options).await?;
    if outcome != Outcome::Created {
        return Ok(MadeLink::Found(Box::new(with_etag(&ctx, tagged))));
    }
    let (version, location) = (tagged.link.version, format!("/api/v1/links/{}", tagged.link.id));
    Ok(MadeLink::Created(Box::new(Etag { version, answer: Created { location, body: LinkView::of(&ctx, tagged) } })))
}

/// Which links to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkFilter {
    /// Text in slug, target, title or note.
    #[schema(min_length = 1, max_length = 200)]
    q: Option<String>,
    /// A tag.
    #[schema(min_length = 1, max_length = 50)]
    tag: Option<String>,
    /// A domain.
    #[schema(value_type = Option<uuid::Uuid>)]
    domain_id: Option<Id<Domain>>,
    /// An owner.
    #[schema(value_type = Option<uuid::Uuid>)]
    owner_id: Option<UserId>,
    /// A status.
    status: Option<LinkStatus>,
    /// The caller's own name of a link.
    #[schema(max_length = 190)]
    external_id: Option<String>,
    /// The order; -created_at unless given.
    #[schema(max_length = 40)]
    sort: Option<String>,
    /// How many links a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 4096)]
    cursor: Option<String>,
}

async fn list(ctx: Ctx, Query(filter): Query<LinkFilter>) -> Result<List<LinkView>> {
    let request = PageRequest::new(filter.limit, filter.cursor);
    let wish = Wish {
        owner: filter.owner_id,
        domain: filter.domain_id,
        status: filter.status,
        tag: filter.tag,
        external_id: filter.external_id,
        q: filter.q,
        sort: filter.sort,
    };
    let page = service::list(&ctx, wish, request).await?;
    Ok(List(page.map(|tagged| LinkView::of(&ctx, tagged))))
}

/// Which link to find.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkLookup {
    /// What follows the host, not percent-encoded.
    #[schema(min_length = 1, max_length = 800)]
    slug: String,
    /// The host; the default one unless given.
    #[schema(max_length = 253)]
    domain: Option<String>,
}

async fn lookup(ctx: Ctx, Query(wanted): Query<LinkLookup>) -> Result<Etag<Json<LinkView>>> {
    let host = &ctx.state::<Domains>().default_domain()?.host;
    if wanted.domain.is_some_and(|domain| !domain.eq_ignore_ascii_case(host)) {
        return Err(NOT_FOUND.error());
    }
    Ok(with_etag(&ctx, service::lookup(&ctx, &wanted.slug).await?))
}

async fn get(ctx: Ctx, Path(id): Path<Id<Link>>) -> Result<Etag<Json<LinkView>>> {
    Ok(with_etag(&ctx, service::get(&ctx, id).await?))
}

async fn update(ctx: Ctx, Path(id): Path<Id<Link>>, if_match: IfMatch, Body(patch): Body<LinkPatch>) -> Result<Etag<Json<LinkView>>> {
    let (change, password) = patch.checked(&ctx)?;
    Ok(with_etag(&ctx, service::update(&ctx, id, move |draft| change.apply(draft), password, if_match).await?))
}

async fn replace(ctx: Ctx, Path(id): Path<Id<Link>>, if_match: IfMatch, Body(new): Body<LinkReplacement>) -> Result<Etag<Json<LinkView>>> {
    let (new, password, _) = new.into_new().checked(&ctx)?;
    let change = move |present: Draft| Draft { is_unlisted: present.is_unlisted, ..new.clone() };
    Ok(with_etag(&ctx, service::update(&ctx, id, change, password, if_match).await?))
}

async fn delete(ctx: Ctx, Path(id): Path<Id<Link>>, if_match: IfMatch) -> Result<NoContent> {
    service::delete(&ctx, id, if_match).await?;
    Ok(NoContent)
}

async fn enable(ctx: Ctx, Path(id): Path<Id<Link>>, if_match: IfMatch) -> Result<Etag<Json<LinkView>>> {
    Ok(with_etag(&ctx, service::enable(&ctx, id, if_match).await?))
}

async fn disable(ctx: Ctx, Path(id): Path<Id<Link>>, if_match: IfMatch) -> Result<Etag<Json<LinkView>>> {
    Ok(with_etag(&ctx, service::disable(&ctx, id, if_match).await?))
}
