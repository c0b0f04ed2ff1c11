//! SQL of the search index.

use std::collections::HashMap;

use db::{Conn, Error};
use kernel::Id;
use kernel::search::{self, Query};

use crate::posts::Post;
use crate::posts::store::{padded, places};

const TABLE: &str = "blog_search";

pub(crate) fn upsert(tx: &mut db::Tx<'_>, id: Id<Post>, text: &str) -> Result<(), Error> {
    search::upsert(tx, TABLE, id.uuid().into_bytes(), text)
}

pub(crate) fn delete(tx: &mut db::Tx<'_>, id: Id<Post>) -> Result<(), Error> {
    search::delete(tx, TABLE, id.uuid().into_bytes())
}

/// The posts that match, best first.
pub(crate) fn matches(c: &mut Conn, words: &Query) -> Result<Vec<Id<Post>>, Error> {
    let ids = search::matches(c, TABLE, words)?;
    Ok(ids.into_iter().map(|id| Id::from_uuid(uuid::Uuid::from_bytes(id))).collect())
}

/// The plain texts of these posts.
pub(crate) fn texts(c: &mut Conn, ids: &[Id<Post>]) -> Result<HashMap<Id<Post>, String>, Error> {
    let sql = format!("SELECT id, body_text FROM blog_posts WHERE id IN ({})", places(ids.len()));
    Ok(c.all::<(Id<Post>, String)>(sql, &padded(ids))?.into_iter().collect())
}

/// The posts after this id, a batch of them, to index anew.
pub(crate) fn after(c: &mut Conn, id: Id<Post>) -> Result<Vec<Id<Post>>, Error> {
    let rows = c.all::<(Id<Post>,)>("SELECT id FROM blog_posts WHERE id > ? ORDER BY id LIMIT 50", db::params![id])?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
