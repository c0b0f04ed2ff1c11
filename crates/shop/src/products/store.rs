//! SQL of products and variants.

use db::{Conn, Error, OnViolation as _, Param, ToParam, Tx, params};
use kernel::error::{ALREADY_EXISTS, SLUG_TAKEN};
use kernel::page::Keyset;
use kernel::{FieldError, Id, Result, Timestamp};
use kernel::{richtext, search};

use crate::ids::{Category, Product, TaxClass, Variant};
use crate::problems::SKU_TAKEN;
use crate::products::{OptionValue, ProductRecord, ProductStatus, VariantRecord, options_key};
use crate::resources::dangling;

db::row! {
    struct ProductRow {
        id: Id<Product>,
        slug: String,
        status: String,
        title: String,
        title_key: String,
        description: String,
        description_html: String,
        vendor: Option<String>,
        attributes: String,
        seo: String,
        options: String,
        media: String,
        published_at: Option<Timestamp>,
        created_at: Timestamp,
        updated_at: Timestamp,
        version: i64,
    }
}

impl From<ProductRow> for ProductRecord {
    fn from(row: ProductRow) -> ProductRecord {
        ProductRecord {
            id: row.id,
            slug: row.slug,
            status: ProductStatus::parse(&row.status),
            title: row.title,
            title_key: row.title_key,
            description: row.description,
            description_html: row.description_html,
            vendor: row.vendor,
            attributes: row.attributes,
            seo: serde_json::from_str(&row.seo).unwrap_or_default(),
            options: serde_json::from_str(&row.options).unwrap_or_default(),
            media: serde_json::from_str(&row.media).unwrap_or_default(),
            published_at: row.published_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

const PRODUCT: &str = "SELECT p.id, p.slug, p.status, p.title, p.title_key, p.description, p.description_html, p.vendor, p.attributes, p.seo, p.options, \
    p.media, p.published_at, p.created_at, p.updated_at, p.version FROM shop_products p";

pub(crate) fn find(c: &mut Conn, id: Id<Product>) -> Result<Option<ProductRecord>, Error> {
    Ok(c.opt::<ProductRow>(format!("{PRODUCT} WHERE p.id = ?"), params![id])?.map(ProductRecord::from))
}

pub(crate) fn find_by_slug(c: &mut Conn, slug: &str) -> Result<Option<ProductRecord>, Error> {
    Ok(c.opt::<ProductRow>(format!("{PRODUCT} WHERE p.slug = ?"), params![slug])?.map(ProductRecord::from))
}

/// The same, held until the transaction ends.
pub(crate) fn lock(tx: &mut Tx<'_>, id: Id<Product>) -> Result<Option<ProductRecord>, Error> {
    Ok(tx.opt::<ProductRow>(format!("{PRODUCT} WHERE p.id = ? {{for_update}}"), params![id])?.map(ProductRecord::from))
}

pub(crate) fn has_slug(c: &mut Conn, slug: &str) -> Result<bool, Error> {
    Ok(c.opt::<i64>("SELECT 1 FROM shop_products WHERE slug = ?", params![slug])?.is_some())
}

/// What narrows a list of products.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProductFilter {
    pub(crate) status: Option<ProductStatus>,
    /// Any of these.
    pub(crate) categories: Option<Vec<Id<Category>>>,
    pub(crate) vendor: Option<String>,
    /// Words to find.
    pub(crate) words: Option<search::Query>,
}

pub(crate) fn list(c: &mut Conn, filter: &ProductFilter, keyset: &Keyset) -> Result<Vec<ProductRecord>, Error> {
    let (condition, values) = keyset.condition();
    let mut conditions = vec![condition];
    let mut params: Vec<Param<'_>> = values;
    if let Some(status) = filter.status {
        conditions.push("p.status = ?".to_owned());
        params.push(Param::Text(status.as_str()));
    }
    if let Some(vendor) = &filter.vendor {
        conditions.push("p.vendor = ?".to_owned());
        params.push(vendor.to_param());
    }
    if let Some(categories) = &filter.categories {
        let marks = vec!["?"; categories.len()].join(", ");
        conditions.push(format!("p.id IN (SELECT product_id FROM shop_product_categories WHERE category_id IN ({marks}))"));
        params.extend(categories.iter().map(ToParam::to_param));
    }
    let found: Vec<Id<Product>>;
    if let Some(words) = &filter.words {
        found = search::matches(c, SEARCH, words)?.into_iter().map(|id| Id::from_uuid(uuid::Uuid::from_bytes(id))).collect();
        if found.is_empty() {
            return Ok(Vec::new());
        }
        conditions.push(format!("p.id IN ({})", vec!["?"; found.len()].join(", ")));
        params.extend(found.iter().map(ToParam::to_param));
    }
    let sql = format!("{PRODUCT} WHERE {} ORDER BY {} LIMIT {}", conditions.join(" AND "), keyset.order_by(), keyset.limit());
    Ok(c.all::<ProductRow>(sql, &params)?.into_iter().map(ProductRecord::from).collect())
}

fn slug_taken() -> kernel::Error {
    SLUG_TAKEN.on("/slug")
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(kernel::Error::internal)
}

pub(crate) fn insert(tx: &mut Tx<'_>, product: &ProductRecord) -> Result<()> {
    tx.execute(
        "INSERT INTO shop_products (id, slug, status, title, title_key, description, description_html, renderer, vendor, attributes, seo, options, media, published_at, \
         created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        params![
            product.id,
            product.slug,
            product.status.as_str(),
            product.title,
            product.title_key,
            product.description,
            product.description_html,
            richtext::VERSION,
            product.vendor,
            product.attributes,
            json(&product.seo)?,
            json(&product.options)?,
            json(&product.media)?,
            product.published_at,
            product.created_at,
            product.updated_at
        ],
    )
    .on_unique("shop_products_slug", slug_taken)?;
    Ok(())
}

/// Changes everything that can be changed of a locked product.
pub(crate) fn update(tx: &mut Tx<'_>, product: &ProductRecord, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE shop_products SET slug = ?, status = ?, title = ?, title_key = ?, description = ?, description_html = ?, renderer = ?, vendor = ?, attributes = ?, seo = ?, \
         options = ?, media = ?, published_at = ?, updated_at = ?, version = version + 1 WHERE id = ?",
        params![
            product.slug,
            product.status.as_str(),
            product.title,
            product.title_key,
            product.description,
            product.description_html,
            richtext::VERSION,
            product.vendor,
            product.attributes,
            json(&product.seo)?,
            json(&product.options)?,
            json(&product.media)?,
            product.published_at,
            now,
            product.id
        ],
    )
    .on_unique("shop_products_slug", slug_taken)?;
    Ok(())
}

/// Notes that something of a product has changed; answers with its new version.
pub(crate) fn touch(tx: &mut Tx<'_>, id: Id<Product>, now: Timestamp) -> Result<i64, Error> {
    tx.execute("UPDATE shop_products SET updated_at = ?, version = version + 1 WHERE id = ?", params![now, id])?;
    tx.one::<i64>("SELECT version FROM shop_products WHERE id = ?", params![id])
}

pub(crate) fn delete(tx: &mut Tx<'_>, id: Id<Product>) -> Result<bool, Error> {
    tx.execute("DELETE FROM shop_product_categories WHERE product_id = ?", params![id])?;
    search::delete(tx, SEARCH, *id.uuid().as_bytes())?;
    Ok(tx.execute("DELETE FROM shop_products WHERE id = ?", params![id])? == 1)
}

const SEARCH: &str = "shop_product_search";

/// Makes a product findable by its words.
pub(crate) fn index(tx: &mut Tx<'_>, id: Id<Product>, text: &str) -> Result<(), Error> {
    search::upsert(tx, SEARCH, *id.uuid().as_bytes(), text)
}

db::row! {
    struct VariantRow {
        id: Id<Variant>,
        product_id: Id<Product>,
        title: String,
        sku: Option<String>,
        barcode: Option<String>,
        options: String,
        weight_grams: i64,
        is_shippable: bool,
        is_digital: bool,
        is_stock_tracked: bool,
        is_active: bool,
        tax_class_id: Id<TaxClass>,
        position: i64,
        created_at: Timestamp,
        updated_at: Timestamp,
        version: i64,
    }
}

impl From<VariantRow> for VariantRecord {
    fn from(row: VariantRow) -> VariantRecord {
        VariantRecord {
            id: row.id,
            product_id: row.product_id,
            title: row.title,
            sku: row.sku,
            barcode: row.barcode,
            options: serde_json::from_str::<Vec<OptionValue>>(&row.options).unwrap_or_default(),
            weight_grams: row.weight_grams,
            is_shippable: row.is_shippable,
            is_digital: row.is_digital,
            is_stock_tracked: row.is_stock_tracked,
            is_active: row.is_active,
            tax_class_id: row.tax_class_id,
            position: row.position,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

const VARIANT: &str = "SELECT id, product_id, title, sku, barcode, options, weight_grams, is_shippable, is_digital, is_stock_tracked, is_active, \
    tax_class_id, position, created_at, updated_at, version FROM shop_variants";

pub(crate) fn find_variant(c: &mut Conn, id: Id<Variant>) -> Result<Option<VariantRecord>, Error> {
    Ok(c.opt::<VariantRow>(format!("{VARIANT} WHERE id = ?"), params![id])?.map(VariantRecord::from))
}

/// The same, held until the transaction ends.
pub(crate) fn lock_variant(tx: &mut Tx<'_>, id: Id<Variant>) -> Result<Option<VariantRecord>, Error> {
    Ok(tx.opt::<VariantRow>(format!("{VARIANT} WHERE id = ? {{for_update}}"), params![id])?.map(VariantRecord::from))
}

/// The variants of a product, in their order.
pub(crate) fn variants(c: &mut Conn, product: Id<Product>) -> Result<Vec<VariantRecord>, Error> {
    let rows = c.all::<VariantRow>(format!("{VARIANT} WHERE product_id = ? ORDER BY position, id LIMIT 251"), params![product])?;
    Ok(rows.into_iter().map(VariantRecord::from).collect())
}

/// What the two unique keys of variants mean for the caller.
fn taken(error: Error) -> kernel::Error {
    if error.is_unique("shop_variants_sku") {
        return SKU_TAKEN.on("/sku");
    }
    if error.is_unique("shop_variants_options") {
        let field = FieldError::body("/options", "not_unique", "Another variant of the product has these options.");
        return ALREADY_EXISTS.error().with_field(field);
    }
    if matches!(error, Error::ForeignKey { .. }) {
        return dangling();
    }
    error.into()
}

pub(crate) fn insert_variant(tx: &mut Tx<'_>, variant: &VariantRecord) -> Result<()> {
    tx.execute(
        "INSERT INTO shop_variants (id, product_id, title, sku, barcode, options, options_key, weight_grams, is_shippable, is_digital, \
         is_stock_tracked, is_active, tax_class_id, position, created_at, updated_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        params![
            variant.id,
            variant.product_id,
            variant.title,
            variant.sku,
            variant.barcode,
            json(&variant.options)?,
            options_key(&variant.options),
            variant.weight_grams,
            variant.is_shippable,
            variant.is_digital,
            variant.is_stock_tracked,
            variant.is_active,
            variant.tax_class_id,
            variant.position,
            variant.created_at,
            variant.updated_at
        ],
    )
    .map_err(taken)?;
    Ok(())
}

/// Changes everything that can be changed of a locked variant.
pub(crate) fn update_variant(tx: &mut Tx<'_>, variant: &VariantRecord, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE shop_variants SET title = ?, sku = ?, barcode = ?, options = ?, options_key = ?, weight_grams = ?, is_shippable = ?, is_digital = ?, \
         is_stock_tracked = ?, is_active = ?, tax_class_id = ?, position = ?, updated_at = ?, version = version + 1 WHERE id = ?",
        params![
            variant.title,
            variant.sku,
            variant.barcode,
            json(&variant.options)?,
            options_key(&variant.options),
            variant.weight_grams,
            variant.is_shippable,
            variant.is_digital,
            variant.is_stock_tracked,
            variant.is_active,
            variant.tax_class_id,
            variant.position,
            now,
            variant.id
        ],
    )
    .map_err(taken)?;
    Ok(())
}

pub(crate) fn touch_variant(tx: &mut Tx<'_>, id: Id<Variant>, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE shop_variants SET updated_at = ?, version = version + 1 WHERE id = ?", params![now, id])?;
    Ok(())
}

/// Deletes a variant with its prices; its items stay, because their movements do.
pub(crate) fn delete_variant(tx: &mut Tx<'_>, id: Id<Variant>) -> Result<bool, Error> {
    tx.execute("DELETE FROM shop_prices WHERE variant_id = ?", params![id])?;
    tx.execute("DELETE FROM shop_variant_items WHERE variant_id = ?", params![id])?;
    Ok(tx.execute("DELETE FROM shop_variants WHERE id = ?", params![id])? == 1)
}

/// What can be promised of each stock-tracked variant of a product.
pub(crate) fn availability(c: &mut Conn, product: Id<Product>) -> Result<Vec<(Id<Variant>, i64, i64)>, Error> {
    c.all(
        "SELECT v.id, i.quantity, (SELECT COALESCE(SUM(s.on_hand + s.backorder_limit - s.reserved), 0) FROM shop_stock_levels s \
           WHERE s.item_id = i.item_id AND s.location_id IN (SELECT id FROM shop_locations WHERE is_active = 1)) \
         FROM shop_variants v JOIN shop_variant_items i ON i.variant_id = v.id \
         WHERE v.product_id = ? AND v.is_stock_tracked = 1 ORDER BY v.position, v.id",
        params![product],
    )
}
