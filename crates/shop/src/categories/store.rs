//! SQL of categories.

use db::{Conn, OnViolation as _, Tx, params};
use kernel::error::SLUG_TAKEN;
use kernel::page::Keyset;
use kernel::{Ctx, Error, FieldError, Id, Result, Timestamp};

use crate::categories::{self, Branch, MAX_CATEGORIES, MAX_DEPTH, NewCategory};
use crate::ids::{Category, Product};
use crate::problems::IN_USE;
use crate::resources::{Record, Stored};

db::row! {
    struct Row {
        id: Id<Category>,
        title: String,
        slug: String,
        parent_id: Option<Id<Category>>,
        description: String,
        position: i64,
        created_at: Timestamp,
        version: i64,
    }
}

impl From<Row> for Record<NewCategory> {
    fn from(row: Row) -> Self {
        let value = NewCategory {
            title: row.title,
            slug: row.slug,
            parent_id: row.parent_id,
            description: row.description,
            position: row.position,
        };
        Record { id: row.id, value, created_at: row.created_at, version: row.version }
    }
}

/// The whole tree: each category and what it is in.
pub(crate) fn tree(c: &mut Conn) -> Result<Vec<Branch>> {
    Ok(c.all("SELECT id, parent_id FROM shop_categories ORDER BY id LIMIT 2001", &[])?)
}

/// The same, held until the transaction ends: two moves at once could make a circle.
fn lock_tree(tx: &mut Tx<'_>) -> Result<Vec<Branch>> {
    Ok(tx.all("SELECT id, parent_id FROM shop_categories ORDER BY id LIMIT 2001 {for_update}", &[])?)
}

fn slug_taken() -> Error {
    SLUG_TAKEN.on("/slug")
}

/// Refuses a parent that is not there, that is below the category itself, or that is too deep.
fn check_parent(tree: &[Branch], of: Option<Id<Category>>, parent: Option<Id<Category>>) -> Result<()> {
    let Some(parent) = parent else { return Ok(()) };
    let wrong = |code: &'static str, detail: &'static str| Err(Error::invalid(vec![FieldError::body("/parent_id", code, detail)]));
    if !tree.iter().any(|(id, _)| *id == parent) {
        return wrong("unknown_reference", "There is no such category.");
    }
    match categories::depth(tree, of, parent) {
        None => wrong("not_allowed", "A category cannot be within itself."),
        Some(depth) if depth >= MAX_DEPTH => wrong("not_allowed", "At most 10 levels."),
        Some(_) => Ok(()),
    }
}

impl Stored for NewCategory {
    type Marker = Category;

    fn check(&self, _: &mut Conn, _: &Ctx) -> Result<()> {
        Ok(())
    }

    fn find(c: &mut Conn, id: Id<Category>) -> Result<Option<Record<Self>>> {
        let row = c.opt::<Row>(
            "SELECT id, title, slug, parent_id, description, position, created_at, version FROM shop_categories WHERE id = ?",
            params![id],
        )?;
        Ok(row.map(Record::from))
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!(
            "SELECT id, title, slug, parent_id, description, position, created_at, version FROM shop_categories WHERE {condition} ORDER BY {} LIMIT {}",
            keyset.order_by(),
            keyset.limit()
        );
        Ok(c.all::<Row>(sql, &values)?.into_iter().map(Record::from).collect())
    }

    fn insert(&self, tx: &mut Tx<'_>, id: Id<Category>, now: Timestamp) -> Result<()> {
        let tree = lock_tree(tx)?;
        if i64::try_from(tree.len()).unwrap_or(i64::MAX) >= MAX_CATEGORIES {
            return Err(kernel::error::QUOTA_EXCEEDED.because("There are 2000 categories already."));
        }
        check_parent(&tree, None, self.parent_id)?;
        tx.execute(
            "INSERT INTO shop_categories (id, title, slug, parent_id, description, position, created_at, updated_at, version) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
            params![id, self.title, self.slug, self.parent_id, self.description, self.position, now, now],
        )
        .on_unique("shop_categories_slug", slug_taken)?;
        Ok(())
    }

    fn update(&self, tx: &mut Tx<'_>, id: Id<Category>, expected: Option<i64>, now: Timestamp) -> Result<bool> {
        check_parent(&lock_tree(tx)?, Some(id), self.parent_id)?;
        let changed = tx
            .execute(
                "UPDATE shop_categories SET title = ?, slug = ?, parent_id = ?, description = ?, position = ?, updated_at = ?, version = version + 1 \
                 WHERE id = ? AND version = COALESCE(?, version)",
                params![self.title, self.slug, self.parent_id, self.description, self.position, now, id, expected],
            )
            .on_unique("shop_categories_slug", slug_taken)?;
        Ok(changed == 1)
    }

    fn delete(tx: &mut Tx<'_>, id: Id<Category>) -> Result<bool> {
        if lock_tree(tx)?.iter().any(|(_, parent)| *parent == Some(id)) {
            return Err(IN_USE.because("There are categories in it: move or delete them first."));
        }
        tx.execute("DELETE FROM shop_product_categories WHERE category_id = ?", params![id])?;
        Ok(tx.execute("DELETE FROM shop_categories WHERE id = ?", params![id])? == 1)
    }
}

/// Sorts a product into exactly these categories.
pub(crate) fn set_of_product(tx: &mut Tx<'_>, product: Id<Product>, categories: &[Id<Category>]) -> Result<()> {
    tx.execute("DELETE FROM shop_product_categories WHERE product_id = ?", params![product])?;
    for (position, category) in categories.iter().enumerate() {
        tx.execute(
            "INSERT INTO shop_product_categories (category_id, product_id, position) VALUES (?, ?, ?)",
            params![category, product, i64::try_from(position).unwrap_or(i64::MAX)],
        )
        .on_foreign_key(|| {
            let pointer = format!("/category_ids/{position}");
            Error::invalid(vec![FieldError::body(pointer, "unknown_reference", "There is no such category.")])
        })?;
    }
    Ok(())
}

pub(crate) fn of_product(c: &mut Conn, product: Id<Product>) -> Result<Vec<Id<Category>>> {
    let rows = c.all::<(Id<Category>,)>(
        "SELECT category_id FROM shop_product_categories WHERE product_id = ? ORDER BY position, category_id LIMIT 100",
        params![product],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
