//! Keeping the index, and searching it.

use std::collections::HashMap;

use db::Conn;
use kernel::error::CURSOR_INVALID;
use kernel::page::{CursorScope, CursorValue, Page, PageRequest, decode_cursor, encode_cursor};
use kernel::search::snippet;
use kernel::{Ctx, Id, Result, Tx};

use crate::posts::list::{author_named, tag_named, with_names};
use crate::posts::service::load;
use crate::posts::store::Narrowed;
use crate::posts::{Post, PostDetails, PostLine, Status, Visibility, store as post_store};
use crate::search::{Search, store};

/// Brings the index up to date with a post, in the transaction of its change (SRC-4). Times are compared when somebody searches.
pub(crate) fn index(tx: &mut Tx<'_, '_>, post: &PostDetails) -> Result<()> {
    let record = &post.record;
    let is_findable = record.status == Status::Published && record.deleted_at.is_none() && record.visibility == Visibility::Public;
    if is_findable {
        // A word of the title says more than one of the text.
        let text = format!("{0} {0} {0} {1} {2}", record.title, record.excerpt.as_deref().unwrap_or(""), post.body.text);
        store::upsert(tx, record.id, &text)?;
    } else if record.first_published_at.is_some() {
        store::delete(tx, record.id)?;
    }
    Ok(())
}

/// A post that was found, and why.
pub(crate) struct Hit {
    pub(crate) line: PostLine,
    pub(crate) snippet_html: String,
}

/// The posts that match, best first, a page of them; only what everybody sees.
pub(crate) async fn search(ctx: &Ctx, text: &str, locale: Option<String>, request: PageRequest) -> Result<Page<Hit>> {
    let filter = format!("{}/{text}", locale.as_deref().unwrap_or(""));
    let principal = ctx.actor.label();
    let scope = CursorScope { operation: "searchPosts", filter: &filter, sort: "relevance", locale: "", principal: &principal };
    // There are few matches, so a place among them is a place in the list.
    let start = match request.cursor.as_deref() {
        None => 0,
        Some(cursor) => match decode_cursor(ctx.app.keyring(), &scope, cursor)?.as_slice() {
            [CursorValue::Int(start)] => usize::try_from(*start).unwrap_or(0),
            _ => return Err(CURSOR_INVALID.error()),
        },
    };
    let (search, now, limit) = (Search::parse(text), ctx.now(), request.limit as usize);
    let found = ctx.read_long(move |c| {
        let Some(narrowed) = narrowed(c, &search, locale.clone())? else { return Ok((Vec::new(), false)) };
        let mut records: HashMap<Id<Post>, _> =
            post_store::among(c, &narrowed, now)?.into_iter().map(|record| (record.id, record)).collect();
        let ranked = narrowed.among.unwrap_or_default().into_iter().filter_map(|id| records.remove(&id)).skip(start);
        let mut page: Vec<_> = ranked.take(limit + 1).collect();
        let has_more = page.len() > limit;
        page.truncate(limit);
        let ids: Vec<Id<Post>> = page.iter().map(|record| record.id).collect();
        let mut texts = if ids.is_empty() { HashMap::new() } else { store::texts(c, &ids)? };
        let hit = |line: PostLine| {
            let text = texts.remove(&line.record.id).unwrap_or_default();
            Hit { snippet_html: snippet(&text, &search.words), line }
        };
        Ok((with_names(c, page)?.into_iter().map(hit).collect(), has_more))
    });
    let (items, has_more) = found.await?;
    let end = i64::try_from(start + items.len()).unwrap_or(i64::MAX);
    let next_cursor = has_more.then(|| encode_cursor(ctx.app.keyring(), &scope, &[CursorValue::Int(end)]));
    Ok(Page { items, next_cursor, total: None })
}

/// What a search narrows the posts to; none when nothing can match.
fn narrowed(c: &mut Conn, search: &Search, locale: Option<String>) -> Result<Option<Narrowed>> {
    let mut narrowed = Narrowed { locale, ..Narrowed::default() };
    for (named, is_tag) in [(&search.tag, true), (&search.author, false)] {
        let Some(named) = named else { continue };
        let is_known = if is_tag {
            narrowed.tag = tag_named(c, named)?;
            narrowed.tag.is_some()
        } else {
            narrowed.author = author_named(c, named)?;
            narrowed.author.is_some()
        };
        if !is_known {
            return Ok(None);
        }
    }
    let ids = store::matches(c, &search.words)?;
    Ok((!ids.is_empty()).then_some(Narrowed { among: Some(ids), ..narrowed }))
}

/// Fills the index anew, a post at a time, so that it can be broken off anywhere.
pub(crate) async fn reindex(ctx: &Ctx) -> Result<u64> {
    let (mut after, mut count) = (Id::from_uuid(uuid::Uuid::nil()), 0);
    loop {
        let ids = ctx.read_long(move |c| Ok(store::after(c, after)?)).await?;
        let Some(last) = ids.last() else { return Ok(count) };
        after = *last;
        for id in ids {
            let is_there = ctx.write(move |tx| {
                post_store::lock(tx, id)?;
                match load(tx, id)? {
                    Some(post) => index(tx, &post).map(|()| true),
                    None => Ok(false),
                }
            });
            count += u64::from(is_there.await?);
        }
    }
}
