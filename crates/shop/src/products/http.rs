//! Products and variants over HTTP.

use kernel::error::{ALREADY_EXISTS, CURSOR_INVALID, QUOTA_EXCEEDED, SLUG_TAKEN, SORT_NOT_SUPPORTED};
use kernel::http::{Body, Created, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::media::{MediaFile, MediaView};
use kernel::money::{Currency, Money};
use kernel::page::PageRequest;
use kernel::{Ctx, Error, FieldError, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::carts::http::present;
use crate::ids::{Category, Product, TaxClass, Variant};
use crate::permissions::MANAGE_PRODUCTS;
use crate::prices::VariantPrice;
use crate::problems::{CURRENCY_NOT_SUPPORTED, IN_USE, SKU_TAKEN};
use crate::products::etag::{ProductEtag, ProductMatch, tag_of};
use crate::products::service::{
    self, ListedProduct, NewProduct, NewVariant, ProductPatch, ProductQuery, VariantPatch, Which, WholeProduct,
};
use crate::products::{OptionValue, ProductOption, ProductStatus, Seo, VariantRecord};
use crate::resources::yes;

/// The most bytes of the attributes of a product.
const MAX_ATTRIBUTES: usize = 32_768;

pub(crate) fn operations() -> [Operation; 11] {
    [
        Operation::get("/api/v1/shop/products", "listProducts", list)
            .tag("Products")
            .summary("List products")
            .describe(
                "Products on sale, newest first; whoever may read any product sees drafts too. A category stands for everything below it. \
                 Prices are those of one unit in one currency.",
            )
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED, &CURRENCY_NOT_SUPPORTED])
            .public(),
        Operation::get("/api/v1/shop/products/{product_id}", "getProduct", get)
            .tag("Products")
            .summary("Read a product")
            .describe("With its media, its variants and their prices. How much can be had is another question: see its availability.")
            .public(),
        Operation::get("/api/v1/shop/products/by-slug/{slug}", "getProductBySlug", get_by_slug)
            .tag("Products")
            .summary("Read a product by its slug")
            .describe("The same as by its id.")
            .public(),
        Operation::get("/api/v1/shop/products/{product_id}/availability", "getProductAvailability", availability)
            .tag("Products")
            .summary("Read how much of a product can be had")
            .describe("For each variant, over all open locations, what orders hold counted off.")
            .public(),
        Operation::post("/api/v1/shop/products", "createProduct", create)
            .tag("Products")
            .summary("Add a product")
            .describe(
                "With its variants and their prices, if prices may be set. Each variant whose stock is tracked gets an item of its own.",
            )
            .raises(&[&ALREADY_EXISTS, &SLUG_TAKEN, &SKU_TAKEN, &CURRENCY_NOT_SUPPORTED])
            .requires(&MANAGE_PRODUCTS),
        Operation::patch("/api/v1/shop/products/{product_id}", "updateProduct", update)
            .tag("Products")
            .summary("Change a product")
            .describe("Options can change only so far as all variants still have one value of each.")
            .raises(&[&ALREADY_EXISTS, &SLUG_TAKEN])
            .requires(&MANAGE_PRODUCTS),
        Operation::delete("/api/v1/shop/products/{product_id}", "deleteProduct", remove)
            .tag("Products")
            .summary("Delete a product")
            .describe(
                "With its variants, and out of all carts. Orders keep what they remember; while one holds some of it, archive it instead.",
            )
            .raises(&[&IN_USE])
            .requires(&MANAGE_PRODUCTS),
        Operation::post("/api/v1/shop/products/{product_id}/variants", "createVariant", create_variant)
            .tag("Products")
            .summary("Add a variant")
            .describe("It says for each option of the product what it is.")
            .raises(&[&ALREADY_EXISTS, &SKU_TAKEN, &CURRENCY_NOT_SUPPORTED, &QUOTA_EXCEEDED])
            .requires(&MANAGE_PRODUCTS),
        Operation::get("/api/v1/shop/variants/{variant_id}", "getVariant", get_variant)
            .tag("Products")
            .summary("Read a variant")
            .describe("With its prices.")
            .public(),
        Operation::patch("/api/v1/shop/variants/{variant_id}", "updateVariant", update_variant)
            .tag("Products")
            .summary("Change a variant")
            .describe("Prices are set on their own.")
            .raises(&[&ALREADY_EXISTS, &SKU_TAKEN])
            .requires(&MANAGE_PRODUCTS),
        Operation::delete("/api/v1/shop/variants/{variant_id}", "deleteVariant", remove_variant)
            .tag("Products")
            .summary("Delete a variant")
            .describe("Out of all carts too. While an order holds some of it, make it inactive instead.")
            .raises(&[&IN_USE])
            .requires(&MANAGE_PRODUCTS),
    ]
}

/// A product with its variants.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "slug": "shirt", "status": "active", "title": "Shirt", "description": "Soft.", "description_html": "<p>Soft.</p>\n", "vendor": null,
    "attributes": {}, "seo": {"title": null, "description": null}, "options": [{"name": "Size", "values": ["S", "M"]}], "media": [],
    "category_ids": [], "variants": [], "published_at": "2026-11-22T12:00:00.000Z", "created_at": "2026-11-22T12:00:00.000Z",
    "updated_at": "2026-11-22T12:00:00.000Z", "version": 1
}))]
struct ProductView {
    /// The product.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Product>,
    /// The readable part of its address.
    slug: String,
    /// Whether it can be seen and bought.
    status: ProductStatus,
    /// The name.
    title: String,
    /// What it is, as Markdown.
    description: String,
    /// The same as safe HTML.
    description_html: String,
    /// Who makes it.
    vendor: Option<String>,
    /// Further values.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// What search engines are told.
    seo: Seo,
    /// In what its variants differ.
    #[schema(max_items = 5)]
    options: Vec<ProductOption>,
    /// Pictures and other files that show it, in order.
    #[schema(max_items = 250)]
    media: Vec<MediaView>,
    /// The categories that it is in.
    #[schema(value_type = Vec<uuid::Uuid>, max_items = 100)]
    category_ids: Vec<Id<Category>>,
    /// What can be bought, in order.
    #[schema(max_items = 250)]
    variants: Vec<VariantView>,
    /// When it first was on sale.
    published_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it, a variant or a price last changed.
    updated_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

/// One thing that can be bought.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000002", "product_id": "019ab0b2-8f00-7000-8000-000000000001", "title": "M", "sku": "SHIRT-M",
    "barcode": null, "options": [{"name": "Size", "value": "M"}], "weight_grams": 200, "is_shippable": true, "is_digital": false,
    "is_stock_tracked": true, "is_active": true, "tax_class_id": "019ab0b2-8f00-7000-8000-000000000003", "position": 0,
    "prices": [], "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z", "version": 1
}))]
struct VariantView {
    /// The variant.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Variant>,
    /// The product.
    #[schema(value_type = uuid::Uuid)]
    product_id: Id<Product>,
    /// The name beside that of the product; empty when there is only one.
    title: String,
    /// The stock keeping unit.
    sku: Option<String>,
    /// The number on the package.
    barcode: Option<String>,
    /// What it is in each respect.
    #[schema(max_items = 5)]
    options: Vec<OptionValue>,
    /// The weight of one unit.
    weight_grams: i64,
    /// Whether it must be delivered.
    is_shippable: bool,
    /// Whether it is something to download.
    is_digital: bool,
    /// Whether its stock is counted.
    is_stock_tracked: bool,
    /// Whether it is on sale.
    is_active: bool,
    /// How it is taxed.
    #[schema(value_type = uuid::Uuid)]
    tax_class_id: Id<TaxClass>,
    /// Where it stands among the variants.
    position: i64,
    /// What it costs, by currency and quantity.
    #[schema(max_items = 100)]
    prices: Vec<VariantPrice>,
    /// When it was made.
    created_at: Timestamp,
    /// When it or a price last changed.
    updated_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

impl VariantView {
    fn of(variant: VariantRecord, prices: Vec<VariantPrice>) -> VariantView {
        VariantView {
            id: variant.id,
            product_id: variant.product_id,
            title: variant.title,
            sku: variant.sku,
            barcode: variant.barcode,
            options: variant.options,
            weight_grams: variant.weight_grams,
            is_shippable: variant.is_shippable,
            is_digital: variant.is_digital,
            is_stock_tracked: variant.is_stock_tracked,
            is_active: variant.is_active,
            tax_class_id: variant.tax_class_id,
            position: variant.position,
            prices,
            created_at: variant.created_at,
            updated_at: variant.updated_at,
            version: variant.version,
        }
    }
}

impl From<WholeProduct> for ProductView {
    fn from(mut whole: WholeProduct) -> ProductView {
        let product = whole.product;
        let variants = whole.variants.into_iter().map(|variant| {
            let prices = whole.prices.remove(&variant.id).unwrap_or_default();
            VariantView::of(variant, prices)
        });
        ProductView {
            id: product.id,
            slug: product.slug,
            status: product.status,
            title: product.title,
            description: product.description,
            description_html: product.description_html,
            vendor: product.vendor,
            attributes: serde_json::from_str(&product.attributes).unwrap_or_default(),
            seo: product.seo,
            options: product.options,
            media: whole.media,
            category_ids: whole.category_ids,
            variants: variants.collect(),
            published_at: product.published_at,
            created_at: product.created_at,
            updated_at: product.updated_at,
            version: product.version,
        }
    }
}

fn with_etag(whole: WholeProduct) -> ProductEtag<Json<ProductView>> {
    let view = ProductView::from(whole);
    ProductEtag { tag: tag_of(view.version, &view.media), answer: Json(view) }
}

fn variant_with_etag((variant, prices): (VariantRecord, Vec<VariantPrice>)) -> Etag<Json<VariantView>> {
    Etag { version: variant.version, answer: Json(VariantView::of(variant, prices)) }
}

/// A product in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "slug": "shirt", "status": "active", "title": "Shirt", "vendor": null,
    "featured_media": null, "price_from": {"amount": 1299, "currency": "EUR"}, "price_to": {"amount": 1499, "currency": "EUR"},
    "published_at": "2026-11-22T12:00:00.000Z", "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z", "version": 1
}))]
struct ProductSummary {
    /// The product.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Product>,
    /// The readable part of its address.
    slug: String,
    /// Whether it can be seen and bought.
    status: ProductStatus,
    /// The name.
    title: String,
    /// Who makes it.
    vendor: Option<String>,
    /// The first of its media.
    featured_media: Option<MediaView>,
    /// The lowest price of a variant; null when it has none in the currency.
    price_from: Option<Money>,
    /// The highest price of a variant.
    price_to: Option<Money>,
    /// When it first was on sale.
    published_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it, a variant or a price last changed.
    updated_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

impl From<ListedProduct> for ProductSummary {
    fn from(listed: ListedProduct) -> ProductSummary {
        let (product, money) = (listed.product, |minor| Money::new(minor, listed.currency));
        ProductSummary {
            id: product.id,
            slug: product.slug,
            status: product.status,
            title: product.title,
            vendor: product.vendor,
            featured_media: listed.featured,
            price_from: listed.prices.map(|(low, _)| money(low)),
            price_to: listed.prices.map(|(_, high)| money(high)),
            published_at: product.published_at,
            created_at: product.created_at,
            updated_at: product.updated_at,
            version: product.version,
        }
    }
}

/// Which products to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProductFilter {
    /// Only these; others than `active` only for whoever may read any product.
    status: Option<ProductStatus>,
    /// Only products in this category or below it.
    #[schema(value_type = Option<uuid::Uuid>)]
    category_id: Option<Id<Category>>,
    /// Only products of this maker.
    #[schema(min_length = 1, max_length = 120)]
    vendor: Option<String>,
    /// Only products with all of these words in title, maker, description, names or numbers of variants; `-word` excludes.
    #[schema(min_length = 1, max_length = 200)]
    q: Option<String>,
    /// The currency of the prices; the store's when none is given.
    currency: Option<Currency>,
    /// `created_at` or `title`, with a minus for the other way round.
    #[schema(max_length = 40)]
    sort: Option<String>,
    /// How many products a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn list(ctx: Ctx, Query(filter): Query<ProductFilter>) -> Result<List<ProductSummary>> {
    let query = ProductQuery {
        status: filter.status,
        category_id: filter.category_id,
        vendor: filter.vendor,
        words: filter.q,
        currency: filter.currency,
        sort: filter.sort,
        page: PageRequest::new(filter.limit, filter.cursor),
    };
    Ok(List(service::list(&ctx, query).await?.map(ProductSummary::from)))
}

async fn get(ctx: Ctx, Path(id): Path<Id<Product>>) -> Result<ProductEtag<Json<ProductView>>> {
    Ok(with_etag(service::find(&ctx, Which::Id(id)).await?))
}

async fn get_by_slug(ctx: Ctx, Path(slug): Path<String>) -> Result<ProductEtag<Json<ProductView>>> {
    Ok(with_etag(service::find(&ctx, Which::Slug(slug)).await?))
}

/// How much of a product can be had.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"variants": [{"variant_id": "019ab0b2-8f00-7000-8000-000000000002", "available_quantity": 7, "is_available": true}]}))]
struct ProductAvailability {
    /// For each variant.
    #[schema(max_items = 250)]
    variants: Vec<VariantAvailability>,
}

/// How much of a variant can be had.
#[derive(Serialize, ToSchema)]
struct VariantAvailability {
    /// The variant.
    #[schema(value_type = uuid::Uuid)]
    variant_id: Id<Variant>,
    /// How many units; null when stock does not matter.
    available_quantity: Option<i64>,
    /// Whether at least one unit can be had.
    is_available: bool,
}

async fn availability(ctx: Ctx, Path(id): Path<Id<Product>>) -> Result<Json<ProductAvailability>> {
    let variants = service::availability(&ctx, id).await?;
    let view = |(variant_id, available_quantity): (Id<Variant>, Option<i64>)| VariantAvailability {
        variant_id,
        available_quantity,
        is_available: available_quantity.is_none_or(|left| left > 0),
    };
    Ok(Json(ProductAvailability { variants: variants.into_iter().map(view).collect() }))
}

/// A product to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "title": "Shirt", "status": "active", "options": [{"name": "Size", "values": ["S", "M"]}],
    "variants": [{"options": [{"name": "Size", "value": "M"}], "sku": "SHIRT-M", "prices": [{"price": {"amount": 1299, "currency": "EUR"}}]}]
}))]
#[schema(as = NewProduct)]
struct NewProductBody {
    /// The name.
    #[schema(min_length = 1, max_length = 255)]
    title: String,
    /// The readable part of its address; made of the title when none is given.
    #[schema(min_length = 1, max_length = 120, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    slug: Option<String>,
    /// Whether it can be seen and bought.
    #[serde(default)]
    status: ProductStatus,
    /// What it is, as Markdown.
    #[serde(default)]
    #[schema(max_length = 100000)]
    description: String,
    /// Who makes it.
    #[schema(max_length = 120)]
    vendor: Option<String>,
    /// Further values, at most 32 KiB as JSON.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// What search engines are told.
    #[serde(default)]
    seo: Seo,
    /// In what its variants differ.
    #[serde(default)]
    #[schema(max_items = 5)]
    options: Vec<ProductOption>,
    /// Files of the media library that show it, in order.
    #[serde(default)]
    #[schema(value_type = Vec<uuid::Uuid>, max_items = 250)]
    media: Vec<Id<MediaFile>>,
    /// The categories that it is in.
    #[serde(default)]
    #[schema(value_type = Vec<uuid::Uuid>, max_items = 100)]
    category_ids: Vec<Id<Category>>,
    /// What can be bought, in order.
    #[serde(default)]
    #[schema(max_items = 250)]
    variants: Vec<NewVariantBody>,
}

/// A variant to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"options": [{"name": "Size", "value": "M"}], "sku": "SHIRT-M", "prices": [{"price": {"amount": 1299, "currency": "EUR"}}]}))]
#[schema(as = NewVariant)]
struct NewVariantBody {
    /// The name beside that of the product; made of the options when none is given.
    #[schema(max_length = 255)]
    title: Option<String>,
    /// The stock keeping unit.
    #[schema(min_length = 1, max_length = 64)]
    sku: Option<String>,
    /// The number on the package.
    #[schema(min_length = 1, max_length = 64)]
    barcode: Option<String>,
    /// What it is, for each option of the product.
    #[serde(default)]
    #[schema(max_items = 5)]
    options: Vec<OptionValue>,
    /// The weight of one unit.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1000000000)]
    weight_grams: i64,
    /// Whether it must be delivered.
    #[serde(default = "yes")]
    is_shippable: bool,
    /// Whether it is something to download.
    #[serde(default)]
    is_digital: bool,
    /// Whether its stock is counted.
    #[serde(default = "yes")]
    is_stock_tracked: bool,
    /// Whether it is on sale.
    #[serde(default = "yes")]
    is_active: bool,
    /// How it is taxed; the default class when none is given.
    #[schema(value_type = Option<uuid::Uuid>)]
    tax_class_id: Option<Id<TaxClass>>,
    /// What it costs, by currency and quantity.
    #[serde(default)]
    #[schema(max_items = 100)]
    prices: Vec<VariantPrice>,
}

impl From<NewVariantBody> for NewVariant {
    fn from(body: NewVariantBody) -> NewVariant {
        NewVariant {
            title: body.title,
            sku: body.sku,
            barcode: body.barcode,
            options: body.options,
            weight_grams: body.weight_grams,
            is_shippable: body.is_shippable,
            is_digital: body.is_digital,
            is_stock_tracked: body.is_stock_tracked,
            is_active: body.is_active,
            tax_class_id: body.tax_class_id,
            prices: body.prices,
        }
    }
}

/// Attributes as they are stored.
fn attributes_json(attributes: Map<String, Value>) -> Result<String> {
    let text = Value::Object(attributes).to_string();
    if text.len() <= MAX_ATTRIBUTES {
        return Ok(text);
    }
    Err(Error::invalid(vec![FieldError::body("/attributes", "too_long", format!("At most {MAX_ATTRIBUTES} bytes."))]))
}

async fn create(ctx: Ctx, Body(new): Body<NewProductBody>) -> Result<ProductEtag<Created<ProductView>>> {
    let new = NewProduct {
        title: new.title,
        slug: new.slug,
        status: new.status,
        description: new.description,
        vendor: new.vendor,
        attributes: attributes_json(new.attributes)?,
        seo: new.seo,
        options: new.options,
        media: new.media,
        category_ids: new.category_ids,
        variants: new.variants.into_iter().map(NewVariant::from).collect(),
    };
    let body = ProductView::from(service::create(&ctx, new).await?);
    let location = format!("/api/v1/shop/products/{}", body.id);
    Ok(ProductEtag { tag: tag_of(body.version, &body.media), answer: Created { location, body } })
}

/// What to change about a product.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "archived"}))]
struct PatchProduct {
    /// The name.
    #[schema(min_length = 1, max_length = 255)]
    title: Option<String>,
    /// The readable part of its address.
    #[schema(min_length = 1, max_length = 120, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    slug: Option<String>,
    /// Whether it can be seen and bought.
    status: Option<ProductStatus>,
    /// What it is, as Markdown.
    #[schema(max_length = 100000)]
    description: Option<String>,
    /// Who makes it; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 120)]
    vendor: Option<Option<String>>,
    /// Further values; replaces those that are there.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    /// What search engines are told.
    seo: Option<Seo>,
    /// In what its variants differ.
    #[schema(max_items = 5)]
    options: Option<Vec<ProductOption>>,
    /// Files of the media library that show it, in order; replaces those that did.
    #[schema(value_type = Option<Vec<uuid::Uuid>>, max_items = 250)]
    media: Option<Vec<Id<MediaFile>>>,
    /// The categories that it is in; replaces those that it was in.
    #[schema(value_type = Option<Vec<uuid::Uuid>>, max_items = 100)]
    category_ids: Option<Vec<Id<Category>>>,
}

async fn update(
    ctx: Ctx,
    ProductMatch(if_match): ProductMatch,
    Path(id): Path<Id<Product>>,
    Body(patch): Body<PatchProduct>,
) -> Result<ProductEtag<Json<ProductView>>> {
    let patch = ProductPatch {
        title: patch.title,
        slug: patch.slug,
        status: patch.status,
        description: patch.description,
        vendor: patch.vendor,
        attributes: patch.attributes.map(attributes_json).transpose()?,
        seo: patch.seo,
        options: patch.options,
        media: patch.media,
        category_ids: patch.category_ids,
    };
    Ok(with_etag(service::update(&ctx, id, patch, if_match).await?))
}

async fn remove(ctx: Ctx, Path(id): Path<Id<Product>>) -> Result<NoContent> {
    service::remove(&ctx, id).await?;
    Ok(NoContent)
}

async fn create_variant(ctx: Ctx, Path(product): Path<Id<Product>>, Body(new): Body<NewVariantBody>) -> Result<Etag<Created<VariantView>>> {
    let (variant, prices) = service::create_variant(&ctx, product, new.into()).await?;
    let body = VariantView::of(variant, prices);
    Ok(Etag { version: body.version, answer: Created { location: format!("/api/v1/shop/variants/{}", body.id), body } })
}

async fn get_variant(ctx: Ctx, Path(id): Path<Id<Variant>>) -> Result<Etag<Json<VariantView>>> {
    Ok(variant_with_etag(service::find_variant(&ctx, id).await?))
}

/// What to change about a variant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"is_active": false}))]
struct PatchVariant {
    /// The name beside that of the product.
    #[schema(max_length = 255)]
    title: Option<String>,
    /// The stock keeping unit; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    sku: Option<Option<String>>,
    /// The number on the package; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    barcode: Option<Option<String>>,
    /// What it is, for each option of the product.
    #[schema(max_items = 5)]
    options: Option<Vec<OptionValue>>,
    /// The weight of one unit.
    #[schema(minimum = 0, maximum = 1000000000)]
    weight_grams: Option<i64>,
    /// Whether it must be delivered.
    is_shippable: Option<bool>,
    /// Whether it is something to download.
    is_digital: Option<bool>,
    /// Whether its stock is counted.
    is_stock_tracked: Option<bool>,
    /// Whether it is on sale.
    is_active: Option<bool>,
    /// How it is taxed.
    #[schema(value_type = Option<uuid::Uuid>)]
    tax_class_id: Option<Id<TaxClass>>,
    /// Where it stands among the variants.
    #[schema(minimum = 0, maximum = 1000000)]
    position: Option<i64>,
}

async fn update_variant(
    ctx: Ctx,
    if_match: IfMatch,
    Path(id): Path<Id<Variant>>,
    Body(patch): Body<PatchVariant>,
) -> Result<Etag<Json<VariantView>>> {
    let patch = VariantPatch {
        title: patch.title,
        sku: patch.sku,
        barcode: patch.barcode,
        options: patch.options,
        weight_grams: patch.weight_grams,
        is_shippable: patch.is_shippable,
        is_digital: patch.is_digital,
        is_stock_tracked: patch.is_stock_tracked,
        is_active: patch.is_active,
        tax_class_id: patch.tax_class_id,
        position: patch.position,
    };
    Ok(variant_with_etag(service::update_variant(&ctx, id, patch, if_match).await?))
}

async fn remove_variant(ctx: Ctx, Path(id): Path<Id<Variant>>) -> Result<NoContent> {
    service::remove_variant(&ctx, id).await?;
    Ok(NoContent)
}
