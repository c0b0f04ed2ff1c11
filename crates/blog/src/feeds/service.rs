//! Making feeds and sitemaps, from memory where nothing changed.

use std::collections::HashMap;
use std::sync::Arc;

use db::Conn;
use kernel::error::NOT_FOUND;
use kernel::{App, Ctx, Error, Id, Result, Timestamp};

use crate::cache::{Entry, Key, PublicCache};
use crate::feeds::{Feed, Format, Item, links, sitemap};
use crate::posts::seo::Seo;
use crate::posts::service::up_to_date;
use crate::posts::store::Narrowed;
use crate::posts::view::{author_url, url_of};
use crate::posts::{Post, PostBody, PostDetails, PostRecord, store};
use crate::settings::{BlogSettings, FeedContent, FeedSettings, percent_encoded};
use crate::{authors, tags, transitions};

/// Whose posts a feed holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    Site,
    Tag(String),
    Author(String),
}

/// A feed, finished.
pub(crate) async fn feed(ctx: &Ctx, of: Of, format: Format, locale: Option<String>) -> Result<Arc<Entry>> {
    if locale.as_deref().is_some_and(|locale| !ctx.settings::<BlogSettings>().knows_locale(locale)) {
        return Err(NOT_FOUND.error());
    }
    let key = Key::List(format!("feed/{}/{of:?}/{locale:?}", format.file()));
    let entry = ctx.state::<PublicCache>().get_or_load(ctx.now(), key, || make(ctx, of, format, locale)).await?;
    entry.ok_or_else(|| NOT_FOUND.error())
}

/// What a feed is made of: the name of what it is about, the posts, and when that changes by itself.
type Found = (Option<String>, Vec<PostDetails>, Option<Timestamp>);

async fn make(ctx: &Ctx, of: Of, format: Format, locale: Option<String>) -> Result<Option<Entry>> {
    let (now, size) = (ctx.now(), ctx.settings::<FeedSettings>().size);
    let (wanted, language) = (of.clone(), locale.clone());
    let found = ctx.read_long(move |c| find(c, &wanted, language.clone(), size, now)).await?;
    let Some((name, posts, until)) = found else { return Ok(None) };
    let mut items = Vec::with_capacity(posts.len());
    for post in posts {
        items.push(item(ctx, up_to_date(ctx, post).await?));
    }
    let feed = describe(&ctx.app, &of, name, format, locale, items);
    let updated_at = feed.updated_at;
    Ok(Some(Entry::document(format.write(&feed)?, format.content_type(), Some(updated_at), until)))
}

/// None when there is no such tag or author.
fn find(c: &mut Conn, of: &Of, locale: Option<String>, size: u32, now: Timestamp) -> Result<Option<Found>> {
    let mut narrowed = Narrowed { locale, ..Narrowed::default() };
    let name = match of {
        Of::Site => None,
        Of::Tag(slug) => {
            let Some(tag) = tags::store::find_by_slug(c, slug)? else { return Ok(None) };
            narrowed.tag = Some(tag.id);
            Some(tag.name)
        }
        Of::Author(slug) => {
            let Some(author) = authors::store::find_by_slug(c, slug)? else { return Ok(None) };
            narrowed.author = Some(author.id);
            Some(author.name)
        }
    };
    let rows = store::newest(c, &narrowed, size, now)?;
    let (posts, until) = (with_names(c, rows)?, transitions::store::next(c, now)?);
    Ok(Some((name, posts, until)))
}

fn with_names(c: &mut Conn, rows: Vec<(PostRecord, PostBody)>) -> Result<Vec<PostDetails>> {
    let (records, bodies): (Vec<PostRecord>, Vec<PostBody>) = rows.into_iter().unzip();
    let mut bodies: HashMap<Id<Post>, PostBody> = records.iter().map(|record| record.id).zip(bodies).collect();
    let lines = crate::posts::list::with_names(c, records)?;
    let whole = |line: crate::posts::PostLine| {
        let body = bodies.remove(&line.record.id)?;
        Some(PostDetails { record: line.record, body, authors: line.authors, tags: line.tags, featured: line.featured })
    };
    Ok(lines.into_iter().filter_map(whole).collect())
}

fn item(ctx: &Ctx, post: PostDetails) -> Item {
    let url = url_of(&ctx.app, &post.record);
    let is_full = ctx.settings::<FeedSettings>().content == FeedContent::Full;
    let html = is_full.then(|| links::absolute(&post.body.html, &url));
    Item {
        id: post.record.id.uuid(),
        excerpt: post.record.shown_excerpt().to_owned(),
        language: post.record.locale,
        title: post.record.title,
        html,
        published_at: post.record.published_at.unwrap_or(post.record.created_at),
        updated_at: post.record.updated_at,
        authors: post.authors.into_iter().map(|author| (author.name, author_url(&ctx.app, &author.slug))).collect(),
        tags: post.tags.into_iter().map(|tag| tag.name).collect(),
        url,
    }
}

fn describe(app: &App, of: &Of, name: Option<String>, format: Format, locale: Option<String>, items: Vec<Item>) -> Feed {
    let settings = app.settings::<BlogSettings>();
    let folder = match of {
        Of::Site => String::new(),
        Of::Tag(slug) => format!("/tags/{}", percent_encoded(slug)),
        Of::Author(slug) => format!("/authors/{}", percent_encoded(slug)),
    };
    let query = locale.as_ref().map(|locale| format!("?locale={locale}")).unwrap_or_default();
    let feed_url = format!("{}{folder}/{}{query}", app.public_url(), format.file());
    let title = name.map_or_else(|| settings.title.clone(), |name| format!("{name} – {}", settings.title));
    let description = if settings.description.is_empty() { title.clone() } else { settings.description.clone() };
    Feed {
        description,
        title,
        language: locale.unwrap_or_else(|| settings.default_locale.clone()),
        home_url: format!("{}{}", settings.site_url(app), if folder.is_empty() { "/" } else { &folder }),
        id: feed_url.clone(),
        feed_url,
        updated_at: items.iter().map(|item| item.updated_at.max(item.published_at)).max().unwrap_or(Timestamp::from_millis(0)),
        items,
    }
}

const XML: &str = "application/xml; charset=utf-8";

/// The index of the sitemaps.
pub(crate) async fn sitemap_index(ctx: &Ctx) -> Result<Arc<Entry>> {
    let now = ctx.now();
    let make = || async {
        let size = ctx.settings::<FeedSettings>().sitemap_size;
        let (ends, until) = ctx
            .read_long(move |c| {
                let mut ends = vec![Id::<Post>::from_uuid(uuid::Uuid::nil())];
                while let Some(end) = store::map_end(c, ends[ends.len() - 1], now, size)? {
                    ends.push(end);
                }
                Ok((ends, transitions::store::next(c, now)?))
            })
            .await?;
        let base = ctx.app.public_url();
        let files: Vec<String> = ends.iter().map(|after| format!("{base}/sitemaps/posts-{}.xml", after.uuid().simple())).collect();
        Ok(Some(Entry::document(sitemap::index(&files)?, XML, None, until)))
    };
    let entry = ctx.state::<PublicCache>().get_or_load(now, Key::List("sitemap".to_owned()), make).await?;
    entry.ok_or_else(|| NOT_FOUND.error())
}

/// One file of the sitemap: the posts after the id in its name.
pub(crate) async fn sitemap_file(ctx: &Ctx, name: &str) -> Result<Arc<Entry>> {
    let after = name.strip_prefix("posts-").and_then(|rest| rest.strip_suffix(".xml")).and_then(|id| uuid::Uuid::try_parse(id).ok());
    let after: Id<Post> = Id::from_uuid(after.ok_or(&NOT_FOUND)?);
    let now = ctx.now();
    let make = || async {
        let size = ctx.settings::<FeedSettings>().sitemap_size;
        let (rows, until) = ctx.read_long(move |c| Ok((store::map_after(c, after, now, size)?, transitions::store::next(c, now)?))).await?;
        let settings = ctx.settings::<BlogSettings>();
        let pages: Vec<(String, Timestamp)> = rows
            .into_iter()
            .filter(|row| serde_json::from_str::<Seo>(&row.seo).map_or(true, |seo| seo.is_indexed.unwrap_or(true)))
            .map(|row| (settings.post_url(&ctx.app, &row.locale, &row.slug), row.updated_at))
            .collect();
        Ok::<_, Error>(Some(Entry::document(sitemap::file(&pages)?, XML, None, until)))
    };
    let entry = ctx.state::<PublicCache>().get_or_load(now, Key::List(format!("sitemap/{after}")), make).await?;
    entry.ok_or_else(|| NOT_FOUND.error())
}

/// What robots may look at.
pub(crate) fn robots(app: &App) -> String {
    format!("User-agent: *\nDisallow: /api/\nDisallow: /admin\nDisallow: /account\n\nSitemap: {}/sitemap.xml\n", app.public_url())
}
