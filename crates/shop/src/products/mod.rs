//! Products: what is sold, in one or more variants.

mod etag;
pub(crate) mod http;
pub(crate) mod samples;
pub(crate) mod service;
mod slugs;
pub(crate) mod store;

use kernel::media::{self, MediaFile};
use kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::ids::{Product, TaxClass, Variant};

/// The most options of a product and variants of a product (shop.md §12).
pub(crate) const MAX_OPTIONS: usize = 5;
pub(crate) const MAX_VARIANTS: usize = 250;
/// How the library of files calls a product that uses one.
pub(crate) const MEDIA_SUBJECT: &str = "shop.product";

/// Whether a product can be seen and bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProductStatus {
    /// Only staff sees it.
    #[default]
    Draft,
    /// It is on sale.
    Active,
    /// It was on sale.
    Archived,
}

impl ProductStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ProductStatus::Draft => "draft",
            ProductStatus::Active => "active",
            ProductStatus::Archived => "archived",
        }
    }

    pub(crate) fn parse(text: &str) -> ProductStatus {
        use ProductStatus::{Active, Archived, Draft};
        [Active, Archived].into_iter().find(|status| status.as_str() == text).unwrap_or(Draft)
    }
}

/// A way in which the variants of a product differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Size", "values": ["S", "M", "L"]}))]
pub(crate) struct ProductOption {
    /// What differs.
    #[schema(min_length = 1, max_length = 60)]
    pub(crate) name: String,
    /// What there is, in the order in which it is offered.
    #[schema(min_items = 1, max_items = 250)]
    pub(crate) values: Vec<String>,
}

/// What a variant is in one respect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Size", "value": "M"}))]
pub(crate) struct OptionValue {
    /// What differs.
    #[schema(min_length = 1, max_length = 60)]
    pub(crate) name: String,
    /// What it is here.
    #[schema(min_length = 1, max_length = 120)]
    pub(crate) value: String,
}

/// What search engines are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"title": null, "description": null}))]
pub(crate) struct Seo {
    /// The title of the page.
    #[schema(max_length = 255)]
    pub(crate) title: Option<String>,
    /// What the page is about.
    #[schema(max_length = 1000)]
    pub(crate) description: Option<String>,
}

/// A product as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct ProductRecord {
    pub(crate) id: Id<Product>,
    pub(crate) slug: String,
    pub(crate) status: ProductStatus,
    pub(crate) title: String,
    pub(crate) title_key: String,
    pub(crate) description: String,
    /// The description as safe HTML.
    pub(crate) description_html: String,
    pub(crate) vendor: Option<String>,
    /// As JSON.
    pub(crate) attributes: String,
    pub(crate) seo: Seo,
    pub(crate) options: Vec<ProductOption>,
    /// What shows it, in the order in which it is shown.
    pub(crate) media: Vec<Id<MediaFile>>,
    pub(crate) published_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}

impl ProductRecord {
    pub(crate) fn is_public(&self) -> bool {
        self.status == ProductStatus::Active
    }

    /// Every file that it uses: its media, and what its description shows.
    pub(crate) fn files(&self) -> Vec<Id<MediaFile>> {
        let mut files = self.media.clone();
        let mentioned = [&self.description_html, &self.description].into_iter().flat_map(|text| media::mentioned_in(text));
        for id in mentioned {
            if !files.contains(&id) {
                files.push(id);
            }
        }
        files
    }
}

/// A variant as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct VariantRecord {
    pub(crate) id: Id<Variant>,
    pub(crate) product_id: Id<Product>,
    pub(crate) title: String,
    pub(crate) sku: Option<String>,
    pub(crate) barcode: Option<String>,
    pub(crate) options: Vec<OptionValue>,
    pub(crate) weight_grams: i64,
    pub(crate) is_shippable: bool,
    pub(crate) is_digital: bool,
    pub(crate) is_stock_tracked: bool,
    pub(crate) is_active: bool,
    pub(crate) tax_class_id: Id<TaxClass>,
    pub(crate) position: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}

/// What two variants of a product may not share: their options, whatever their order and case.
pub(crate) fn options_key(options: &[OptionValue]) -> [u8; 32] {
    let mut pairs: Vec<(String, String)> = options.iter().map(|option| (folded(&option.name), folded(&option.value))).collect();
    pairs.sort();
    let mut hash = Sha256::new();
    for (name, value) in pairs {
        for part in [name, value] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().into()
}

/// Text as it is compared and sorted: NFKC, without case, cut to 120 characters.
pub(crate) fn folded(text: &str) -> String {
    let composed = icu_normalizer::ComposingNormalizerBorrowed::new_nfkc().normalize(text.trim()).into_owned();
    composed.chars().flat_map(char::to_lowercase).take(120).collect()
}

/// What a variant is called after its options, such as `M / red`.
pub(crate) fn title_of(options: &[OptionValue]) -> String {
    let joined = options.iter().map(|option| option.value.as_str()).collect::<Vec<_>>().join(" / ");
    joined.chars().take(255).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_the_same_whatever_the_order_and_case_of_their_options() {
        let option = |name: &str, value: &str| OptionValue { name: name.into(), value: value.into() };
        let a = options_key(&[option("Size", "M"), option("Colour", "Red")]);
        assert_eq!(a, options_key(&[option("colour", "RED"), option("size", "m")]));
        assert_ne!(a, options_key(&[option("Size", "M"), option("Colour", "Blue")]));
        assert_ne!(options_key(&[option("a", "bc")]), options_key(&[option("ab", "c")]));
    }
}
