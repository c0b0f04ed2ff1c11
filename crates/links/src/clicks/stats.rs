//! What came of a link: its clicks by time, place and program, from the sums alone (INV-L14, PB-4).

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use kernel::error::NOT_FOUND;
use kernel::{Ctx, Error, FieldError, Id, Result, Timestamp};

use crate::READ_ANY_STATS;
use crate::clicks::store;
use crate::links::{self, Link};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The longest span by hour, day and month (links.md §13).
const MAX_SPAN_MS: i64 = 732 * DAY_MS;
/// Days that are told when nobody says which.
const DEFAULT_DAYS: i64 = 30;
/// The most values that are told of a dimension.
const MAX_VALUES: u32 = 1_000;

/// What the clicks are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkStatsBy)]
pub(crate) enum By {
    /// Hours.
    Hour,
    /// Days of the time zone.
    Day,
    /// Months of the time zone.
    Month,
    /// The host of the page with the link.
    Referrer,
    /// Desktop, mobile, tablet, other.
    Device,
    /// Families of browsers.
    Browser,
    /// Families of systems.
    Os,
    /// The preferred language.
    Language,
    /// Link or QR code.
    Via,
    /// The visitor's `utm_source`.
    UtmSource,
    /// The visitor's `utm_medium`.
    UtmMedium,
    /// The visitor's `utm_campaign`.
    UtmCampaign,
    /// Who clicked: people, bots, previews and so on; always all of them.
    Class,
}

impl By {
    fn dimension(self) -> Option<&'static str> {
        Some(match self {
            By::Hour | By::Day | By::Month | By::Class => return None,
            By::Referrer => "referrer",
            By::Device => "device",
            By::Browser => "browser",
            By::Os => "os",
            By::Language => "language",
            By::Via => "via",
            By::UtmSource => "utm_source",
            By::UtmMedium => "utm_medium",
            By::UtmCampaign => "utm_campaign",
        })
    }
}

/// What to tell.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) by: By,
    pub(crate) includes_automated: bool,
    pub(crate) time_zone: Option<String>,
}

/// The clicks of a span of time.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) time_zone: String,
    pub(crate) total: i64,
    pub(crate) items: Vec<(String, i64)>,
}

/// The clicks of a link, for its owner and for who may read all statistics.
pub(crate) async fn of_link(ctx: &Ctx, id: Id<Link>, question: Question) -> Result<Answer> {
    let zone_name = question.time_zone.as_deref().unwrap_or("UTC");
    let zone = TimeZone::get(zone_name).map_err(|_| wrong("time_zone", "invalid_format", "An IANA time zone, such as Europe/Vienna."))?;
    let (from, to) = span(ctx, &question)?;
    let (me, may_read_all, only_people) = (ctx.actor.maybe_user_id(), ctx.actor.may(&READ_ANY_STATS), !question.includes_automated);
    let by = question.by;
    let (total, items) = ctx
        .read(move |c| {
            let link = links::store::find(c, id)?.filter(|link| may_read_all || me == Some(link.owner));
            link.ok_or(&NOT_FOUND)?;
            let hours = match by {
                By::Class => Vec::new(),
                _ => store::sums_by_hour(c, id, from, to, only_people)?,
            };
            let total: i64 = hours.iter().map(|(_, clicks)| clicks).sum();
            Ok::<_, Error>(match (by, by.dimension()) {
                (_, Some(dimension)) => (total, store::sums(c, id, dimension, from, to, only_people, MAX_VALUES)?),
                (By::Class, None) => {
                    let items = store::sums_by_class(c, id, from, to)?;
                    (items.iter().map(|(_, clicks)| clicks).sum(), items)
                }
                (_, None) => (total, hours.into_iter().map(|(hour, clicks)| (hour.to_string(), clicks)).collect()),
            })
        })
        .await?;
    let items = match by {
        By::Hour | By::Day | By::Month => by_time(by, &zone, items)?,
        _ => items,
    };
    Ok(Answer { from: Timestamp::from_millis(from), to: Timestamp::from_millis(to), time_zone: zone_name.to_owned(), total, items })
}

fn wrong(parameter: &'static str, code: &'static str, detail: &'static str) -> Error {
    Error::invalid(vec![FieldError::parameter(parameter, code, detail)])
}

/// Whole hours; the last 30 days unless the caller says otherwise.
fn span(ctx: &Ctx, question: &Question) -> Result<(i64, i64)> {
    let to = question.to.unwrap_or_else(|| ctx.now()).as_millis();
    let to = to.div_euclid(HOUR_MS) * HOUR_MS + if to.rem_euclid(HOUR_MS) == 0 && question.to.is_some() { 0 } else { HOUR_MS };
    let from = question.from.map_or(to - DEFAULT_DAYS * DAY_MS, Timestamp::as_millis).div_euclid(HOUR_MS) * HOUR_MS;
    if from >= to {
        return Err(wrong("from", "out_of_range", "Earlier than to."));
    }
    if to - from > MAX_SPAN_MS {
        return Err(wrong("from", "out_of_range", "At most two years before to."));
    }
    Ok((from, to))
}

/// The sums of hours, told by hour, or added up by the days or months of a time zone.
fn by_time(by: By, zone: &TimeZone, hours: Vec<(String, i64)>) -> Result<Vec<(String, i64)>> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for (hour, clicks) in hours {
        let millis: i64 = hour.parse().map_err(Error::internal)?;
        let local = jiff::Timestamp::from_millisecond(millis).map_err(Error::internal)?.to_zoned(zone.clone());
        let name = match by {
            By::Day => local.strftime("%Y-%m-%d").to_string(),
            By::Month => local.strftime("%Y-%m").to_string(),
            _ => Timestamp::from_millis(millis).to_string(),
        };
        *sums.entry(name).or_default() += clicks;
    }
    Ok(sums.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_time_zone_also_when_the_clock_changes() {
        let vienna = TimeZone::get("Europe/Vienna").unwrap();
        let hour = |text: &str| (text.parse::<Timestamp>().unwrap().as_millis().to_string(), 1);
        // The night to 2026-10-25 has 25 hours in Vienna.
        let hours: Vec<(String, i64)> = (0..26)
            .map(|n| {
                let start = "2026-10-24T22:00:00Z".parse::<Timestamp>().unwrap().as_millis();
                ((start + n * HOUR_MS).to_string(), 1)
            })
            .collect();
        assert_eq!(by_time(By::Day, &vienna, hours).unwrap(), [("2026-10-25".to_owned(), 25), ("2026-10-26".to_owned(), 1)]);
        assert_eq!(by_time(By::Day, &TimeZone::UTC, vec![hour("2026-10-24T22:00:00Z")]).unwrap()[0].0, "2026-10-24");
        assert_eq!(by_time(By::Month, &vienna, vec![hour("2026-10-31T23:00:00Z")]).unwrap()[0].0, "2026-11");
    }
}
