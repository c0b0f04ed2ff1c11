//! Sample data: a small catalog that can be bought from at once.

use kernel::money::{Currency, Money};
use kernel::{Ctx, Id, Result};

use crate::categories::NewCategory;
use crate::ids::{Category, Location, TaxClass};
use crate::places::Place;
use crate::prices::VariantPrice;
use crate::pricing::TaxCategory;
use crate::products::service::{self, NewProduct, NewVariant};
use crate::products::{OptionValue, ProductOption, ProductStatus, Seo, store};
use crate::promotions::rules::PromotionAction;
use crate::promotions::{NewCoupon, NewPromotion};
use crate::resources;
use crate::settings::ShopRules;
use crate::shipping::{Calculator, NewShippingMethod, NewShippingZone, ShippingConditions, ShippingPrice};
use crate::stock::service::{Adjustment, apply_adjustment};
use crate::taxes::{NewTaxRate, NewTaxZone};

/// Title, description, vendor, option, values, price in cents, grams, units of each variant.
type Sample = (&'static str, &'static str, &'static str, Option<&'static str>, &'static [&'static str], i64, i64, i64);

const PRODUCTS: [Sample; 4] = [
    ("Linen shirt", "Woven in Flanders, washed once.", "Undercroft Outfitters", Some("Size"), &["S", "M", "L", "XL"], 7_900, 220, 25),
    ("Enamel mug", "Holds 350 ml and survives the dishwasher.", "Kiln & Co", Some("Colour"), &["White", "Blue"], 1_490, 180, 60),
    ("Walnut cutting board", "One piece, oiled, with a juice groove.", "Kiln & Co", None, &[], 4_950, 1_400, 12),
    ("Pocket notebook", "Eighty pages of dotted paper.", "Quire", None, &[], 690, 90, 200),
];

/// Fills an empty catalog; one that has the first sample is left alone.
pub(crate) async fn fill(ctx: Ctx) -> Result<()> {
    if ctx.read(|c| Ok(store::has_slug(c, "linen-shirt")?)).await? {
        return Ok(());
    }
    let rules = ShopRules::of(&ctx.app);
    let (location, class) = ctx.read(|c| Ok((crate::locations::store::first(c)?, crate::taxes::store::default_class(c)?))).await?;
    if let Some(class) = class {
        add_taxes(&ctx, &rules, class).await?;
        add_shipping(&ctx, &rules, class).await?;
    }
    add_promotion(&ctx).await?;
    let category = add_category(&ctx).await?;
    for (index, sample) in PRODUCTS.iter().enumerate() {
        add_product(&ctx, rules.currency, category, location, index, sample).await?;
    }
    Ok(())
}

fn everywhere(country: &str) -> Vec<Place> {
    vec![Place { country: country.to_owned(), region: None, postal_from: None, postal_to: None }]
}

async fn add_taxes(ctx: &Ctx, rules: &ShopRules, tax_class_id: Id<TaxClass>) -> Result<()> {
    let zone = NewTaxZone { name: "Home".into(), priority: 0, places: everywhere(&rules.country) };
    let zone = resources::service::create(ctx, zone).await?;
    let rate = NewTaxRate {
        zone_id: zone.id,
        tax_class_id,
        name: "VAT".into(),
        rate_ppm: 190_000,
        category: TaxCategory::S,
        valid_from: None,
        valid_until: None,
    };
    resources::service::create(ctx, rate).await.map(|_| ())
}

async fn add_shipping(ctx: &Ctx, rules: &ShopRules, class: Id<TaxClass>) -> Result<()> {
    let zone = NewShippingZone { name: "Everywhere".into(), priority: 0, places: everywhere("*") };
    let zone = resources::service::create(ctx, zone).await?;
    for (position, name, calculator, amount, free_above) in
        [(1, "Parcel", Calculator::Flat, 490, Some(10_000)), (2, "Pick up at the store", Calculator::Pickup, 0, None)]
    {
        let price =
            ShippingPrice { currency: rules.currency, amount, free_above, min_subtotal: None, max_subtotal: None, steps: Vec::new() };
        let method = NewShippingMethod {
            zone_id: zone.id,
            name: name.into(),
            calculator,
            prices: vec![price],
            conditions: ShippingConditions::default(),
            tax_class_id: Some(class),
            position,
            is_active: true,
        };
        resources::service::create(ctx, method).await?;
    }
    Ok(())
}

async fn add_promotion(ctx: &Ctx) -> Result<()> {
    let promotion = NewPromotion {
        name: "Welcome".into(),
        is_automatic: false,
        is_active: true,
        is_exclusive: false,
        priority: 10,
        action: PromotionAction::Percent,
        percent_ppm: Some(100_000),
        amount: None,
        currency: None,
        min_subtotal: None,
        product_ids: Vec::new(),
        valid_from: None,
        valid_until: None,
    };
    let promotion = resources::service::create(ctx, promotion).await?;
    let coupon = NewCoupon {
        promotion_id: promotion.id,
        code: "WELCOME10".into(),
        usage_limit: None,
        per_customer: Some(1),
        is_active: true,
        valid_until: None,
        used_count: 0,
    };
    resources::service::create(ctx, coupon).await.map(|_| ())
}

async fn add_category(ctx: &Ctx) -> Result<Id<Category>> {
    let category = NewCategory {
        title: "Home and wardrobe".into(),
        slug: "home-and-wardrobe".into(),
        parent_id: None,
        description: "Things that last.".into(),
        position: 0,
    };
    Ok(resources::service::create(ctx, category).await?.id)
}

async fn add_product(
    ctx: &Ctx,
    currency: Currency,
    category: Id<Category>,
    location: Option<Id<Location>>,
    index: usize,
    (title, description, vendor, option, values, cents, weight_grams, units): &Sample,
) -> Result<()> {
    let options: Vec<ProductOption> = option
        .iter()
        .map(|name| ProductOption { name: (*name).to_owned(), values: values.iter().map(ToString::to_string).collect() })
        .collect();
    let price =
        VariantPrice { price: Money::new(*cents, currency), compare_at: None, min_quantity: 1, valid_from: None, valid_until: None };
    let variant = |options: Vec<OptionValue>, number: usize| NewVariant {
        title: None,
        sku: Some(format!("UC-{:03}-{number}", index + 1)),
        barcode: None,
        options,
        weight_grams: *weight_grams,
        is_shippable: true,
        is_digital: false,
        is_stock_tracked: true,
        is_active: true,
        tax_class_id: None,
        prices: vec![price.clone()],
    };
    let variants = match option {
        None => vec![variant(Vec::new(), 1)],
        Some(name) => {
            let of = |value: &&str| vec![OptionValue { name: (*name).to_owned(), value: (*value).to_owned() }];
            values.iter().enumerate().map(|(number, value)| variant(of(value), number + 1)).collect()
        }
    };
    let new = NewProduct {
        title: (*title).to_owned(),
        slug: None,
        status: ProductStatus::Active,
        description: (*description).to_owned(),
        vendor: Some((*vendor).to_owned()),
        attributes: "{}".to_owned(),
        seo: Seo::default(),
        options,
        media: Vec::new(),
        category_ids: vec![category],
        variants,
    };
    let product = service::create(ctx, new).await?;
    let Some(location_id) = location else { return Ok(()) };
    let (context, units) = (ctx.clone(), *units);
    let variants: Vec<_> = product.variants.iter().map(|variant| variant.id).collect();
    ctx.write(move |tx| {
        for variant in &variants {
            for item_id in crate::stock::store::items_of(tx, *variant)? {
                let reason = "Opening stock".to_owned();
                let adjustment = Adjustment { item_id, location_id, quantity: units, reason, backorder_limit: None, low_stock_at: None };
                apply_adjustment(tx, &context, &adjustment)?;
            }
        }
        Ok(())
    })
    .await
}
