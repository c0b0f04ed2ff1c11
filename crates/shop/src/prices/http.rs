//! The prices of a variant over HTTP.

use kernel::error::NOT_FOUND;
use kernel::http::{Body, Etag, IfMatch, Json, Operation, Path};
use kernel::{Ctx, Id, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::Variant;
use crate::permissions::MANAGE_PRICES;
use crate::prices::{VariantPrice, service};
use crate::problems::CURRENCY_NOT_SUPPORTED;

pub(crate) fn operations() -> [Operation; 2] {
    [
        Operation::get("/api/v1/shop/variants/{variant_id}/prices", "getVariantPrices", get)
            .tag("Products")
            .summary("Read the prices of a variant")
            .describe("By currency and quantity. The version is that of the variant.")
            .raises(&[&NOT_FOUND])
            .public(),
        Operation::put("/api/v1/shop/variants/{variant_id}/prices", "replaceVariantPrices", replace)
            .tag("Products")
            .summary("Set the prices of a variant")
            .describe("Replaces all of them. Carts show the new price at once and say that it changed; orders keep the old one.")
            .raises(&[&CURRENCY_NOT_SUPPORTED])
            .requires(&MANAGE_PRICES),
    ]
}

/// All prices of a variant.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"prices": [{"price": {"amount": 1299, "currency": "EUR"}, "compare_at": null, "min_quantity": 1, "valid_from": null, "valid_until": null}]}))]
struct VariantPrices {
    /// By currency and quantity.
    #[schema(max_items = 100)]
    prices: Vec<VariantPrice>,
}

async fn get(ctx: Ctx, Path(id): Path<Id<Variant>>) -> Result<Etag<Json<VariantPrices>>> {
    let (prices, version) = service::find(&ctx, id).await?;
    Ok(Etag { version, answer: Json(VariantPrices { prices }) })
}

async fn replace(
    ctx: Ctx,
    if_match: IfMatch,
    Path(id): Path<Id<Variant>>,
    Body(new): Body<VariantPrices>,
) -> Result<Etag<Json<VariantPrices>>> {
    let (prices, version) = service::replace(&ctx, id, new.prices, if_match).await?;
    Ok(Etag { version, answer: Json(VariantPrices { prices }) })
}
