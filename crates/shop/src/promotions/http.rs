//! Promotions and coupons over HTTP.

use kernel::{Permission, Problem};

use crate::permissions::MANAGE_PROMOTIONS;
use crate::problems::{CODE_TAKEN, IN_USE};
use crate::promotions::{CouponView, NewCoupon, NewPromotion, PromotionView};
use crate::resources::http::Resource;

impl Resource for NewPromotion {
    type View = PromotionView;
    const PERMISSION: &'static Permission = &MANAGE_PROMOTIONS;
    const TAG: &'static str = "Promotions";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/promotions", "/api/v1/shop/promotions/{promotion_id}"];
    const OPERATIONS: [&'static str; 5] = ["listPromotions", "getPromotion", "createPromotion", "replacePromotion", "deletePromotion"];
    const SUMMARIES: [&'static str; 5] =
        ["List the promotions", "Read a promotion", "Add a promotion", "Change a promotion", "Delete a promotion"];
    const ABOUT: &'static str =
        "A reason to charge less. Promotions apply in the order of their priorities; none follows an exclusive one.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[], &[&IN_USE]];
    const SUBJECT: &'static str = "promotion";
    const ACTIONS: [&'static str; 3] = ["shop.promotion.create", "shop.promotion.replace", "shop.promotion.delete"];
}

impl Resource for NewCoupon {
    type View = CouponView;
    const PERMISSION: &'static Permission = &MANAGE_PROMOTIONS;
    const TAG: &'static str = "Promotions";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/coupons", "/api/v1/shop/coupons/{coupon_id}"];
    const OPERATIONS: [&'static str; 5] = ["listCoupons", "getCoupon", "createCoupon", "replaceCoupon", "deleteCoupon"];
    const SUMMARIES: [&'static str; 5] = ["List the coupons", "Read a coupon", "Add a coupon", "Change a coupon", "Delete a coupon"];
    const ABOUT: &'static str = "A code that makes a promotion apply. An order uses it up at checkout; canceled orders give it back.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[&CODE_TAKEN], &[&IN_USE]];
    const SUBJECT: &'static str = "coupon";
    const ACTIONS: [&'static str; 3] = ["shop.coupon.create", "shop.coupon.replace", "shop.coupon.delete"];
}
