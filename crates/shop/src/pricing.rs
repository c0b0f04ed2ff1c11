//! What a cart costs: one pure function, used by the cart view, the checkout and the audit (INV-M1 to INV-M6, INV-R1).
//!
//! Every amount is a whole number of minor units; intermediates are 128 bits wide; nothing wraps, nothing is a float. Discounts
//! come off the lines first, in their order; then each line, and shipping, is taxed by its own rates. The same input always
//! gives the same totals, so that they can be recomputed from what an order remembers.

use std::collections::BTreeMap;

use kernel::Id;
use kernel::error::{Error, VALIDATION_FAILED};
use kernel::money::{Currency, Money, MoneyError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{CartLine, Promotion, Variant};

/// Where exact halves go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Away from zero: 2.5 becomes 3.
    #[default]
    HalfAway,
    /// To the even neighbour: 2.5 becomes 2, 3.5 becomes 4.
    HalfEven,
    /// Towards zero: 2.5 becomes 2.
    HalfDown,
}

/// What a tax is rounded on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundingLevel {
    /// Each line.
    #[default]
    Line,
    /// Each unit of a line.
    Unit,
    /// All lines with the same rate together; the lines share what comes out.
    RateGroup,
}

/// The categories of EN 16931 (INV-T1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum TaxCategory {
    /// Standard rate.
    #[default]
    S,
    /// Zero rated.
    Z,
    /// Exempt.
    E,
    /// Reverse charge.
    AE,
    /// Supply within the community.
    K,
    /// Export.
    G,
    /// Outside the scope of tax.
    O,
}

impl TaxCategory {
    /// The code at rest.
    pub fn as_str(self) -> &'static str {
        match self {
            TaxCategory::S => "S",
            TaxCategory::Z => "Z",
            TaxCategory::E => "E",
            TaxCategory::AE => "AE",
            TaxCategory::K => "K",
            TaxCategory::G => "G",
            TaxCategory::O => "O",
        }
    }

    /// The category of this code; standard for anything else.
    pub fn parse(code: &str) -> TaxCategory {
        use TaxCategory::{AE, E, G, K, O, S, Z};
        [Z, E, AE, K, G, O].into_iter().find(|category| category.as_str() == code).unwrap_or(S)
    }
}

/// One rate of a tax.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// What it is called on the invoice, such as `VAT`.
    pub name: String,
    /// Parts per million: 190000 is 19 %.
    pub ppm: u32,
    /// The category of EN 16931.
    pub category: TaxCategory,
}

/// The highest rate: 100 %.
pub const MAX_PPM: u32 = 1_000_000;
/// The largest amount of one price, in minor units (shop.md §12).
pub const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

/// One line of what is bought.
#[derive(Clone, Debug)]
pub struct LineInput {
    /// The line; comes back in the totals.
    pub line_id: Id<CartLine>,
    /// What is bought.
    pub variant_id: Id<Variant>,
    /// How many units.
    pub quantity: u32,
    /// What one unit costs.
    pub unit_price_minor: i64,
    /// The rates that apply to it, at its place and time.
    pub rates: Vec<Rate>,
}

/// What a discount takes off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscountAction {
    /// A part of what is left of the lines, in parts per million.
    Percent {
        /// Parts per million.
        ppm: u32,
    },
    /// So much, at most what is left of the lines.
    Amount {
        /// Minor units.
        minor: i64,
    },
    /// What shipping costs.
    FreeShipping,
}

/// One reason to charge less.
#[derive(Clone, Debug)]
pub struct DiscountInput {
    /// The promotion.
    pub promotion_id: Id<Promotion>,
    /// What the buyer reads.
    pub name: String,
    /// The code that the buyer typed, if the promotion needs one.
    pub code: Option<String>,
    /// What it takes off.
    pub action: DiscountAction,
    /// The lines that it concerns; none means all.
    pub lines: Option<Vec<Id<CartLine>>>,
}

/// How shipping is taxed.
#[derive(Clone, Debug)]
pub enum ShippingRates {
    /// By rates of its own.
    Own(Vec<Rate>),
    /// By the rates of the goods, in their proportion.
    Goods,
}

/// What delivering costs.
#[derive(Clone, Debug)]
pub struct ShippingInput {
    /// The price of the method.
    pub price_minor: i64,
    /// How it is taxed.
    pub rates: ShippingRates,
}

/// Everything that decides what is to be paid.
#[derive(Clone, Debug)]
pub struct PricingInput {
    /// The currency of every amount.
    pub currency: Currency,
    /// Whether prices include taxes.
    pub prices_include_tax: bool,
    /// Where exact halves go.
    pub rounding: Rounding,
    /// What a tax is rounded on.
    pub rounding_level: RoundingLevel,
    /// What is bought.
    pub lines: Vec<LineInput>,
    /// Reasons to charge less, in the order in which they apply.
    pub discounts: Vec<DiscountInput>,
    /// What delivering costs, once a method is chosen.
    pub shipping: Option<ShippingInput>,
}

/// What is to be paid, and how it came about: `subtotal − discount + shipping + tax (if exclusive) + rounding = total`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Whether the amounts of lines and shipping include taxes.
    pub prices_include_tax: bool,
    /// The lines before discounts.
    pub subtotal: Money,
    /// What all discounts take off, on shipping too.
    pub discount: Money,
    /// What delivering costs before discounts.
    pub shipping: Money,
    /// All taxes; part of the other amounts when prices include tax.
    pub tax: Money,
    /// What rounding the sum to coins adds or takes.
    pub rounding: Money,
    /// What is to be paid.
    pub total: Money,
    /// The figures of each line, in the order of the lines.
    #[schema(max_items = 500)]
    pub lines: Vec<LineTotals>,
    /// The figures of shipping.
    pub shipping_line: ShippingTotals,
    /// The taxes by rate.
    #[schema(max_items = 1000)]
    pub taxes: Vec<TaxTotal>,
    /// What each discount takes off.
    #[schema(max_items = 120)]
    pub discounts: Vec<DiscountTotal>,
}

/// The figures of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineTotals {
    /// The line.
    #[schema(value_type = uuid::Uuid)]
    pub line_id: Id<CartLine>,
    /// What is bought.
    #[schema(value_type = uuid::Uuid)]
    pub variant_id: Id<Variant>,
    /// How many units.
    #[schema(minimum = 1, maximum = 9999)]
    pub quantity: u32,
    /// What one unit costs.
    pub unit_price: Money,
    /// Unit price times quantity.
    pub subtotal: Money,
    /// What discounts take off this line.
    pub discount: Money,
    /// What is left without taxes.
    pub net: Money,
    /// The taxes of the line.
    pub tax: Money,
    /// What the buyer pays for the line: net and tax.
    pub total: Money,
    /// The taxes by rate.
    #[schema(max_items = 16)]
    pub taxes: Vec<TaxTotal>,
}

/// The figures of shipping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShippingTotals {
    /// The price of the method.
    pub subtotal: Money,
    /// What discounts take off it.
    pub discount: Money,
    /// What is left without taxes.
    pub net: Money,
    /// The taxes of shipping.
    pub tax: Money,
    /// What the buyer pays for shipping: net and tax.
    pub total: Money,
    /// The taxes by rate.
    #[schema(max_items = 1000)]
    pub taxes: Vec<TaxTotal>,
}

/// What one rate comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaxTotal {
    /// What it is called.
    #[schema(max_length = 80)]
    pub name: String,
    /// Parts per million: 190000 is 19 %.
    #[schema(maximum = 1000000)]
    pub rate_ppm: u32,
    /// The category of EN 16931.
    pub category: TaxCategory,
    /// What is taxed, without the tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
}

/// What one discount takes off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscountTotal {
    /// The promotion.
    #[schema(value_type = uuid::Uuid)]
    pub promotion_id: Id<Promotion>,
    /// What the buyer reads.
    #[schema(max_length = 120)]
    pub name: String,
    /// The code that the buyer typed.
    #[schema(max_length = 40)]
    pub code: Option<String>,
    /// What it takes off.
    pub amount: Money,
}

/// Why something has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PricingError {
    /// Beyond what JSON readers keep exactly.
    TooLarge,
    /// A price below zero, a rate above 100 %, a quantity of zero.
    OutOfRange,
}

impl From<MoneyError> for PricingError {
    fn from(_: MoneyError) -> PricingError {
        PricingError::TooLarge
    }
}

impl From<PricingError> for Error {
    fn from(error: PricingError) -> Error {
        match error {
            PricingError::TooLarge => VALIDATION_FAILED.because("The amount is too large."),
            PricingError::OutOfRange => VALIDATION_FAILED.because("A price, rate or quantity is out of range."),
        }
    }
}

/// What the input costs.
///
/// # Errors
/// When an amount is out of range; never for anything that the catalog accepts in quantities that a cart accepts, unless the
/// sum is beyond 2^53 minor units.
pub fn price(input: &PricingInput) -> Result<Totals, PricingError> {
    check(input)?;
    let mut sums = Sums::of(input);
    for discount in &input.discounts {
        sums.take_off(input, discount)?;
    }
    let taxes = tax_parts(input, &sums.parts(input)?)?;
    Report { input, sums: &sums, taxes: &taxes }.totals()
}

fn check(input: &PricingInput) -> Result<(), PricingError> {
    let amounts = input.lines.iter().map(|line| line.unit_price_minor).chain(input.shipping.iter().map(|shipping| shipping.price_minor));
    let own = input.shipping.iter().filter_map(|shipping| match &shipping.rates {
        ShippingRates::Own(rates) => Some(rates),
        ShippingRates::Goods => None,
    });
    let rates = input.lines.iter().map(|line| &line.rates).chain(own);
    let is_fine = amounts.clone().all(|minor| (0..=MAX_AMOUNT).contains(&minor))
        && rates.flatten().all(|rate| rate.ppm <= MAX_PPM)
        && input.lines.iter().all(|line| line.quantity > 0)
        && input.discounts.iter().all(|discount| match discount.action {
            DiscountAction::Percent { ppm } => ppm <= MAX_PPM,
            DiscountAction::Amount { minor } => minor >= 0,
            DiscountAction::FreeShipping => true,
        });
    if is_fine { Ok(()) } else { Err(PricingError::OutOfRange) }
}

/// What the lines and shipping cost, and what discounts have taken off so far.
struct Sums {
    gross: Vec<i128>,
    taken: Vec<i128>,
    shipping: i128,
    shipping_taken: i128,
    discounts: Vec<i128>,
}

impl Sums {
    fn of(input: &PricingInput) -> Sums {
        let gross: Vec<i128> = input.lines.iter().map(|line| i128::from(line.unit_price_minor) * i128::from(line.quantity)).collect();
        Sums {
            taken: vec![0; gross.len()],
            gross,
            shipping: input.shipping.as_ref().map_or(0, |shipping| i128::from(shipping.price_minor)),
            shipping_taken: 0,
            discounts: Vec::new(),
        }
    }

    fn take_off(&mut self, input: &PricingInput, discount: &DiscountInput) -> Result<(), PricingError> {
        if discount.action == DiscountAction::FreeShipping {
            let left = self.shipping - self.shipping_taken;
            self.shipping_taken = self.shipping;
            self.discounts.push(left);
            return Ok(());
        }
        let concerns = |id: &Id<CartLine>| discount.lines.as_ref().is_none_or(|lines| lines.contains(id));
        let left: Vec<i128> = (0..self.gross.len())
            .map(|index| if concerns(&input.lines[index].line_id) { self.gross[index] - self.taken[index] } else { 0 })
            .collect();
        let whole: i128 = left.iter().sum();
        let amount = match discount.action {
            DiscountAction::Percent { ppm } => divide(whole * i128::from(ppm), i128::from(MAX_PPM), input.rounding),
            DiscountAction::Amount { minor } => i128::from(minor).min(whole),
            DiscountAction::FreeShipping => 0,
        };
        for (taken, part) in self.taken.iter_mut().zip(spread(amount, &left)?) {
            *taken += part;
        }
        self.discounts.push(amount);
        Ok(())
    }

    /// Everything that is taxed: the lines, then shipping, which may have several parts.
    fn parts<'i>(&self, input: &'i PricingInput) -> Result<Vec<Part<'i>>, PricingError> {
        let mut parts: Vec<Part<'i>> = (0..input.lines.len())
            .map(|index| Part {
                amount: self.gross[index] - self.taken[index],
                units: i128::from(input.lines[index].quantity),
                rates: &input.lines[index].rates,
                line: Some(index),
            })
            .collect();
        let left = self.shipping - self.shipping_taken;
        let shipping = |amount, rates| Part { amount, units: 1, rates, line: None };
        match input.shipping.as_ref().map(|shipping| &shipping.rates) {
            None => {}
            Some(ShippingRates::Own(rates)) => parts.push(shipping(left, rates)),
            Some(ShippingRates::Goods) => {
                let mut groups: BTreeMap<&[Rate], i128> = BTreeMap::new();
                for part in &parts {
                    *groups.entry(part.rates).or_default() += part.amount;
                }
                let weights: Vec<i128> = groups.values().copied().collect();
                // Goods that cost nothing have no proportion: the first rates stand for all.
                let shares = if weights.iter().sum::<i128>() == 0 {
                    (0..weights.len()).map(|index| if index == 0 { left } else { 0 }).collect()
                } else {
                    spread(left, &weights)?
                };
                let rates: Vec<&[Rate]> = groups.keys().copied().collect();
                parts.extend(rates.into_iter().zip(shares).map(|(rates, share)| shipping(share, rates)));
            }
        }
        Ok(parts)
    }
}

/// Something that is taxed by rates of its own.
struct Part<'i> {
    /// What is left of it after discounts.
    amount: i128,
    units: i128,
    rates: &'i [Rate],
    /// The line it is; none for shipping.
    line: Option<usize>,
}

/// The taxes of each part, one for each of its rates.
struct Taxed<'i> {
    line: Option<usize>,
    amount: i128,
    rates: &'i [Rate],
    taxes: Vec<i128>,
}

fn tax_parts<'i>(input: &PricingInput, parts: &[Part<'i>]) -> Result<Vec<Taxed<'i>>, PricingError> {
    let mut taxed: Vec<Taxed<'i>> = Vec::with_capacity(parts.len());
    for part in parts {
        let taxes = match input.rounding_level {
            RoundingLevel::Line => taxes_of(input, part.amount, part.rates)?,
            RoundingLevel::Unit => taxes_of_units(input, part)?,
            RoundingLevel::RateGroup => vec![0; part.rates.len()],
        };
        taxed.push(Taxed { line: part.line, amount: part.amount, rates: part.rates, taxes });
    }
    if input.rounding_level == RoundingLevel::RateGroup {
        tax_groups(input, &mut taxed)?;
    }
    Ok(taxed)
}

/// The taxes on one amount: of each rate by itself on a net amount, of all together inside a gross amount.
fn taxes_of(input: &PricingInput, amount: i128, rates: &[Rate]) -> Result<Vec<i128>, PricingError> {
    let million = i128::from(MAX_PPM);
    if !input.prices_include_tax {
        return Ok(rates.iter().map(|rate| divide(amount * i128::from(rate.ppm), million, input.rounding)).collect());
    }
    let all: i128 = rates.iter().map(|rate| i128::from(rate.ppm)).sum();
    let tax = divide(amount * all, million + all, input.rounding);
    let weights: Vec<i128> = rates.iter().map(|rate| i128::from(rate.ppm)).collect();
    spread(tax, &weights)
}

/// Taxes rounded for each unit. Discounts may leave units that differ by one minor unit.
fn taxes_of_units(input: &PricingInput, part: &Part<'_>) -> Result<Vec<i128>, PricingError> {
    let (low, dearer) = (part.amount / part.units, part.amount % part.units);
    let (of_low, of_high) = (taxes_of(input, low, part.rates)?, taxes_of(input, low + 1, part.rates)?);
    Ok(of_low.iter().zip(&of_high).map(|(low, high)| low * (part.units - dearer) + high * dearer).collect())
}

/// Taxes rounded once for all parts that are taxed alike; each part gets its share by largest remainder.
fn tax_groups(input: &PricingInput, taxed: &mut [Taxed<'_>]) -> Result<(), PricingError> {
    let mut groups: BTreeMap<&[Rate], Vec<usize>> = BTreeMap::new();
    for (index, part) in taxed.iter().enumerate() {
        groups.entry(part.rates).or_default().push(index);
    }
    for (rates, members) in groups {
        let amounts: Vec<i128> = members.iter().map(|index| taxed[*index].amount).collect();
        let taxes = taxes_of(input, amounts.iter().sum(), rates)?;
        for (rate, tax) in taxes.into_iter().enumerate() {
            for (member, share) in members.iter().zip(spread(tax, &amounts)?) {
                taxed[*member].taxes[rate] = share;
            }
        }
    }
    Ok(())
}

/// Divides and rounds; both sides are not negative, the divisor is above zero.
fn divide(dividend: i128, divisor: i128, rounding: Rounding) -> i128 {
    let (quotient, twice) = (dividend / divisor, dividend % divisor * 2);
    let goes_up = match twice.cmp(&divisor) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => match rounding {
            Rounding::HalfAway => true,
            Rounding::HalfEven => quotient % 2 == 1,
            Rounding::HalfDown => false,
        },
    };
    quotient + i128::from(goes_up)
}

/// Shares an amount by weights, by largest remainder, the earlier share first when two are equal (INV-M6).
///
/// No share exceeds its weight as long as the amount does not exceed their sum.
fn spread(amount: i128, weights: &[i128]) -> Result<Vec<i128>, PricingError> {
    let whole: i128 = weights.iter().sum();
    if whole == 0 || amount == 0 {
        return if amount == 0 { Ok(vec![0; weights.len()]) } else { Err(PricingError::OutOfRange) };
    }
    // Weights reach 10^19, amounts too; their product 10^38 still fits 127 bits, but nothing larger is let in.
    let products: Option<Vec<i128>> = weights.iter().map(|weight| amount.checked_mul(*weight)).collect();
    let products = products.ok_or(PricingError::TooLarge)?;
    let mut shares: Vec<i128> = products.iter().map(|product| product / whole).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(products[*index] % whole));
    let left_over = usize::try_from(amount - shares.iter().sum::<i128>()).unwrap_or(0);
    for index in order.into_iter().take(left_over) {
        shares[index] += 1;
    }
    Ok(shares)
}

/// Puts the figures together.
struct Report<'r> {
    input: &'r PricingInput,
    sums: &'r Sums,
    taxes: &'r [Taxed<'r>],
}

impl Report<'_> {
    fn totals(&self) -> Result<Totals, PricingError> {
        let input = self.input;
        let subtotal: i128 = self.sums.gross.iter().sum();
        let discount: i128 = self.sums.discounts.iter().sum();
        let tax: i128 = self.taxes.iter().flat_map(|taxed| &taxed.taxes).sum();
        let added = if input.prices_include_tax { 0 } else { tax };
        let lines = (0..input.lines.len()).map(|index| self.line(index)).collect::<Result<Vec<_>, _>>()?;
        let named = input.discounts.iter().zip(&self.sums.discounts).map(|(discount, amount)| {
            Ok(DiscountTotal {
                promotion_id: discount.promotion_id,
                name: discount.name.clone(),
                code: discount.code.clone(),
                amount: self.money(*amount)?,
            })
        });
        Ok(Totals {
            prices_include_tax: input.prices_include_tax,
            subtotal: self.money(subtotal)?,
            discount: self.money(discount)?,
            shipping: self.money(self.sums.shipping)?,
            tax: self.money(tax)?,
            rounding: Money::zero(input.currency),
            total: self.money(subtotal - discount + self.sums.shipping + added)?,
            lines,
            shipping_line: self.shipping()?,
            taxes: self.by_rate(|_| true)?,
            discounts: named.collect::<Result<_, PricingError>>()?,
        })
    }

    fn line(&self, index: usize) -> Result<LineTotals, PricingError> {
        let line = &self.input.lines[index];
        let taxes = self.by_rate(|taxed| taxed.line == Some(index))?;
        let left = self.sums.gross[index] - self.sums.taken[index];
        let (net, tax) = self.net_and_tax(left, |taxed| taxed.line == Some(index));
        Ok(LineTotals {
            line_id: line.line_id,
            variant_id: line.variant_id,
            quantity: line.quantity,
            unit_price: self.money(i128::from(line.unit_price_minor))?,
            subtotal: self.money(self.sums.gross[index])?,
            discount: self.money(self.sums.taken[index])?,
            net: self.money(net)?,
            tax: self.money(tax)?,
            total: self.money(net + tax)?,
            taxes,
        })
    }

    fn shipping(&self) -> Result<ShippingTotals, PricingError> {
        let left = self.sums.shipping - self.sums.shipping_taken;
        let (net, tax) = self.net_and_tax(left, |taxed| taxed.line.is_none());
        Ok(ShippingTotals {
            subtotal: self.money(self.sums.shipping)?,
            discount: self.money(self.sums.shipping_taken)?,
            net: self.money(net)?,
            tax: self.money(tax)?,
            total: self.money(net + tax)?,
            taxes: self.by_rate(|taxed| taxed.line.is_none())?,
        })
    }

    fn net_and_tax(&self, left: i128, is_meant: impl Fn(&Taxed<'_>) -> bool) -> (i128, i128) {
        let tax: i128 = self.taxes.iter().filter(|taxed| is_meant(taxed)).flat_map(|taxed| &taxed.taxes).sum();
        (if self.input.prices_include_tax { left - tax } else { left }, tax)
    }

    /// The taxes by rate; an untaxed part stands nowhere.
    fn by_rate(&self, is_meant: impl Fn(&Taxed<'_>) -> bool) -> Result<Vec<TaxTotal>, PricingError> {
        let mut rates: BTreeMap<&Rate, (i128, i128)> = BTreeMap::new();
        for taxed in self.taxes.iter().filter(|taxed| is_meant(taxed)) {
            let all: i128 = taxed.taxes.iter().sum();
            let net = if self.input.prices_include_tax { taxed.amount - all } else { taxed.amount };
            for (rate, tax) in taxed.rates.iter().zip(&taxed.taxes) {
                let sum = rates.entry(rate).or_default();
                *sum = (sum.0 + net, sum.1 + tax);
            }
        }
        let totals = rates.into_iter().map(|(rate, (net, tax))| {
            Ok(TaxTotal {
                name: rate.name.clone(),
                rate_ppm: rate.ppm,
                category: rate.category,
                net: self.money(net)?,
                tax: self.money(tax)?,
            })
        });
        totals.collect()
    }

    fn money(&self, minor: i128) -> Result<Money, PricingError> {
        let minor = i64::try_from(minor).ok().filter(|minor| minor.abs() <= Money::MAX_WIRE).ok_or(PricingError::TooLarge)?;
        Ok(Money::new(minor, self.input.currency))
    }
}
