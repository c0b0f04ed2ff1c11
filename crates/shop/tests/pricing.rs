//! The pricing function against fixed vectors and against a second, naive implementation with exact fractions (INV-M3 to INV-M7).

use std::collections::HashMap;

use kernel::Id;
use kernel::money::{Currency, Money};
use proptest::prelude::*;
use shop::ids::{CartLine, Promotion};
use shop::pricing::*;

fn id<T>(number: u128) -> Id<T> {
    Id::from_uuid(uuid::Uuid::from_u128(number))
}

fn rate(name: &str, ppm: u32) -> Rate {
    Rate { name: name.to_owned(), ppm, category: TaxCategory::S }
}

fn line(number: u128, quantity: u32, unit_price_minor: i64, rates: Vec<Rate>) -> LineInput {
    LineInput { line_id: id(number), variant_id: id(number), quantity, unit_price_minor, rates }
}

fn input(prices_include_tax: bool, rounding_level: RoundingLevel, lines: Vec<LineInput>) -> PricingInput {
    PricingInput {
        currency: Currency::EUR,
        prices_include_tax,
        rounding: Rounding::HalfAway,
        rounding_level,
        lines,
        discounts: Vec::new(),
        shipping: None,
    }
}

fn discount(action: DiscountAction, lines: Option<Vec<Id<CartLine>>>) -> DiscountInput {
    DiscountInput { promotion_id: id::<Promotion>(1), name: "Sale".into(), code: None, action, lines }
}

#[test]
fn inv_m4_the_vectors_come_out_as_the_specification_says() {
    let sweets = |level| price(&input(false, level, vec![line(1, 3, 108, vec![rate("VAT", 190_000)])])).unwrap().total.minor;
    assert_eq!((sweets(RoundingLevel::Line), sweets(RoundingLevel::Unit)), (386, 387));
    let shipping = Some(ShippingInput { price_minor: 644, rates: ShippingRates::Own(Vec::new()) });
    let taxed = PricingInput { shipping, ..input(false, RoundingLevel::Line, vec![line(1, 1, 2_499, vec![rate("Sales tax", 107_500)])]) };
    let totals = price(&taxed).unwrap();
    assert_eq!((totals.tax.minor, totals.total.minor), (269, 3_412));
    let totals = price(&input(true, RoundingLevel::Line, vec![line(1, 1, 299, vec![rate("VAT", 40_000)])])).unwrap();
    assert_eq!((totals.tax.minor, totals.lines[0].net.minor, totals.total.minor), (12, 287, 299));
}

#[test]
fn inv_m4_halves_go_where_the_setting_says() {
    // 10 % of 0.05, of 0.15 and of 0.25 is half a cent, one and a half, two and a half.
    for (rounding, taxes) in [(Rounding::HalfAway, [1, 2, 3]), (Rounding::HalfEven, [0, 2, 2]), (Rounding::HalfDown, [0, 1, 2])] {
        for (minor, tax) in [5, 15, 25].into_iter().zip(taxes) {
            let one = PricingInput { rounding, ..input(false, RoundingLevel::Line, vec![line(1, 1, minor, vec![rate("VAT", 100_000)])]) };
            assert_eq!(price(&one).unwrap().tax.minor, tax, "{rounding:?} of {minor}");
        }
    }
}

#[test]
fn inv_m4_a_rate_group_is_rounded_once_and_shared_by_largest_remainder() {
    let lines = (1..=3).map(|number| line(number, 1, 103, vec![rate("VAT", 190_000)])).collect();
    let totals = price(&input(false, RoundingLevel::RateGroup, lines)).unwrap();
    assert_eq!(totals.tax.minor, 59, "19 % of 3.09 is 0.5871");
    assert_eq!(totals.lines.iter().map(|line| line.tax.minor).collect::<Vec<_>>(), [20, 20, 19]);
}

#[test]
fn inv_m6_a_discount_is_spread_by_largest_remainder_and_never_exceeds_a_line() {
    let lines = vec![line(1, 1, 100, vec![]), line(2, 1, 100, vec![]), line(3, 1, 100, vec![]), line(4, 1, 0, vec![])];
    let ten = PricingInput {
        discounts: vec![discount(DiscountAction::Amount { minor: 100 }, None)],
        ..input(true, RoundingLevel::Line, lines.clone())
    };
    let parts: Vec<i64> = price(&ten).unwrap().lines.iter().map(|line| line.discount.minor).collect();
    assert_eq!(parts, [34, 33, 33, 0]);
    let too_much = PricingInput {
        discounts: vec![discount(DiscountAction::Amount { minor: 1_000 }, None)],
        ..input(true, RoundingLevel::Line, lines)
    };
    let totals = price(&too_much).unwrap();
    assert_eq!((totals.discount.minor, totals.total.minor), (300, 0));
}

#[test]
fn shipping_like_the_goods_is_taxed_in_their_proportion() {
    let lines = vec![line(1, 1, 3_000, vec![rate("VAT", 190_000)]), line(2, 1, 1_000, vec![rate("VAT", 70_000)])];
    let shipping = Some(ShippingInput { price_minor: 400, rates: ShippingRates::Goods });
    let totals = price(&PricingInput { shipping, ..input(false, RoundingLevel::Line, lines) }).unwrap();
    assert_eq!(
        totals.shipping_line.taxes.iter().map(|tax| (tax.rate_ppm, tax.net.minor, tax.tax.minor)).collect::<Vec<_>>(),
        [(70_000, 100, 7), (190_000, 300, 57)]
    );
}

#[test]
fn inv_m1_what_cannot_be_exact_is_an_error() {
    let huge = input(true, RoundingLevel::Line, (1..=100).map(|number| line(number, 9_999, MAX_AMOUNT, vec![])).collect());
    assert_eq!(price(&huge), Err(PricingError::TooLarge));
    for wrong in
        [line(1, 1, -1, vec![]), line(1, 0, 1, vec![]), line(1, 1, MAX_AMOUNT + 1, vec![]), line(1, 1, 1, vec![rate("x", MAX_PPM + 1)])]
    {
        assert_eq!(price(&input(true, RoundingLevel::Line, vec![wrong])), Err(PricingError::OutOfRange));
    }
    assert_eq!(price(&input(true, RoundingLevel::Line, vec![])).unwrap().total, Money::zero(Currency::EUR));
}

/// An exact fraction, for the second implementation.
#[derive(Clone, Copy, Debug)]
struct Exact {
    over: i128,
    under: i128,
}

impl Exact {
    fn new(over: i128, under: i128) -> Exact {
        let divisor = gcd(over.abs().max(1), under);
        if over == 0 { Exact { over: 0, under: 1 } } else { Exact { over: over / divisor, under: under / divisor } }
    }

    fn times(self, other: Exact) -> Exact {
        Exact::new(self.over * other.over, self.under * other.under)
    }

    /// Rounded by comparing with both neighbours.
    fn rounded(self, rounding: Rounding) -> i128 {
        let below = self.over.div_euclid(self.under);
        let twice_rest = 2 * (self.over - below * self.under);
        if twice_rest < self.under
            || (twice_rest == self.under
                && match rounding {
                    Rounding::HalfAway => false,
                    Rounding::HalfDown => true,
                    Rounding::HalfEven => below % 2 == 0,
                })
        {
            below
        } else {
            below + 1
        }
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Largest remainder, unit by unit: each left-over unit goes to whoever misses most.
fn shared(amount: i128, weights: &[i128]) -> Vec<i128> {
    let whole: i128 = weights.iter().sum();
    if whole == 0 {
        return vec![0; weights.len()];
    }
    let mut shares: Vec<i128> = weights.iter().map(|weight| amount * weight / whole).collect();
    let mut left = amount - shares.iter().sum::<i128>();
    let mut served = vec![false; weights.len()];
    while left > 0 {
        let missing = |index: usize| amount * weights[index] % whole;
        let waiting = (0..weights.len()).filter(|index| !served[*index]);
        let best = waiting.reduce(|best, index| if missing(index) > missing(best) { index } else { best });
        let Some(index) = best else { break };
        served[index] = true;
        shares[index] += 1;
        left -= 1;
    }
    shares
}

/// The reference: discount, tax and total of each line, and those of shipping, by plain fractions.
struct Reference {
    lines: Vec<(i128, i128)>,
    shipping: (i128, i128),
    total: i128,
}

fn reference(input: &PricingInput) -> Reference {
    let gross: Vec<i128> = input.lines.iter().map(|line| i128::from(line.unit_price_minor) * i128::from(line.quantity)).collect();
    let mut left = gross.clone();
    let mut shipping = input.shipping.as_ref().map_or(0, |shipping| i128::from(shipping.price_minor));
    for discount in &input.discounts {
        let weights: Vec<i128> = input
            .lines
            .iter()
            .zip(&left)
            .map(|(line, left)| match &discount.lines {
                Some(lines) if !lines.contains(&line.line_id) => 0,
                _ => *left,
            })
            .collect();
        let base: i128 = weights.iter().sum();
        let amount = match discount.action {
            DiscountAction::Percent { ppm } => Exact::new(base, 1).times(Exact::new(i128::from(ppm), 1_000_000)).rounded(input.rounding),
            DiscountAction::Amount { minor } => i128::from(minor).min(base),
            DiscountAction::FreeShipping => {
                shipping = 0;
                continue;
            }
        };
        for (left, share) in left.iter_mut().zip(shared(amount, &weights)) {
            *left -= share;
        }
    }
    let mut taxes: Vec<i128> = vec![0; left.len()];
    match input.rounding_level {
        RoundingLevel::Line => {
            for (index, line) in input.lines.iter().enumerate() {
                taxes[index] = tax_on(input, left[index], &line.rates);
            }
        }
        RoundingLevel::Unit => {
            for (index, line) in input.lines.iter().enumerate() {
                let units = shared(left[index], &vec![1; line.quantity as usize]);
                taxes[index] = units.into_iter().map(|unit| tax_on(input, unit, &line.rates)).sum();
            }
        }
        RoundingLevel::RateGroup => {}
    }
    let own_rates = match input.shipping.as_ref().map(|shipping| &shipping.rates) {
        Some(ShippingRates::Own(rates)) => rates.clone(),
        _ => Vec::new(),
    };
    let shipping_tax = tax_on(input, shipping, &own_rates);
    if input.prices_include_tax {
        Reference {
            total: left.iter().sum::<i128>() + shipping,
            lines: left.into_iter().zip(taxes).collect(),
            shipping: (shipping, shipping_tax),
        }
    } else {
        let total = left.iter().sum::<i128>() + shipping + taxes.iter().sum::<i128>() + shipping_tax;
        Reference { total, lines: left.into_iter().zip(taxes).collect(), shipping: (shipping, shipping_tax) }
    }
}

fn tax_on(input: &PricingInput, amount: i128, rates: &[Rate]) -> i128 {
    let amount = Exact::new(amount, 1);
    if input.prices_include_tax {
        let all: i128 = rates.iter().map(|rate| i128::from(rate.ppm)).sum();
        return amount.times(Exact::new(all, 1_000_000 + all)).rounded(input.rounding);
    }
    rates.iter().map(|rate| amount.times(Exact::new(i128::from(rate.ppm), 1_000_000)).rounded(input.rounding)).sum()
}

fn any_rates() -> impl Strategy<Value = Vec<Rate>> {
    let ppm = prop_oneof![Just(0_u32), Just(190_000), Just(70_000), Just(107_500), 0..=MAX_PPM];
    prop::collection::vec((prop::sample::select(vec!["VAT", "State", "County"]), ppm), 0..3)
        .prop_map(|rates| rates.into_iter().enumerate().map(|(index, (name, ppm))| rate(&format!("{name}{index}"), ppm)).collect())
}

fn any_input() -> impl Strategy<Value = PricingInput> {
    let minor = prop_oneof![0..2_000_i64, 0..100_000_i64, Just(0), Just(1), Just(1_000_000_000)];
    let lines = prop::collection::vec((1..40_u32, minor.clone(), any_rates()), 0..7);
    let action = prop_oneof![
        (0..=MAX_PPM).prop_map(|ppm| DiscountAction::Percent { ppm }),
        (0..30_000_i64).prop_map(|minor| DiscountAction::Amount { minor }),
        Just(DiscountAction::FreeShipping),
    ];
    let discounts = prop::collection::vec((action, prop::option::of(prop::collection::vec(1..7_u128, 0..4))), 0..4);
    let shipping = prop::option::of((0..3_000_i64, any_rates()));
    let rounding = prop::sample::select(vec![Rounding::HalfAway, Rounding::HalfEven, Rounding::HalfDown]);
    let level = prop::sample::select(vec![RoundingLevel::Line, RoundingLevel::Unit, RoundingLevel::RateGroup]);
    (lines, discounts, shipping, any::<bool>(), rounding, level).prop_map(
        |(lines, discounts, shipping, prices_include_tax, rounding, rounding_level)| PricingInput {
            currency: Currency::EUR,
            prices_include_tax,
            rounding,
            rounding_level,
            lines: lines
                .into_iter()
                .enumerate()
                .map(|(index, (quantity, minor, rates))| line(index as u128 + 1, quantity, minor, rates))
                .collect(),
            discounts: discounts
                .into_iter()
                .map(|(action, lines)| discount(action, lines.map(|lines| lines.into_iter().map(id).collect())))
                .collect(),
            shipping: shipping.map(|(price_minor, rates)| ShippingInput { price_minor, rates: ShippingRates::Own(rates) }),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn inv_m3_every_figure_is_the_sum_of_its_parts(input in any_input()) {
        let totals = price(&input).unwrap();
        let sum = |of: fn(&LineTotals) -> Money| totals.lines.iter().map(|line| of(line).minor).sum::<i64>();
        let added = if input.prices_include_tax { 0 } else { totals.tax.minor };
        prop_assert_eq!(totals.subtotal.minor - totals.discount.minor + totals.shipping.minor + added + totals.rounding.minor, totals.total.minor);
        prop_assert_eq!(sum(|line| line.subtotal), totals.subtotal.minor);
        prop_assert_eq!(sum(|line| line.discount) + totals.shipping_line.discount.minor, totals.discount.minor);
        prop_assert_eq!(totals.discounts.iter().map(|discount| discount.amount.minor).sum::<i64>(), totals.discount.minor);
        prop_assert_eq!(sum(|line| line.tax) + totals.shipping_line.tax.minor, totals.tax.minor);
        prop_assert_eq!(sum(|line| line.total) + totals.shipping_line.total.minor, totals.total.minor);
        prop_assert_eq!(totals.taxes.iter().map(|tax| tax.tax.minor).sum::<i64>(), totals.tax.minor);
        for line in &totals.lines {
            prop_assert_eq!(line.taxes.iter().map(|tax| tax.tax.minor).sum::<i64>(), line.tax.minor);
        }
    }

    #[test]
    fn inv_m5_m6_r1_nothing_is_below_zero_and_inclusive_prices_split_exactly(input in any_input()) {
        let totals = price(&input).unwrap();
        for line in &totals.lines {
            prop_assert!(line.discount.minor >= 0 && line.discount.minor <= line.subtotal.minor);
            prop_assert!(line.net.minor >= 0 && line.tax.minor >= 0);
            prop_assert_eq!(line.net.minor + line.tax.minor, line.total.minor);
            if input.prices_include_tax {
                prop_assert_eq!(line.subtotal.minor - line.discount.minor, line.total.minor);
            }
        }
        prop_assert!(totals.total.minor >= 0 && totals.shipping_line.total.minor >= 0 && totals.shipping_line.net.minor >= 0);
    }

    #[test]
    fn inv_m3_m6_the_naive_implementation_with_exact_fractions_agrees(input in any_input()) {
        // The reference knows no groups; another test does.
        let rounding_level = if input.rounding_level == RoundingLevel::RateGroup { RoundingLevel::Line } else { input.rounding_level };
        let input = PricingInput { rounding_level, ..input };
        let (totals, expected) = (price(&input).unwrap(), reference(&input));
        prop_assert_eq!(i128::from(totals.total.minor), expected.total);
        prop_assert_eq!(i128::from(totals.shipping_line.tax.minor), expected.shipping.1);
        prop_assert_eq!(i128::from((totals.shipping_line.subtotal.minor) - totals.shipping_line.discount.minor), expected.shipping.0);
        for (line, (left, tax)) in totals.lines.iter().zip(expected.lines) {
            prop_assert_eq!((i128::from(line.subtotal.minor - line.discount.minor), i128::from(line.tax.minor)), (left, tax));
        }
    }

    #[test]
    fn inv_m4_a_rate_group_is_the_tax_on_the_sum_of_its_lines(input in any_input()) {
        let input = PricingInput { rounding_level: RoundingLevel::RateGroup, shipping: None, ..input };
        let totals = price(&input).unwrap();
        let mut groups: HashMap<Vec<Rate>, (i128, i128)> = HashMap::new();
        for (line, figures) in input.lines.iter().zip(&totals.lines) {
            let group = groups.entry(line.rates.clone()).or_default();
            group.0 += i128::from(figures.subtotal.minor - figures.discount.minor);
            group.1 += i128::from(figures.tax.minor);
        }
        for (rates, (amount, tax)) in groups {
            prop_assert_eq!(tax, tax_on(&input, amount, &rates));
        }
    }

    #[test]
    fn inv_r1_the_same_input_has_the_same_totals(input in any_input()) {
        prop_assert_eq!(price(&input), price(&input.clone()));
    }
}
