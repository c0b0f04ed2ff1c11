//! The verbs of coupons that belong to an order's transaction.

use kernel::{Ctx, Error, Id, Result, Tx};
use serde_json::json;

use crate::ids::Order;
use crate::problems::CODE_INVALID;
use crate::promotions::{AppliedCoupon, store};

/// The refusal of a code, with its reason.
pub(crate) fn code_invalid(code: &str, reason: &'static str) -> Error {
    CODE_INVALID.error().with_member("reason", reason).with_member("coupon", json!(code))
}

/// Uses a coupon up for an order, or fails with `code_invalid` (INV-S7, INV-R3). The same order uses it once.
///
/// `customer` is the normalised address of the buyer: what "once per customer" is counted by.
pub fn claim_coupon(tx: &mut Tx<'_, '_>, ctx: &Ctx, coupon: &AppliedCoupon, order: Id<Order>, customer: &str) -> Result<()> {
    // The coupon's row first, as everywhere: orders with the same coupon queue for it.
    if !store::count_use(tx, coupon.coupon_id, ctx.now())? {
        return Err(code_invalid(&coupon.code, "exhausted"));
    }
    if !store::count_customer_use(tx, coupon.coupon_id, customer)? {
        return Err(code_invalid(&coupon.code, "used_by_customer"));
    }
    if !store::insert_use(tx, coupon.coupon_id, order, customer, ctx.now())? {
        return Err(Error::internal(format!("the order {order} uses the coupon {} twice", coupon.coupon_id)));
    }
    Ok(())
}

/// Uses up once more what an expired order has given back, because its money came after all (INV-R3, INV-P7).
///
/// All of its coupons or none: false, and nothing is used up, when one of them may not be used so often any more (INV-S7). Whether a
/// code still counts today does not matter: the buyer agreed to the price while it did. Repeating it changes nothing.
pub fn claim_coupons_again(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: Id<Order>) -> Result<bool> {
    for (coupon, customer) in store::given_back_of(tx, order)? {
        if !store::take_again(tx, coupon, order, ctx.now())? {
            continue;
        }
        let is_left = store::recount_use(tx, coupon)?;
        if is_left && store::count_customer_use(tx, coupon, &customer)? {
            continue;
        }
        if is_left {
            store::uncount_use(tx, coupon)?;
        }
        store::give_back(tx, coupon, order, ctx.now())?;
        // And with it those before it.
        give_back_coupons(tx, ctx, order)?;
        return Ok(false);
    }
    Ok(true)
}

/// Gives back what a canceled or expired order has used, exactly once (INV-R3).
pub fn give_back_coupons(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: Id<Order>) -> Result<()> {
    for (coupon, customer) in store::uses_of(tx, order)? {
        if store::give_back(tx, coupon, order, ctx.now())? {
            store::uncount_use(tx, coupon)?;
            store::uncount_customer_use(tx, coupon, &customer)?;
        }
    }
    Ok(())
}
