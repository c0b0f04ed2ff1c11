//! The verbs of what a post says: create, read, update.

use std::sync::Arc;

use db::{Conn, OnViolation as _};
use kernel::error::{GONE, NOT_FOUND};
use kernel::http::{IfMatch, version_conflict};
use kernel::{App, Ctx, Error, Event, FieldError, Id, Result, Timestamp, Tx, media};
use uuid::Uuid;

use crate::authors;
use crate::authors::service::OwnProfile;
use crate::cache::{Entry, Key, PublicCache};
use crate::events::{PostChange, PostCreated, PostSlugChanged, PostUpdated};
use crate::permissions::CREATE_POSTS;
use crate::posts::access::{Caller, Sight};
use crate::posts::seo::Seo;
use crate::posts::store::NewRow;
use crate::posts::view::{PostView, Source};
use crate::posts::{Content, Post, PostBody, PostDetails, PostRecord, RenderedBody, Status, Visibility, store};
use crate::rendering::{self, Format};
use crate::settings::BlogSettings;
use crate::slugs::service::Wish;
use crate::threads::Policy;
use crate::{revisions, search, slugs, tags};

/// A body as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    pub(crate) format: Format,
    pub(crate) source: String,
}

/// Authors and tags that a post is to have; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    pub(crate) author_ids: Option<Vec<Uuid>>,
    pub(crate) tag_ids: Option<Vec<Uuid>>,
}

/// What to change about a post; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostPatch {
    pub(crate) title: Option<String>,
    pub(crate) excerpt: Option<Option<String>>,
    pub(crate) body: Option<Written>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) seo: Option<Seo>,
    pub(crate) comment_policy: Option<Option<Policy>>,
    pub(crate) featured_media_id: Option<Option<Uuid>>,
    pub(crate) links: Links,
    pub(crate) slug: Option<Wish>,
}

/// A post to be begun.
#[derive(Clone, Debug)]
pub(crate) struct NewPost {
    pub(crate) locale: Option<String>,
    pub(crate) wish: Wish,
    pub(crate) patch: PostPatch,
}

impl PostPatch {
    /// What the post says after the change.
    pub(crate) fn apply(&self, mut content: Content) -> Content {
        if let Some(title) = &self.title {
            content.title.clone_from(title);
        }
        if let Some(excerpt) = &self.excerpt {
            content.excerpt.clone_from(excerpt);
        }
        if let Some(body) = &self.body {
            (content.format, content.source) = (body.format, body.source.clone());
        }
        if let Some(seo) = &self.seo {
            content.seo.clone_from(seo);
        }
        if let Some(author_ids) = &self.links.author_ids {
            content.author_ids.clone_from(author_ids);
        }
        if let Some(tag_ids) = &self.links.tag_ids {
            content.tag_ids.clone_from(tag_ids);
        }
        content.visibility = self.visibility.unwrap_or(content.visibility);
        content.comment_policy = self.comment_policy.unwrap_or(content.comment_policy);
        content.featured_media_id = self.featured_media_id.unwrap_or(content.featured_media_id);
        content
    }
}

/// Begins a post: a draft, by its caller unless other authors are named (BLG-1).
pub(crate) async fn create(ctx: &Ctx, new: NewPost) -> Result<PostDetails> {
    ctx.actor.require(&CREATE_POSTS)?;
    let locale = locale_of(ctx, new.locale.as_deref())?;
    let content = new.patch.apply(Content {
        title: String::new(),
        excerpt: None,
        format: Format::Markdown,
        source: String::new(),
        visibility: Visibility::Public,
        seo: Seo::default(),
        comment_policy: None,
        featured_media_id: None,
        author_ids: Vec::new(),
        tag_ids: Vec::new(),
    });
    let body = RenderedBody::from(rendering::post(ctx, content.format, &content.source).await?);
    let (caller, now, id) = (Caller::of(ctx), ctx.now(), ctx.new_id());
    let own = match caller.user() {
        Some(user) => Some(OwnProfile::of(ctx, user).await?),
        None => None,
    };
    let context = ctx.clone();
    ctx.write(move |tx| {
        let mut content = content.clone();
        settle_authors(tx, &caller, own.as_ref(), &mut content)?;
        check_references(tx, &context, &content, None)?;
        let slug = slugs::service::take(tx, &locale, &new.wish, id, now)?;
        let row = NewRow { id, locale: &locale, slug: slug.as_str(), content: &content, body: &body, created_by: caller.user() };
        store::insert(tx, &row, now)?;
        store::insert_links(tx, id, &content).on_foreign_key(unknown_reference)?;
        note_files(tx, &context, id, &content, &body.html, None)?;
        let post = load(tx, id)?.ok_or(&NOT_FOUND)?;
        record::<PostCreated>(tx, &context, &post, &[])?;
        Ok(post)
    })
    .await
}

/// Without other authors the caller is the one; an author of own posts only cannot leave themselves out.
fn settle_authors(tx: &mut Tx<'_, '_>, caller: &Caller, own: Option<&OwnProfile>, content: &mut Content) -> Result<()> {
    let Some(own) = own else { return Ok(()) };
    if content.author_ids.is_empty() {
        content.author_ids = vec![own.ensure(tx)?.uuid()];
    } else if !caller.updates_any() && !content.author_ids.contains(&own.ensure(tx)?.uuid()) {
        return Err(Error::invalid(vec![FieldError::body("/author_ids", "not_allowed", "You must be one of the authors.")]));
    }
    Ok(())
}

fn locale_of(ctx: &Ctx, asked: Option<&str>) -> Result<String> {
    let settings = ctx.settings::<BlogSettings>();
    match asked {
        None => Ok(settings.default_locale.clone()),
        Some(locale) if settings.knows_locale(locale) => Ok(locale.to_owned()),
        Some(_) => Err(Error::invalid(vec![FieldError::body("/locale", "unknown_reference", "One of blog.locales.")])),
    }
}

/// Fails unless every author and tag exists, and the caller may see a picture that the post did not have before.
pub(crate) fn check_references(c: &mut Conn, ctx: &Ctx, content: &Content, old_media: Option<Uuid>) -> Result<()> {
    let mut errors = Vec::new();
    if !content.author_ids.is_empty() {
        let ids: Vec<_> = content.author_ids.iter().copied().map(Id::from_uuid).collect();
        let known = authors::store::existing(c, &ids)?;
        errors.extend(unknown("/author_ids", &ids, &known));
    }
    if !content.tag_ids.is_empty() {
        let ids: Vec<_> = content.tag_ids.iter().copied().map(Id::from_uuid).collect();
        let known = tags::store::existing(c, &ids)?;
        errors.extend(unknown("/tag_ids", &ids, &known));
    }
    if let Some(id) = content.featured_media_id.filter(|id| old_media != Some(*id))
        && media::visible_to(c, ctx, &[Id::from_uuid(id)])?.is_empty()
    {
        errors.push(FieldError::body("/featured_media_id", "unknown_reference", "There is none with this id."));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// How the library of files calls a post that uses one.
pub(crate) const MEDIA_SUBJECT: &str = "blog.post";

/// Tells the library of files which ones the post uses now.
fn note_files(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Post>, content: &Content, html: &str, old_featured: Option<Uuid>) -> Result<()> {
    let used = media::use_only(tx, ctx, &content.files(html), MEDIA_SUBJECT, id.uuid())?;
    match content.featured_media_id.filter(|new| old_featured != Some(*new)) {
        // Somebody deleted the file between the check and the write.
        Some(new) if !used.contains(&Id::from_uuid(new)) => Err(unknown_reference()),
        _ => Ok(()),
    }
}

fn unknown<T>(pointer: &str, wanted: &[Id<T>], known: &[Id<T>]) -> Vec<FieldError> {
    let is_unknown = |(at, id): (usize, &Id<T>)| (!known.contains(id)).then_some(at);
    let error = |at| FieldError::body(format!("{pointer}/{at}"), "unknown_reference", "There is none with this id.");
    wanted.iter().enumerate().filter_map(is_unknown).map(error).collect()
}

/// Somebody deleted an author or a tag between the check and the write.
fn unknown_reference() -> Error {
    Error::invalid(vec![FieldError::body("", "unknown_reference", "An author, a tag or a file was deleted meanwhile.")])
}

/// A post with everything that is shown of it, trashed or not.
pub(crate) fn load(c: &mut Conn, id: Id<Post>) -> Result<Option<PostDetails>> {
    match store::find(c, id)? {
        Some((record, body)) => complete(c, record, body).map(Some),
        None => Ok(None),
    }
}

/// Adds authors and tags.
pub(crate) fn complete(c: &mut Conn, record: PostRecord, body: PostBody) -> Result<PostDetails> {
    let (authors, tags) = store::names_of_post(c, record.id)?;
    let featured = match record.featured_media_id {
        Some(id) => media::views(c, &[Id::from_uuid(id)])?.into_iter().next(),
        None => None,
    };
    Ok(PostDetails { record, body, authors, tags, featured })
}

/// A post that is about to be changed: locked, so that what is decided on it stays true.
pub(crate) fn load_for_change(tx: &mut Tx<'_, '_>, id: Id<Post>) -> Result<PostDetails> {
    store::lock(tx, id)?;
    load(tx, id)?.ok_or_else(|| NOT_FOUND.error())
}

/// Records an event about a post.
pub(crate) fn record<E: Event + From<PostChange>>(tx: &mut Tx<'_, '_>, ctx: &Ctx, post: &PostDetails, changed: &[&str]) -> Result<()> {
    let view = PostView::of(&ctx.app, post.clone(), ctx.now(), Source::Hidden);
    let changed = changed.iter().map(|name| (*name).to_owned()).collect();
    tx.record(&E::from(view.into_change(changed)))
}

/// Changes what a post says; its address too, to which the old one then leads (BLG-6).
pub(crate) async fn update(ctx: &Ctx, id: Id<Post>, patch: PostPatch, if_match: IfMatch) -> Result<PostDetails> {
    let rendered = match &patch.body {
        Some(body) => Some(RenderedBody::from(rendering::post(ctx, body.format, &body.source).await?)),
        None => None,
    };
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    ctx.write(move |tx| {
        let before = load_for_change(tx, id)?;
        caller.require_update(tx, &before.record, context.now())?;
        if_match.expected(before.record.version)?;
        let content = patch.apply(before.content());
        if !caller.updates_any() && content.author_ids != before.content().author_ids {
            require_own(tx, &caller, &content)?;
        }
        let body = rendered.clone().unwrap_or_else(|| kept(&before));
        save(tx, &context, before, &content, &body, patch.slug.as_ref(), "update")
    })
    .await
}

/// An author of own posts only cannot leave themselves out.
fn require_own(c: &mut Conn, caller: &Caller, content: &Content) -> Result<()> {
    let own = match caller.user() {
        Some(user) => authors::store::id_of_user(c, user)?,
        None => None,
    };
    if own.is_some_and(|own| content.author_ids.contains(&own.uuid())) {
        return Ok(());
    }
    Err(Error::invalid(vec![FieldError::body("/author_ids", "not_allowed", "You must be one of the authors.")]))
}

/// The rendered body as it is stored.
fn kept(post: &PostDetails) -> RenderedBody {
    RenderedBody {
        html: post.body.html.clone(),
        text: post.body.text.clone(),
        lead: post.record.lead.clone(),
        word_count: post.record.word_count,
        version: post.body.render_version,
    }
}

/// Replaces what a post says, with revision, search row and events; nothing happens when nothing differs.
pub(crate) fn save(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    before: PostDetails,
    content: &Content,
    body: &RenderedBody,
    wish: Option<&Wish>,
    reason: &str,
) -> Result<PostDetails> {
    let (id, now, old) = (before.record.id, ctx.now(), before.content());
    let mut changed = content.changed_from(&old);
    let slug = match wish {
        Some(Wish::Exactly { slug, .. }) if slug.as_str() == before.record.slug => before.record.slug.clone(),
        Some(wish) => {
            changed.push("slug");
            slugs::service::take(tx, &before.record.locale, wish, id, now)?.as_str().to_owned()
        }
        None => before.record.slug.clone(),
    };
    if changed.is_empty() {
        return Ok(before);
    }
    check_references(tx, ctx, content, old.featured_media_id)?;
    if old.author_ids != content.author_ids {
        store::set_authors(tx, id, &content.author_ids).on_foreign_key(unknown_reference)?;
    }
    if old.tag_ids != content.tag_ids {
        store::set_tags(tx, id, &content.tag_ids).on_foreign_key(unknown_reference)?;
    }
    note_files(tx, ctx, id, content, &body.html, old.featured_media_id)?;
    let is_replaced = store::update_content(tx, id, before.record.version, content, body, &slug, now)?;
    if !is_replaced {
        return Err(version_conflict(store::find_record(tx, id)?.ok_or(&NOT_FOUND)?.version));
    }
    let after = load(tx, id)?.ok_or(&NOT_FOUND)?;
    if after.record.status == Status::Published {
        revisions::service::keep(tx, ctx, &after, reason)?;
    }
    search::service::index(tx, &after)?;
    record::<PostUpdated>(tx, ctx, &after, &changed)?;
    if changed.contains(&"slug") {
        record::<PostSlugChanged>(tx, ctx, &after, &["slug"])?;
    }
    Ok(after)
}

/// A post as its caller sees it: from memory for everybody, with its source for those who may change it.
pub(crate) async fn read(ctx: &Ctx, id: Id<Post>) -> Result<Arc<Entry>> {
    let (caller, now) = (Caller::of(ctx), ctx.now());
    if !caller.is_insider() && ctx.actor.is_anonymous() {
        let cache = ctx.state::<PublicCache>();
        let entry = cache.get_or_load(now, Key::Post(id.uuid()), || load_public(ctx, move |c| Ok(store::find_shown(c, id)?)));
        return entry.await?.ok_or_else(|| NOT_FOUND.error());
    }
    let found = ctx.read(move |c| load_seen(c, &caller, id, now)).await?;
    let (post, source) = found.ok_or(&NOT_FOUND)?;
    entry_of(ctx, post, source).await.map(Arc::new)
}

fn load_seen(c: &mut Conn, caller: &Caller, id: Id<Post>, now: Timestamp) -> Result<Option<(PostDetails, Source)>> {
    let Some((record, body)) = store::find(c, id)? else { return Ok(None) };
    let source = match caller.sees(c, &record, now)? {
        Sight::Nothing => return Ok(None),
        Sight::Result => Source::Hidden,
        Sight::Source => Source::Shown,
    };
    Ok(Some((complete(c, record, body)?, source)))
}

/// The answer to a public read of what `find` finds, if everybody may see it.
async fn load_public<F>(ctx: &Ctx, find: F) -> Result<Option<Entry>>
where
    F: Fn(&mut Conn) -> Result<Option<(PostRecord, PostBody)>> + Send + Sync + 'static,
{
    let now = ctx.now();
    let found = ctx.read(move |c| match find(c)? {
        Some((record, body)) if record.is_visible(now) => complete(c, record, body).map(Some),
        _ => Ok(None),
    });
    match found.await? {
        Some(post) => entry_of(ctx, post, Source::Hidden).await.map(Some),
        None => Ok(None),
    }
}

/// Room for what an answer says beside the long texts, in bytes.
const ROOM: usize = 4_096;

async fn entry_of(ctx: &Ctx, post: PostDetails, source: Source) -> Result<Entry> {
    let post = up_to_date(ctx, post).await?;
    let (now, id, version, updated_at) = (ctx.now(), post.record.id, post.record.version, post.record.updated_at);
    let until = post.record.next_change(now);
    let length = post.body.html.len() + post.body.text.len() + if source == Source::Shown { post.body.source.len() } else { 0 };
    let mut body = Vec::with_capacity(length + length / 8 + ROOM);
    serde_json::to_writer(&mut body, &PostView::of(&ctx.app, post, now, source)).map_err(Error::internal)?;
    Ok(Entry::post(body, id, version, updated_at, until))
}

/// The post with HTML of this version of the allow-list, whatever is stored (SAN-1).
pub(crate) async fn up_to_date(ctx: &Ctx, mut post: PostDetails) -> Result<PostDetails> {
    if post.body.render_version != rendering::VERSION {
        let rendered = RenderedBody::from(rendering::post(ctx, post.body.format, &post.body.source).await?);
        (post.body.html, post.body.text, post.body.render_version) = (rendered.html, rendered.text, rendered.version);
    }
    Ok(post)
}

/// Where a slug leads.
pub(crate) enum BySlug {
    /// To this post.
    Here(Arc<Entry>),
    /// To this path: the post has another slug now.
    Moved(String),
}

/// The post with this slug, in the language asked for or the next best (BLG-6, BLG-11).
pub(crate) async fn read_by_slug(ctx: &Ctx, slug: &str, locale: Option<&str>) -> Result<BySlug> {
    let caller = Caller::of(ctx);
    let locales = fallbacks(ctx.settings::<BlogSettings>(), locale);
    let (now, wanted) = (ctx.now(), (locales.clone(), slug.to_owned()));
    if !caller.is_insider() && ctx.actor.is_anonymous() {
        let find = move |c: &mut Conn| -> Result<Option<(PostRecord, PostBody)>> {
            for locale in &wanted.0 {
                if let Some((record, body)) = store::find_shown_by_slug(c, locale, &wanted.1)?
                    && record.is_visible(now)
                {
                    return Ok(Some((record, body)));
                }
            }
            Ok(None)
        };
        let key = Key::Slug(locales.join(","), slug.to_owned());
        let entry = ctx.state::<PublicCache>().get_or_load(now, key, || load_public(ctx, find)).await?;
        return match entry {
            Some(entry) => Ok(BySlug::Here(entry)),
            None => former(ctx, &caller, slug, locales).await.map(BySlug::Moved),
        };
    }
    let found = ctx.read(move |c| {
        for locale in &wanted.0 {
            // What the caller may not see hides nothing that he may.
            if let Some(record) = store::find_record_by_slug(c, locale, &wanted.1)?
                && caller.sees(c, &record, now)? != Sight::Nothing
            {
                return load_seen(c, &caller, record.id, now);
            }
        }
        Ok(None)
    });
    match found.await? {
        Some((post, source)) => Ok(BySlug::Here(Arc::new(entry_of(ctx, post, source).await?))),
        None => former(ctx, &caller, slug, locales).await.map(BySlug::Moved),
    }
}

/// Where a former slug leads: to the current one of the post, if the caller sees it; one of a purged post is gone.
async fn former(ctx: &Ctx, caller: &Caller, slug: &str, locales: Vec<String>) -> Result<String> {
    let (caller, now, slug) = (*caller, ctx.now(), slug.to_owned());
    let current = ctx.read(move |c| {
        for locale in &locales {
            let Some(row) = slugs::store::find(c, locale, &slug)? else { continue };
            let Some(id) = row.post_id else { return Err(GONE.error()) };
            let post = store::find_record(c, id)?.filter(|_| !row.is_current);
            if let Some(post) = post
                && caller.sees(c, &post, now)? != Sight::Nothing
            {
                return Ok(Some((post.locale, post.slug)));
            }
        }
        Ok(None)
    });
    let (locale, slug) = current.await?.ok_or(&NOT_FOUND)?;
    let mut path = format!("/api/v1/blog/posts/by-slug/{}", crate::settings::percent_encoded(&slug));
    if locale != ctx.settings::<BlogSettings>().default_locale {
        path.push_str(&format!("?locale={locale}"));
    }
    Ok(path)
}

/// The languages to look in, best first: the one asked for, the same without its region, the default.
fn fallbacks(settings: &BlogSettings, asked: Option<&str>) -> Vec<String> {
    let mut locales = Vec::new();
    let mut rest = asked;
    while let Some(locale) = rest {
        locales.push(locale.to_owned());
        rest = locale.rsplit_once('-').map(|(shorter, _)| shorter);
    }
    if !locales.contains(&settings.default_locale) {
        locales.push(settings.default_locale.clone());
    }
    locales
}

/// The view of a post that was just changed, for whoever changed it.
pub(crate) fn view(app: &App, post: PostDetails, now: Timestamp) -> PostView {
    PostView::of(app, post, now, Source::Shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blg11_languages_fall_back_to_shorter_ones_and_the_default() {
        let settings = BlogSettings::default();
        assert_eq!(fallbacks(&settings, Some("de-AT")), ["de-AT", "de", "en"]);
        assert_eq!(fallbacks(&settings, Some("en-GB")), ["en-GB", "en"]);
        assert_eq!(fallbacks(&settings, None), ["en"]);
    }
}
