//! Promotions and coupons: reasons to charge less (INV-R1 to INV-R3).

pub(crate) mod http;
pub(crate) mod rules;
pub(crate) mod service;
pub(crate) mod store;

use kernel::money::Currency;
use kernel::{Id, Timestamp};

use crate::ids::{Coupon, Product, Promotion};
use crate::promotions::rules::PromotionAction;
use crate::resources::{resource, yes};

pub use service::{claim_coupon, claim_coupons_again, give_back_coupons};

/// A code of a cart that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedCoupon {
    /// The coupon.
    pub coupon_id: Id<Coupon>,
    /// What it makes apply.
    pub promotion_id: Id<Promotion>,
    /// The code as the merchant writes it.
    pub code: String,
}

resource! {
    /// A reason to charge less: for everybody, or for those who know the code of one of its coupons.
    NewPromotion, PromotionView, Promotion, example {
        "name": "Summer sale", "is_automatic": false, "is_active": true, "is_exclusive": false, "priority": 10, "action": "percent",
        "percent_ppm": 200000, "amount": null, "currency": null, "min_subtotal": null, "product_ids": [], "valid_from": null, "valid_until": null
    } {
        /// What the buyer reads.
        #[schema(min_length = 1, max_length = 120)]
        name: String,
        /// Whether it applies without a code.
        #[serde(default)]
        is_automatic: bool,
        /// Whether it applies at all.
        #[serde(default = "yes")]
        is_active: bool,
        /// Whether none may follow it.
        #[serde(default)]
        is_exclusive: bool,
        /// The lowest number applies first.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1000000)]
        priority: i64,
        /// What it does.
        action: PromotionAction,
        /// For `percent`: parts per million; 200000 is 20 %.
        #[serde(default)]
        #[schema(minimum = 1, maximum = 1000000)]
        percent_ppm: Option<u32>,
        /// For `amount`: minor units of the currency.
        #[serde(default)]
        #[schema(minimum = 1, maximum = 1000000000000000_i64)]
        amount: Option<i64>,
        /// The only currency in which it applies; needed with an amount or a least subtotal.
        #[serde(default)]
        currency: Option<Currency>,
        /// The subtotal before discounts from which it applies.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1000000000000000_i64)]
        min_subtotal: Option<i64>,
        /// The products that it concerns; empty means all.
        #[serde(default)]
        #[schema(value_type = Vec<uuid::Uuid>, max_items = 500)]
        product_ids: Vec<Id<Product>>,
        /// From when it applies.
        #[serde(default)]
        valid_from: Option<Timestamp>,
        /// Until when it applies.
        #[serde(default)]
        valid_until: Option<Timestamp>,
    }
}

resource! {
    /// A code that makes a promotion apply.
    NewCoupon, CouponView, Coupon, example {
        "promotion_id": "019ab0b2-8f00-7000-8000-000000000002", "code": "SUMMER20", "usage_limit": 1000, "per_customer": 1, "is_active": true,
        "valid_until": null
    } and { "used_count": 0 } {
        /// The promotion.
        #[schema(value_type = uuid::Uuid)]
        promotion_id: Id<Promotion>,
        /// The code; case, width and blanks do not matter.
        #[schema(min_length = 1, max_length = 40, pattern = "^\\S+$")]
        code: String,
        /// How often it may be used; null means without limit.
        #[serde(default)]
        #[schema(minimum = 1, maximum = 1000000000)]
        usage_limit: Option<i64>,
        /// How often each customer may use it; null means without limit.
        #[serde(default)]
        #[schema(minimum = 1, maximum = 1000000000)]
        per_customer: Option<i64>,
        /// Whether it can be used.
        #[serde(default = "yes")]
        is_active: bool,
        /// Until when it can be used.
        #[serde(default)]
        valid_until: Option<Timestamp>,
    }
    shows {
        /// How often it was used and not given back.
        #[schema(minimum = 0)]
        used_count: i64,
    }
}
