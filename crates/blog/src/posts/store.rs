//! SQL of posts, and of which authors and tags they have.

use db::{Conn, Error, Param, ToParam as _, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp, UserId};
use uuid::Uuid;

use crate::authors::Author;
use crate::posts::view::{PostAuthor, PostTag};
use crate::posts::{Content, Post, PostBody, PostRecord, RenderedBody, Status, Visibility};
use crate::rendering::{self, Format};
use crate::tags::{Tag, TagKind};
use crate::threads::Policy;

db::row! {
    /// A post without its long texts, and the number of its comments.
    pub(crate) struct PostRow {
        pub(crate) id: Id<Post>,
        pub(crate) locale: String,
        pub(crate) translation_group_id: Id<Post>,
        pub(crate) status: Status,
        pub(crate) visibility: Visibility,
        pub(crate) slug: String,
        pub(crate) title: String,
        pub(crate) excerpt: Option<String>,
        pub(crate) lead_text: String,
        pub(crate) featured_media_id: Option<Id<Post>>,
        pub(crate) comment_policy: Option<String>,
        pub(crate) comment_count: Option<i64>,
        pub(crate) word_count: i64,
        pub(crate) published_at: Option<Timestamp>,
        pub(crate) unpublish_at: Option<Timestamp>,
        pub(crate) first_published_at: Option<Timestamp>,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) deleted_at: Option<Timestamp>,
        pub(crate) version: i64,
    }
}

macro_rules! post_columns {
    () => {
        "p.id, p.locale, p.translation_group_id, p.status, p.visibility, p.slug, p.title, p.excerpt, p.lead_text, p.featured_media_id, \
         p.comment_policy, t.comment_count, p.word_count, p.published_at, p.unpublish_at, p.first_published_at, p.created_at, \
         p.updated_at, p.deleted_at, p.version"
    };
}

impl From<PostRow> for PostRecord {
    fn from(row: PostRow) -> Self {
        PostRecord {
            id: row.id,
            locale: row.locale,
            translation_group_id: row.translation_group_id.uuid(),
            status: row.status,
            visibility: row.visibility,
            slug: row.slug,
            title: row.title,
            excerpt: row.excerpt,
            lead: row.lead_text,
            featured_media_id: row.featured_media_id.map(Id::uuid),
            comment_policy: row.comment_policy.as_deref().and_then(Policy::parse),
            comment_count: row.comment_count.unwrap_or(0),
            word_count: row.word_count,
            published_at: row.published_at,
            unpublish_at: row.unpublish_at,
            first_published_at: row.first_published_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            version: row.version,
        }
    }
}

/// A post with its long texts behind it, in one row.
struct WholeRow(PostRecord, PostBody);

impl WholeRow {
    fn into_parts(self) -> (PostRecord, PostBody) {
        (self.0, self.1)
    }
}

impl db::FromRow for WholeRow {
    const COLUMNS: &'static [&'static str] = &[];

    fn from_row(row: &db::Row<'_>) -> Result<Self, Error> {
        let record = PostRow::from_row(row)?;
        let at = PostRow::COLUMNS.len();
        let seo: String = row.get(at + 2)?;
        let body = PostBody {
            format: Format::parse(&row.get::<String>(at)?),
            render_version: row.get(at + 1)?,
            // What cannot be read is derived anew.
            seo: serde_json::from_str(&seo).unwrap_or_default(),
            source: row.get(at + 3)?,
            html: row.get(at + 4)?,
            text: row.get(at + 5)?,
        };
        Ok(WholeRow(record.into(), body))
    }
}

macro_rules! body_columns {
    ($source:expr) => {
        concat!(", p.body_format, p.render_version, p.seo, ", $source, ", p.body_html, p.body_text ")
    };
}

macro_rules! from_posts {
    () => {
        "FROM blog_posts p LEFT JOIN blog_threads t ON t.post_id = p.id "
    };
}

macro_rules! from_slugs {
    () => {
        "FROM blog_post_slugs s JOIN blog_posts p ON p.id = s.post_id LEFT JOIN blog_threads t ON t.post_id = p.id \
         WHERE s.locale = ? AND s.slug = ? AND s.is_current = 1"
    };
}

/// What the author wrote, empty if the HTML was made by this version of the renderer: a row is long, and nobody else needs it.
macro_rules! source_of_stale {
    () => {
        "CASE WHEN p.render_version = ? THEN '' ELSE p.body_source END"
    };
}

/// A post, trashed or not.
pub(crate) fn find(c: &mut Conn, id: Id<Post>) -> Result<Option<(PostRecord, PostBody)>, Error> {
    let sql = concat!("SELECT ", post_columns!(), body_columns!("p.body_source"), from_posts!(), "WHERE p.id = ?");
    Ok(c.opt::<WholeRow>(sql, params![id])?.map(WholeRow::into_parts))
}

/// The same without its source, unless its HTML has to be made anew.
pub(crate) fn find_shown(c: &mut Conn, id: Id<Post>) -> Result<Option<(PostRecord, PostBody)>, Error> {
    let sql = concat!("SELECT ", post_columns!(), body_columns!(source_of_stale!()), from_posts!(), "WHERE p.id = ?");
    Ok(c.opt::<WholeRow>(sql, params![rendering::VERSION, id])?.map(WholeRow::into_parts))
}

/// The post that has this slug now, without its source, unless its HTML has to be made anew.
pub(crate) fn find_shown_by_slug(c: &mut Conn, locale: &str, slug: &str) -> Result<Option<(PostRecord, PostBody)>, Error> {
    let sql = concat!("SELECT ", post_columns!(), body_columns!(source_of_stale!()), from_slugs!());
    Ok(c.opt::<WholeRow>(sql, params![rendering::VERSION, locale, slug])?.map(WholeRow::into_parts))
}

/// The post that has this slug now, without its long texts.
pub(crate) fn find_record_by_slug(c: &mut Conn, locale: &str, slug: &str) -> Result<Option<PostRecord>, Error> {
    let sql = concat!("SELECT ", post_columns!(), " ", from_slugs!());
    Ok(c.opt::<PostRow>(sql, params![locale, slug])?.map(PostRecord::from))
}

/// A post without its long texts.
pub(crate) fn find_record(c: &mut Conn, id: Id<Post>) -> Result<Option<PostRecord>, Error> {
    let row = c.opt::<PostRow>(
        concat!("SELECT ", post_columns!(), " FROM blog_posts p LEFT JOIN blog_threads t ON t.post_id = p.id WHERE p.id = ?"),
        params![id],
    )?;
    Ok(row.map(PostRecord::from))
}

/// Holds a post's row until the transaction ends, so that what is decided on it stays true on every database.
pub(crate) fn lock(tx: &mut db::Tx<'_>, id: Id<Post>) -> Result<bool, Error> {
    Ok(tx.opt::<i64>("SELECT version FROM blog_posts WHERE id = ? {for_update}", params![id])?.is_some())
}

/// Whether this person is one of the post's authors.
pub(crate) fn is_author(c: &mut Conn, id: Id<Post>, user: UserId) -> Result<bool, Error> {
    let row = c.opt::<i64>(
        "SELECT 1 FROM blog_post_authors pa JOIN blog_authors a ON a.id = pa.author_id WHERE pa.post_id = ? AND a.user_id = ?",
        params![id, user],
    )?;
    Ok(row.is_some())
}

/// A post about to be stored.
pub(crate) struct NewRow<'a> {
    pub(crate) id: Id<Post>,
    pub(crate) locale: &'a str,
    pub(crate) slug: &'a str,
    pub(crate) content: &'a Content,
    pub(crate) body: &'a RenderedBody,
    pub(crate) created_by: Option<UserId>,
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, row: &NewRow<'_>, now: Timestamp) -> Result<(), Error> {
    let (content, body) = (row.content, row.body);
    let seo = serde_json::to_string(&content.seo).unwrap_or_default();
    tx.execute(
        "INSERT INTO blog_posts (id, locale, translation_group_id, status, visibility, slug, title, sort_title, excerpt, lead_text, body_format, \
         render_version, is_raw_html, featured_media_id, comment_policy, word_count, published_order, created_by, created_at, updated_at, \
         version, seo, body_source, body_html, body_text) \
         VALUES (?, ?, ?, 'draft', ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 0, ?, ?, ?, 1, ?, ?, ?, ?)",
        params![
            row.id,
            row.locale,
            row.id,
            content.visibility.as_str(),
            row.slug,
            content.title,
            super::sort_title(&content.title),
            content.excerpt,
            body.lead,
            content.format.as_str(),
            body.version,
            content.featured_media_id.map(Id::<Post>::from_uuid),
            content.comment_policy.map(Policy::as_str),
            body.word_count,
            row.created_by,
            now,
            now,
            seo,
            content.source,
            body.html,
            body.text
        ],
    )?;
    Ok(())
}

/// Replaces what a post says if it still has the expected version; false when it does not.
pub(crate) fn update_content(
    tx: &mut db::Tx<'_>,
    id: Id<Post>,
    expected: i64,
    content: &Content,
    body: &RenderedBody,
    slug: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let seo = serde_json::to_string(&content.seo).unwrap_or_default();
    let changed = tx.execute(
        "UPDATE blog_posts SET visibility = ?, slug = ?, title = ?, sort_title = ?, excerpt = ?, lead_text = ?, body_format = ?, \
         render_version = ?, featured_media_id = ?, comment_policy = ?, word_count = ?, updated_at = ?, version = version + 1, seo = ?, \
         body_source = ?, body_html = ?, body_text = ? WHERE id = ? AND version = ?",
        params![
            content.visibility.as_str(),
            slug,
            content.title,
            super::sort_title(&content.title),
            content.excerpt,
            body.lead,
            content.format.as_str(),
            body.version,
            content.featured_media_id.map(Id::<Post>::from_uuid),
            content.comment_policy.map(Policy::as_str),
            body.word_count,
            now,
            seo,
            content.source,
            body.html,
            body.text,
            id,
            expected
        ],
    )?;
    Ok(changed == 1)
}

/// A post's way to the public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) status: Status,
    pub(crate) published_at: Option<Timestamp>,
    pub(crate) unpublish_at: Option<Timestamp>,
}

/// Changes a post's way to the public if it still has the expected version; false when it does not.
pub(crate) fn set_publication(
    tx: &mut db::Tx<'_>,
    id: Id<Post>,
    expected: i64,
    publication: &Publication,
    now: Timestamp,
) -> Result<bool, Error> {
    let Publication { status, published_at, unpublish_at } = publication;
    let changed = tx.execute(
        "UPDATE blog_posts SET status = ?, published_at = ?, published_order = ?, unpublish_at = ?, \
         first_published_at = COALESCE(first_published_at, ?), updated_at = ?, version = version + 1 WHERE id = ? AND version = ?",
        params![status.as_str(), published_at, published_at.map_or(0, Timestamp::as_millis), unpublish_at, published_at, now, id, expected],
    )?;
    Ok(changed == 1)
}

/// Moves a post to the trash (a time) or out of it (none) if it still has the expected version; false when it does not.
pub(crate) fn set_deleted(
    tx: &mut db::Tx<'_>,
    id: Id<Post>,
    expected: i64,
    deleted_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE blog_posts SET deleted_at = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?",
        params![deleted_at, now, id, expected],
    )?;
    Ok(changed == 1)
}

/// What stands for "is being purged" where the time of the trash stands: there is no way back.
pub(crate) const PURGING: Timestamp = Timestamp::from_millis(0);

/// Begins the purge of a trashed post; false when it is not in the trash.
pub(crate) fn begin_purge(tx: &mut db::Tx<'_>, id: Id<Post>) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE blog_posts SET deleted_at = ? WHERE id = ? AND deleted_at IS NOT NULL", params![PURGING, id])? == 1)
}

/// Deletes the row of a post and what belongs to it alone; threads and slugs are the business of their own stores.
pub(crate) fn delete(tx: &mut db::Tx<'_>, id: Id<Post>) -> Result<bool, Error> {
    tx.execute("DELETE FROM blog_post_authors WHERE post_id = ?", params![id])?;
    tx.execute("DELETE FROM blog_post_tags WHERE post_id = ?", params![id])?;
    Ok(tx.execute("DELETE FROM blog_posts WHERE id = ?", params![id])? == 1)
}

/// Posts that went to the trash before this instant, a batch of them.
pub(crate) fn trashed_before(c: &mut Conn, before: Timestamp) -> Result<Vec<Id<Post>>, Error> {
    Ok(c.all::<(Id<Post>,)>("SELECT id FROM blog_posts WHERE deleted_at < ? ORDER BY deleted_at LIMIT 50", params![before])?
        .into_iter()
        .map(|(id,)| id)
        .collect())
}

db::row! {
    /// A post whose HTML is to be made anew.
    pub(crate) struct StaleRow {
        pub(crate) id: Id<Post>,
        pub(crate) version: i64,
        pub(crate) body_format: String,
        pub(crate) body_source: String,
    }
}

/// Posts whose HTML was made by another version of the renderer, a batch of them.
pub(crate) fn rendered_by_others(c: &mut Conn, version: i32) -> Result<Vec<StaleRow>, Error> {
    c.all(
        "SELECT id, version, body_format, body_source FROM blog_posts WHERE render_version < ? OR render_version > ? LIMIT 20",
        params![version, version],
    )
}

/// Stores HTML made anew; the version of the post stays, since nobody changed it.
pub(crate) fn set_rendered(tx: &mut db::Tx<'_>, id: Id<Post>, expected: i64, body: &RenderedBody) -> Result<(), Error> {
    tx.execute(
        "UPDATE blog_posts SET render_version = ?, lead_text = ?, word_count = ?, body_html = ?, body_text = ? WHERE id = ? AND version = ?",
        params![body.version, body.lead, body.word_count, body.html, body.text, id, expected],
    )?;
    Ok(())
}

/// The authors and tags of one post, each in their order: in one statement, where a page of posts reads each name once.
pub(crate) fn names_of_post(c: &mut Conn, post: Id<Post>) -> Result<(Vec<PostAuthor>, Vec<PostTag>), Error> {
    let mut rows = c.all::<(i64, i64, Id<()>, String, String, String)>(
        "SELECT pa.position, 1, a.id, '', a.slug, a.name FROM blog_post_authors pa JOIN blog_authors a ON a.id = pa.author_id WHERE pa.post_id = ? \
         UNION ALL SELECT pt.position, 0, g.id, g.kind, g.slug, g.name FROM blog_post_tags pt JOIN blog_tags g ON g.id = pt.tag_id \
         WHERE pt.post_id = ?",
        params![post, post],
    )?;
    rows.sort_unstable_by_key(|(position, ..)| *position);
    let (mut authors, mut tags) = (Vec::new(), Vec::new());
    for (_, is_author, id, kind, slug, name) in rows {
        match is_author {
            1 => authors.push(PostAuthor { id: Id::from_uuid(id.uuid()), slug, name }),
            _ => tags.push(PostTag { id: Id::from_uuid(id.uuid()), kind: TagKind::parse(&kind), slug, name }),
        }
    }
    Ok((authors, tags))
}

/// What a post is linked with; sorted, the links of each post follow each other in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) post: Uuid,
    pub(crate) position: i64,
    pub(crate) target: Linked,
}

/// The other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Linked {
    Author(Uuid),
    Tag(Uuid),
}

/// The authors and tags of these posts, in any order.
pub(crate) fn links_of(c: &mut Conn, posts: &[Id<Post>]) -> Result<Vec<Link>, Error> {
    let marks = places(posts.len());
    let sql = format!(
        "SELECT post_id, position, author_id, 1 FROM blog_post_authors WHERE post_id IN ({marks}) \
         UNION ALL SELECT post_id, position, tag_id, 0 FROM blog_post_tags WHERE post_id IN ({marks})"
    );
    let mut params = padded(posts);
    params.extend_from_within(..);
    let rows = c.all::<(Id<Post>, i64, Id<()>, i64)>(sql, &params)?;
    let link = |(post, position, target, is_author): (Id<Post>, i64, Id<()>, i64)| {
        let target = if is_author == 1 { Linked::Author(target.uuid()) } else { Linked::Tag(target.uuid()) };
        Link { post: post.uuid(), position, target }
    };
    Ok(rows.into_iter().map(link).collect())
}

/// These authors as posts show them, in any order.
pub(crate) fn authors_named(c: &mut Conn, ids: &[Id<Author>]) -> Result<Vec<PostAuthor>, Error> {
    let sql = format!("SELECT id, slug, name FROM blog_authors WHERE id IN ({})", places(ids.len()));
    let rows = c.all::<(Id<Author>, String, String)>(sql, &padded(ids))?;
    Ok(rows.into_iter().map(|(id, slug, name)| PostAuthor { id, slug, name }).collect())
}

/// These tags as posts show them, in any order.
pub(crate) fn tags_named(c: &mut Conn, ids: &[Id<Tag>]) -> Result<Vec<PostTag>, Error> {
    let sql = format!("SELECT id, kind, slug, name FROM blog_tags WHERE id IN ({})", places(ids.len()));
    let rows = c.all::<(Id<Tag>, String, String, String)>(sql, &padded(ids))?;
    Ok(rows.into_iter().map(|(id, kind, slug, name)| PostTag { id, kind: TagKind::parse(&kind), slug, name }).collect())
}

/// The sizes that lists of placeholders have, so that few different statements are prepared; pages read one row more than they show.
const SIZES: [usize; 6] = [1, 5, 21, 51, 101, 500];

fn size_of(length: usize) -> usize {
    SIZES.into_iter().find(|size| *size >= length).unwrap_or(length)
}

/// Placeholders for a list of this length, rounded up.
pub(crate) fn places(length: usize) -> String {
    let mut text = "?, ".repeat(size_of(length.max(1)));
    text.truncate(text.len() - 2);
    text
}

/// The ids of a list as parameters, its last one repeated for the surplus placeholders; an empty list finds nothing.
pub(crate) fn padded<T>(ids: &[Id<T>]) -> Vec<Param<'static>> {
    let mut all: Vec<Param<'static>> = ids.iter().map(|id| Param::Id(id.uuid().into_bytes())).collect();
    let last = all.last().copied().unwrap_or(Param::Id([0; 16]));
    all.resize(size_of(ids.len().max(1)), last);
    all
}

/// Replaces the authors of a post.
pub(crate) fn set_authors(tx: &mut db::Tx<'_>, post: Id<Post>, authors: &[Uuid]) -> Result<(), Error> {
    tx.execute("DELETE FROM blog_post_authors WHERE post_id = ?", params![post])?;
    insert_linked(tx, "INSERT INTO blog_post_authors (post_id, author_id, position) VALUES ", post, authors)
}

/// Replaces the tags of a post.
pub(crate) fn set_tags(tx: &mut db::Tx<'_>, post: Id<Post>, tags: &[Uuid]) -> Result<(), Error> {
    tx.execute("DELETE FROM blog_post_tags WHERE post_id = ?", params![post])?;
    insert_linked(tx, "INSERT INTO blog_post_tags (post_id, tag_id, position) VALUES ", post, tags)
}

/// Inserts the links of a new post.
pub(crate) fn insert_links(tx: &mut db::Tx<'_>, post: Id<Post>, content: &Content) -> Result<(), Error> {
    insert_linked(tx, "INSERT INTO blog_post_authors (post_id, author_id, position) VALUES ", post, &content.author_ids)?;
    insert_linked(tx, "INSERT INTO blog_post_tags (post_id, tag_id, position) VALUES ", post, &content.tag_ids)
}

fn insert_linked(tx: &mut db::Tx<'_>, insert: &str, post: Id<Post>, ids: &[Uuid]) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut sql = insert.to_owned() + &"(?, ?, ?), ".repeat(ids.len());
    sql.truncate(sql.len() - 2);
    let mut values = Vec::with_capacity(ids.len() * 3);
    for (position, id) in (0..).zip(ids) {
        values.extend([post.to_param(), Param::Id(id.into_bytes()), Param::Int(position)]);
    }
    tx.execute(sql, &values)?;
    Ok(())
}

/// What narrows a list of posts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Narrowed {
    pub(crate) seen_by: SeenBy,
    pub(crate) status: Option<ListStatus>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) locale: Option<String>,
    pub(crate) tag: Option<Id<Tag>>,
    pub(crate) author: Option<Id<Author>>,
    /// Only these posts: what a search found.
    pub(crate) among: Option<Vec<Id<Post>>>,
}

/// Whose view of a list it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SeenBy {
    /// Everybody's: visible and public.
    #[default]
    Everybody,
    /// That, and the posts of this author.
    Author(UserId),
    /// All posts.
    Editor,
}

/// A status as it is reported, to list by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListStatus {
    Draft,
    Scheduled,
    Published,
    Unpublished,
    Trashed,
}

/// The rows of a page of posts.
pub(crate) fn list(c: &mut Conn, narrowed: &Narrowed, keyset: &Keyset, now: Timestamp) -> Result<Vec<PostRecord>, Error> {
    let (after, after_values) = keyset.condition();
    let mut conditions = vec![after];
    let mut values = after_values;
    narrow(narrowed, now, &mut conditions, &mut values);
    let sql = format!(
        concat!(
            "SELECT ",
            post_columns!(),
            " FROM blog_posts p LEFT JOIN blog_threads t ON t.post_id = p.id WHERE {} ORDER BY {} LIMIT {}"
        ),
        conditions.join(" AND "),
        keyset.order_by(),
        keyset.limit()
    );
    Ok(c.all::<PostRow>(sql, &values)?.into_iter().map(PostRecord::from).collect())
}

const IS_VISIBLE: &str =
    "p.status = 'published' AND p.deleted_at IS NULL AND p.published_order <= ? AND (p.unpublish_at IS NULL OR p.unpublish_at > ?)";

fn narrow<'v>(narrowed: &'v Narrowed, now: Timestamp, conditions: &mut Vec<String>, values: &mut Vec<Param<'v>>) {
    let now = Param::Int(now.as_millis());
    let mut add = |condition: &str, more: &[Param<'v>]| {
        conditions.push(condition.to_owned());
        values.extend_from_slice(more);
    };
    match narrowed.seen_by {
        SeenBy::Everybody => add(&format!("{IS_VISIBLE} AND p.visibility = 'public'"), &[now, now]),
        SeenBy::Author(user) => add(
            &format!(
                "(({IS_VISIBLE} AND p.visibility = 'public') OR (p.deleted_at IS NULL AND EXISTS (SELECT 1 FROM blog_post_authors pa \
                 JOIN blog_authors a ON a.id = pa.author_id WHERE pa.post_id = p.id AND a.user_id = ?)))"
            ),
            &[now, now, Param::Id(user.uuid().into_bytes())],
        ),
        SeenBy::Editor if narrowed.status == Some(ListStatus::Trashed) => {}
        SeenBy::Editor => add("p.deleted_at IS NULL", &[]),
    }
    match narrowed.status {
        None => {}
        Some(ListStatus::Draft) => add("p.status = 'draft'", &[]),
        Some(ListStatus::Scheduled) => add("p.status = 'published' AND p.published_order > ?", &[now]),
        Some(ListStatus::Published) if narrowed.seen_by == SeenBy::Everybody => {}
        Some(ListStatus::Published) => add(IS_VISIBLE, &[now, now]),
        Some(ListStatus::Unpublished) => {
            add("(p.status = 'unpublished' OR (p.status = 'published' AND p.published_order <= ? AND p.unpublish_at <= ?))", &[now, now])
        }
        Some(ListStatus::Trashed) => add("p.deleted_at IS NOT NULL", &[]),
    }
    if let Some(visibility) = narrowed.visibility {
        add("p.visibility = ?", &[Param::Text(visibility.as_str())]);
    }
    if let Some(locale) = &narrowed.locale {
        add("p.locale = ?", &[Param::Text(locale)]);
    }
    if let Some(tag) = narrowed.tag {
        add("EXISTS (SELECT 1 FROM blog_post_tags pt WHERE pt.post_id = p.id AND pt.tag_id = ?)", &[Param::Id(tag.uuid().into_bytes())]);
    }
    if let Some(author) = narrowed.author {
        add(
            "EXISTS (SELECT 1 FROM blog_post_authors pw WHERE pw.post_id = p.id AND pw.author_id = ?)",
            &[Param::Id(author.uuid().into_bytes())],
        );
    }
    if let Some(ids) = &narrowed.among {
        add(&format!("p.id IN ({})", places(ids.len())), &padded(ids));
    }
}

/// The posts among those of a search that the list shows, in no order.
pub(crate) fn among(c: &mut Conn, narrowed: &Narrowed, now: Timestamp) -> Result<Vec<PostRecord>, Error> {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    narrow(narrowed, now, &mut conditions, &mut values);
    let sql = format!(
        concat!("SELECT ", post_columns!(), " FROM blog_posts p LEFT JOIN blog_threads t ON t.post_id = p.id WHERE {} LIMIT 500"),
        conditions.join(" AND ")
    );
    Ok(c.all::<PostRow>(sql, &values)?.into_iter().map(PostRecord::from).collect())
}

/// The posts of a feed: the newest that everybody sees, whole.
pub(crate) fn newest(c: &mut Conn, narrowed: &Narrowed, limit: u32, now: Timestamp) -> Result<Vec<(PostRecord, PostBody)>, Error> {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    narrow(narrowed, now, &mut conditions, &mut values);
    let sql = format!(
        concat!(
            "SELECT ",
            post_columns!(),
            ", p.body_format, p.render_version, p.seo, p.body_source, p.body_html, p.body_text \
             FROM blog_posts p LEFT JOIN blog_threads t ON t.post_id = p.id WHERE {} ORDER BY p.published_order DESC, p.id DESC LIMIT {}"
        ),
        conditions.join(" AND "),
        limit
    );
    Ok(c.all::<WholeRow>(sql, &values)?.into_iter().map(|WholeRow(record, body)| (record, body)).collect())
}

/// A line of a sitemap.
pub(crate) struct MapRow {
    pub(crate) locale: String,
    pub(crate) slug: String,
    pub(crate) updated_at: Timestamp,
    pub(crate) seo: String,
}

/// The visible public posts after this id, for a sitemap.
pub(crate) fn map_after(c: &mut Conn, after: Id<Post>, now: Timestamp, limit: u32) -> Result<Vec<MapRow>, Error> {
    let sql = format!(
        "SELECT p.locale, p.slug, p.updated_at, p.seo FROM blog_posts p WHERE {IS_VISIBLE} AND p.visibility = 'public' AND p.id > ? \
         ORDER BY p.id LIMIT {limit}"
    );
    let rows = c.all::<(String, String, Timestamp, String)>(sql, params![now, now, after])?;
    Ok(rows.into_iter().map(|(locale, slug, updated_at, seo)| MapRow { locale, slug, updated_at, seo }).collect())
}

/// The id at which the file of a sitemap after this one begins; none when this is the last.
pub(crate) fn map_end(c: &mut Conn, after: Id<Post>, now: Timestamp, size: u32) -> Result<Option<Id<Post>>, Error> {
    let sql = format!(
        // No page of a list: the index of the sitemap has to know where each file begins.
        "SELECT p.id FROM blog_posts p WHERE {IS_VISIBLE} AND p.visibility = 'public' AND p.id > ? ORDER BY p.id LIMIT 1 OFFSET {}",
        size - 1
    );
    Ok(c.opt::<(Id<Post>,)>(sql, params![now, now, after])?.map(|(id,)| id))
}
