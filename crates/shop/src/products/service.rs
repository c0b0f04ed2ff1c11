//! The verbs of products and variants.

use std::collections::HashMap;

use kernel::error::NOT_FOUND;
use kernel::http::IfMatch;
use kernel::media::{self, MediaFile, MediaView};
use kernel::money::Currency;
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::richtext::{self, Format, Policy};
use kernel::search::Query as Words;
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Tx};

use crate::events::{ProductCreated, ProductDeleted, ProductUpdated};
use crate::ids::{Category, Product, TaxClass, Variant};
use crate::permissions::{MANAGE_PRICES, MANAGE_PRODUCTS, READ_ANY_PRODUCT};
use crate::prices::{self, VariantPrice};
use crate::problems::{CURRENCY_NOT_SUPPORTED, IN_USE};
use crate::products::store::{self, ProductFilter};
use crate::products::{
    MAX_OPTIONS, MAX_VARIANTS, MEDIA_SUBJECT, OptionValue, ProductOption, ProductRecord, ProductStatus, Seo, VariantRecord, folded, slugs,
    title_of,
};
use crate::settings::ShopRules;
use crate::{carts, categories, locations, stock, taxes};

/// A product with everything that belongs to it.
pub(crate) struct WholeProduct {
    pub(crate) product: ProductRecord,
    /// Those of its media that are still there, in order.
    pub(crate) media: Vec<MediaView>,
    pub(crate) category_ids: Vec<Id<Category>>,
    pub(crate) variants: Vec<VariantRecord>,
    pub(crate) prices: HashMap<Id<Variant>, Vec<VariantPrice>>,
}

/// A product as it is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewProduct {
    pub(crate) title: String,
    pub(crate) slug: Option<String>,
    pub(crate) status: ProductStatus,
    pub(crate) description: String,
    pub(crate) vendor: Option<String>,
    pub(crate) attributes: String,
    pub(crate) seo: Seo,
    pub(crate) options: Vec<ProductOption>,
    pub(crate) media: Vec<Id<MediaFile>>,
    pub(crate) category_ids: Vec<Id<Category>>,
    pub(crate) variants: Vec<NewVariant>,
}

/// A variant as it is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewVariant {
    pub(crate) title: Option<String>,
    pub(crate) sku: Option<String>,
    pub(crate) barcode: Option<String>,
    pub(crate) options: Vec<OptionValue>,
    pub(crate) weight_grams: i64,
    pub(crate) is_shippable: bool,
    pub(crate) is_digital: bool,
    pub(crate) is_stock_tracked: bool,
    pub(crate) is_active: bool,
    pub(crate) tax_class_id: Option<Id<TaxClass>>,
    pub(crate) prices: Vec<VariantPrice>,
}

/// Makes a product with its variants, their prices and their places in the stock.
pub(crate) async fn create(ctx: &Ctx, new: NewProduct) -> Result<WholeProduct> {
    ctx.actor.require(&MANAGE_PRODUCTS)?;
    if new.variants.iter().any(|variant| !variant.prices.is_empty()) {
        ctx.actor.require(&MANAGE_PRICES)?;
    }
    check_options(&new.options)?;
    check_media(&new.media)?;
    let description_html = rendered(ctx, &new.description).await?;
    for (index, variant) in new.variants.iter().enumerate() {
        check_variant(&new.options, &variant.options, &format!("/variants/{index}"))?;
        prices::service::check(ctx, &variant.prices, &format!("/variants/{index}/prices"))?;
    }
    let (context, id) = (ctx.clone(), ctx.new_id::<Product>());
    ctx.write(move |tx| {
        let now = context.now();
        let slug = match &new.slug {
            Some(slug) => slug.clone(),
            None => free_slug(tx, &new.title, id)?,
        };
        let product = ProductRecord {
            id,
            slug,
            status: new.status,
            title: new.title.clone(),
            title_key: folded(&new.title),
            description: new.description.clone(),
            description_html: description_html.clone(),
            vendor: new.vendor.clone(),
            attributes: new.attributes.clone(),
            seo: new.seo.clone(),
            options: new.options.clone(),
            media: new.media.clone(),
            published_at: (new.status == ProductStatus::Active).then_some(now),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        store::insert(tx, &product)?;
        if !product.files().is_empty() {
            require_media(&product.media, &use_files(tx, &context, &product)?)?;
        }
        categories::store::set_of_product(tx, id, &new.category_ids)?;
        for (position, variant) in new.variants.iter().enumerate() {
            insert_variant(tx, &context, &product, variant, i64::try_from(position).unwrap_or(i64::MAX), &format!("/variants/{position}"))?;
        }
        reindex(tx, &product)?;
        tx.record(&ProductCreated { product_id: id.uuid() })?;
        tx.audit(AuditEntry::ok("shop.product.create", &format!("product:{id}")))?;
        whole(tx, product, true)
    })
    .await
}

/// Each file shows a product once.
fn check_media(ids: &[Id<MediaFile>]) -> Result<()> {
    let is_twice = |(at, id): (usize, &Id<MediaFile>)| ids[..at].contains(id).then_some(at);
    let error = |at| FieldError::body(format!("/media/{at}"), "not_unique", "The file stands in the list already.");
    let errors: Vec<FieldError> = ids.iter().enumerate().filter_map(is_twice).map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// Tells the library which files a product uses now; answers those that it may.
fn use_files(tx: &mut Tx<'_, '_>, ctx: &Ctx, product: &ProductRecord) -> Result<Vec<Id<MediaFile>>> {
    media::use_only(tx, ctx, &product.files(), MEDIA_SUBJECT, product.id.uuid())
}

/// Media that are not there, or that the caller may not see: the two look the same.
fn require_media(ids: &[Id<MediaFile>], used: &[Id<MediaFile>]) -> Result<()> {
    let is_unknown = |(at, id): (usize, &Id<MediaFile>)| (!used.contains(id)).then_some(at);
    let error = |at| FieldError::body(format!("/media/{at}"), "unknown_reference", "There is no file with this id.");
    let errors: Vec<FieldError> = ids.iter().enumerate().filter_map(is_unknown).map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// A description as safe HTML.
async fn rendered(ctx: &Ctx, source: &str) -> Result<String> {
    if source.is_empty() {
        return Ok(String::new());
    }
    Ok(richtext::render_off_worker(&ctx.app, Format::Markdown, source.to_owned(), Policy::Author, Vec::new()).await?.html)
}

/// Makes a product findable by its title, its maker, its description, and what its variants are called.
fn reindex(tx: &mut Tx<'_, '_>, product: &ProductRecord) -> Result<()> {
    let variants = store::variants(tx, product.id)?;
    let names = variants.iter().flat_map(|variant| [Some(variant.title.as_str()), variant.sku.as_deref(), variant.barcode.as_deref()]);
    let words =
        [Some(product.title.as_str()), product.vendor.as_deref()].into_iter().chain(names).chain([Some(product.description.as_str())]);
    Ok(store::index(tx, product.id, &words.flatten().collect::<Vec<_>>().join("\n"))?)
}

/// A slug of the title that nobody has yet; the last part of the id makes it one of a kind where it must.
fn free_slug(c: &mut db::Conn, title: &str, id: Id<Product>) -> Result<String> {
    let tail = id.to_string().rsplit('-').next().unwrap_or_default().to_owned();
    let Some(slug) = slugs::slug_of(title) else { return Ok(format!("product-{tail}")) };
    if store::has_slug(c, &slug)? { Ok(format!("{slug}-{}", &tail[..6])) } else { Ok(slug) }
}

fn check_options(options: &[ProductOption]) -> Result<()> {
    let mut errors = Vec::new();
    if options.len() > MAX_OPTIONS {
        errors.push(FieldError::body("/options", "too_long", format!("At most {MAX_OPTIONS} entries.")));
    }
    for (index, option) in options.iter().enumerate() {
        if options[..index].iter().any(|other| folded(&other.name) == folded(&option.name)) {
            errors.push(FieldError::body(format!("/options/{index}/name"), "not_unique", "Another option has this name."));
        }
        if option.values.iter().any(|value| value.trim().is_empty() || value.chars().count() > 120) {
            errors.push(FieldError::body(format!("/options/{index}/values"), "invalid_format", "Each value has 1 to 120 characters."));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// A variant says for each option of its product what it is, and nothing else.
fn check_variant(options: &[ProductOption], values: &[OptionValue], pointer: &str) -> Result<()> {
    let is_known = |value: &OptionValue| {
        options
            .iter()
            .any(|option| folded(&option.name) == folded(&value.name) && option.values.iter().any(|v| folded(v) == folded(&value.value)))
    };
    let says = |option: &ProductOption| values.iter().filter(|value| folded(&value.name) == folded(&option.name)).count() == 1;
    if values.len() == options.len() && values.iter().all(is_known) && options.iter().all(says) {
        return Ok(());
    }
    let detail = "A variant has exactly one value of each option of its product.";
    Err(Error::invalid(vec![FieldError::body(format!("{pointer}/options"), "not_allowed", detail)]))
}

fn insert_variant(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    product: &ProductRecord,
    new: &NewVariant,
    position: i64,
    pointer: &str,
) -> Result<VariantRecord> {
    let now = ctx.now();
    let tax_class_id = match new.tax_class_id {
        Some(class) => known_class(tx, class, pointer)?,
        None => taxes::store::default_class(tx)?.ok_or_else(|| Error::internal("there is no tax class"))?,
    };
    let title = new.title.clone().filter(|title| !title.trim().is_empty()).unwrap_or_else(|| title_of(&new.options));
    let variant = VariantRecord {
        id: ctx.new_id(),
        product_id: product.id,
        title,
        sku: new.sku.clone(),
        barcode: new.barcode.clone(),
        options: new.options.clone(),
        weight_grams: new.weight_grams,
        is_shippable: new.is_shippable,
        is_digital: new.is_digital,
        is_stock_tracked: new.is_stock_tracked,
        is_active: new.is_active,
        tax_class_id,
        position,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    store::insert_variant(tx, &variant)?;
    give_item(tx, ctx, product, &variant)?;
    prices::service::set(tx, ctx, variant.id, &new.prices)?;
    Ok(variant)
}

/// Gives a variant an item of its own, with a level in the first location, so that stock can be counted.
fn give_item(tx: &mut Tx<'_, '_>, ctx: &Ctx, product: &ProductRecord, variant: &VariantRecord) -> Result<()> {
    if !variant.is_stock_tracked || !stock::store::items_of(tx, variant.id)?.is_empty() {
        return Ok(());
    }
    let item = ctx.new_id();
    let name = if variant.title.is_empty() { product.title.clone() } else { format!("{} – {}", product.title, variant.title) };
    let name: String = name.chars().take(255).collect();
    stock::store::insert_item(tx, item, &name, variant.sku.as_deref(), None, ctx.now())?;
    stock::store::link_item(tx, variant.id, item, 1)?;
    if let Some(location) = locations::store::first(tx)? {
        stock::store::ensure_level(tx, item, location, ctx.now())?;
    }
    Ok(())
}

fn known_class(c: &mut db::Conn, class: Id<TaxClass>, pointer: &str) -> Result<Id<TaxClass>> {
    if taxes::store::has_class(c, class)? {
        return Ok(class);
    }
    let field = FieldError::body(format!("{pointer}/tax_class_id"), "unknown_reference", "There is no such tax class.");
    Err(Error::invalid(vec![field]))
}

/// Records that something of a product has changed.
pub(crate) fn note_change(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Product>) -> Result<i64> {
    let version = store::touch(tx, id, ctx.now())?;
    tx.record(&ProductUpdated { product_id: id.uuid(), version })?;
    Ok(version)
}

/// What belongs to a product; inactive variants only for those who may see any.
fn whole(c: &mut db::Conn, product: ProductRecord, may_see_any: bool) -> Result<WholeProduct> {
    let mut variants = store::variants(c, product.id)?;
    variants.retain(|variant| may_see_any || variant.is_active);
    let category_ids = categories::store::of_product(c, product.id)?;
    let media = if product.media.is_empty() { Vec::new() } else { media::views(c, &product.media)? };
    Ok(WholeProduct { prices: prices::store::of_product(c, product.id)?, media, category_ids, variants, product })
}

/// What is asked for: an id, or the readable part of an address.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    Id(Id<Product>),
    Slug(String),
}

/// A product that the caller may see.
pub(crate) async fn find(ctx: &Ctx, which: Which) -> Result<WholeProduct> {
    let may_see_any = ctx.actor.may(&READ_ANY_PRODUCT);
    ctx.read(move |c| {
        let product = visible(c, &which, may_see_any)?;
        whole(c, product, may_see_any)
    })
    .await
}

fn visible(c: &mut db::Conn, which: &Which, may_see_any: bool) -> Result<ProductRecord> {
    let found = match which {
        Which::Id(id) => store::find(c, *id)?,
        Which::Slug(slug) => store::find_by_slug(c, slug)?,
    };
    found.filter(|product| may_see_any || product.is_public()).ok_or_else(|| NOT_FOUND.error())
}

/// How much of each variant can be had; nothing for those whose stock does not matter.
pub(crate) async fn availability(ctx: &Ctx, id: Id<Product>) -> Result<Vec<(Id<Variant>, Option<i64>)>> {
    let may_see_any = ctx.actor.may(&READ_ANY_PRODUCT);
    ctx.read(move |c| {
        let product = visible(c, &Which::Id(id), may_see_any)?;
        let variants = store::variants(c, product.id)?;
        let rows = store::availability(c, product.id)?;
        let left = |id: Id<Variant>| {
            rows.iter().filter(|(variant, ..)| *variant == id).map(|(_, per_unit, left)| (*left).max(0) / (*per_unit).max(1)).min()
        };
        let shown = variants.into_iter().filter(|variant| may_see_any || variant.is_active);
        Ok(shown.map(|variant| (variant.id, left(variant.id).or(variant.is_stock_tracked.then_some(0)))).collect())
    })
    .await
}

const SORT_KEYS: &[SortKey] = &[
    SortKey { name: "created_at", column: "p.created_at", kind: KeyKind::Int },
    SortKey { name: "title", column: "p.title_key", kind: KeyKind::Text },
];

/// What a list of products is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProductQuery {
    pub(crate) status: Option<ProductStatus>,
    pub(crate) category_id: Option<Id<Category>>,
    pub(crate) vendor: Option<String>,
    pub(crate) words: Option<String>,
    pub(crate) currency: Option<Currency>,
    pub(crate) sort: Option<String>,
    pub(crate) page: PageRequest,
}

/// A product in a list: with its first picture, and the lowest and the highest price of its variants.
pub(crate) struct ListedProduct {
    pub(crate) product: ProductRecord,
    pub(crate) featured: Option<MediaView>,
    pub(crate) prices: Option<(i64, i64)>,
    pub(crate) currency: Currency,
}

/// The products that the caller may see; a category stands for everything below it.
pub(crate) async fn list(ctx: &Ctx, query: ProductQuery) -> Result<Page<ListedProduct>> {
    let rules = ShopRules::of(&ctx.app);
    let currency = query.currency.unwrap_or(rules.currency);
    if !rules.currencies.contains(&currency) {
        let field = FieldError::parameter("currency", "not_allowed", "The store does not take this currency.");
        return Err(CURRENCY_NOT_SUPPORTED.error().with_field(field).with_member("allowed", serde_json::json!(rules.currencies)));
    }
    let status = if ctx.actor.may(&READ_ANY_PRODUCT) { query.status } else { Some(ProductStatus::Active) };
    let narrowed = format!("{:?} {:?} {:?} {:?} {currency}", status, query.category_id, query.vendor, query.words);
    let keyset =
        Keyset::parse(ctx, SORT_KEYS, "-created_at", query.sort.as_deref(), "listProducts", &narrowed, &query.page)?.with_id_column("p.id");
    let (reader, now) = (keyset.clone(), ctx.now());
    let is_search = query.words.is_some();
    let find = move |c: &mut db::Conn| -> Result<Vec<ListedProduct>> {
        let categories = match query.category_id {
            Some(root) => Some(categories::with_descendants(&categories::store::tree(c)?, root).into_iter().collect()),
            None => None,
        };
        let filter = ProductFilter { status, categories, vendor: query.vendor.clone(), words: query.words.as_deref().map(Words::parse) };
        let products = store::list(c, &filter, &reader)?;
        let ids: Vec<Id<Product>> = products.iter().map(|product| product.id).collect();
        let ranges = prices::store::ranges(c, &ids, currency, now)?;
        let first: Vec<Id<MediaFile>> = products.iter().filter_map(|product| product.media.first().copied()).collect();
        let files = if first.is_empty() { Vec::new() } else { media::views(c, &first)? };
        let listed = |product: ProductRecord| ListedProduct {
            prices: ranges.get(&product.id).copied(),
            featured: product.media.first().and_then(|first| files.iter().find(|file| file.id == *first)).cloned(),
            product,
            currency,
        };
        Ok(products.into_iter().map(listed).collect())
    };
    // A search may take its time, and must not hold a worker.
    let rows = if is_search { ctx.read_long(find).await? } else { ctx.read(find).await? };
    Ok(keyset.page(ctx, rows, |listed: &ListedProduct| {
        let key = match keyset.key() {
            "title" => CursorValue::Text(listed.product.title_key.clone()),
            _ => CursorValue::Int(listed.product.created_at.as_millis()),
        };
        (key, listed.product.id.uuid())
    }))
}

/// What to change about a product; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProductPatch {
    pub(crate) title: Option<String>,
    pub(crate) slug: Option<String>,
    pub(crate) status: Option<ProductStatus>,
    pub(crate) description: Option<String>,
    pub(crate) vendor: Option<Option<String>>,
    pub(crate) attributes: Option<String>,
    pub(crate) seo: Option<Seo>,
    pub(crate) options: Option<Vec<ProductOption>>,
    pub(crate) media: Option<Vec<Id<MediaFile>>>,
    pub(crate) category_ids: Option<Vec<Id<Category>>>,
}

pub(crate) async fn update(ctx: &Ctx, id: Id<Product>, patch: ProductPatch, if_match: IfMatch) -> Result<WholeProduct> {
    ctx.actor.require(&MANAGE_PRODUCTS)?;
    if let Some(options) = &patch.options {
        check_options(options)?;
    }
    check_media(patch.media.as_deref().unwrap_or_default())?;
    let description_html = match &patch.description {
        Some(description) => Some(rendered(ctx, description).await?),
        None => None,
    };
    let context = ctx.clone();
    ctx.write(move |tx| {
        let mut product = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(product.version)?;
        let files = product.files();
        apply(&mut product, &patch, context.now());
        product.description_html = description_html.clone().unwrap_or(product.description_html);
        if product.files() != files {
            let used = use_files(tx, &context, &product)?;
            match &patch.media {
                Some(media) => require_media(media, &used)?,
                // What was deleted by force meanwhile is not shown any more.
                None => product.media.retain(|id| used.contains(id)),
            }
        }
        if patch.options.is_some() {
            for variant in store::variants(tx, id)? {
                check_variant(&product.options, &variant.options, "")?;
            }
        }
        store::update(tx, &product, context.now())?;
        reindex(tx, &product)?;
        if let Some(category_ids) = &patch.category_ids {
            categories::store::set_of_product(tx, id, category_ids)?;
        }
        let changed = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        tx.record(&ProductUpdated { product_id: id.uuid(), version: changed.version })?;
        tx.audit(AuditEntry::ok("shop.product.update", &format!("product:{id}")))?;
        whole(tx, changed, true)
    })
    .await
}

fn apply(product: &mut ProductRecord, patch: &ProductPatch, now: kernel::Timestamp) {
    if let Some(title) = &patch.title {
        (product.title, product.title_key) = (title.clone(), folded(title));
    }
    if let Some(status) = patch.status {
        product.status = status;
        product.published_at = product.published_at.or((status == ProductStatus::Active).then_some(now));
    }
    product.slug = patch.slug.clone().unwrap_or_else(|| std::mem::take(&mut product.slug));
    product.description = patch.description.clone().unwrap_or_else(|| std::mem::take(&mut product.description));
    product.vendor = patch.vendor.clone().unwrap_or_else(|| product.vendor.take());
    product.attributes = patch.attributes.clone().unwrap_or_else(|| std::mem::take(&mut product.attributes));
    product.seo = patch.seo.clone().unwrap_or_else(|| std::mem::take(&mut product.seo));
    product.media = patch.media.clone().unwrap_or_else(|| std::mem::take(&mut product.media));
    product.options = patch.options.clone().unwrap_or_else(|| std::mem::take(&mut product.options));
}

/// Deletes a product with its variants, unless an order still holds some of it.
pub(crate) async fn remove(ctx: &Ctx, id: Id<Product>) -> Result<()> {
    ctx.actor.require(&MANAGE_PRODUCTS)?;
    ctx.write(move |tx| {
        store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        for variant in store::variants(tx, id)? {
            delete_variant(tx, variant.id)?;
        }
        media::unlink_all(tx, MEDIA_SUBJECT, id.uuid())?;
        store::delete(tx, id)?;
        tx.record(&ProductDeleted { product_id: id.uuid() })?;
        tx.audit(AuditEntry::ok("shop.product.delete", &format!("product:{id}")))
    })
    .await
}

fn delete_variant(tx: &mut Tx<'_, '_>, id: Id<Variant>) -> Result<()> {
    let items = stock::store::items_of(tx, id)?;
    // The levels are what checkouts lock: whoever is about to reserve comes before or after this.
    stock::store::lock_levels_of(tx, &items)?;
    if stock::store::variant_is_held(tx, id)? {
        return Err(IN_USE.because("Orders hold some of it: archive it instead."));
    }
    carts::store::delete_lines_of(tx, id)?;
    store::delete_variant(tx, id)?;
    Ok(())
}

/// Adds a variant to a product.
pub(crate) async fn create_variant(ctx: &Ctx, product: Id<Product>, new: NewVariant) -> Result<(VariantRecord, Vec<VariantPrice>)> {
    ctx.actor.require(&MANAGE_PRODUCTS)?;
    if !new.prices.is_empty() {
        ctx.actor.require(&MANAGE_PRICES)?;
    }
    prices::service::check(ctx, &new.prices, "/prices")?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let product = store::lock(tx, product)?.ok_or(&NOT_FOUND)?;
        check_variant(&product.options, &new.options, "")?;
        let known = store::variants(tx, product.id)?;
        if known.len() >= MAX_VARIANTS {
            return Err(kernel::error::QUOTA_EXCEEDED.because("A product has at most 250 variants."));
        }
        let position = known.last().map_or(0, |last| last.position + 1);
        let variant = insert_variant(tx, &context, &product, &new, position, "")?;
        reindex(tx, &product)?;
        note_change(tx, &context, product.id)?;
        tx.audit(AuditEntry::ok("shop.variant.create", &format!("variant:{}", variant.id)))?;
        Ok((variant.clone(), prices::store::of_variant(tx, variant.id)?))
    })
    .await
}

/// What to change about a variant; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct VariantPatch {
    pub(crate) title: Option<String>,
    pub(crate) sku: Option<Option<String>>,
    pub(crate) barcode: Option<Option<String>>,
    pub(crate) options: Option<Vec<OptionValue>>,
    pub(crate) weight_grams: Option<i64>,
    pub(crate) is_shippable: Option<bool>,
    pub(crate) is_digital: Option<bool>,
    pub(crate) is_stock_tracked: Option<bool>,
    pub(crate) is_active: Option<bool>,
    pub(crate) tax_class_id: Option<Id<TaxClass>>,
    pub(crate) position: Option<i64>,
}

pub(crate) async fn update_variant(
    ctx: &Ctx,
    id: Id<Variant>,
    patch: VariantPatch,
    if_match: IfMatch,
) -> Result<(VariantRecord, Vec<VariantPrice>)> {
    ctx.actor.require(&MANAGE_PRODUCTS)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let product_id = store::find_variant(tx, id)?.ok_or(&NOT_FOUND)?.product_id;
        // The product first, as everywhere.
        let product = store::lock(tx, product_id)?.ok_or(&NOT_FOUND)?;
        let mut variant = store::lock_variant(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(variant.version)?;
        if let Some(class) = patch.tax_class_id {
            variant.tax_class_id = known_class(tx, class, "")?;
        }
        if let Some(options) = &patch.options {
            check_variant(&product.options, options, "")?;
            variant.options = options.clone();
        }
        variant.title = patch.title.clone().unwrap_or(variant.title);
        variant.sku = patch.sku.clone().unwrap_or(variant.sku);
        variant.barcode = patch.barcode.clone().unwrap_or(variant.barcode);
        variant.weight_grams = patch.weight_grams.unwrap_or(variant.weight_grams);
        variant.is_shippable = patch.is_shippable.unwrap_or(variant.is_shippable);
        variant.is_digital = patch.is_digital.unwrap_or(variant.is_digital);
        variant.is_stock_tracked = patch.is_stock_tracked.unwrap_or(variant.is_stock_tracked);
        variant.is_active = patch.is_active.unwrap_or(variant.is_active);
        variant.position = patch.position.unwrap_or(variant.position);
        store::update_variant(tx, &variant, context.now())?;
        give_item(tx, &context, &product, &variant)?;
        reindex(tx, &product)?;
        note_change(tx, &context, product_id)?;
        tx.audit(AuditEntry::ok("shop.variant.update", &format!("variant:{id}")))?;
        let changed = store::find_variant(tx, id)?.ok_or(&NOT_FOUND)?;
        Ok((changed, prices::store::of_variant(tx, id)?))
    })
    .await
}

/// A variant that the caller may see.
pub(crate) async fn find_variant(ctx: &Ctx, id: Id<Variant>) -> Result<(VariantRecord, Vec<VariantPrice>)> {
    let may_see_any = ctx.actor.may(&READ_ANY_PRODUCT);
    ctx.read(move |c| {
        let variant = store::find_variant(c, id)?.filter(|variant| may_see_any || variant.is_active).ok_or(&NOT_FOUND)?;
        visible(c, &Which::Id(variant.product_id), may_see_any)?;
        Ok((variant, prices::store::of_variant(c, id)?))
    })
    .await
}

/// Deletes a variant, unless an order still holds some of it.
pub(crate) async fn remove_variant(ctx: &Ctx, id: Id<Variant>) -> Result<()> {
    ctx.actor.require(&MANAGE_PRODUCTS)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let product_id = store::find_variant(tx, id)?.ok_or(&NOT_FOUND)?.product_id;
        let product = store::lock(tx, product_id)?.ok_or(&NOT_FOUND)?;
        delete_variant(tx, id)?;
        reindex(tx, &product)?;
        note_change(tx, &context, product_id)?;
        tx.audit(AuditEntry::ok("shop.variant.delete", &format!("variant:{id}")))
    })
    .await
}
