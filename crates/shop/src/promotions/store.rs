//! SQL of promotions and coupons.

use db::{Conn, Error, OnViolation as _, Tx, params};
use kernel::money::Currency;
use kernel::page::Keyset;
use kernel::{Ctx, FieldError, Id, Timestamp};

use crate::ids::{Cart, Coupon, Order, Promotion};
use crate::problems::{CODE_TAKEN, IN_USE};
use crate::promotions::rules::{Candidate, CouponState, PromotionAction, code_key};
use crate::promotions::{NewCoupon, NewPromotion};
use crate::resources::{Record, Stored, dangling};

db::row! {
    struct CandidateRow {
        promotion_id: Id<Promotion>,
        name: String,
        is_active: bool,
        is_exclusive: bool,
        priority: i64,
        action: String,
        percent_ppm: Option<u32>,
        amount: Option<i64>,
        currency: Option<Currency>,
        min_subtotal: Option<i64>,
        product_ids: String,
        valid_from: Option<Timestamp>,
        valid_until: Option<Timestamp>,
        coupon_id: Option<Id<Coupon>>,
        code: Option<String>,
        coupon_is_active: Option<bool>,
        used: Option<i64>,
        usage_limit: Option<i64>,
        coupon_valid_until: Option<Timestamp>,
    }
}

impl From<CandidateRow> for Candidate {
    fn from(row: CandidateRow) -> Candidate {
        let coupon = row.coupon_id.map(|coupon_id| CouponState {
            coupon_id,
            code: row.code.unwrap_or_default(),
            is_active: row.coupon_is_active.unwrap_or(false),
            used: row.used.unwrap_or(0),
            usage_limit: row.usage_limit,
            valid_until: row.coupon_valid_until,
        });
        Candidate {
            promotion_id: row.promotion_id,
            name: row.name,
            is_active: row.is_active,
            is_exclusive: row.is_exclusive,
            priority: row.priority,
            action: PromotionAction::parse(&row.action),
            percent_ppm: row.percent_ppm,
            amount: row.amount,
            currency: row.currency,
            min_subtotal: row.min_subtotal,
            product_ids: serde_json::from_str(&row.product_ids).unwrap_or_default(),
            valid_from: row.valid_from,
            valid_until: row.valid_until,
            coupon,
        }
    }
}

const CANDIDATE: &str = "SELECT p.id AS promotion_id, p.name, p.is_active, p.is_exclusive, p.priority, p.action, p.percent_ppm, p.amount, p.currency, \
    p.min_subtotal, p.product_ids, p.valid_from, p.valid_until, c.id AS coupon_id, c.code, c.is_active AS coupon_is_active, c.used, c.usage_limit, \
    c.valid_until AS coupon_valid_until";

/// The automatic promotions, and those that the codes of a cart call.
pub(crate) fn candidates(c: &mut Conn, cart: Id<Cart>) -> Result<Vec<Candidate>, Error> {
    let sql = format!(
        "{CANDIDATE} FROM shop_cart_codes k JOIN shop_coupons c ON c.id = k.coupon_id JOIN shop_promotions p ON p.id = c.promotion_id \
         WHERE k.cart_id = ? \
         UNION ALL {CANDIDATE} FROM shop_promotions p LEFT JOIN shop_coupons c ON 1 = 0 WHERE p.is_active = 1 AND p.is_automatic = 1"
    );
    let rows = c.all::<CandidateRow>(sql, params![cart])?;
    Ok(rows.into_iter().map(Candidate::from).collect())
}

/// The promotion that a code calls.
pub(crate) fn by_code(c: &mut Conn, code_key: &str) -> Result<Option<Candidate>, Error> {
    let sql = format!("{CANDIDATE} FROM shop_coupons c JOIN shop_promotions p ON p.id = c.promotion_id WHERE c.code_key = ?");
    Ok(c.opt::<CandidateRow>(sql, params![code_key])?.map(Candidate::from))
}

/// Uses a coupon once more, unless that would be more often than allowed (INV-S7).
pub(crate) fn count_use(tx: &mut Tx<'_>, coupon: Id<Coupon>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_coupons SET used = used + 1 WHERE id = ? AND is_active = 1 AND (usage_limit IS NULL OR used < usage_limit) \
         AND (valid_until IS NULL OR valid_until > ?)",
        params![coupon, now],
    )?;
    Ok(changed == 1)
}

/// Uses a coupon once more for an order that used it before: only its limit counts (INV-S7).
pub(crate) fn recount_use(tx: &mut Tx<'_>, coupon: Id<Coupon>) -> Result<bool, Error> {
    let changed = tx
        .execute("UPDATE shop_coupons SET used = used + 1 WHERE id = ? AND (usage_limit IS NULL OR used < usage_limit)", params![coupon])?;
    Ok(changed == 1)
}

pub(crate) fn uncount_use(tx: &mut Tx<'_>, coupon: Id<Coupon>) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE shop_coupons SET used = used - 1 WHERE id = ? AND used > 0", params![coupon])? == 1)
}

/// Uses a coupon once more for this customer, unless that would be more often than each may.
pub(crate) fn count_customer_use(tx: &mut Tx<'_>, coupon: Id<Coupon>, customer: &str) -> Result<bool, Error> {
    tx.insert_ignore("INSERT INTO shop_coupon_customers (coupon_id, customer, used) VALUES (?, ?, 0)", params![coupon, customer])?;
    let changed = tx.execute(
        "UPDATE shop_coupon_customers SET used = used + 1 WHERE coupon_id = ? AND customer = ? \
         AND used < COALESCE((SELECT per_customer FROM shop_coupons WHERE id = ?), 2147483647)",
        params![coupon, customer, coupon],
    )?;
    Ok(changed == 1)
}

pub(crate) fn uncount_customer_use(tx: &mut Tx<'_>, coupon: Id<Coupon>, customer: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE shop_coupon_customers SET used = used - 1 WHERE coupon_id = ? AND customer = ? AND used > 0",
        params![coupon, customer],
    )?;
    Ok(())
}

/// Notes that an order has used a coupon; false when it did before.
pub(crate) fn insert_use(tx: &mut Tx<'_>, coupon: Id<Coupon>, order: Id<Order>, customer: &str, now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO shop_coupon_uses (coupon_id, order_id, customer, at) VALUES (?, ?, ?, ?)",
        params![coupon, order, customer, now],
    )
}

/// What an order has used and not given back: coupon and customer.
pub(crate) fn uses_of(c: &mut Conn, order: Id<Order>) -> Result<Vec<(Id<Coupon>, String)>, Error> {
    c.all(
        "SELECT coupon_id, customer FROM shop_coupon_uses WHERE order_id = ? AND given_back_at IS NULL ORDER BY coupon_id",
        params![order],
    )
}

/// What an order has used and given back: coupon and customer.
pub(crate) fn given_back_of(c: &mut Conn, order: Id<Order>) -> Result<Vec<(Id<Coupon>, String)>, Error> {
    c.all(
        "SELECT coupon_id, customer FROM shop_coupon_uses WHERE order_id = ? AND given_back_at IS NOT NULL ORDER BY coupon_id",
        params![order],
    )
}

/// Takes a use back that was given back; false for everybody but the first.
pub(crate) fn take_again(tx: &mut Tx<'_>, coupon: Id<Coupon>, order: Id<Order>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_coupon_uses SET given_back_at = NULL, at = ? WHERE coupon_id = ? AND order_id = ? AND given_back_at IS NOT NULL",
        params![now, coupon, order],
    )?;
    Ok(changed == 1)
}

/// Gives a use back; false for everybody but the first (INV-R3).
pub(crate) fn give_back(tx: &mut Tx<'_>, coupon: Id<Coupon>, order: Id<Order>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_coupon_uses SET given_back_at = ? WHERE coupon_id = ? AND order_id = ? AND given_back_at IS NULL",
        params![now, coupon, order],
    )?;
    Ok(changed == 1)
}

/// The most characters that a code is compared by.
const MAX_CODE_KEY: usize = 120;
/// The most promotions that are active at once (shop.md §12).
const MAX_ACTIVE: i64 = 100;

db::row! {
    struct PromotionRow {
        id: Id<Promotion>,
        name: String,
        is_automatic: bool,
        is_active: bool,
        is_exclusive: bool,
        priority: i64,
        action: String,
        percent_ppm: Option<u32>,
        amount: Option<i64>,
        currency: Option<Currency>,
        min_subtotal: Option<i64>,
        product_ids: String,
        valid_from: Option<Timestamp>,
        valid_until: Option<Timestamp>,
        created_at: Timestamp,
        version: i64,
    }
}

impl From<PromotionRow> for Record<NewPromotion> {
    fn from(row: PromotionRow) -> Self {
        let value = NewPromotion {
            name: row.name,
            is_automatic: row.is_automatic,
            is_active: row.is_active,
            is_exclusive: row.is_exclusive,
            priority: row.priority,
            action: PromotionAction::parse(&row.action),
            percent_ppm: row.percent_ppm,
            amount: row.amount,
            currency: row.currency,
            min_subtotal: row.min_subtotal,
            product_ids: serde_json::from_str(&row.product_ids).unwrap_or_default(),
            valid_from: row.valid_from,
            valid_until: row.valid_until,
        };
        Record { id: row.id, value, created_at: row.created_at, version: row.version }
    }
}

const PROMOTION: &str = "SELECT id, name, is_automatic, is_active, is_exclusive, priority, action, percent_ppm, amount, currency, min_subtotal, \
    product_ids, valid_from, valid_until, created_at, version FROM shop_promotions";

impl Stored for NewPromotion {
    type Marker = Promotion;

    fn check(&self, _: &mut Conn, _: &Ctx) -> kernel::Result<()> {
        let wrong = |pointer: &'static str, code: &'static str, detail: &'static str| FieldError::body(pointer, code, detail);
        let needs = |is_missing: bool, error| is_missing.then_some(error);
        let errors = [
            needs(
                self.action == PromotionAction::Percent && self.percent_ppm.is_none(),
                wrong("/percent_ppm", "required", "A percentage needs a number."),
            ),
            needs(
                self.action == PromotionAction::Amount && self.amount.is_none(),
                wrong("/amount", "required", "An amount needs a number."),
            ),
            needs(
                (self.amount.is_some() || self.min_subtotal.is_some()) && self.currency.is_none(),
                wrong("/currency", "required", "Amounts are amounts of a currency."),
            ),
            needs(
                self.valid_from.zip(self.valid_until).is_some_and(|(from, until)| from >= until),
                wrong("/valid_until", "out_of_range", "Later than valid_from."),
            ),
        ];
        let errors: Vec<FieldError> = errors.into_iter().flatten().collect();
        if errors.is_empty() { Ok(()) } else { Err(kernel::Error::invalid(errors)) }
    }

    fn find(c: &mut Conn, id: Id<Promotion>) -> kernel::Result<Option<Record<Self>>> {
        Ok(c.opt::<PromotionRow>(format!("{PROMOTION} WHERE id = ?"), params![id])?.map(Record::from))
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> kernel::Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!("{PROMOTION} WHERE {condition} ORDER BY {} LIMIT {}", keyset.order_by(), keyset.limit());
        Ok(c.all::<PromotionRow>(sql, &values)?.into_iter().map(Record::from).collect())
    }

    fn insert(&self, tx: &mut Tx<'_>, id: Id<Promotion>, now: Timestamp) -> kernel::Result<()> {
        check_active(tx, id, self.is_active)?;
        tx.execute(
            "INSERT INTO shop_promotions (id, name, is_automatic, is_active, is_exclusive, priority, action, percent_ppm, amount, currency, \
             min_subtotal, product_ids, valid_from, valid_until, created_at, updated_at, version) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            params![
                id,
                self.name,
                self.is_automatic,
                self.is_active,
                self.is_exclusive,
                self.priority,
                self.action.as_str(),
                self.percent_ppm,
                self.amount,
                self.currency,
                self.min_subtotal,
                products(self)?,
                self.valid_from,
                self.valid_until,
                now,
                now
            ],
        )?;
        Ok(())
    }

    fn update(&self, tx: &mut Tx<'_>, id: Id<Promotion>, expected: Option<i64>, now: Timestamp) -> kernel::Result<bool> {
        check_active(tx, id, self.is_active)?;
        let changed = tx.execute(
            "UPDATE shop_promotions SET name = ?, is_automatic = ?, is_active = ?, is_exclusive = ?, priority = ?, action = ?, percent_ppm = ?, \
             amount = ?, currency = ?, min_subtotal = ?, product_ids = ?, valid_from = ?, valid_until = ?, updated_at = ?, version = version + 1 \
             WHERE id = ? AND version = COALESCE(?, version)",
            params![
                self.name,
                self.is_automatic,
                self.is_active,
                self.is_exclusive,
                self.priority,
                self.action.as_str(),
                self.percent_ppm,
                self.amount,
                self.currency,
                self.min_subtotal,
                products(self)?,
                self.valid_from,
                self.valid_until,
                now,
                id,
                expected
            ],
        )?;
        Ok(changed == 1)
    }

    fn delete(tx: &mut Tx<'_>, id: Id<Promotion>) -> kernel::Result<bool> {
        let deleted = tx.execute("DELETE FROM shop_promotions WHERE id = ?", params![id]).on_foreign_key(|| IN_USE.error())?;
        Ok(deleted == 1)
    }
}

/// Refuses one active promotion too many. Whoever wants one more waits here for whoever came before, so that the count decides.
fn check_active(tx: &mut Tx<'_>, id: Id<Promotion>, is_active: bool) -> kernel::Result<()> {
    if !is_active {
        return Ok(());
    }
    if !queue(tx)? {
        tx.insert_ignore("INSERT INTO shop_counters (name, value) VALUES ('promotion_changes', 0)", &[])?;
        queue(tx)?;
    }
    if tx.one::<i64>("SELECT COUNT(*) FROM shop_promotions WHERE is_active = 1 AND id <> ?", params![id])? < MAX_ACTIVE {
        return Ok(());
    }
    let error = FieldError::body("/is_active", "not_allowed", format!("At most {MAX_ACTIVE} promotions are active at once."));
    Err(kernel::Error::invalid(vec![error]))
}

fn queue(tx: &mut Tx<'_>) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE shop_counters SET value = value + 1 WHERE name = 'promotion_changes'", &[])? == 1)
}

fn products(promotion: &NewPromotion) -> kernel::Result<String> {
    serde_json::to_string(&promotion.product_ids).map_err(kernel::Error::internal)
}

db::row! {
    struct CouponRow {
        id: Id<Coupon>,
        promotion_id: Id<Promotion>,
        code: String,
        usage_limit: Option<i64>,
        per_customer: Option<i64>,
        is_active: bool,
        valid_until: Option<Timestamp>,
        used: i64,
        created_at: Timestamp,
        version: i64,
    }
}

impl From<CouponRow> for Record<NewCoupon> {
    fn from(row: CouponRow) -> Self {
        let value = NewCoupon {
            promotion_id: row.promotion_id,
            code: row.code,
            usage_limit: row.usage_limit,
            per_customer: row.per_customer,
            is_active: row.is_active,
            valid_until: row.valid_until,
            used_count: row.used,
        };
        Record { id: row.id, value, created_at: row.created_at, version: row.version }
    }
}

const COUPON: &str =
    "SELECT id, promotion_id, code, usage_limit, per_customer, is_active, valid_until, used, created_at, version FROM shop_coupons";

/// What the keys of coupons mean for the caller.
fn refused(error: Error) -> kernel::Error {
    match error {
        error if error.is_unique("shop_coupons_code") => CODE_TAKEN.on("/code"),
        Error::ForeignKey { .. } => dangling(),
        error => error.into(),
    }
}

impl Stored for NewCoupon {
    type Marker = Coupon;

    fn check(&self, c: &mut Conn, _: &Ctx) -> kernel::Result<()> {
        // A few characters stand for many when they are compared.
        if code_key(&self.code).chars().count() > MAX_CODE_KEY {
            return Err(kernel::Error::invalid(vec![FieldError::body("/code", "too_long", "Use plain letters and digits.")]));
        }
        match NewPromotion::find(c, self.promotion_id)? {
            Some(_) => Ok(()),
            None => {
                let error = FieldError::body("/promotion_id", "unknown_reference", "There is no such promotion.");
                Err(kernel::Error::invalid(vec![error]))
            }
        }
    }

    fn find(c: &mut Conn, id: Id<Coupon>) -> kernel::Result<Option<Record<Self>>> {
        Ok(c.opt::<CouponRow>(format!("{COUPON} WHERE id = ?"), params![id])?.map(Record::from))
    }

    fn list(c: &mut Conn, keyset: &Keyset) -> kernel::Result<Vec<Record<Self>>> {
        let (condition, values) = keyset.condition();
        let sql = format!("{COUPON} WHERE {condition} ORDER BY {} LIMIT {}", keyset.order_by(), keyset.limit());
        Ok(c.all::<CouponRow>(sql, &values)?.into_iter().map(Record::from).collect())
    }

    fn insert(&self, tx: &mut Tx<'_>, id: Id<Coupon>, now: Timestamp) -> kernel::Result<()> {
        tx.execute(
            "INSERT INTO shop_coupons (id, promotion_id, code, code_key, used, usage_limit, per_customer, is_active, valid_until, created_at, version) \
             VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, 1)",
            params![
                id,
                self.promotion_id,
                self.code,
                code_key(&self.code),
                self.usage_limit,
                self.per_customer,
                self.is_active,
                self.valid_until,
                now
            ],
        )
        .map_err(refused)?;
        Ok(())
    }

    fn update(&self, tx: &mut Tx<'_>, id: Id<Coupon>, expected: Option<i64>, _: Timestamp) -> kernel::Result<bool> {
        // Locked, so that nobody uses it meanwhile: a limit below the uses would break the table's own check.
        let used = tx.opt::<i64>("SELECT used FROM shop_coupons WHERE id = ? {for_update}", params![id])?.unwrap_or(0);
        if self.usage_limit.is_some_and(|limit| limit < used) {
            return Err(kernel::Error::invalid(vec![FieldError::body("/usage_limit", "out_of_range", "It was used more often already.")]));
        }
        let changed = tx
            .execute(
                "UPDATE shop_coupons SET promotion_id = ?, code = ?, code_key = ?, usage_limit = ?, per_customer = ?, is_active = ?, valid_until = ?, \
                 version = version + 1 WHERE id = ? AND version = COALESCE(?, version)",
                params![
                    self.promotion_id,
                    self.code,
                    code_key(&self.code),
                    self.usage_limit,
                    self.per_customer,
                    self.is_active,
                    self.valid_until,
                    id,
                    expected
                ],
            )
            .map_err(refused)?;
        Ok(changed == 1)
    }

    fn delete(tx: &mut Tx<'_>, id: Id<Coupon>) -> kernel::Result<bool> {
        if tx.opt::<i64>("SELECT 1 FROM shop_coupon_uses WHERE coupon_id = ? LIMIT 1", params![id])?.is_some() {
            return Err(IN_USE.error());
        }
        tx.execute("DELETE FROM shop_cart_codes WHERE coupon_id = ?", params![id])?;
        Ok(tx.execute("DELETE FROM shop_coupons WHERE id = ?", params![id]).on_foreign_key(|| IN_USE.error())? == 1)
    }
}
