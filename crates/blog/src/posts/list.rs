//! Lists of posts: narrowed, sorted, and with their authors and tags in three statements more (BLG-14).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use db::Conn;
use http::HeaderValue;
use kernel::media::{self, MediaFile};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::search::Query;
use kernel::{Ctx, Error, FieldError, Id, Result};
use serde::Serialize;
use uuid::Uuid;

use crate::authors::Author;
use crate::cache::{Entry, Key, PublicCache};
use crate::posts::access::Caller;
use crate::posts::store::{Link, Linked, ListStatus, Narrowed, SeenBy};
use crate::posts::view::{PostAuthor, PostSummary, PostTag};
use crate::posts::{Post, PostLine, PostRecord, Visibility, store};
use crate::tags::Tag;
use crate::{search, transitions};

/// Which posts to list, as the caller says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostFilter {
    pub(crate) limit: Option<u32>,
    pub(crate) cursor: Option<String>,
    pub(crate) sort: Option<String>,
    pub(crate) status: Option<ListStatus>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) locale: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) q: Option<String>,
    /// The query as it came, without the cursor: what tells two lists apart.
    pub(crate) text: String,
}

const KEYS: &[SortKey] = &[
    SortKey { name: "published_at", column: "p.published_order", kind: KeyKind::Int },
    SortKey { name: "created_at", column: "p.created_at", kind: KeyKind::Int },
    SortKey { name: "updated_at", column: "p.updated_at", kind: KeyKind::Int },
    SortKey { name: "title", column: "p.sort_title", kind: KeyKind::Text },
];

#[derive(Serialize)]
struct Envelope<'p> {
    items: &'p [PostSummary],
    next_cursor: Option<&'p str>,
}

/// A page of posts as its caller sees them; from memory for everybody.
pub(crate) async fn list(ctx: &Ctx, filter: PostFilter) -> Result<Arc<Entry>> {
    let cache = ctx.state::<PublicCache>();
    if !ctx.actor.is_anonymous() || !cache.is_on() {
        return page_entry(ctx, &filter, Kept::No).await.map(Arc::new);
    }
    let key = Key::List(format!("posts?{}&cursor={}", filter.text, filter.cursor.as_deref().unwrap_or("")));
    let entry = cache.get_or_load(ctx.now(), key, || async { page_entry(ctx, &filter, Kept::Yes).await.map(Some) }).await?;
    entry.ok_or_else(|| Error::internal("a list is always there"))
}

/// Whether an answer is kept; then it is asked for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

/// Room for what a list says of a post, in bytes.
const ROOM_A_POST: usize = 1_536;

async fn page_entry(ctx: &Ctx, filter: &PostFilter, kept: Kept) -> Result<Entry> {
    let (page, until) = page(ctx, filter, kept).await?;
    let now = ctx.now();
    let Page { items, next_cursor, .. } = page.map(|line| PostSummary::of(&ctx.app, line, now));
    let mut body = Vec::with_capacity((items.len() + 1) * ROOM_A_POST);
    serde_json::to_writer(&mut body, &Envelope { items: &items, next_cursor: next_cursor.as_deref() }).map_err(Error::internal)?;
    let link = next_cursor.and_then(|cursor| {
        let separator = if filter.text.is_empty() { "" } else { "&" };
        let query = format!("{}{separator}cursor={cursor}", filter.text);
        HeaderValue::try_from(format!("</api/v1/blog/posts?{query}>; rel=\"next\"")).ok()
    });
    Ok(Entry::list(body, link, until))
}

/// The lines of a page, and when the list changes by itself, if it is to be kept.
async fn page(ctx: &Ctx, filter: &PostFilter, kept: Kept) -> Result<(Page<PostLine>, Option<kernel::Timestamp>)> {
    let (caller, now) = (Caller::of(ctx), ctx.now());
    let seen_by = seen_by(&caller, filter.status);
    let request = PageRequest::new(filter.limit, filter.cursor.clone());
    let keyset =
        Keyset::parse(ctx, KEYS, "-published_at", filter.sort.as_deref(), "listPosts", &filter.text, &request)?.with_id_column("p.id");
    let (filter, reader, is_search) = (filter.clone(), keyset.clone(), filter.q.is_some());
    let read = move |c: &mut Conn| {
        let Some(narrowed) = narrowed(c, &filter, seen_by)? else { return Ok((Vec::new(), None)) };
        let records = store::list(c, &narrowed, &reader, now)?;
        let until = if kept == Kept::Yes { transitions::store::next(c, now)? } else { None };
        Ok((with_names(c, records)?, until))
    };
    // Looking for words may walk far; everything else is answered by an index.
    let (lines, until) = if is_search { ctx.read_long(read).await? } else { ctx.read(read).await? };
    let page = keyset.page(ctx, lines, |line| (sort_value(&keyset, &line.record), line.record.id.uuid()));
    Ok((page, until))
}

fn seen_by(caller: &Caller, status: Option<ListStatus>) -> SeenBy {
    match (caller.user(), status) {
        (_, Some(ListStatus::Trashed)) if caller.sees_trash() => SeenBy::Editor,
        (_, Some(ListStatus::Trashed)) => SeenBy::Everybody,
        _ if caller.reads_any() => SeenBy::Editor,
        (Some(user), _) => SeenBy::Author(user),
        (None, _) => SeenBy::Everybody,
    }
}

fn sort_value(keyset: &Keyset, post: &PostRecord) -> CursorValue {
    match keyset.key() {
        "created_at" => CursorValue::Int(post.created_at.as_millis()),
        "updated_at" => CursorValue::Int(post.updated_at.as_millis()),
        "title" => CursorValue::Text(super::sort_title(&post.title)),
        _ => CursorValue::Int(post.published_at.map_or(0, kernel::Timestamp::as_millis)),
    }
}

/// The filter with tag and author looked up; none when the list is empty whatever it holds.
fn narrowed(c: &mut Conn, filter: &PostFilter, seen_by: SeenBy) -> Result<Option<Narrowed>> {
    let mut narrowed =
        Narrowed { seen_by, status: filter.status, visibility: filter.visibility, locale: filter.locale.clone(), ..Narrowed::default() };
    if let Some(named) = &filter.tag {
        match tag_named(c, named)? {
            Some(tag) => narrowed.tag = Some(tag),
            None => return Ok(None),
        }
    }
    if let Some(named) = &filter.author {
        match author_named(c, named)? {
            Some(author) => narrowed.author = Some(author),
            None => return Ok(None),
        }
    }
    if let Some(words) = &filter.q {
        let ids = search::store::matches(c, &Query::parse(words))?;
        if ids.is_empty() {
            return Ok(None);
        }
        narrowed.among = Some(ids);
    }
    let is_hidden = seen_by == SeenBy::Everybody
        && (filter.status.is_some_and(|status| status != ListStatus::Published) || filter.visibility == Some(Visibility::Unlisted));
    Ok((!is_hidden).then_some(narrowed))
}

/// The tag with this id or slug.
pub(crate) fn tag_named(c: &mut Conn, named: &str) -> Result<Option<Id<Tag>>> {
    match named.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Ok(crate::tags::store::find_by_slug(c, named)?.map(|tag| tag.id)),
    }
}

/// The author with this id or slug.
pub(crate) fn author_named(c: &mut Conn, named: &str) -> Result<Option<Id<Author>>> {
    match named.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Ok(crate::authors::store::find_by_slug(c, named)?.map(|author| author.id)),
    }
}

/// Adds authors, tags and pictures to posts, in four statements however many there are.
pub(crate) fn with_names(c: &mut Conn, records: Vec<PostRecord>) -> Result<Vec<PostLine>> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id<Post>> = records.iter().map(|record| record.id).collect();
    let names = names_of(c, &ids)?;
    let files: Vec<Id<MediaFile>> = records.iter().filter_map(|record| record.featured_media_id).map(Id::from_uuid).collect();
    let files = if files.is_empty() { Vec::new() } else { media::views(c, &files)? };
    let line = |record: PostRecord| {
        let (authors, tags) = names.of(record.id);
        let featured = files.iter().find(|file| Some(file.id.uuid()) == record.featured_media_id).cloned();
        PostLine { record, authors, tags, featured }
    };
    Ok(records.into_iter().map(line).collect())
}

/// Who wrote some posts, and what they are about.
struct Names {
    /// Sorted.
    links: Vec<Link>,
    authors: HashMap<Uuid, PostAuthor>,
    tags: HashMap<Uuid, PostTag>,
}

/// Reads the authors and tags of posts, each once however many posts share it.
fn names_of(c: &mut Conn, posts: &[Id<Post>]) -> Result<Names> {
    let mut links = store::links_of(c, posts)?;
    links.sort_unstable();
    let (mut authors, mut tags) = (HashMap::new(), HashMap::new());
    let (mut author_ids, mut tag_ids) = (BTreeSet::new(), BTreeSet::new());
    for link in &links {
        match link.target {
            Linked::Author(id) => author_ids.insert(Id::from_uuid(id)),
            Linked::Tag(id) => tag_ids.insert(Id::from_uuid(id)),
        };
    }
    if !author_ids.is_empty() {
        let ids: Vec<_> = author_ids.into_iter().collect();
        authors = store::authors_named(c, &ids)?.into_iter().map(|author| (author.id.uuid(), author)).collect();
    }
    if !tag_ids.is_empty() {
        let ids: Vec<_> = tag_ids.into_iter().collect();
        tags = store::tags_named(c, &ids)?.into_iter().map(|tag| (tag.id.uuid(), tag)).collect();
    }
    Ok(Names { links, authors, tags })
}

impl Names {
    /// The authors and tags of one of the posts, each in their order.
    fn of(&self, post: Id<Post>) -> (Vec<PostAuthor>, Vec<PostTag>) {
        let begin = self.links.partition_point(|link| link.post < post.uuid());
        let (mut authors, mut tags) = (Vec::new(), Vec::new());
        for link in self.links[begin..].iter().take_while(|link| link.post == post.uuid()) {
            match link.target {
                Linked::Author(id) => authors.extend(self.authors.get(&id).cloned()),
                Linked::Tag(id) => tags.extend(self.tags.get(&id).cloned()),
            }
        }
        (authors, tags)
    }
}

/// The status of this name.
pub(crate) fn status_named(name: Option<&str>) -> Result<Option<ListStatus>> {
    Ok(Some(match name {
        None => return Ok(None),
        Some("draft") => ListStatus::Draft,
        Some("scheduled") => ListStatus::Scheduled,
        Some("published") => ListStatus::Published,
        Some("unpublished") => ListStatus::Unpublished,
        Some("trashed") => ListStatus::Trashed,
        Some(_) => {
            let detail = "One of draft, scheduled, published, unpublished, trashed.";
            return Err(Error::invalid(vec![FieldError::parameter("status", "not_allowed", detail)]));
        }
    }))
}
