//! Carts over HTTP. Every change answers with the whole cart as it costs now.

use axum::response::{IntoResponse, Response};
use kernel::error::{GONE, NOT_FOUND, RATE_LIMITED};
use kernel::http::{Body, Created, Describe, Json, Operation, OperationDoc, Path};
use kernel::money::{Currency, Money};
use kernel::{Ctx, Error, FieldError, Id, Problem, Result, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::carts::service::{self, Beginning, CartPatch};
use crate::carts::{Address, CartAccess, CartProblem, CartSecret, PricedCart, PricedLine};
use crate::ids::{Cart, CartLine, Product, ShippingMethod, Variant};
use crate::pricing::Totals;
use crate::problems::{ADDRESS_INVALID, CART_ORDERED, CODE_INVALID, CURRENCY_NOT_SUPPORTED, NOT_SHIPPABLE};

const OPEN: &[&Problem] = &[&NOT_FOUND, &CART_ORDERED, &GONE];
/// The most bytes of the values that a storefront keeps with a cart.
const MAX_ATTRIBUTES: usize = 4_096;

pub(crate) fn operations() -> [Operation; 12] {
    [
        Operation::post("/api/v1/shop/carts", "createCart", create)
            .tag("Carts")
            .summary("Begin a cart")
            .describe(
                "A guest gets a secret, shown once, that opens the cart; send it in the header Cart-Secret. A person who is logged in has \
                 one open cart: asking again answers 200 with it.",
            )
            .raises(&[&CURRENCY_NOT_SUPPORTED])
            .answers_secrets()
            .public(),
        Operation::get("/api/v1/shop/carts/{cart_id}", "getCart", get)
            .tag("Carts")
            .summary("Read a cart")
            .describe(
                "The cart with what it costs now, what of it can be had, and what the buyer should know. A guest's cart is taken over by \
                 whoever is logged in and sends its secret; it may then be merged into the person's own, whose id is answered.",
            )
            .raises(OPEN)
            .public(),
        Operation::patch("/api/v1/shop/carts/{cart_id}", "updateCart", update)
            .tag("Carts")
            .summary("Change a cart")
            .describe("Currency, address for mails, language, note, and values that the storefront keeps with the cart.")
            .raises(OPEN)
            .raises(&[&CURRENCY_NOT_SUPPORTED])
            .public(),
        Operation::post("/api/v1/shop/carts/{cart_id}/lines", "addCartLine", add_line)
            .tag("Carts")
            .summary("Put something into a cart")
            .describe("A variant that is in the cart already gets the quantity on top. Prices are never taken from the request.")
            .raises(OPEN)
            .raises(&[&CURRENCY_NOT_SUPPORTED])
            .public(),
        Operation::patch("/api/v1/shop/carts/{cart_id}/lines/{line_id}", "updateCartLine", update_line)
            .tag("Carts")
            .summary("Change the quantity of a line")
            .describe("Also accepts the present price of the line.")
            .raises(OPEN)
            .raises(&[&CURRENCY_NOT_SUPPORTED])
            .public(),
        Operation::delete("/api/v1/shop/carts/{cart_id}/lines/{line_id}", "deleteCartLine", delete_line)
            .tag("Carts")
            .summary("Take a line out of a cart")
            .describe("Answers with the rest of the cart.")
            .raises(OPEN)
            .public(),
        Operation::put("/api/v1/shop/carts/{cart_id}/addresses", "setCartAddresses", set_addresses)
            .tag("Carts")
            .summary("Say where the goods go")
            .describe("Replaces both addresses. The shipping address decides about taxes and about the ways to deliver.")
            .raises(OPEN)
            .raises(&[&ADDRESS_INVALID])
            .public(),
        Operation::get("/api/v1/shop/carts/{cart_id}/shipping-options", "listShippingOptions", options)
            .tag("Carts")
            .summary("List the ways to deliver a cart")
            .describe("Always in the same order; empty without a shipping address, and when nothing needs to be delivered.")
            .raises(OPEN)
            .public(),
        Operation::put("/api/v1/shop/carts/{cart_id}/shipping", "setCartShipping", set_shipping)
            .tag("Carts")
            .summary("Choose how a cart is delivered")
            .describe("One of the shipping options; null takes the choice back.")
            .raises(OPEN)
            .raises(&[&NOT_SHIPPABLE])
            .public(),
        Operation::post("/api/v1/shop/carts/{cart_id}/codes", "addCartCode", add_code)
            .tag("Carts")
            .summary("Enter a code")
            .describe("A code that does not count is refused with its reason. Wrong codes are counted: 20 in an hour for a cart and for an address.")
            .raises(OPEN)
            .raises(&[&CODE_INVALID, &RATE_LIMITED])
            .public(),
        Operation::delete("/api/v1/shop/carts/{cart_id}/codes/{code}", "deleteCartCode", delete_code)
            .tag("Carts")
            .summary("Take a code back")
            .describe("Answers with the rest of the cart.")
            .raises(OPEN)
            .public(),
        Operation::post("/api/v1/shop/carts/{cart_id}/actions/merge", "mergeCart", merge)
            .tag("Carts")
            .summary("Merge a guest's cart into your own")
            .describe("Needs a login and the secret of the guest's cart. Quantities are added up, as far as there is stock; repeating it changes nothing.")
            .raises(OPEN)
            .authenticated(),
    ]
}

/// A cart, with what it costs now.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "secret": null, "state": "open", "currency": "EUR", "email": null, "locale": "en", "note": null,
    "attributes": {}, "shipping_address": null, "billing_address": null, "lines": [], "codes": [], "shipping": null,
    "totals": {
        "prices_include_tax": true, "subtotal": {"amount": 0, "currency": "EUR"}, "discount": {"amount": 0, "currency": "EUR"},
        "shipping": {"amount": 0, "currency": "EUR"}, "tax": {"amount": 0, "currency": "EUR"}, "rounding": {"amount": 0, "currency": "EUR"},
        "total": {"amount": 0, "currency": "EUR"}, "lines": [], "taxes": [], "discounts": [],
        "shipping_line": {
            "subtotal": {"amount": 0, "currency": "EUR"}, "discount": {"amount": 0, "currency": "EUR"}, "net": {"amount": 0, "currency": "EUR"},
            "tax": {"amount": 0, "currency": "EUR"}, "total": {"amount": 0, "currency": "EUR"}, "taxes": []
        }
    },
    "problems": [], "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z",
    "expires_at": "2026-12-22T12:00:00.000Z", "version": 1
}))]
pub(crate) struct CartView {
    /// The cart.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Cart>,
    /// What opens a guest's cart; shown once, when it is made.
    #[schema(max_length = 64)]
    secret: Option<String>,
    /// `open`; other carts are not shown.
    #[schema(max_length = 16)]
    state: String,
    /// The currency of every amount.
    currency: Currency,
    /// Where mails about the order go.
    email: Option<String>,
    /// The language of the buyer, BCP 47.
    locale: String,
    /// What the buyer wants to tell.
    note: Option<String>,
    /// Values that the storefront keeps with the cart.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// Where the goods go.
    shipping_address: Option<Address>,
    /// Who is billed; the shipping address when there is none.
    billing_address: Option<Address>,
    /// What is in it, in the order in which it was put there.
    #[schema(max_items = 1000)]
    lines: Vec<CartLineView>,
    /// The codes that were entered.
    #[schema(max_items = 100)]
    codes: Vec<CartCodeView>,
    /// The chosen way to deliver.
    shipping: Option<CartShippingView>,
    /// What it costs; lines that cannot be bought are left out.
    totals: Totals,
    /// What the buyer should know.
    #[schema(max_items = 2000)]
    problems: Vec<CartProblemView>,
    /// When it was begun.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// When it is forgotten unless it is used.
    expires_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

/// One line of a cart.
#[derive(Serialize, ToSchema)]
struct CartLineView {
    /// The line.
    #[schema(value_type = uuid::Uuid)]
    id: Id<CartLine>,
    /// The variant.
    #[schema(value_type = uuid::Uuid)]
    variant_id: Id<Variant>,
    /// The product.
    #[schema(value_type = uuid::Uuid)]
    product_id: Id<Product>,
    /// The name of the product.
    product_title: String,
    /// The address of the product.
    product_slug: String,
    /// The name of the variant.
    variant_title: String,
    /// The stock keeping unit.
    sku: Option<String>,
    /// How many units.
    quantity: u32,
    /// What one unit costs now; null when it cannot be bought.
    unit_price: Option<Money>,
    /// What one unit cost before a reduction.
    compare_at: Option<Money>,
    /// How many units could be ordered now; null when stock does not matter.
    available_quantity: Option<i64>,
    /// Whether the line can be ordered like this.
    is_available: bool,
    /// Whether it must be delivered.
    is_shippable: bool,
}

/// One code of a cart.
#[derive(Serialize, ToSchema)]
struct CartCodeView {
    /// The code.
    code: String,
    /// Whether it counts now.
    is_applied: bool,
    /// Why it does not count.
    reason: Option<String>,
}

/// The chosen way to deliver.
#[derive(Serialize, ToSchema)]
struct CartShippingView {
    /// The method.
    #[schema(value_type = uuid::Uuid)]
    method_id: Id<ShippingMethod>,
    /// What the buyer reads.
    name: String,
    /// What it costs before discounts.
    price: Money,
}

/// Something that the buyer should know.
#[derive(Serialize, ToSchema)]
struct CartProblemView {
    /// `price_changed`, `unavailable`, `out_of_stock`, `code_invalid`, `address_required`, `shipping_required`, `not_shippable`.
    code: String,
    /// The line that it is about.
    #[schema(value_type = Option<uuid::Uuid>)]
    line_id: Option<Id<CartLine>>,
    /// One sentence for people.
    detail: String,
    /// Whether the cart cannot be ordered like this.
    is_blocking: bool,
}

impl From<PricedLine> for CartLineView {
    fn from(line: PricedLine) -> CartLineView {
        CartLineView {
            id: line.id,
            variant_id: line.variant_id,
            product_id: line.product_id,
            product_title: line.product_title,
            product_slug: line.product_slug,
            variant_title: line.variant_title,
            sku: line.sku,
            quantity: line.quantity,
            unit_price: line.unit_price,
            compare_at: line.compare_at,
            available_quantity: line.availability.available,
            is_available: line.is_sellable && line.availability.is_available,
            is_shippable: line.is_shippable,
        }
    }
}

impl From<CartProblem> for CartProblemView {
    fn from(problem: CartProblem) -> CartProblemView {
        CartProblemView {
            code: problem.code.to_owned(),
            line_id: problem.line_id,
            detail: problem.detail,
            is_blocking: problem.is_blocking,
        }
    }
}

impl CartView {
    pub(crate) fn of(priced: PricedCart, secret: Option<String>) -> CartView {
        let cart = priced.cart;
        let applied = priced.coupons.into_iter().map(|coupon| CartCodeView { code: coupon.code, is_applied: true, reason: None });
        let void = priced.void_codes.into_iter().map(|(_, code, reason)| CartCodeView {
            code,
            is_applied: false,
            reason: Some(reason.to_owned()),
        });
        CartView {
            id: cart.id,
            secret,
            state: cart.state.as_str().to_owned(),
            currency: cart.currency,
            email: cart.email,
            locale: cart.locale,
            note: cart.note,
            attributes: serde_json::from_str(&cart.attributes).unwrap_or_default(),
            shipping_address: cart.shipping_address,
            billing_address: cart.billing_address,
            lines: priced.lines.into_iter().map(CartLineView::from).collect(),
            codes: applied.chain(void).collect(),
            shipping: priced.shipping.map(|chosen| CartShippingView {
                method_id: chosen.method_id,
                name: chosen.name,
                price: chosen.price,
            }),
            totals: priced.totals,
            problems: priced.problems.into_iter().map(CartProblemView::from).collect(),
            created_at: cart.created_at,
            updated_at: cart.updated_at,
            expires_at: cart.expires_at,
            version: cart.version,
        }
    }
}

/// 201 with a new cart, or 200 with the one that the person has already.
enum CartAnswer {
    New(Created<CartView>),
    Known(Json<CartView>),
}

impl IntoResponse for CartAnswer {
    fn into_response(self) -> Response {
        match self {
            CartAnswer::New(created) => created.into_response(),
            CartAnswer::Known(known) => known.into_response(),
        }
    }
}

impl Describe for CartAnswer {
    fn describe(doc: &mut OperationDoc) {
        Created::<CartView>::describe(doc);
        Json::<CartView>::describe(doc);
    }
}

/// How a cart begins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"currency": "EUR", "email": "ada@example.com"}))]
struct NewCart {
    /// The currency; the store's when none is given.
    currency: Option<Currency>,
    /// Where mails about the order go.
    #[schema(min_length = 3, max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$")]
    email: Option<String>,
    /// The language of the buyer, BCP 47.
    #[schema(min_length = 2, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    locale: Option<String>,
}

async fn create(ctx: Ctx, Body(new): Body<NewCart>) -> Result<CartAnswer> {
    let begun = service::begin(&ctx, Beginning { currency: new.currency, email: new.email, locale: new.locale }).await?;
    let body = CartView::of(begun.cart, begun.secret);
    let location = format!("/api/v1/shop/carts/{}", body.id);
    Ok(if begun.is_new { CartAnswer::New(Created { location, body }) } else { CartAnswer::Known(Json(body)) })
}

async fn get(ctx: Ctx, secret: CartSecret, Path(id): Path<Id<Cart>>) -> Result<Json<CartView>> {
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::view(&ctx, id, access).await?, None)))
}

/// What to change about a cart.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "Please ring twice."}))]
struct PatchCart {
    /// The currency of every amount; prices are looked up anew.
    currency: Option<Currency>,
    /// Where mails about the order go; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$")]
    email: Option<Option<String>>,
    /// The language of the buyer, BCP 47.
    #[schema(min_length = 2, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    locale: Option<String>,
    /// What the buyer wants to tell; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 2000)]
    note: Option<Option<String>>,
    /// Values that the storefront keeps with the cart, at most 4 KiB as JSON; replaces those that are there.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

/// Tells a member that is null from one that is absent.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

async fn update(ctx: Ctx, secret: CartSecret, Path(id): Path<Id<Cart>>, Body(patch): Body<PatchCart>) -> Result<Json<CartView>> {
    let attributes = patch.attributes.map(|attributes| Value::Object(attributes).to_string());
    if attributes.as_ref().is_some_and(|text| text.len() > MAX_ATTRIBUTES) {
        return Err(Error::invalid(vec![FieldError::body("/attributes", "too_long", format!("At most {MAX_ATTRIBUTES} bytes."))]));
    }
    let patch = CartPatch { currency: patch.currency, email: patch.email, locale: patch.locale, note: patch.note, attributes };
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::update(&ctx, id, access, patch).await?, None)))
}

/// What to put into a cart.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"variant_id": "019ab0b2-8f00-7000-8000-000000000001", "quantity": 2}))]
struct NewCartLine {
    /// The variant.
    #[schema(value_type = uuid::Uuid)]
    variant_id: Id<Variant>,
    /// How many units.
    #[schema(minimum = 1, maximum = 9999)]
    quantity: u32,
}

async fn add_line(ctx: Ctx, secret: CartSecret, Path(id): Path<Id<Cart>>, Body(line): Body<NewCartLine>) -> Result<Json<CartView>> {
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::add_line(&ctx, id, access, line.variant_id, line.quantity).await?, None)))
}

/// What to change about a line.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"quantity": 3}))]
struct CartLinePatch {
    /// How many units.
    #[schema(minimum = 1, maximum = 9999)]
    quantity: u32,
}

async fn update_line(
    ctx: Ctx,
    secret: CartSecret,
    Path((id, line)): Path<(Id<Cart>, Id<CartLine>)>,
    Body(patch): Body<CartLinePatch>,
) -> Result<Json<CartView>> {
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::set_quantity(&ctx, id, access, line, patch.quantity).await?, None)))
}

async fn delete_line(ctx: Ctx, secret: CartSecret, Path((id, line)): Path<(Id<Cart>, Id<CartLine>)>) -> Result<Json<CartView>> {
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::remove_line(&ctx, id, access, line).await?, None)))
}

/// Where the goods go, and who is billed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "shipping": {"name": "Ada Lovelace", "line1": "Hauptstraße 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}, "billing": null
}))]
struct CartAddresses {
    /// Where the goods go.
    shipping: Option<Address>,
    /// Who is billed; the shipping address when null.
    billing: Option<Address>,
}

async fn set_addresses(
    ctx: Ctx,
    secret: CartSecret,
    Path(id): Path<Id<Cart>>,
    Body(addresses): Body<CartAddresses>,
) -> Result<Json<CartView>> {
    let shipping = addresses.shipping.map(|address| address.checked("/shipping")).transpose()?;
    let billing = addresses.billing.map(|address| address.checked("/billing")).transpose()?;
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::set_addresses(&ctx, id, access, shipping, billing).await?, None)))
}

/// The ways to deliver a cart.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [
    {"method_id": "019ab0b2-8f00-7000-8000-000000000001", "name": "Parcel", "price": {"amount": 490, "currency": "EUR"}, "is_pickup": false}
]}))]
struct ShippingOptions {
    /// In the order in which they are offered.
    #[schema(max_items = 1000)]
    items: Vec<ShippingOption>,
}

/// One way to deliver.
#[derive(Serialize, ToSchema)]
struct ShippingOption {
    /// The method.
    #[schema(value_type = uuid::Uuid)]
    method_id: Id<ShippingMethod>,
    /// What the buyer reads.
    name: String,
    /// What it costs before discounts.
    price: Money,
    /// Whether the buyer comes for the goods.
    is_pickup: bool,
}

async fn options(ctx: Ctx, secret: CartSecret, Path(id): Path<Id<Cart>>) -> Result<Json<ShippingOptions>> {
    let access = CartAccess::of(&ctx, &secret);
    let offered = service::options(&ctx, id, access).await?;
    let option = |(method, price): (crate::shipping::Method, Money)| ShippingOption {
        method_id: method.id,
        name: method.name,
        price,
        is_pickup: method.calculator == crate::shipping::Calculator::Pickup,
    };
    Ok(Json(ShippingOptions { items: offered.into_iter().map(option).collect() }))
}

/// The chosen way to deliver.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"method_id": "019ab0b2-8f00-7000-8000-000000000001"}))]
struct ShippingChoice {
    /// One of the shipping options; null takes the choice back.
    #[schema(value_type = Option<uuid::Uuid>)]
    method_id: Option<Id<ShippingMethod>>,
}

async fn set_shipping(
    ctx: Ctx,
    secret: CartSecret,
    Path(id): Path<Id<Cart>>,
    Body(choice): Body<ShippingChoice>,
) -> Result<Json<CartView>> {
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::set_shipping(&ctx, id, access, choice.method_id).await?, None)))
}

/// A code to enter.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "SUMMER20"}))]
struct EnteredCode {
    /// The code; case and blanks do not matter.
    #[schema(min_length = 1, max_length = 40)]
    code: String,
}

async fn add_code(ctx: Ctx, secret: CartSecret, Path(id): Path<Id<Cart>>, Body(entered): Body<EnteredCode>) -> Result<Json<CartView>> {
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::add_code(&ctx, id, access, entered.code).await?, None)))
}

async fn delete_code(ctx: Ctx, secret: CartSecret, Path((id, code)): Path<(Id<Cart>, String)>) -> Result<Json<CartView>> {
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::remove_code(&ctx, id, access, code).await?, None)))
}

async fn merge(ctx: Ctx, secret: CartSecret, Path(id): Path<Id<Cart>>) -> Result<Json<CartView>> {
    let access = CartAccess::of(&ctx, &secret);
    Ok(Json(CartView::of(service::merge(&ctx, id, access).await?, None)))
}
