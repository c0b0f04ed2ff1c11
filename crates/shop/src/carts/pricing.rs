//! From a cart to what it costs: reads what decides, and hands it to the one pricing function.

use std::collections::{BTreeMap, HashMap};

use db::Conn;
use kernel::error::NOT_FOUND;
use kernel::money::{Currency, Money};
use kernel::{Id, Result, Timestamp};

use crate::carts::store::{self, DemandRow, PriceRow};
use crate::carts::{Availability, CartProblem, CartRecord, ChosenShipping, PricedCart, PricedLine};
use crate::ids::{Cart, CartLine, Item, Location};
use crate::places::Spot;
use crate::pricing::{LineInput, PricingInput, ShippingInput, ShippingRates, price};
use crate::promotions::rules::{self, Basket};
use crate::settings::{CrossZone, ShippingTax, ShopRules};
use crate::shipping::{self, Method, Parcel};
use crate::stock::Demand;
use crate::taxes::{self, TaxTable};

/// A cart with what it costs at `now`: the one path of pricing, for the view and, inside its transaction, for the checkout.
///
/// It only reads. Who may see the cart is asked by the caller.
pub(crate) fn load_priced(c: &mut Conn, id: Id<Cart>, now: Timestamp, rules: &ShopRules) -> Result<PricedCart> {
    let cart = store::find(c, id)?.ok_or(&NOT_FOUND)?;
    price_cart(c, cart, now, rules)
}

/// The same for a cart that was read already.
pub(crate) fn price_cart(c: &mut Conn, cart: CartRecord, now: Timestamp, rules: &ShopRules) -> Result<PricedCart> {
    let mut lines = lines_of(store::priced_lines(c, cart.id, cart.currency)?, cart.currency, now);
    let stock = Stock::of(store::demand(c, cart.id)?);
    stock.judge(&mut lines, rules.split_shipments);
    let spot = cart.tax_address().map_or_else(|| Spot::of_country(&rules.country), Spot::of);
    let taxes = taxes::store::table(c, &spot, now)?;
    let home = match rules.prices_include_tax && rules.cross_zone == CrossZone::KeepNet {
        true => Some(taxes::store::table(c, &Spot::of_country(&rules.country), now)?),
        false => None,
    };
    let inputs = line_inputs(&lines, &taxes, home.as_ref());
    let Offer { chosen: method, count: options } = shipping_of(c, &cart, &lines, &inputs)?;
    let applied = rules::apply(crate::promotions::store::candidates(c, cart.id)?, &basket(&cart, &lines, &inputs), now);
    let shipping = method.as_ref().map(|(method, price)| ShippingInput {
        price_minor: price.minor,
        rates: match (rules.shipping_tax, method.tax_class_id) {
            (ShippingTax::Goods, _) => ShippingRates::Goods,
            (ShippingTax::Class, class) => ShippingRates::Own(class.map(|class| taxes.rates_of(class)).unwrap_or_default()),
        },
    });
    let input = PricingInput {
        currency: cart.currency,
        prices_include_tax: rules.prices_include_tax,
        rounding: rules.rounding,
        rounding_level: rules.rounding_level,
        lines: inputs,
        discounts: applied.discounts,
        shipping,
    };
    let totals = price(&input)?;
    let mut problems = line_problems(&lines);
    problems.extend(applied.void.iter().map(|(_, code, reason)| CartProblem {
        code: "code_invalid",
        line_id: None,
        detail: format!("The code {code} does not count: {reason}."),
        is_blocking: false,
    }));
    problems.extend(shipping_problem(&cart, &lines, method.is_some(), options));
    let shipping = method.map(|(method, price)| ChosenShipping { method_id: method.id, name: method.name, price });
    Ok(PricedCart { cart, lines, totals, shipping, coupons: applied.coupons, void_codes: applied.void, problems })
}

/// The ways to deliver a cart, each with its price, in the order in which they are offered (INV-H1).
pub(crate) fn shipping_options(c: &mut Conn, priced: &PricedCart) -> Result<Vec<(Method, Money)>> {
    match &priced.cart.shipping_address {
        Some(address) => Ok(offered(c, &Spot::of(address), &parcel_of(priced.cart.currency, &priced.lines))?),
        None => Ok(Vec::new()),
    }
}

fn offered(c: &mut Conn, spot: &Spot, parcel: &Parcel) -> Result<Vec<(Method, Money)>> {
    let methods = shipping::store::methods_at(c, spot)?;
    Ok(methods.into_iter().filter_map(|method| method.price_for(parcel).map(|price| (method, price))).collect())
}

/// Only what can be bought and must be delivered is weighed; the subtotal is of everything, before discounts.
fn parcel_of(currency: Currency, lines: &[PricedLine]) -> Parcel {
    let mut parcel = Parcel { currency, subtotal: 0, weight_grams: 0, units: 0 };
    for line in lines.iter().filter(|line| line.is_sellable) {
        let quantity = i64::from(line.quantity);
        let amount = line.unit_price.map_or(0, |price| price.minor.saturating_mul(quantity));
        parcel.subtotal = parcel.subtotal.saturating_add(amount);
        if line.is_shippable {
            parcel.weight_grams = parcel.weight_grams.saturating_add(line.weight_grams.saturating_mul(quantity));
            parcel.units = parcel.units.saturating_add(quantity);
        }
    }
    parcel
}

fn lines_of(rows: Vec<PriceRow>, currency: Currency, now: Timestamp) -> Vec<PricedLine> {
    let mut lines: Vec<PricedLine> = Vec::new();
    // The best price so far of the line at the end of the list: its least quantity, then when it began.
    let mut best: Option<(i64, Option<Timestamp>)> = None;
    for row in rows {
        if lines.last().is_none_or(|line| line.id != row.id) {
            best = None;
            lines.push(line_of(&row, currency));
        }
        let holds = row.valid_from.is_none_or(|from| from <= now) && row.valid_until.is_none_or(|until| now < until);
        let rank = row.min_quantity.map(|quantity| (quantity, row.valid_from));
        if let (Some(line), Some(amount), true) = (lines.last_mut(), row.amount, holds && rank > best) {
            best = rank;
            line.unit_price = Some(Money::new(amount, currency));
            line.compare_at = row.compare_at.map(|minor| Money::new(minor, currency));
        }
    }
    for line in &mut lines {
        line.is_sellable = line.is_sellable && line.unit_price.is_some();
    }
    lines
}

fn line_of(row: &PriceRow, currency: Currency) -> PricedLine {
    PricedLine {
        id: row.id,
        product_id: row.product_id,
        variant_id: row.variant_id,
        product_title: row.product_title.clone(),
        product_slug: row.slug.clone(),
        variant_title: row.variant_title.clone(),
        sku: row.sku.clone(),
        quantity: row.quantity,
        unit_price: None,
        compare_at: None,
        seen_price: row.seen_price.map(|minor| Money::new(minor, currency)),
        tax_class_id: row.tax_class_id,
        weight_grams: row.weight_grams,
        is_shippable: row.is_shippable,
        is_digital: row.is_digital,
        is_sellable: row.is_active && row.status == "active",
        availability: Availability { available: None, is_available: true },
        demand: Vec::new(),
    }
}

/// What the lines take, and what lies of it where.
struct Stock {
    taken: HashMap<Id<CartLine>, Vec<(Id<Item>, i64)>>,
    left: BTreeMap<Id<Item>, BTreeMap<Id<Location>, i64>>,
}

impl Stock {
    fn of(rows: Vec<DemandRow>) -> Stock {
        let mut stock = Stock { taken: HashMap::new(), left: BTreeMap::new() };
        for row in rows {
            let taken = stock.taken.entry(row.line_id).or_default();
            if taken.last().is_none_or(|(item, _)| *item != row.item_id) {
                taken.push((row.item_id, row.per_unit));
            }
            let left = stock.left.entry(row.item_id).or_default();
            if let (Some(location), Some(available)) = (row.location_id, row.available) {
                left.insert(location, available.max(0));
            }
        }
        stock
    }

    /// Sets what each line takes and whether it can be had, with what the lines before it take counted off.
    fn judge(&self, lines: &mut [PricedLine], may_split: bool) {
        let mut spent: HashMap<Id<Item>, i64> = HashMap::new();
        for line in lines {
            let Some(taken) = self.taken.get(&line.id).filter(|_| line.is_sellable) else { continue };
            let quantity = i64::from(line.quantity);
            line.demand = taken.iter().map(|(item_id, per_unit)| Demand { item_id: *item_id, quantity: per_unit * quantity }).collect();
            let left =
                taken.iter().map(|(item, per_unit)| (self.left_of(*item, may_split) - spent.get(item).unwrap_or(&0)).max(0) / per_unit);
            let available = left.min().unwrap_or(0);
            line.availability = Availability { available: Some(available), is_available: available >= quantity };
            for demand in &line.demand {
                *spent.entry(demand.item_id).or_default() += demand.quantity;
            }
        }
    }

    fn left_of(&self, item: Id<Item>, may_split: bool) -> i64 {
        let Some(places) = self.left.get(&item) else { return 0 };
        if may_split { places.values().sum() } else { places.values().copied().max().unwrap_or(0) }
    }
}

fn line_inputs(lines: &[PricedLine], taxes: &TaxTable, home: Option<&TaxTable>) -> Vec<LineInput> {
    let sellable = lines.iter().filter(|line| line.is_sellable);
    let input = |line: &PricedLine| {
        let price = line.unit_price.map_or(0, |price| price.minor);
        LineInput {
            line_id: line.id,
            variant_id: line.variant_id,
            quantity: line.quantity,
            unit_price_minor: home.map_or(price, |home| kept_net(price, home.ppm_of(line.tax_class_id), taxes.ppm_of(line.tax_class_id))),
            rates: taxes.rates_of(line.tax_class_id),
        }
    };
    sellable.map(input).collect()
}

/// The price elsewhere of something that leaves the seller as much as its price at home (INV-T2).
fn kept_net(price: i64, home_ppm: i128, away_ppm: i128) -> i64 {
    const MILLION: i128 = 1_000_000;
    let rounded = |dividend: i128, divisor: i128| (2 * dividend + divisor) / (2 * divisor);
    let net = i128::from(price) - rounded(i128::from(price) * home_ppm, MILLION + home_ppm);
    i64::try_from(net + rounded(net * away_ppm, MILLION)).unwrap_or(price)
}

fn basket(cart: &CartRecord, lines: &[PricedLine], inputs: &[LineInput]) -> Basket {
    let product = |id: Id<CartLine>| lines.iter().find(|line| line.id == id).map(|line| line.product_id);
    let lines = inputs.iter().filter_map(|input| {
        Some((input.line_id, product(input.line_id)?, i128::from(input.unit_price_minor) * i128::from(input.quantity)))
    });
    Basket { currency: cart.currency, lines: lines.collect() }
}

/// What is offered to deliver a cart.
#[derive(Default)]
struct Offer {
    /// The chosen method with its price, if it is still offered.
    chosen: Option<(Method, Money)>,
    /// How many are offered; none when nobody can tell yet.
    count: Option<usize>,
}

fn shipping_of(c: &mut Conn, cart: &CartRecord, lines: &[PricedLine], inputs: &[LineInput]) -> Result<Offer> {
    let needs_it = lines.iter().any(|line| line.is_sellable && line.is_shippable);
    let (Some(address), true, false) = (&cart.shipping_address, needs_it, inputs.is_empty()) else { return Ok(Offer::default()) };
    let offered = offered(c, &Spot::of(address), &parcel_of(cart.currency, lines))?;
    let count = Some(offered.len());
    let chosen = offered.into_iter().find(|(method, _)| Some(method.id) == cart.shipping_method_id);
    Ok(Offer { chosen, count })
}

fn line_problems(lines: &[PricedLine]) -> Vec<CartProblem> {
    let problem = |code, line: &PricedLine, detail: String, is_blocking| CartProblem { code, line_id: Some(line.id), detail, is_blocking };
    let mut problems = Vec::new();
    for line in lines {
        if !line.is_sellable {
            problems.push(problem("unavailable", line, format!("{} cannot be bought any more.", line.product_title), true));
            continue;
        }
        if !line.availability.is_available {
            let left = line.availability.available.unwrap_or(0);
            problems.push(problem("out_of_stock", line, format!("Only {left} of {} can be had.", line.product_title), true));
        }
        if let (Some(seen), Some(price)) = (line.seen_price, line.unit_price)
            && seen != price
        {
            problems.push(problem("price_changed", line, format!("The price was {seen} and is {price} now."), false));
        }
    }
    problems
}

fn shipping_problem(cart: &CartRecord, lines: &[PricedLine], is_chosen: bool, options: Option<usize>) -> Option<CartProblem> {
    let needs_it = lines.iter().any(|line| line.is_sellable && line.is_shippable);
    let (code, detail) = match (needs_it && !is_chosen, &cart.shipping_address, options) {
        (false, ..) => return None,
        (true, None, _) => ("address_required", "Say where the goods go."),
        (true, Some(_), Some(0)) => ("not_shippable", "No shipping method delivers this there."),
        (true, Some(_), _) => ("shipping_required", "Choose how the goods are delivered."),
    };
    Some(CartProblem { code, line_id: None, detail: detail.to_owned(), is_blocking: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_t2_the_net_stays_when_it_is_to_be_kept() {
        assert_eq!(kept_net(11_900, 190_000, 190_000), 11_900);
        assert_eq!(kept_net(11_900, 190_000, 200_000), 12_000);
        assert_eq!(kept_net(11_900, 190_000, 0), 10_000);
    }
}
