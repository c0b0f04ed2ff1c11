//! Postal addresses: what a parcel needs, and which countries there are.

use kernel::{Error, FieldError, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problems::ADDRESS_INVALID;

/// ISO 3166-1, alpha-2, as of 2026.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC \
    CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM \
    GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR \
    LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH \
    PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN \
    TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Countries where addresses have no postal code.
const WITHOUT_POSTAL_CODE: &str = "AE AG AO AW BF BI BJ BO BS BW BZ CD CF CG CI CK CM DJ DM ER FJ GA GD GH GM GQ GY HK JM KI KM KN KP LC ML MO MR MW NR NU QA RW SB SC SL SR SS ST \
     SY TD TF TG TK TL TO TT TV UG VU YE ZW";

/// Whether this is the code of a country, such as `DE`.
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && COUNTRIES.split_ascii_whitespace().any(|known| known == code)
}

/// Where goods go, or who is billed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Ada Lovelace", "company": null, "line1": "Hauptstraße 1", "line2": null, "postal_code": "10115", "city": "Berlin", "region": null,
    "country": "DE", "phone": null
}))]
pub struct Address {
    /// Who lives there.
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// The company.
    #[serde(default)]
    #[schema(max_length = 120)]
    pub company: Option<String>,
    /// Street and number.
    #[schema(min_length = 1, max_length = 200)]
    pub line1: String,
    /// What the street does not say.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub line2: Option<String>,
    /// The postal code, where the country has them.
    #[serde(default)]
    #[schema(max_length = 16)]
    pub postal_code: Option<String>,
    /// The town.
    #[schema(min_length = 1, max_length = 120)]
    pub city: String,
    /// The state or province, ISO 3166-2 without the country where there is a code.
    #[serde(default)]
    #[schema(max_length = 40)]
    pub region: Option<String>,
    /// ISO 3166 code.
    #[schema(min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    pub country: String,
    /// A number for the carrier.
    #[serde(default)]
    #[schema(max_length = 40)]
    pub phone: Option<String>,
}

impl Address {
    /// The address without surrounding blanks, or `address_invalid` with everything that is wrong.
    ///
    /// # Errors
    /// When the country does not exist, or when something is missing without which no parcel arrives.
    pub fn checked(self, pointer: &str) -> Result<Address> {
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let address = Address {
            name: self.name.trim().to_owned(),
            company: trimmed(self.company),
            line1: self.line1.trim().to_owned(),
            line2: trimmed(self.line2),
            postal_code: trimmed(self.postal_code),
            city: self.city.trim().to_owned(),
            region: trimmed(self.region),
            country: self.country,
            phone: trimmed(self.phone),
        };
        let mut errors: Vec<FieldError> = [("name", &address.name), ("line1", &address.line1), ("city", &address.city)]
            .into_iter()
            .filter(|(_, text)| text.is_empty())
            .map(|(member, _)| FieldError::body(format!("{pointer}/{member}"), "required", "This is required."))
            .collect();
        if !is_country(&address.country) {
            errors.push(FieldError::body(format!("{pointer}/country"), "not_allowed", "This is no country of ISO 3166."));
        } else if address.postal_code.is_none() && !WITHOUT_POSTAL_CODE.split_ascii_whitespace().any(|code| code == address.country) {
            errors.push(FieldError::body(format!("{pointer}/postal_code"), "required", "Addresses of this country have a postal code."));
        }
        if errors.is_empty() {
            return Ok(address);
        }
        Err(errors.into_iter().fold(ADDRESS_INVALID.error(), Error::with_field))
    }
}
