//! The verbs of prices.

use std::collections::HashSet;

use kernel::error::NOT_FOUND;
use kernel::http::IfMatch;
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Tx};

use crate::ids::Variant;
use crate::permissions::MANAGE_PRICES;
use crate::prices::{VariantPrice, store};
use crate::pricing::MAX_AMOUNT;
use crate::problems::CURRENCY_NOT_SUPPORTED;
use crate::products;
use crate::settings::ShopRules;

/// Refuses prices below zero, in currencies that the store does not take, or twice for the same quantity and time.
pub(crate) fn check(ctx: &Ctx, prices: &[VariantPrice], pointer: &str) -> Result<()> {
    let rules = ShopRules::of(&ctx.app);
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, price) in prices.iter().enumerate() {
        let at = |member: &str| format!("{pointer}/{index}/{member}");
        if !rules.currencies.contains(&price.price.currency) {
            let field = FieldError::body(at("price/currency"), "not_allowed", "The store does not take this currency.");
            return Err(CURRENCY_NOT_SUPPORTED.error().with_field(field).with_member("allowed", serde_json::json!(rules.currencies)));
        }
        if !(0..=MAX_AMOUNT).contains(&price.price.minor) {
            errors.push(FieldError::body(at("price/amount"), "out_of_range", "From 0 to 10^15."));
        }
        if price
            .compare_at
            .is_some_and(|was| was.currency != price.price.currency || was.minor <= price.price.minor || was.minor > MAX_AMOUNT)
        {
            errors.push(FieldError::body(at("compare_at"), "out_of_range", "More than the price, in the same currency."));
        }
        if price.valid_from.zip(price.valid_until).is_some_and(|(from, until)| from >= until) {
            errors.push(FieldError::body(at("valid_until"), "out_of_range", "Later than valid_from."));
        }
        if !seen.insert((price.price.currency, price.min_quantity, price.valid_from)) {
            errors.push(FieldError::body(
                format!("{pointer}/{index}"),
                "not_unique",
                "One price for each currency, quantity and beginning.",
            ));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// Replaces all prices of a variant inside the caller's transaction, and logs what changed.
pub(crate) fn set(tx: &mut Tx<'_, '_>, ctx: &Ctx, variant: Id<Variant>, prices: &[VariantPrice]) -> Result<()> {
    let before = store::of_variant(tx, variant)?;
    store::delete_all(tx, variant)?;
    let actor = ctx.actor.label();
    for price in prices {
        store::insert(tx, ctx.new_id(), variant, price)?;
        if !before.contains(price) {
            store::log(tx, ctx.new_id(), variant, price, false, &actor, ctx.now())?;
        }
    }
    for gone in before.iter().filter(|was| !prices.iter().any(|price| same_place(price, was))) {
        store::log(tx, ctx.new_id(), variant, gone, true, &actor, ctx.now())?;
    }
    Ok(())
}

fn same_place(a: &VariantPrice, b: &VariantPrice) -> bool {
    (a.price.currency, a.min_quantity, a.valid_from) == (b.price.currency, b.min_quantity, b.valid_from)
}

/// Replaces all prices of a variant if the variant has the version that the caller saw; the product counts as changed.
pub(crate) async fn replace(ctx: &Ctx, id: Id<Variant>, prices: Vec<VariantPrice>, if_match: IfMatch) -> Result<(Vec<VariantPrice>, i64)> {
    ctx.actor.require(&MANAGE_PRICES)?;
    check(ctx, &prices, "/prices")?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let product_id = products::store::find_variant(tx, id)?.ok_or(&NOT_FOUND)?.product_id;
        // The product first, as everywhere.
        products::store::lock(tx, product_id)?.ok_or(&NOT_FOUND)?;
        let variant = products::store::lock_variant(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(variant.version)?;
        set(tx, &context, id, &prices)?;
        products::store::touch_variant(tx, id, context.now())?;
        products::service::note_change(tx, &context, variant.product_id)?;
        tx.audit(AuditEntry::ok("shop.prices.replace", &format!("variant:{id}")))?;
        Ok((store::of_variant(tx, id)?, variant.version + 1))
    })
    .await
}

/// The prices of a variant that the caller may see.
pub(crate) async fn find(ctx: &Ctx, id: Id<Variant>) -> Result<(Vec<VariantPrice>, i64)> {
    let may_see_any = ctx.actor.may(&crate::permissions::READ_ANY_PRODUCT);
    ctx.read(move |c| {
        let variant = products::store::find_variant(c, id)?.ok_or(&NOT_FOUND)?;
        let product = products::store::find(c, variant.product_id)?.ok_or(&NOT_FOUND)?;
        let is_on_sale = product.is_public() && variant.is_active;
        if !may_see_any && !is_on_sale {
            return Err(NOT_FOUND.error());
        }
        Ok((store::of_variant(c, id)?, variant.version))
    })
    .await
}
