//! The verbs of carts. Each change locks the cart's row first, and answers with the whole cart as it costs now.

use std::time::Duration;

use db::OnViolation as _;
use kernel::error::{GONE, NOT_FOUND, RATE_LIMITED};
use kernel::limits::Quota;
use kernel::money::Currency;
use kernel::{Ctx, Error, FieldError, Id, Result, Timestamp, Tx, UserId};
use serde_json::json;

use crate::carts::pricing::{load_priced, price_cart, shipping_options};
use crate::carts::store::{self, LineRow, NewCart};
use crate::carts::{Address, CartAccess, CartRecord, CartState, MAX_LINES, MAX_QUANTITY, PricedCart, secret_hash};
use crate::events::CartCreated;
use crate::ids::{Cart, CartLine, Order, ShippingMethod, Variant};
use crate::problems::{CART_ORDERED, CURRENCY_NOT_SUPPORTED, NOT_SHIPPABLE};
use crate::promotions::rules::code_key;
use crate::promotions::service::code_invalid;
use crate::settings::ShopRules;
use crate::shipping::Method;

/// Guessing codes (INV-R2).
const CODE_GUESSES: Quota = Quota { name: "shop.codes", burst: 20, window: Duration::from_secs(3600) };
/// The most codes of a cart (shop.md §12).
const MAX_CODES: usize = 20;

/// How a cart begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beginning {
    pub(crate) currency: Option<Currency>,
    pub(crate) email: Option<String>,
    pub(crate) locale: Option<String>,
}

/// A cart that was asked for: the one that the person has already, or a new one, with its secret for a guest.
pub(crate) struct Begun {
    pub(crate) cart: PricedCart,
    pub(crate) secret: Option<String>,
    pub(crate) is_new: bool,
}

/// Begins a cart. A person with an account has one open cart; asking again gives the same.
pub(crate) async fn begin(ctx: &Ctx, beginning: Beginning) -> Result<Begun> {
    let rules = ShopRules::of(&ctx.app);
    let currency = beginning.currency.unwrap_or(rules.currency);
    require_currency(&rules, currency)?;
    let (context, id, user) = (ctx.clone(), ctx.new_id::<Cart>(), ctx.actor.maybe_user_id());
    let secret = user.is_none().then(|| ctx.app.random().token());
    let locale = beginning.locale.unwrap_or_else(|| ctx.request.locale.clone());
    ctx.write(move |tx| {
        let now = context.now();
        let known = match user {
            Some(user) => store::open_of(tx, user)?,
            None => None,
        };
        // It may have run out of time without being ended yet; asking for it is using it. One that was ended just now is not theirs
        // any more.
        if let Some(known) = known
            && store::touch(tx, known, now, now + rules.cart_life.duration())?
        {
            return Ok(Begun { cart: load_priced(tx, known, now, &rules)?, secret: None, is_new: false });
        }
        let new = NewCart {
            id,
            secret_hash: secret.as_deref().map(secret_hash),
            user_id: user,
            currency,
            email: beginning.email.as_deref(),
            locale: &locale,
            expires_at: now + rules.cart_life.duration(),
        };
        if !store::insert(tx, &new, now)? {
            // Somebody began one at the same moment; it is theirs.
            let known = store::open_of(tx, user.ok_or_else(|| Error::internal("a guest's cart exists twice"))?)?.ok_or(&NOT_FOUND)?;
            return Ok(Begun { cart: load_priced(tx, known, now, &rules)?, secret: None, is_new: false });
        }
        tx.record(&CartCreated { cart_id: id.uuid() })?;
        Ok(Begun { cart: load_priced(tx, id, now, &rules)?, secret: secret.clone(), is_new: true })
    })
    .await
}

/// A cart as it costs now. A guest's cart is taken over by whoever is logged in and holds its secret (INV-C2).
pub(crate) async fn view(ctx: &Ctx, id: Id<Cart>, access: CartAccess) -> Result<PricedCart> {
    let (rules, now, reader) = (ShopRules::of(&ctx.app), ctx.now(), access.clone());
    let seen = ctx
        .read(move |c| {
            let cart = store::find(c, id)?.ok_or(&NOT_FOUND)?;
            reader.require(&cart)?;
            if reader.adopter(&cart).is_some() {
                return Ok(None);
            }
            require_open(&cart, now)?;
            price_cart(c, cart, now, &rules).map(Some)
        })
        .await?;
    match seen {
        Some(priced) => Ok(priced),
        None => change(ctx, id, access, |_, _, _| Ok(())).await,
    }
}

/// The ways to deliver a cart, with what each costs.
pub(crate) async fn options(ctx: &Ctx, id: Id<Cart>, access: CartAccess) -> Result<Vec<(Method, kernel::money::Money)>> {
    let (rules, now) = (ShopRules::of(&ctx.app), ctx.now());
    ctx.read(move |c| {
        let cart = store::find(c, id)?.ok_or(&NOT_FOUND)?;
        access.require(&cart)?;
        require_open(&cart, now)?;
        let priced = price_cart(c, cart, now, &rules)?;
        if priced.needs_shipping() { shipping_options(c, &priced) } else { Ok(Vec::new()) }
    })
    .await
}

/// Changes an open cart in one transaction and prices it anew.
async fn change<F>(ctx: &Ctx, id: Id<Cart>, access: CartAccess, f: F) -> Result<PricedCart>
where
    F: Fn(&mut Tx<'_, '_>, &Ctx, &mut CartRecord) -> Result<()> + Send + Sync + 'static,
{
    let (context, rules) = (ctx.clone(), ShopRules::of(&ctx.app));
    ctx.write(move |tx| {
        let now = context.now();
        let mut cart = enter(tx, &context, id, &access)?;
        f(tx, &context, &mut cart)?;
        if !store::touch(tx, cart.id, now, now + rules.cart_life.duration())? {
            return Err(GONE.error());
        }
        load_priced(tx, cart.id, now, &rules)
    })
    .await
}

/// The open cart of this id, locked; taken over first, or merged into the person's own, where that is due (INV-C2).
pub(crate) fn enter(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Cart>, access: &CartAccess) -> Result<CartRecord> {
    let cart = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
    access.require(&cart)?;
    require_open(&cart, ctx.now())?;
    match access.adopter(&cart) {
        Some(user) => take_over(tx, ctx, cart, user),
        None => Ok(cart),
    }
}

fn take_over(tx: &mut Tx<'_, '_>, ctx: &Ctx, cart: CartRecord, user: UserId) -> Result<CartRecord> {
    let now = ctx.now();
    if store::open_of(tx, user)?.is_none() {
        // Two of the person's devices may do this at once: the unique key lets one of them, the other merges.
        match tx.savepoint(|tx| store::adopt(tx, cart.id, user, now)) {
            Ok(_) => return Ok(CartRecord { user_id: Some(user), secret_hash: None, ..cart }),
            Err(error) if error.is_unique("shop_carts_open") => {}
            Err(error) => return Err(error.into()),
        }
    }
    let own = store::open_of(tx, user)?.ok_or_else(|| Error::internal("the person's open cart is gone"))?;
    let into = store::lock(tx, own)?.filter(|into| into.state == CartState::Open).ok_or(&GONE)?;
    if merge_lines(tx, ctx, &cart, &into)? {
        store::mark_merged(tx, cart.id, into.id, now)?;
        return store::lock(tx, into.id)?.ok_or_else(|| NOT_FOUND.error());
    }
    // Together they would be too large: the guest's cart stays what it is.
    Ok(cart)
}

/// Puts the lines, codes and addresses of one cart into another; false when that would be too many lines.
fn merge_lines(tx: &mut Tx<'_, '_>, ctx: &Ctx, from: &CartRecord, into: &CartRecord) -> Result<bool> {
    let (moving, mut kept) = (store::lines(tx, from.id)?, store::lines(tx, into.id)?);
    let added = moving.iter().filter(|line| kept.iter().all(|other| other.variant_id != line.variant_id)).count();
    if kept.len() + added > MAX_LINES {
        return Ok(false);
    }
    for line in moving {
        let seen_price = line.seen_price.filter(|_| from.currency == into.currency);
        match kept.iter().find(|other| other.variant_id == line.variant_id) {
            Some(other) => {
                let wanted = i64::from(other.quantity) + i64::from(line.quantity);
                let most =
                    store::left_of(tx, line.variant_id)?.map_or(i64::from(MAX_QUANTITY), |left| left.clamp(1, i64::from(MAX_QUANTITY)));
                let quantity = u32::try_from(wanted.min(most)).unwrap_or(MAX_QUANTITY);
                store::update_line(tx, other.id, quantity, other.seen_price)?;
            }
            None => {
                let position = kept.iter().map(|line| line.position).max().unwrap_or(0) + 1;
                let moved = LineRow { id: ctx.new_id(), seen_price, position, ..line };
                store::insert_line(tx, into.id, &moved, ctx.now())?;
                kept.push(moved);
            }
        }
    }
    merge_codes(tx, ctx, from, into)?;
    let mut changed = into.clone();
    changed.email = into.email.clone().or(from.email.clone());
    changed.note = into.note.clone().or(from.note.clone());
    changed.shipping_address = into.shipping_address.clone().or(from.shipping_address.clone());
    changed.billing_address = into.billing_address.clone().or(from.billing_address.clone());
    changed.shipping_method_id = into.shipping_method_id.or(from.shipping_method_id);
    store::update(tx, &changed)?;
    store::touch(tx, into.id, ctx.now(), into.expires_at.max(from.expires_at))?;
    Ok(true)
}

/// Adds the codes of one cart to another: those that were there stay, then come the others in the order in which they were entered,
/// as many as a cart may have.
fn merge_codes(tx: &mut Tx<'_, '_>, ctx: &Ctx, from: &CartRecord, into: &CartRecord) -> Result<()> {
    let kept = store::codes(tx, into.id)?;
    let room = MAX_CODES.saturating_sub(kept.len());
    let moving: Vec<_> = store::codes(tx, from.id)?.into_iter().filter(|coupon| !kept.contains(coupon)).take(room).collect();
    for coupon in moving {
        store::insert_code(tx, into.id, coupon, ctx.now())?;
    }
    Ok(())
}

/// Merges a guest's cart into the open cart of the person who is logged in; repeating it changes nothing (INV-C2).
pub(crate) async fn merge(ctx: &Ctx, id: Id<Cart>, access: CartAccess) -> Result<PricedCart> {
    let user = ctx.actor.user_id()?;
    let (context, rules) = (ctx.clone(), ShopRules::of(&ctx.app));
    ctx.write(move |tx| {
        let cart = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        access.require(&cart)?;
        let into = cart.merged_into_id.filter(|_| cart.state == CartState::Merged);
        if let Some(into) = into {
            let own = store::find(tx, into)?.filter(|own| own.user_id == Some(user)).ok_or(&NOT_FOUND)?;
            require_open(&own, context.now())?;
            return price_cart(tx, own, context.now(), &rules);
        }
        require_open(&cart, context.now())?;
        let merged = match access.adopter(&cart) {
            Some(user) => take_over(tx, &context, cart, user)?,
            None => cart,
        };
        load_priced(tx, merged.id, context.now(), &rules)
    })
    .await
}

/// Fails unless the cart can still be changed: `cart_ordered` with the order, or `gone`.
pub(crate) fn require_open(cart: &CartRecord, now: Timestamp) -> Result<()> {
    match cart.state {
        CartState::Open if cart.expires_at > now => Ok(()),
        CartState::Ordered => Err(CART_ORDERED.error().with_member("order_id", json!(cart.order_id))),
        CartState::Merged => Err(GONE.error().with_member("merged_into_id", json!(cart.merged_into_id))),
        CartState::Open | CartState::Expired => Err(GONE.because("The cart was not used for too long.")),
    }
}

/// Makes an order of an open cart, for one caller only (INV-I2): the others get `cart_ordered` with the order, or `gone`.
///
/// It also locks the cart: what is read of it afterwards in the same transaction stays true.
pub fn claim_for_checkout(tx: &mut Tx<'_, '_>, id: Id<Cart>, order: Id<Order>, now: Timestamp) -> Result<()> {
    if store::mark_ordered(tx, id, order, now)? {
        return Ok(());
    }
    let cart = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
    require_open(&cart, now)?;
    Err(Error::internal("an open cart could not be claimed"))
}

fn require_currency(rules: &ShopRules, currency: Currency) -> Result<()> {
    if rules.currencies.contains(&currency) {
        return Ok(());
    }
    Err(CURRENCY_NOT_SUPPORTED.on("/currency").with_member("allowed", json!(rules.currencies)))
}

/// What a buyer changes about a cart; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct CartPatch {
    pub(crate) currency: Option<Currency>,
    pub(crate) email: Option<Option<String>>,
    pub(crate) locale: Option<String>,
    pub(crate) note: Option<Option<String>>,
    pub(crate) attributes: Option<String>,
}

pub(crate) async fn update(ctx: &Ctx, id: Id<Cart>, access: CartAccess, patch: CartPatch) -> Result<PricedCart> {
    if let Some(currency) = patch.currency {
        require_currency(&ShopRules::of(&ctx.app), currency)?;
    }
    change(ctx, id, access, move |tx, _, cart| {
        if let Some(currency) = patch.currency.filter(|currency| *currency != cart.currency) {
            cart.currency = currency;
            // What was seen in another currency says nothing about a change.
            for line in store::lines(tx, cart.id)? {
                store::update_line(tx, line.id, line.quantity, None)?;
            }
        }
        cart.email = patch.email.clone().unwrap_or_else(|| cart.email.clone());
        cart.locale = patch.locale.clone().unwrap_or_else(|| cart.locale.clone());
        cart.note = patch.note.clone().unwrap_or_else(|| cart.note.clone());
        cart.attributes = patch.attributes.clone().unwrap_or_else(|| cart.attributes.clone());
        Ok(store::update(tx, cart)?)
    })
    .await
}

/// Puts a variant into a cart, or more of it.
pub(crate) async fn add_line(ctx: &Ctx, id: Id<Cart>, access: CartAccess, variant: Id<Variant>, quantity: u32) -> Result<PricedCart> {
    let line_id = ctx.new_id::<CartLine>();
    change(ctx, id, access, move |tx, ctx, cart| {
        let lines = store::lines(tx, cart.id)?;
        let known = lines.iter().find(|line| line.variant_id == variant);
        let wanted = known.map_or(0, |line| line.quantity).saturating_add(quantity);
        if wanted > MAX_QUANTITY {
            return Err(quantity_error("/quantity"));
        }
        let seen_price = Some(offered_price(tx, variant, cart.currency, wanted, ctx.now())?);
        match known {
            Some(line) => Ok(store::update_line(tx, line.id, wanted, seen_price)?),
            None if lines.len() >= MAX_LINES => {
                Err(Error::invalid(vec![FieldError::body("/variant_id", "too_long", format!("A cart has at most {MAX_LINES} lines."))]))
            }
            None => {
                let position = lines.last().map_or(0, |line| line.position) + 1;
                let line = LineRow { id: line_id, variant_id: variant, quantity, seen_price, position };
                Ok(store::insert_line(tx, cart.id, &line, ctx.now())?)
            }
        }
    })
    .await
}

fn quantity_error(pointer: &'static str) -> Error {
    Error::invalid(vec![FieldError::body(pointer, "out_of_range", format!("At most {MAX_QUANTITY}."))])
}

/// What one unit costs now, or why it cannot be bought.
fn offered_price(c: &mut db::Conn, variant: Id<Variant>, currency: Currency, quantity: u32, now: Timestamp) -> Result<i64> {
    let offers = store::offers(c, variant, currency, quantity)?;
    if !offers.iter().any(|offer| offer.is_active && offer.status == "active") {
        return Err(Error::invalid(vec![FieldError::body("/variant_id", "unknown_reference", "There is no such variant on sale.")]));
    }
    let holds =
        |from: Option<Timestamp>, until: Option<Timestamp>| from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until);
    let best = offers
        .iter()
        .filter(|offer| holds(offer.valid_from, offer.valid_until))
        .filter_map(|offer| Some(((offer.min_quantity?, offer.valid_from), offer.amount?)))
        .max_by_key(|(rank, _)| *rank);
    best.map(|(_, amount)| amount).ok_or_else(|| CURRENCY_NOT_SUPPORTED.on("/variant_id"))
}

pub(crate) async fn set_quantity(ctx: &Ctx, id: Id<Cart>, access: CartAccess, line: Id<CartLine>, quantity: u32) -> Result<PricedCart> {
    change(ctx, id, access, move |tx, ctx, cart| {
        let known = store::lines(tx, cart.id)?.into_iter().find(|known| known.id == line).ok_or(&NOT_FOUND)?;
        let seen_price = offered_price(tx, known.variant_id, cart.currency, quantity, ctx.now())?;
        Ok(store::update_line(tx, line, quantity, Some(seen_price))?)
    })
    .await
}

pub(crate) async fn remove_line(ctx: &Ctx, id: Id<Cart>, access: CartAccess, line: Id<CartLine>) -> Result<PricedCart> {
    change(ctx, id, access, move |tx, _, cart| match store::delete_line(tx, cart.id, line)? {
        true => Ok(()),
        false => Err(NOT_FOUND.error()),
    })
    .await
}

/// Says where the goods go and who is billed; the chosen way to deliver stays if it is still offered there.
pub(crate) async fn set_addresses(
    ctx: &Ctx,
    id: Id<Cart>,
    access: CartAccess,
    shipping: Option<Address>,
    billing: Option<Address>,
) -> Result<PricedCart> {
    change(ctx, id, access, move |tx, _, cart| {
        cart.shipping_address = shipping.clone();
        cart.billing_address = billing.clone();
        Ok(store::update(tx, cart)?)
    })
    .await
}

/// Chooses how the goods are delivered, among what is offered.
pub(crate) async fn set_shipping(ctx: &Ctx, id: Id<Cart>, access: CartAccess, method: Option<Id<ShippingMethod>>) -> Result<PricedCart> {
    let rules = ShopRules::of(&ctx.app);
    change(ctx, id, access, move |tx, ctx, cart| {
        if method.is_some() {
            let priced = price_cart(tx, cart.clone(), ctx.now(), &rules)?;
            let offered = shipping_options(tx, &priced)?;
            if !offered.iter().any(|(offered, _)| Some(offered.id) == method) {
                let lines: Vec<_> = priced.lines.iter().filter(|line| line.is_shippable).map(|line| line.id).collect();
                return Err(NOT_SHIPPABLE.on("/method_id").with_member("lines", json!(lines)));
            }
        }
        cart.shipping_method_id = method;
        Ok(store::update(tx, cart)?)
    })
    .await
}

/// Enters a code; one that does not count is refused with its reason, and counted against guessing (INV-R2).
pub(crate) async fn add_code(ctx: &Ctx, id: Id<Cart>, access: CartAccess, code: String) -> Result<PricedCart> {
    // Only whoever may open the cart uses up its guesses.
    let reader = access.clone();
    ctx.read(move |c| reader.require(&store::find(c, id)?.ok_or(&NOT_FOUND)?)).await?;
    let limiter = ctx.app.limiter();
    let keys = [limiter.key(&("cart", id.uuid())), limiter.key(&("address", kernel::address::limit_key(ctx.request.client_address)))];
    for (index, key) in keys.into_iter().enumerate() {
        let decision = limiter.check(&CODE_GUESSES, key, ctx.now());
        if !decision.allowed {
            // What is not even looked up is no guess of this cart.
            keys[..index].iter().for_each(|key| limiter.give_back(&CODE_GUESSES, *key));
            return Err(RATE_LIMITED.error().retry_after(decision.retry_after_secs));
        }
    }
    let (context, rules) = (ctx.clone(), ShopRules::of(&ctx.app));
    let entered = ctx
        .write(move |tx| {
            let now = context.now();
            let cart = enter(tx, &context, id, &access)?;
            let found = crate::promotions::store::by_code(tx, &code_key(&code))?.and_then(|candidate| candidate.coupon);
            let coupon = found.ok_or_else(|| code_invalid(&code, "unknown"))?;
            let entered = store::codes(tx, cart.id)?;
            if entered.len() >= MAX_CODES && !entered.contains(&coupon.coupon_id) {
                return Err(code_invalid(&code, "too_many"));
            }
            store::insert_code(tx, cart.id, coupon.coupon_id, now).on_foreign_key(|| code_invalid(&code, "unknown"))?;
            store::touch(tx, cart.id, now, now + rules.cart_life.duration())?;
            let priced = load_priced(tx, cart.id, now, &rules)?;
            match priced.void_codes.iter().find(|(void, ..)| *void == coupon.coupon_id) {
                Some((_, code, reason)) => Err(code_invalid(code, reason)),
                None => Ok(priced),
            }
        })
        .await;
    if entered.is_ok() {
        for key in keys {
            limiter.give_back(&CODE_GUESSES, key);
        }
    }
    entered
}

pub(crate) async fn remove_code(ctx: &Ctx, id: Id<Cart>, access: CartAccess, code: String) -> Result<PricedCart> {
    change(ctx, id, access, move |tx, _, cart| {
        let coupon = store::coupon_in_cart(tx, cart.id, &code_key(&code))?.ok_or(&NOT_FOUND)?;
        store::delete_code(tx, cart.id, coupon)?;
        Ok(())
    })
    .await
}
