//! The verbs of links: make, list, read, change, switch, delete.

use std::time::Duration;

use kernel::error::{ALREADY_EXISTS, CURSOR_INVALID, INVALID_STATE, NOT_FOUND, NOT_IMPLEMENTED, RATE_LIMITED, SORT_NOT_SUPPORTED};
use kernel::http::{IfMatch, version_conflict};
use kernel::limits::Quota;
use kernel::page::{CursorScope, CursorValue, Page, PageRequest, decode_cursor, encode_cursor};
use kernel::platform::LimitSettings;
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Permission, Result, Timestamp, Tx, UserId};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::domains::{self, Domain, Domains};
use crate::events::{LinkCreated, LinkDeleted, LinkDisabled, LinkEnabled, LinkLimitReached, LinkUpdated};
use crate::links::store::{self, After, ChangedRow, Filter, NewRow, Sort, SortKey};
use crate::links::{Draft, IfExists, Link, LinkRecord, LinkStatus, NOBODY, Outcome, PasswordChange, Tagged, tags};
use crate::problems::{REDIRECT_LOOP, SLUG_RESERVED, SLUG_TAKEN};
use crate::redirect::Redirects;
use crate::settings::LinkSettings;
use crate::slugs::{self, LengthMeter, Slug, UNLISTED_LENGTH};
use crate::{CREATE_LINKS, DELETE_ANY_LINK, READ_ANY_LINK, UPDATE_ANY_LINK};

/// How many links of our own a target may pass before it leaves (INV-L8).
const MAX_HOPS: usize = 5;

/// How a link is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// What to do when it is there already.
    pub(crate) if_exists: Option<IfExists>,
    /// Takes the slug from a deleted or expired link of one's own.
    pub(crate) reuse: bool,
}

/// A link about to be made: its id, its hash and its random slugs are made before the transaction.
pub(crate) struct Creation {
    id: Id<Link>,
    owner: UserId,
    pub(crate) domain: Domain,
    pub(crate) draft: Draft,
    password_phc: Option<String>,
    options: Options,
    tries: Vec<Slug>,
}

impl Creation {
    pub(crate) fn new(ctx: &Ctx, owner: UserId, draft: Draft, options: Options) -> Result<Creation> {
        draft.check()?;
        let length = if draft.is_unlisted { UNLISTED_LENGTH } else { ctx.settings::<LinkSettings>().slug_length as usize };
        let tries = match &draft.slug {
            Some(_) => Vec::new(),
            None => ctx.state::<LengthMeter>().tries(ctx.app.random(), length),
        };
        let domain = ctx.state::<Domains>().default_domain()?.clone();
        let id = ctx.new_id();
        Ok(Creation { id, owner, domain, draft, password_phc: None, options, tries })
    }

    /// The id that the link will have.
    pub(crate) fn id(&self) -> Id<Link> {
        self.id
    }
}

/// Makes a link, or finds the one that is there, as the caller wishes.
pub(crate) async fn create(ctx: &Ctx, draft: Draft, password: PasswordChange, options: Options) -> Result<(Tagged, Outcome)> {
    require_create(ctx)?;
    count_creation(ctx)?;
    make(ctx, draft, password, options).await
}

/// The same on behalf of another module, which has decided by itself that it may.
pub(crate) async fn make(ctx: &Ctx, draft: Draft, password: PasswordChange, options: Options) -> Result<(Tagged, Outcome)> {
    let mut creation = Creation::new(ctx, ctx.actor.maybe_user_id().unwrap_or(NOBODY), draft, options)?;
    creation.password_phc = hash(ctx, password).await?.flatten();
    let context = ctx.clone();
    ctx.write(move |tx| create_in(tx, &context, &creation)).await
}

/// Makes a link in the caller's transaction.
pub(crate) fn create_in(tx: &mut Tx<'_, '_>, ctx: &Ctx, new: &Creation) -> Result<(Tagged, Outcome)> {
    if let Some(slug) = &new.draft.slug {
        refuse_reserved(ctx, slug)?;
    }
    if let Some(wish) = new.options.if_exists
        && let Some(found) = find_existing(tx, new)?
    {
        return existing(tx, ctx, new, found, wish);
    }
    // Before anything is written, so that a refusal leaves nothing behind.
    refuse_loop(tx, ctx, &new.domain, new.draft.slug.as_ref().map_or("", |slug| &slug.key), &new.draft)?;
    let slug = match insert(tx, ctx, new) {
        Ok(slug) => slug,
        // Somebody made it between our look and our insert.
        Err(error) if error.is(&ALREADY_EXISTS) && new.options.if_exists.is_some() => match find_existing(tx, new)? {
            Some(found) => return existing(tx, ctx, new, found, new.options.if_exists.unwrap_or(IfExists::Error)),
            None => return Err(error),
        },
        Err(error) => return Err(error),
    };
    tags::add(tx, ctx, new.owner, new.id, &new.draft.tags)?;
    tx.record(&LinkCreated { link_id: new.id.uuid(), version: 1, domain_id: new.domain.id.uuid(), slug: slug.shown })?;
    tx.audit(AuditEntry::ok("links.link.create", &format!("link:{}", new.id)))?;
    let link = store::find(tx, new.id)?.ok_or(&NOT_FOUND)?;
    Ok((tagged(tx, link)?, Outcome::Created))
}

fn find_existing(tx: &mut Tx<'_, '_>, new: &Creation) -> Result<Option<LinkRecord>> {
    Ok(match &new.draft.external_id {
        Some(external_id) => store::find_by_external_id(tx, new.owner, external_id)?,
        None => store::find_by_url(tx, new.domain.id, new.owner, &url_hash(new.draft.url.as_str()))?,
    })
}

fn existing(tx: &mut Tx<'_, '_>, ctx: &Ctx, new: &Creation, found: LinkRecord, wish: IfExists) -> Result<(Tagged, Outcome)> {
    let pointer = if new.draft.external_id.is_some() { "/external_id" } else { "/url" };
    match wish {
        IfExists::Error => Err(ALREADY_EXISTS.on(pointer).with_member("link_id", found.id.to_string())),
        IfExists::Return => Ok((tagged(tx, found)?, Outcome::Found)),
        IfExists::Update => {
            let found = store::find_locked(tx, found.id)?.ok_or(&NOT_FOUND)?;
            let password = new.password_phc.clone().map_or(PasswordChange::Keep, PasswordChange::Set);
            Ok((save(tx, ctx, found, &new.draft, &password)?, Outcome::Updated))
        }
    }
}

/// Inserts the row; random slugs are tried until one is free, and nothing is ever overwritten (INV-L5).
fn insert(tx: &mut Tx<'_, '_>, ctx: &Ctx, new: &Creation) -> Result<Slug> {
    let url_hash = url_hash(new.draft.url.as_str());
    let dedupe_key = (new.options.if_exists.is_some() && new.draft.external_id.is_none()).then(|| dedupe_key(new, &url_hash));
    let now = ctx.now();
    let put = |tx: &mut db::Tx<'_>, slug: &Slug| {
        let row = NewRow {
            id: new.id,
            domain_id: new.domain.id,
            slug: &slug.shown,
            slug_key: &slug.key,
            owner: new.owner,
            url_hash,
            dedupe_key,
            password_phc: new.password_phc.as_deref(),
            now,
        };
        tx.savepoint(|tx| store::insert(tx, &row, &new.draft))
    };
    if let Some(slug) = &new.draft.slug {
        if new.options.reuse {
            vacate(tx, ctx, new, slug)?;
        }
        put(tx, slug).map_err(conflict)?;
        return Ok(slug.clone());
    }
    for (n, slug) in new.tries.iter().enumerate() {
        match put(tx, slug) {
            Err(error) if error.is_unique("links_links_slug") => {}
            outcome => {
                outcome.map_err(conflict)?;
                ctx.state::<LengthMeter>().note(n as u64 + 1);
                return Ok(slug.clone());
            }
        }
    }
    Err(SLUG_TAKEN.on("/slug"))
}

/// Frees the slug of a deleted or expired link, if it was the caller's own (INV-L5).
fn vacate(tx: &mut Tx<'_, '_>, ctx: &Ctx, new: &Creation, slug: &Slug) -> Result<()> {
    let Some(holder) = store::holder(tx, new.domain.id, &slug.key)? else { return Ok(()) };
    // Another's old slug may stand on paper somewhere: nobody else takes it over.
    if holder.owner != new.owner && !ctx.actor.may(&UPDATE_ANY_LINK) {
        return Ok(());
    }
    if store::vacate(tx, &holder, ctx.now())? && holder.deleted_at.is_none() {
        tx.record(&LinkDeleted {
            link_id: holder.id.uuid(),
            version: holder.version + 1,
            domain_id: holder.domain_id.uuid(),
            slug: holder.slug,
        })?;
    }
    Ok(())
}

fn conflict(error: db::Error) -> Error {
    if error.is_unique("links_links_slug") {
        SLUG_TAKEN.on("/slug")
    } else if error.is_unique("links_links_external") {
        ALREADY_EXISTS.on("/external_id")
    } else if error.is_unique("links_links_dedupe") {
        ALREADY_EXISTS.on("/url")
    } else {
        error.into()
    }
}

fn url_hash(url: &str) -> [u8; 32] {
    Sha256::digest(url.as_bytes()).into()
}

fn dedupe_key(new: &Creation, url_hash: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(new.domain.id.uuid().as_bytes())
        .chain_update(new.owner.uuid().as_bytes())
        .chain_update(url_hash)
        .finalize()
        .into()
}

fn refuse_reserved(ctx: &Ctx, slug: &Slug) -> Result<()> {
    if ctx.state::<Redirects>().is_reserved(&ctx.app, slug.first_part()) { Err(SLUG_RESERVED.on("/slug")) } else { Ok(()) }
}

/// Follows targets on our own hosts until they leave; back to this slug, or too many, is a loop (INV-L8).
fn refuse_loop(tx: &mut Tx<'_, '_>, ctx: &Ctx, domain: &Domain, slug_key: &str, draft: &Draft) -> Result<()> {
    let targets = [(Some(&draft.url), "/url"), (draft.expired_url.as_ref(), "/expired_url")];
    for (target, pointer) in targets {
        let Some(target) = target.filter(|target| domains::is_own(&ctx.app, target.url())) else { continue };
        domains::store::lock(tx, domain.id)?;
        let mut next = Some(target.url().clone());
        let mut hops = 0;
        while let Some(url) = next.take().filter(|url| domains::is_own(&ctx.app, url)) {
            let Some(key) = slugs::key_of_path(url.path(), domain.is_case_sensitive) else { break };
            // The new link may forward paths, so that every path below its slug is its own.
            let is_below =
                draft.forward_path && !slug_key.is_empty() && key.strip_prefix(slug_key).is_some_and(|rest| rest.starts_with('/'));
            hops += 1;
            if key == slug_key || is_below || hops > MAX_HOPS {
                return Err(REDIRECT_LOOP.on(pointer));
            }
            next = follow(tx, domain, &key)?;
        }
    }
    Ok(())
}

fn follow(tx: &mut Tx<'_, '_>, domain: &Domain, key: &str) -> Result<Option<Url>> {
    let keys: Vec<String> = slugs::candidates(key).map(str::to_owned).collect();
    let found = store::by_keys(tx, domain.id, &keys)?;
    let link = keys.iter().find_map(|wanted| found.iter().find(|link| link.slug_key == *wanted && (wanted == key || link.forward_path)));
    Ok(link.and_then(|link| Url::parse(&link.url).ok()))
}

fn tagged(c: &mut db::Conn, link: LinkRecord) -> Result<Tagged> {
    let tags = tags::of_links(c, &[link.id])?.remove(&link.id).unwrap_or_default();
    Ok(Tagged { link, tags })
}

/// Who may make links: whoever holds the permission, and everybody with an account unless the operator says otherwise.
pub(crate) fn require_create(ctx: &Ctx) -> Result<()> {
    if ctx.settings::<LinkSettings>().members_may_create && !ctx.actor.is_anonymous() {
        return Ok(());
    }
    ctx.actor.require(&CREATE_LINKS)
}

fn count_creation(ctx: &Ctx) -> Result<()> {
    let Some(user) = ctx.actor.maybe_user_id() else { return Ok(()) };
    let quota = Quota { name: "links-create", burst: ctx.settings::<LinkSettings>().create_per_minute, window: Duration::from_secs(60) };
    if !ctx.settings::<LimitSettings>().enabled {
        return Ok(());
    }
    let decision = ctx.app.limiter().check(&quota, ctx.app.limiter().key(&user), ctx.now());
    if decision.allowed {
        return Ok(());
    }
    Err(RATE_LIMITED.error().retry_after(decision.retry_after_secs).with_member("violated_policies", serde_json::json!([quota.name])))
}

/// The hash of a new password; none when it stays as it is.
async fn hash(ctx: &Ctx, password: PasswordChange) -> Result<Option<Option<String>>> {
    match password {
        PasswordChange::Keep => Ok(None),
        PasswordChange::Remove => Ok(Some(None)),
        PasswordChange::Set(password) => {
            let hasher =
                ctx.app.ports().passwords().ok_or_else(|| NOT_IMPLEMENTED.because("Passwords of links need the module accounts."))?;
            Ok(Some(Some(hasher.hash(&ctx.app, ctx.request.client_address, &password).await?)))
        }
    }
}

/// Whether the caller owns the link or holds the permission.
fn may(ctx: &Ctx, link: &LinkRecord, permission: &Permission) -> bool {
    ctx.actor.may(permission) || ctx.actor.maybe_user_id().is_some_and(|user| user == link.owner)
}

/// The link, if the caller may see it; another's is not found.
fn visible(ctx: &Ctx, link: Option<LinkRecord>) -> Result<LinkRecord> {
    link.filter(|link| may(ctx, link, &READ_ANY_LINK)).ok_or_else(|| NOT_FOUND.error())
}

/// The link with this id.
pub(crate) async fn get(ctx: &Ctx, id: Id<Link>) -> Result<Tagged> {
    let context = ctx.clone();
    ctx.read(move |c| {
        let link = visible(&context, store::find(c, id)?)?;
        tagged(c, link)
    })
    .await
}

/// The link behind a slug; nothing is counted.
pub(crate) async fn lookup(ctx: &Ctx, slug: &str) -> Result<Tagged> {
    let domain = ctx.state::<Domains>().default_domain()?.clone();
    let slug = Slug::parse(slug, domain.is_case_sensitive).map_err(|_| NOT_FOUND.error())?;
    let context = ctx.clone();
    ctx.read(move |c| {
        let link = store::holder(c, domain.id, &slug.key)?.filter(|link| link.deleted_at.is_none());
        let link = visible(&context, link)?;
        tagged(c, link)
    })
    .await
}

/// What a list asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) owner: Option<UserId>,
    pub(crate) domain: Option<Id<Domain>>,
    pub(crate) status: Option<LinkStatus>,
    pub(crate) tag: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) q: Option<String>,
    pub(crate) sort: Option<String>,
}

/// The caller's links, or everybody's for who may read them.
pub(crate) async fn list(ctx: &Ctx, wish: Wish, request: PageRequest) -> Result<Page<Tagged>> {
    let sort_name = wish.sort.as_deref().unwrap_or("-created_at");
    let sort = sort_of(sort_name)?;
    let filter = filter_of(ctx, &wish)?;
    let (description, principal) = (format!("{filter:?}"), ctx.actor.label());
    let scope = CursorScope { operation: "listLinks", filter: &description, sort: sort_name, locale: "", principal: &principal };
    let after = request.cursor.as_deref().map(|cursor| position(ctx, &scope, sort, cursor)).transpose()?;
    let limit = request.limit;
    let is_search = filter.text.is_some() || filter.tag_key.is_some();
    let read = move |c: &mut db::Conn| -> Result<Vec<Tagged>> {
        let links = store::list(c, &filter, sort, after.as_ref(), limit + 1)?;
        let mut names = tags::of_links(c, &links.iter().map(|link| link.id).collect::<Vec<_>>())?;
        Ok(links.into_iter().map(|link| Tagged { tags: names.remove(&link.id).unwrap_or_default(), link }).collect())
    };
    let rows = if is_search { ctx.read_long(read).await? } else { ctx.read(read).await? };
    Ok(Page::of_rows(rows, limit, |last| encode_cursor(ctx.app.keyring(), &scope, &values(sort, &last.link))))
}

fn filter_of(ctx: &Ctx, wish: &Wish) -> Result<Filter> {
    let owner = if ctx.actor.may(&READ_ANY_LINK) {
        wish.owner
    } else {
        let me = ctx.actor.user_id()?;
        // Another's links look as if there were none.
        Some(if wish.owner.is_none_or(|owner| owner == me) { me } else { Id::from_uuid(uuid::Uuid::max()) })
    };
    Ok(Filter {
        owner,
        domain: wish.domain,
        status: wish.status,
        tag_key: wish.tag.as_deref().map(tags::key_of),
        external_id: wish.external_id.clone(),
        text: wish.q.as_deref().map(|text| db::like_contains(&text.to_lowercase())),
    })
}

fn sort_of(name: &str) -> Result<Sort> {
    let (name, is_descending) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
    let key = match name {
        "created_at" => SortKey::CreatedAt,
        "clicks" => SortKey::Clicks,
        "last_clicked_at" => SortKey::LastClickedAt,
        "slug" => SortKey::Slug,
        _ => {
            return Err(SORT_NOT_SUPPORTED
                .because("One of created_at, clicks, last_clicked_at and slug, with - before it for the other way round.")
                .with_member("allowed", serde_json::json!(["created_at", "clicks", "last_clicked_at", "slug"])));
        }
    };
    Ok(Sort { key, is_descending })
}

fn values(sort: Sort, link: &LinkRecord) -> [CursorValue; 2] {
    let key = match sort.key {
        SortKey::CreatedAt => CursorValue::Int(link.created_at.as_millis()),
        SortKey::Clicks => CursorValue::Int(link.click_count),
        SortKey::LastClickedAt => CursorValue::Int(link.last_clicked_at.unwrap_or(store::NEVER).as_millis()),
        SortKey::Slug => CursorValue::Text(link.slug_key.clone()),
    };
    [key, CursorValue::Bytes(link.id.uuid().as_bytes().to_vec())]
}

fn position(ctx: &Ctx, scope: &CursorScope<'_>, sort: Sort, cursor: &str) -> Result<After> {
    let invalid = || CURSOR_INVALID.error();
    let id = |bytes: &[u8]| uuid::Uuid::from_slice(bytes).map(Id::from_uuid).map_err(|_| invalid());
    match (sort.key, decode_cursor(ctx.app.keyring(), scope, cursor)?.as_slice()) {
        (SortKey::Slug, [CursorValue::Text(key), CursorValue::Bytes(bytes)]) => Ok(After::Text(key.clone(), id(bytes)?)),
        (SortKey::CreatedAt | SortKey::Clicks | SortKey::LastClickedAt, [CursorValue::Int(key), CursorValue::Bytes(bytes)]) => {
            Ok(After::Int(*key, id(bytes)?))
        }
        _ => Err(invalid()),
    }
}

/// What the owner decided about a link so far.
pub(crate) fn draft_of(link: &LinkRecord, tags: &[String]) -> Result<Draft> {
    let target = |url: &str, pointer| {
        crate::targets::Target::from_body(url, pointer)
            .map_err(|field| Error::internal(format!("a stored target is refused: {}", field.detail)))
    };
    Ok(Draft {
        url: target(&link.url, "/url")?,
        slug: None,
        title: link.title.clone(),
        note: link.note.clone(),
        tags: tags.to_vec(),
        redirect_status: link.redirect_status,
        valid_from: link.valid_from,
        expires_at: link.expires_at,
        expired_url: link.expired_url.as_deref().map(|url| target(url, "/expired_url")).transpose()?,
        max_clicks: link.max_clicks,
        forward_query: link.forward_query,
        forward_path: link.forward_path,
        is_crawlable: link.is_crawlable,
        is_unlisted: link.is_unlisted,
        external_id: link.external_id.clone(),
    })
}

/// Changes a link if it still has the version the caller saw; `change` is applied to what it is now.
pub(crate) async fn update<F>(ctx: &Ctx, id: Id<Link>, change: F, password: PasswordChange, if_match: IfMatch) -> Result<Tagged>
where
    F: Fn(Draft) -> Draft + Send + Sync + 'static,
{
    // Who may not change it must not make the server hash.
    get(ctx, id).await?;
    let password = match hash(ctx, password).await? {
        None => PasswordChange::Keep,
        Some(None) => PasswordChange::Remove,
        Some(Some(phc)) => PasswordChange::Set(phc),
    };
    let context = ctx.clone();
    ctx.write(move |tx| {
        let link = changeable(tx, &context, id, &UPDATE_ANY_LINK)?;
        if_match.expected(link.version)?;
        let tags = tags::of_links(tx, &[id])?.remove(&id).unwrap_or_default();
        let draft = change(draft_of(&link, &tags)?);
        save(tx, &context, link, &draft, &password)
    })
    .await
}

/// The link, locked, if the caller may change it.
fn changeable(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Link>, permission: &Permission) -> Result<LinkRecord> {
    let link = visible(ctx, store::find_locked(tx, id)?)?;
    if may(ctx, &link, permission) {
        return Ok(link);
    }
    ctx.actor.require(permission).map(|()| link)
}

/// Writes a changed link, its tags and its event.
pub(crate) fn save(tx: &mut Tx<'_, '_>, ctx: &Ctx, link: LinkRecord, draft: &Draft, password: &PasswordChange) -> Result<Tagged> {
    draft.check()?;
    let slug = draft.slug.clone().unwrap_or_else(|| Slug { shown: link.slug.clone(), key: link.slug_key.clone() });
    if slug.key != link.slug_key {
        refuse_reserved(ctx, &slug)?;
    }
    let domain = ctx.state::<Domains>().default_domain()?.clone();
    refuse_loop(tx, ctx, &domain, &slug.key, draft)?;
    let row = ChangedRow {
        slug: &slug.shown,
        slug_key: &slug.key,
        url_hash: url_hash(draft.url.as_str()),
        keeps_dedupe_key: draft.url.as_str() == link.url && draft.external_id == link.external_id,
        password_phc: match password {
            PasswordChange::Keep => link.password_phc.as_deref(),
            PasswordChange::Remove => None,
            PasswordChange::Set(phc) => Some(phc),
        },
        now: ctx.now(),
    };
    if !tx.savepoint(|tx| store::update(tx, link.id, link.version, &row, draft)).map_err(conflict)? {
        return Err(version_conflict(link.version + 1));
    }
    tags::replace(tx, ctx, link.owner, link.id, &draft.tags)?;
    tx.record(&LinkUpdated {
        link_id: link.id.uuid(),
        version: link.version + 1,
        domain_id: link.domain_id.uuid(),
        previous_slug: (slug.shown != link.slug).then(|| link.slug.clone()),
        slug: slug.shown,
    })?;
    tx.audit(AuditEntry::ok("links.link.update", &format!("link:{}", link.id)))?;
    let changed = store::find(tx, link.id)?.ok_or(&NOT_FOUND)?;
    tagged(tx, changed)
}

/// Deletes a link; its slug stays taken until its owner reuses it.
pub(crate) async fn delete(ctx: &Ctx, id: Id<Link>, if_match: IfMatch) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let link = changeable(tx, &context, id, &DELETE_ANY_LINK)?;
        if_match.expected(link.version)?;
        if !store::delete(tx, id, link.version, context.now())? {
            return Err(NOT_FOUND.error());
        }
        tx.record(&LinkDeleted { link_id: id.uuid(), version: link.version + 1, domain_id: link.domain_id.uuid(), slug: link.slug })?;
        tx.audit(AuditEntry::ok("links.link.delete", &format!("link:{id}")))
    })
    .await
}

/// Lets a disabled link work again.
pub(crate) async fn enable(ctx: &Ctx, id: Id<Link>, if_match: IfMatch) -> Result<Tagged> {
    switch(ctx, id, if_match, LinkStatus::Disabled, LinkStatus::Active).await
}

/// Switches a link off; to visitors it looks like none.
pub(crate) async fn disable(ctx: &Ctx, id: Id<Link>, if_match: IfMatch) -> Result<Tagged> {
    switch(ctx, id, if_match, LinkStatus::Active, LinkStatus::Disabled).await
}

async fn switch(ctx: &Ctx, id: Id<Link>, if_match: IfMatch, from: LinkStatus, to: LinkStatus) -> Result<Tagged> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let link = changeable(tx, &context, id, &UPDATE_ANY_LINK)?;
        if_match.expected(link.version)?;
        if link.status == to {
            return tagged(tx, link);
        }
        if link.status != from || !store::set_status(tx, &link, to, context.now())? {
            let state = INVALID_STATE.error().with_member("current_state", link.status.as_str());
            return Err(state.with_member("allowed", serde_json::json!([from.as_str()])));
        }
        let (link_id, version, domain_id, slug) = (id.uuid(), link.version + 1, link.domain_id.uuid(), link.slug);
        match to {
            LinkStatus::Active => tx.record(&LinkEnabled { link_id, version, domain_id, slug })?,
            _ => tx.record(&LinkDisabled { link_id, version, domain_id, slug })?,
        }
        let subject = format!("link:{id}");
        tx.audit(AuditEntry::ok(if to == LinkStatus::Active { "links.link.enable" } else { "links.link.disable" }, &subject))?;
        let changed = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        tagged(tx, changed)
    })
    .await
}

/// Uses one click of a link that has only so many; false when none is left (INV-L4).
pub(crate) async fn consume(ctx: &Ctx, id: Id<Link>, now: Timestamp) -> Result<bool> {
    ctx.write(move |tx| {
        if !store::consume(tx, id, now)? {
            return Ok(false);
        }
        // The row is ours until the commit, so exactly one transaction sees the last click.
        if let Some(link) = store::find(tx, id)?.filter(|link| link.max_clicks == Some(link.used_clicks)) {
            tx.record(&LinkLimitReached { link_id: id.uuid(), version: link.version, domain_id: link.domain_id.uuid(), slug: link.slug })?;
        }
        Ok(true)
    })
    .await
}

/// The domain with this id, for a link that names one.
pub(crate) fn require_domain(ctx: &Ctx, id: Id<Domain>) -> Result<()> {
    if ctx.state::<Domains>().default_domain()?.id == id {
        return Ok(());
    }
    Err(Error::invalid(vec![FieldError::body("/domain_id", "unknown_reference", "There is no such domain.")]))
}
