//! When a promotion applies, and what it takes off (INV-R1, INV-R2). Pure.

use icu_normalizer::ComposingNormalizerBorrowed;
use kernel::money::Currency;
use kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{CartLine, Coupon, Product, Promotion};
use crate::pricing::{DiscountAction, DiscountInput};

/// What a promotion does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PromotionAction {
    /// Takes a part off.
    Percent,
    /// Takes an amount off.
    Amount,
    /// Takes the price of shipping off.
    FreeShipping,
}

impl PromotionAction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            PromotionAction::Percent => "percent",
            PromotionAction::Amount => "amount",
            PromotionAction::FreeShipping => "free_shipping",
        }
    }

    pub(crate) fn parse(text: &str) -> PromotionAction {
        use PromotionAction::{Amount, FreeShipping, Percent};
        [Amount, FreeShipping].into_iter().find(|action| action.as_str() == text).unwrap_or(Percent)
    }
}

/// A promotion that may apply to a cart, with the coupon that called it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) promotion_id: Id<Promotion>,
    pub(crate) name: String,
    pub(crate) is_active: bool,
    pub(crate) is_exclusive: bool,
    pub(crate) priority: i64,
    pub(crate) action: PromotionAction,
    pub(crate) percent_ppm: Option<u32>,
    pub(crate) amount: Option<i64>,
    pub(crate) currency: Option<Currency>,
    pub(crate) min_subtotal: Option<i64>,
    pub(crate) product_ids: Vec<Id<Product>>,
    pub(crate) valid_from: Option<Timestamp>,
    pub(crate) valid_until: Option<Timestamp>,
    pub(crate) coupon: Option<CouponState>,
}

/// What of a coupon decides whether it counts.
#[derive(Clone, Debug)]
pub(crate) struct CouponState {
    pub(crate) coupon_id: Id<Coupon>,
    pub(crate) code: String,
    pub(crate) is_active: bool,
    pub(crate) used: i64,
    pub(crate) usage_limit: Option<i64>,
    pub(crate) valid_until: Option<Timestamp>,
}

/// What of a cart decides about discounts: its lines with their products and amounts.
#[derive(Clone, Debug)]
pub(crate) struct Basket {
    pub(crate) currency: Currency,
    pub(crate) lines: Vec<(Id<CartLine>, Id<Product>, i128)>,
}

impl Candidate {
    /// Why it does not count for this cart; none when it does.
    pub(crate) fn obstacle(&self, basket: &Basket, now: Timestamp) -> Option<&'static str> {
        let (is_coupon_active, coupon_until) = self.coupon.as_ref().map_or((true, None), |coupon| (coupon.is_active, coupon.valid_until));
        let is_used_up = self.coupon.as_ref().is_some_and(|coupon| coupon.usage_limit.is_some_and(|limit| coupon.used >= limit));
        let subtotal: i128 = basket.lines.iter().map(|(_, _, amount)| amount).sum();
        let is_over = |until: Option<Timestamp>| until.is_some_and(|until| now >= until);
        let obstacles = [
            (!self.is_active || !is_coupon_active, "inactive"),
            (self.valid_from.is_some_and(|from| now < from), "not_yet_valid"),
            (is_over(self.valid_until) || is_over(coupon_until), "expired"),
            (is_used_up, "exhausted"),
            (self.currency.is_some_and(|currency| currency != basket.currency), "other_currency"),
            (self.min_subtotal.is_some_and(|min| subtotal < i128::from(min)), "minimum_not_reached"),
            (!self.product_ids.is_empty() && self.lines(basket).is_empty(), "nothing_to_discount"),
        ];
        obstacles.into_iter().find(|(is_there, _)| *is_there).map(|(_, reason)| reason)
    }

    fn lines(&self, basket: &Basket) -> Vec<Id<CartLine>> {
        basket.lines.iter().filter(|(_, product, _)| self.product_ids.contains(product)).map(|(line, ..)| *line).collect()
    }

    /// What it takes off.
    pub(crate) fn discount(&self, basket: &Basket) -> DiscountInput {
        DiscountInput {
            promotion_id: self.promotion_id,
            name: self.name.clone(),
            code: self.coupon.as_ref().map(|coupon| coupon.code.clone()),
            action: match self.action {
                PromotionAction::Percent => DiscountAction::Percent { ppm: self.percent_ppm.unwrap_or(0) },
                PromotionAction::Amount => DiscountAction::Amount { minor: self.amount.unwrap_or(0) },
                PromotionAction::FreeShipping => DiscountAction::FreeShipping,
            },
            lines: (!self.product_ids.is_empty()).then(|| self.lines(basket)),
        }
    }
}

/// What the promotions of a cart come to.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) discounts: Vec<DiscountInput>,
    pub(crate) coupons: Vec<super::AppliedCoupon>,
    /// Coupons that do not count: the coupon, its code, the reason.
    pub(crate) void: Vec<(Id<Coupon>, String, &'static str)>,
}

/// Applies promotions in the order of their priorities; an exclusive one is the last (INV-R1).
pub(crate) fn apply(mut candidates: Vec<Candidate>, basket: &Basket, now: Timestamp) -> Applied {
    candidates
        .sort_by_key(|candidate| (candidate.priority, candidate.promotion_id, candidate.coupon.as_ref().map(|coupon| coupon.coupon_id)));
    let mut applied = Applied::default();
    let mut is_closed = false;
    for candidate in candidates {
        let is_twice = applied.discounts.iter().any(|discount| discount.promotion_id == candidate.promotion_id);
        let obstacle = if is_closed || is_twice { Some("not_combinable") } else { candidate.obstacle(basket, now) };
        match (obstacle, &candidate.coupon) {
            (Some(reason), Some(coupon)) => applied.void.push((coupon.coupon_id, coupon.code.clone(), reason)),
            (Some(_), None) => {}
            (None, coupon) => {
                applied.discounts.push(candidate.discount(basket));
                applied.coupons.extend(coupon.as_ref().map(|coupon| super::AppliedCoupon {
                    coupon_id: coupon.coupon_id,
                    promotion_id: candidate.promotion_id,
                    code: coupon.code.clone(),
                }));
                is_closed = candidate.is_exclusive;
            }
        }
    }
    applied
}

/// What codes are compared by: NFKC, upper case, without blanks (INV-R2).
pub(crate) fn code_key(code: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(code.trim()).into_owned();
    composed.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(priority: i64, is_exclusive: bool) -> Candidate {
        Candidate {
            promotion_id: Id::from_uuid(uuid::Uuid::from_u128(priority as u128)),
            name: "Sale".into(),
            is_active: true,
            is_exclusive,
            priority,
            action: PromotionAction::Percent,
            percent_ppm: Some(100_000),
            amount: None,
            currency: None,
            min_subtotal: None,
            product_ids: Vec::new(),
            valid_from: None,
            valid_until: None,
            coupon: None,
        }
    }

    fn basket() -> Basket {
        let id = uuid::Uuid::from_u128(7);
        Basket { currency: Currency::EUR, lines: vec![(Id::from_uuid(id), Id::from_uuid(id), 1_000)] }
    }

    #[test]
    fn inv_r1_an_exclusive_promotion_ends_the_list() {
        let applied = apply(vec![candidate(3, false), candidate(2, true), candidate(1, false)], &basket(), Timestamp::from_millis(0));
        assert_eq!(applied.discounts.len(), 2);
    }

    #[test]
    fn inv_r2_each_obstacle_has_its_reason() {
        let now = Timestamp::from_millis(1_000);
        let coupon = CouponState {
            coupon_id: Id::from_uuid(uuid::Uuid::nil()),
            code: "X".into(),
            is_active: true,
            used: 1,
            usage_limit: Some(1),
            valid_until: None,
        };
        for (changed, reason) in [
            (Candidate { is_active: false, ..candidate(1, false) }, "inactive"),
            (Candidate { valid_from: Some(Timestamp::from_millis(1_001)), ..candidate(1, false) }, "not_yet_valid"),
            (Candidate { valid_until: Some(now), ..candidate(1, false) }, "expired"),
            (Candidate { coupon: Some(coupon), ..candidate(1, false) }, "exhausted"),
            (Candidate { currency: Some(Currency::USD), ..candidate(1, false) }, "other_currency"),
            (Candidate { min_subtotal: Some(1_001), ..candidate(1, false) }, "minimum_not_reached"),
            (Candidate { product_ids: vec![Id::from_uuid(uuid::Uuid::nil())], ..candidate(1, false) }, "nothing_to_discount"),
        ] {
            assert_eq!(changed.obstacle(&basket(), now), Some(reason));
        }
        assert_eq!(candidate(1, false).obstacle(&basket(), now), None);
    }

    #[test]
    fn inv_r2_codes_are_folded() {
        assert_eq!(code_key(" summer ２０ "), "SUMMER20");
        assert_eq!(code_key("straße"), code_key("STRASSE"));
    }
}
