//! Money: whole minor units of one currency, and the one table of how small a unit is (INV-M1, INV-M2, R-13).
//!
//! Nothing here rounds, wraps or guesses: what cannot be exact is an error. Amounts are divided only by [`Money::allocate`],
//! which loses no unit.

use std::fmt;
use std::str::FromStr;

use db::{FromValue, Param, ToParam, ValueError, ValueRef};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};

use crate::error::{Error, FieldError, VALIDATION_FAILED};

/// ISO 4217 by the number of decimal places. This is the standard's table: CLDR's (HUF 0, IQD 0) is for display only, and
/// payment providers have their own. Units of account without a minor unit (XAU, XDR, XXX …) are not money here.
const PLACES: [(u32, &str); 4] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU \
         CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES \
         KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR \
         NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP \
         TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// Withdrawn from ISO 4217 since 2021, all with two places: old amounts stay readable.
const WITHDRAWN: &str = "ANG BGN CUC HRK SLL ZWL";

/// A currency of ISO 4217, by its three letters.
///
/// ```
/// use kernel::money::Currency;
///
/// let yen: Currency = "JPY".parse().unwrap();
/// assert_eq!((yen, yen.places()), (Currency::JPY, 0));
/// assert!("XYZ".parse::<Currency>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The euro.
    pub const EUR: Currency = Currency(*b"EUR");
    /// The US dollar.
    pub const USD: Currency = Currency(*b"USD");
    /// The pound sterling.
    pub const GBP: Currency = Currency(*b"GBP");
    /// The Swiss franc.
    pub const CHF: Currency = Currency(*b"CHF");
    /// The yen, which has no minor unit.
    pub const JPY: Currency = Currency(*b"JPY");

    /// The three letters.
    pub fn code(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many decimal places the minor unit has: 0, 2, 3 or 4.
    pub fn places(self) -> u32 {
        places_of(self.code()).unwrap_or(2)
    }

    /// Whether the currency has gone out of use; amounts in it are read, but new prices should not be set.
    pub fn is_withdrawn(self) -> bool {
        WITHDRAWN.split(' ').any(|code| code == self.code())
    }

    /// Every currency, in alphabetical order, without the withdrawn ones.
    pub fn all() -> Vec<Currency> {
        let mut all: Vec<Currency> = PLACES.iter().flat_map(|(_, codes)| codes.split(' ')).filter_map(|code| code.parse().ok()).collect();
        all.sort_unstable();
        all
    }
}

fn places_of(code: &str) -> Option<u32> {
    let current = PLACES.iter().find(|(_, codes)| codes.split(' ').any(|known| known == code)).map(|(places, _)| *places);
    current.or_else(|| WITHDRAWN.split(' ').any(|known| known == code).then_some(2))
}

impl FromStr for Currency {
    type Err = MoneyError;

    /// Accepts the upper-case code only.
    fn from_str(code: &str) -> Result<Currency, MoneyError> {
        places_of(code).ok_or(MoneyError::UnknownCurrency)?;
        code.as_bytes().try_into().map(Currency).map_err(|_| MoneyError::UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        let code = std::borrow::Cow::<str>::deserialize(deserializer)?;
        code.parse().map_err(D::Error::custom)
    }
}

impl ToParam for Currency {
    fn to_param(&self) -> Param<'_> {
        Param::Text(self.code())
    }
}

impl FromValue for Currency {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Text(code) => code.parse().map_err(|_| ValueError::new("an ISO 4217 code", &value)),
            _ => Err(ValueError::new("an ISO 4217 code", &value)),
        }
    }
}

impl utoipa::PartialSchema for Currency {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .description(Some("ISO 4217 code."))
            .pattern(Some("^[A-Z]{3}$"))
            .examples(["EUR"])
            .into()
    }
}

impl utoipa::ToSchema for Currency {}

/// An amount in whole minor units of one currency; `{"amount": 1299, "currency": "EUR"}` on the wire.
///
/// ```
/// use kernel::money::{Currency, Money};
///
/// let price = Money::parse("12.99", Currency::EUR).unwrap();
/// assert_eq!(price, Money::new(1299, Currency::EUR));
/// assert_eq!(price.times(3).unwrap().to_string(), "38.97 EUR");
/// assert!(price.plus(Money::new(1, Currency::USD)).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units, such as cents.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// Why an amount could not be computed or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// No code of ISO 4217 that has a minor unit.
    #[error("This is not an ISO 4217 currency code.")]
    UnknownCurrency,
    /// Two amounts of different currencies met.
    #[error("Amounts in {0} and {1} cannot be combined.")]
    CurrenciesDiffer(Currency, Currency),
    /// More than 64 bits of minor units.
    #[error("The amount is too large.")]
    TooLarge,
    /// Not written as `12`, `12.5` or `-0.05`.
    #[error("This is not a decimal amount such as 12.99.")]
    NotDecimal,
    /// More decimal places than the currency has.
    #[error("{0} has {places} decimal places.", places = .0.places())]
    TooPrecise(Currency),
    /// Nothing to allocate by: no weight above zero.
    #[error("There is nothing to divide the amount by.")]
    NoWeights,
}

impl MoneyError {
    /// The field error of a request value with this fault.
    pub fn at(self, pointer: impl Into<std::borrow::Cow<'static, str>>) -> FieldError {
        let code = match self {
            MoneyError::TooLarge => "out_of_range",
            MoneyError::CurrenciesDiffer(..) | MoneyError::NoWeights => "not_allowed",
            MoneyError::UnknownCurrency | MoneyError::NotDecimal | MoneyError::TooPrecise(_) => "invalid_format",
        };
        FieldError::body(pointer, code, self.to_string())
    }
}

impl From<MoneyError> for Error {
    fn from(error: MoneyError) -> Error {
        match error {
            MoneyError::CurrenciesDiffer(..) | MoneyError::NoWeights => Error::internal(error),
            _ => VALIDATION_FAILED.because(error.to_string()),
        }
    }
}

impl Money {
    /// The largest amount on the wire, either way: JSON readers keep integers exactly up to here (R-14).
    pub const MAX_WIRE: i64 = (1 << 53) - 1;

    /// This many minor units.
    pub const fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Nothing, in this currency.
    pub const fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// The amount written as `12`, `12.5` or `-0.05`, if the currency can express it exactly.
    ///
    /// # Errors
    /// For any other notation, for more places than the currency has (unless they are zeros), and beyond 64 bits.
    pub fn parse(decimal: &str, currency: Currency) -> Result<Money, MoneyError> {
        let (is_negative, digits) = decimal.strip_prefix('-').map_or((false, decimal), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        if [whole, fraction].iter().any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(MoneyError::NotDecimal);
        }
        let places = currency.places() as usize;
        let (kept, surplus) = fraction.split_at(places.min(fraction.len()));
        if surplus.bytes().any(|byte| byte != b'0') {
            return Err(MoneyError::TooPrecise(currency));
        }
        let unsigned = whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', places - kept.len()));
        // Counted downwards, because the smallest i64 has no positive twin.
        let negative = unsigned.map(|byte| i64::from(byte - b'0')).try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_sub(digit));
        let minor = negative.and_then(|minor| if is_negative { Some(minor) } else { minor.checked_neg() });
        Ok(Money { minor: minor.ok_or(MoneyError::TooLarge)?, currency })
    }

    /// The amount as a decimal number with all places of the currency, such as `12.90`.
    pub fn decimal(self) -> String {
        let places = self.currency.places() as usize;
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let (sign, point) = (if self.minor < 0 { "-" } else { "" }, if places == 0 { "" } else { "." });
        format!("{sign}{whole}{point}{fraction}")
    }

    /// The sum of two amounts.
    ///
    /// # Errors
    /// When the currencies differ, or beyond 64 bits.
    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    /// The difference of two amounts.
    ///
    /// # Errors
    /// When the currencies differ, or beyond 64 bits.
    pub fn minus(self, other: Money) -> Result<Money, MoneyError> {
        self.combine(other, i64::checked_sub)
    }

    fn combine(self, other: Money, operation: fn(i64, i64) -> Option<i64>) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrenciesDiffer(self.currency, other.currency));
        }
        let minor = operation(self.minor, other.minor).ok_or(MoneyError::TooLarge)?;
        Ok(Money { minor, ..self })
    }

    /// The amount this many times.
    ///
    /// # Errors
    /// Beyond 64 bits.
    pub fn times(self, count: i64) -> Result<Money, MoneyError> {
        Ok(Money { minor: self.minor.checked_mul(count).ok_or(MoneyError::TooLarge)?, ..self })
    }

    /// The sum of amounts that are all in `currency`; nothing when there are none.
    ///
    /// # Errors
    /// When one is in another currency, or beyond 64 bits.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Money>) -> Result<Money, MoneyError> {
        amounts.into_iter().try_fold(Money::zero(currency), Money::plus)
    }

    /// Divides the amount by weights so that the shares add up to it exactly.
    ///
    /// Each share is its exact part, rounded towards zero; the units left over go one each to the largest remainders, the
    /// earlier share first when two are equal.
    ///
    /// # Errors
    /// When no weight is above zero.
    pub fn allocate(self, weights: &[u64]) -> Result<Vec<Money>, MoneyError> {
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        if total == 0 {
            return Err(MoneyError::NoWeights);
        }
        let amount = u128::from(self.minor.unsigned_abs());
        let products: Vec<u128> = weights.iter().map(|weight| amount * u128::from(*weight)).collect();
        let mut shares: Vec<u128> = products.iter().map(|product| product / total).collect();
        let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
        by_remainder.sort_by_key(|index| std::cmp::Reverse(products[*index] % total));
        let left_over = usize::try_from(amount - shares.iter().sum::<u128>()).unwrap_or(usize::MAX);
        for index in by_remainder.into_iter().take(left_over) {
            shares[index] += 1;
        }
        shares.into_iter().map(|share| self.with_magnitude(share)).collect()
    }

    /// This many units with the sign of this amount.
    fn with_magnitude(self, units: u128) -> Result<Money, MoneyError> {
        let units = i128::try_from(units).map_err(|_| MoneyError::TooLarge)?;
        let signed = if self.minor < 0 { -units } else { units };
        Ok(Money { minor: i64::try_from(signed).map_err(|_| MoneyError::TooLarge)?, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Money", deny_unknown_fields)]
struct Wire {
    amount: i64,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire { amount: self.minor, currency: self.currency }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        let Wire { amount, currency } = Wire::deserialize(deserializer)?;
        if amount.unsigned_abs() > Money::MAX_WIRE.unsigned_abs() {
            return Err(D::Error::custom(MoneyError::TooLarge));
        }
        Ok(Money { minor: amount, currency })
    }
}

impl utoipa::PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        let amount = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(Some("Whole minor units, such as cents."))
            .minimum(Some(-Money::MAX_WIRE as isize))
            .maximum(Some(Money::MAX_WIRE as isize));
        ObjectBuilder::new()
            .description(Some("An amount in whole minor units of one currency."))
            .property("amount", amount)
            .required("amount")
            .property("currency", Currency::schema())
            .required("currency")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .examples([serde_json::json!({"amount": 1299, "currency": "EUR"})])
            .into()
    }
}

impl utoipa::ToSchema for Money {
    fn name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const IQD: Currency = Currency(*b"IQD");
    const CLF: Currency = Currency(*b"CLF");

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::EUR)
    }

    #[test]
    fn inv_m2_places_are_iso_4217s_not_cldrs() {
        for (places, codes) in [
            (0, "JPY KRW ISK UGX CLP VND XOF PYG"),
            (2, "EUR HUF TWD IDR COP LAK MGA MRU KPW AFN YER"),
            (3, "BHD IQD KWD TND JOD LYD OMR"),
            (4, "CLF UYW"),
        ] {
            for code in codes.split(' ') {
                assert_eq!(code.parse::<Currency>().unwrap().places(), places, "{code}");
            }
        }
    }

    #[test]
    fn inv_m2_an_unlisted_currency_is_refused_not_guessed() {
        for code in ["XYZ", "eur", "Eur", "", "EU", "EURO", "EUR ", "XAU", "XXX", "XTS", "XDR", "BTC", "R C", "\u{20ac}", "AED AFN"] {
            assert_eq!(code.parse::<Currency>(), Err(MoneyError::UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn inv_m2_the_table_names_each_currency_once() {
        let mut all = Currency::all();
        assert_eq!(all.len(), 178 - 13, "all of ISO 4217 but the thirteen units of account, as of 2026");
        all.dedup();
        assert_eq!(all.len(), 165);
        assert!(all.iter().all(|currency| !currency.is_withdrawn() && currency.code().bytes().all(|byte| byte.is_ascii_uppercase())));
        assert!(WITHDRAWN.split(' ').all(|code| code.parse::<Currency>().unwrap().is_withdrawn()));
    }

    #[test]
    fn r13_the_wire_form_is_amount_and_currency() {
        let price = eur(1299);
        assert_eq!(serde_json::to_value(price).unwrap(), json!({"amount": 1299, "currency": "EUR"}));
        assert_eq!(serde_json::from_value::<Money>(json!({"currency": "EUR", "amount": 1299})).unwrap(), price);
        for wrong in [
            json!({"amount": 12.99, "currency": "EUR"}),
            json!({"amount": 1299.0, "currency": "EUR"}),
            json!({"amount": "1299", "currency": "EUR"}),
            json!({"amount": 1299}),
            json!({"amount": 1299, "currency": "eur"}),
            json!({"amount": 1299, "currency": "EUR", "x": 1}),
            json!({"amount": 9_007_199_254_740_992_i64, "currency": "EUR"}),
            json!({"amount": i64::MIN, "currency": "EUR"}),
            json!(1299),
        ] {
            assert!(serde_json::from_value::<Money>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn inv_m1_a_decimal_is_read_exactly_or_not_at_all() {
        for (text, currency, minor) in [
            ("12.99", Currency::EUR, 1299),
            ("12.9", Currency::EUR, 1290),
            ("12", Currency::EUR, 1200),
            ("12.990000", Currency::EUR, 1299),
            ("-0.05", Currency::EUR, -5),
            ("-0", Currency::EUR, 0),
            ("007.50", Currency::EUR, 750),
            ("1500", Currency::JPY, 1500),
            ("1500.00", Currency::JPY, 1500),
            ("1.234", IQD, 1234),
            ("1.2345", CLF, 12345),
            ("92233720368547758.07", Currency::EUR, i64::MAX),
            ("-92233720368547758.08", Currency::EUR, i64::MIN),
        ] {
            assert_eq!(Money::parse(text, currency), Ok(Money::new(minor, currency)), "{text}");
        }
        for text in ["", "-", ".", ".5", "5.", "+5", "1e3", "1,5", "1 000", " 5", "5 ", "--5", "1.2.3", "٥", "0x1", "NaN", "1_000"] {
            assert_eq!(Money::parse(text, Currency::EUR), Err(MoneyError::NotDecimal), "{text}");
        }
        assert_eq!(Money::parse("0.001", Currency::EUR), Err(MoneyError::TooPrecise(Currency::EUR)));
        assert_eq!(Money::parse("1.5", Currency::JPY).unwrap_err().to_string(), "JPY has 0 decimal places.");
        for text in ["92233720368547758.08", "-92233720368547758.09", "99999999999999999999999999999999"] {
            assert_eq!(Money::parse(text, Currency::EUR), Err(MoneyError::TooLarge), "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_with_all_places() {
        for (minor, currency, text) in [
            (1290, Currency::EUR, "12.90 EUR"),
            (5, Currency::EUR, "0.05 EUR"),
            (-5, Currency::EUR, "-0.05 EUR"),
            (0, Currency::EUR, "0.00 EUR"),
            (1500, Currency::JPY, "1500 JPY"),
            (0, Currency::JPY, "0 JPY"),
            (1, IQD, "0.001 IQD"),
            (i64::MIN, CLF, "-922337203685477.5808 CLF"),
        ] {
            assert_eq!(Money::new(minor, currency).to_string(), text);
        }
    }

    #[test]
    fn inv_m1_mixing_currencies_or_overflow_is_an_error() {
        assert_eq!(eur(1).plus(Money::new(1, Currency::USD)), Err(MoneyError::CurrenciesDiffer(Currency::EUR, Currency::USD)));
        assert_eq!(eur(i64::MAX).plus(eur(1)), Err(MoneyError::TooLarge));
        assert_eq!(eur(i64::MIN).minus(eur(1)), Err(MoneyError::TooLarge));
        assert_eq!(eur(i64::MIN).times(-1), Err(MoneyError::TooLarge));
        assert_eq!(eur(1299).times(3), Ok(eur(3897)));
        assert_eq!(Money::sum(Currency::EUR, [eur(1), eur(2)]), Ok(eur(3)));
        assert_eq!(Money::sum(Currency::EUR, []), Ok(eur(0)));
        assert_eq!(Error::from(MoneyError::TooLarge).code(), "validation_failed");
        assert_eq!(Error::from(MoneyError::NoWeights).code(), "internal");
        assert_eq!(MoneyError::TooLarge.at("/price/amount").code, "out_of_range");
    }

    #[test]
    fn allocation_gives_the_units_left_over_to_the_largest_remainders() {
        let shares = |minor, weights: &[u64]| eur(minor).allocate(weights).unwrap().iter().map(|share| share.minor).collect::<Vec<i64>>();
        assert_eq!(shares(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(shares(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(shares(5, &[3, 7]), [2, 3]);
        assert_eq!(shares(1, &[1, 2, 1]), [0, 1, 0]);
        assert_eq!(shares(100, &[0, 1, 0]), [0, 100, 0]);
        assert_eq!(shares(i64::MIN, &[u64::MAX]), [i64::MIN]);
        assert_eq!(eur(1).allocate(&[]), Err(MoneyError::NoWeights));
        assert_eq!(eur(1).allocate(&[0, 0]), Err(MoneyError::NoWeights));
    }

    #[test]
    fn the_schema_says_what_serde_accepts() {
        let schema = serde_json::to_value(<Money as utoipa::PartialSchema>::schema()).unwrap();
        assert_eq!(schema["properties"]["amount"]["maximum"], json!(9_007_199_254_740_991_i64));
        assert_eq!(schema["properties"]["amount"]["format"], "int64");
        assert_eq!(schema["properties"]["currency"]["pattern"], "^[A-Z]{3}$");
        assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(["amount", "currency"]), &json!(false)));
    }

    fn any_currency() -> impl Strategy<Value = Currency> {
        prop::sample::select(Currency::all())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn inv_m1_every_amount_survives_text_and_json(minor: i64, currency in any_currency()) {
            let money = Money::new(minor, currency);
            prop_assert_eq!(Money::parse(&money.decimal(), currency), Ok(money));
            let wire = serde_json::from_str::<Money>(&serde_json::to_string(&money).unwrap());
            prop_assert_eq!(wire.ok(), (minor.unsigned_abs() < 1 << 53).then_some(money));
        }

        #[test]
        fn inv_m1_allocation_loses_no_unit_and_is_fair(minor: i64, weights in prop::collection::vec(any::<u64>(), 1..20)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let shares = eur(minor).allocate(&weights).unwrap();
            let sum: i128 = shares.iter().map(|share| i128::from(share.minor)).sum();
            prop_assert_eq!(sum, i128::from(minor));
            let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = u128::from(minor.unsigned_abs()) * u128::from(*weight) / total;
                prop_assert!(u128::from(share.minor.unsigned_abs()).abs_diff(exact) <= 1);
                prop_assert!(*weight > 0 || share.minor == 0);
            }
        }

        #[test]
        fn inv_m1_adding_and_taking_away_is_exact_or_refused(a: i64, b: i64) {
            let sum = eur(a).plus(eur(b));
            prop_assert_eq!(sum.is_ok(), a.checked_add(b).is_some());
            if let Ok(sum) = sum {
                prop_assert_eq!(sum.minus(eur(b)), Ok(eur(a)));
            }
        }
    }
}
