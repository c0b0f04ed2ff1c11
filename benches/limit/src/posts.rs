//! Posts with authors and tags: three statements whatever the number of posts, as the product's blog sends them.

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use serde::Serialize;
use uuid::Uuid;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS posts (
        id BLOB PRIMARY KEY, slug VARCHAR(100) NOT NULL UNIQUE, title VARCHAR(255) NOT NULL, excerpt TEXT NOT NULL, html TEXT NOT NULL,
        text TEXT NOT NULL, published_at BIGINT NOT NULL, version BIGINT NOT NULL);
    CREATE INDEX IF NOT EXISTS posts_newest ON posts (published_at, id);
    CREATE TABLE IF NOT EXISTS authors (id BLOB PRIMARY KEY, slug VARCHAR(100) NOT NULL, name VARCHAR(190) NOT NULL);
    CREATE TABLE IF NOT EXISTS tags (id BLOB PRIMARY KEY, slug VARCHAR(100) NOT NULL, name VARCHAR(190) NOT NULL);
    CREATE TABLE IF NOT EXISTS post_authors (post_id BLOB NOT NULL, author_id BLOB NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (post_id, position));
    CREATE TABLE IF NOT EXISTS post_tags (post_id BLOB NOT NULL, tag_id BLOB NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (post_id, position));";

const PARAGRAPH: &str = "The quick brown fox jumps over the lazy dog. ";
const AUTHORS: u32 = 5;
const TAGS: u32 = 20;

#[derive(Serialize)]
struct Named {
    id: Uuid,
    slug: String,
    name: String,
}

#[derive(Serialize)]
struct Post {
    id: Uuid,
    slug: String,
    title: String,
    excerpt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    published_at: i64,
    version: i64,
    authors: Vec<Named>,
    tags: Vec<Named>,
}

#[derive(Serialize)]
struct List {
    items: Vec<Post>,
}

/// The post as JSON, if there is one.
pub(crate) fn find(conn: &Connection, slug: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let post = conn
        .prepare_cached("SELECT id, slug, title, excerpt, published_at, version, html, text FROM posts WHERE slug = ?")?
        .query_row([slug], |row| post(row, Some(row.get(6)?), Some(row.get(7)?)))
        .optional()?;
    let Some(post) = post else { return Ok(None) };
    let mut posts = vec![post];
    add_names(conn, &mut posts)?;
    Ok(Some(serde_json::to_vec(&posts[0]).expect("a vector takes every byte")))
}

/// The newest posts as a JSON list, without their bodies.
pub(crate) fn newest(conn: &Connection, limit: u8) -> rusqlite::Result<Vec<u8>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT id, slug, title, excerpt, published_at, version FROM posts ORDER BY published_at DESC, id DESC LIMIT {limit}"
    ))?;
    let mut items: Vec<Post> = statement.query_map([], |row| post(row, None, None))?.collect::<Result<_, _>>()?;
    add_names(conn, &mut items)?;
    Ok(serde_json::to_vec(&List { items }).expect("a vector takes every byte"))
}

fn post(row: &rusqlite::Row<'_>, html: Option<String>, text: Option<String>) -> rusqlite::Result<Post> {
    Ok(Post {
        id: Uuid::from_slice(row.get_ref(0)?.as_blob()?).unwrap_or_default(),
        slug: row.get(1)?,
        title: row.get(2)?,
        excerpt: row.get(3)?,
        published_at: row.get(4)?,
        version: row.get(5)?,
        html,
        text,
        authors: Vec::new(),
        tags: Vec::new(),
    })
}

fn add_names(conn: &Connection, posts: &mut [Post]) -> rusqlite::Result<()> {
    for (of, name) in names_of(conn, posts, "authors", "author")? {
        if let Some(post) = posts.iter_mut().find(|post| post.id == of) {
            post.authors.push(name);
        }
    }
    for (of, name) in names_of(conn, posts, "tags", "tag")? {
        if let Some(post) = posts.iter_mut().find(|post| post.id == of) {
            post.tags.push(name);
        }
    }
    Ok(())
}

fn names_of(conn: &Connection, posts: &[Post], table: &str, one: &str) -> rusqlite::Result<Vec<(Uuid, Named)>> {
    let mut sql =
        format!("SELECT p.post_id, t.id, t.slug, t.name FROM post_{table} p JOIN {table} t ON t.id = p.{one}_id WHERE p.post_id IN (?");
    (1..posts.len()).for_each(|_| sql.push_str(", ?"));
    sql.push_str(") ORDER BY p.post_id, p.position");
    let mut statement = conn.prepare_cached(&sql)?;
    let ids = posts.iter().map(|post| post.id.as_bytes().as_slice());
    let named = |row: &rusqlite::Row<'_>| {
        let id = |at| Ok::<_, rusqlite::Error>(Uuid::from_slice(row.get_ref(at)?.as_blob()?).unwrap_or_default());
        Ok((id(0)?, Named { id: id(1)?, slug: row.get(2)?, name: row.get(3)? }))
    };
    statement.query_map(params_from_iter(ids), named)?.collect()
}

/// Fills empty tables: post `n` has the slug `post-n`, an author or two, and three tags.
pub(crate) fn fill(conn: &mut Connection, count: u32) -> rusqlite::Result<()> {
    if conn.query_row("SELECT EXISTS (SELECT 1 FROM posts)", [], |row| row.get(0))? {
        return Ok(());
    }
    let tx = conn.transaction()?;
    for (table, number) in [("authors", AUTHORS), ("tags", TAGS)] {
        for n in 0..number {
            let sql = format!("INSERT INTO {table} (id, slug, name) VALUES (?, ?, ?)");
            tx.execute(&sql, params![id(n).as_slice(), format!("{table}-{n}"), format!("Name {n}")])?;
        }
    }
    for n in 0..count {
        let mut html = String::new();
        (0..4).for_each(|_| _ = writeln!(html, "<p>{}</p>", PARAGRAPH.repeat(10)));
        let text = PARAGRAPH.repeat(40);
        tx.prepare_cached(
            "INSERT INTO posts (id, slug, title, excerpt, html, text, published_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
        )?
        .execute(params![id(n).as_slice(), format!("post-{n}"), format!("Post {n}"), &text[..200], html, text, i64::from(n)])?;
        for position in 0..1 + n % 2 {
            tx.prepare_cached("INSERT INTO post_authors VALUES (?, ?, ?)")?.execute(params![
                id(n).as_slice(),
                id((n + position) % AUTHORS).as_slice(),
                position
            ])?;
        }
        for position in 0..3 {
            tx.prepare_cached("INSERT INTO post_tags VALUES (?, ?, ?)")?.execute(params![
                id(n).as_slice(),
                id((n + position * 7) % TAGS).as_slice(),
                position
            ])?;
        }
    }
    tx.commit()
}

fn id(n: u32) -> [u8; 16] {
    u128::from(n).to_be_bytes()
}
