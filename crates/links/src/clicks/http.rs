//! Statistics over HTTP.

use kernel::error::NOT_FOUND;
use kernel::http::{Json, Operation, Path, Query};
use kernel::{Ctx, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clicks::stats::{self, By, Question};
use crate::links::Link;
use crate::{CREATE_LINKS, READ_ANY_STATS};

pub(crate) fn operations() -> [Operation; 1] {
    [Operation::get("/api/v1/links/{link_id}/stats", "getLinkStats", get)
        .tag("Links")
        .summary("Read the statistics of a link")
        .describe("Clicks of people, or with include=automated all of them; a few seconds old. Times are whole hours; days and months are those of time_zone. Of referrers, languages and campaigns, 500 values a day are told apart, the rest is other.")
        .raises(&[&NOT_FOUND])
        .keys_with(&[&CREATE_LINKS, &READ_ANY_STATS])
        .authenticated()]
}

/// Which clicks to count beside those of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkStatsInclude)]
enum Include {
    /// Bots, previews, prefetches, monitors and HEAD requests.
    Automated,
}

/// What to tell of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkStatsQuery {
    /// The first hour; 30 days before to unless given.
    from: Option<Timestamp>,
    /// The end, not included; now unless given.
    to: Option<Timestamp>,
    /// What to tell apart; day unless given.
    by: Option<By>,
    /// Which clicks to count beside those of people.
    include: Option<Include>,
    /// An IANA time zone; UTC unless given.
    #[schema(max_length = 64)]
    time_zone: Option<String>,
}

/// The clicks of a link.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "link_id": "019ab0b2-8f00-7000-8000-000000000003", "from": "2026-10-23T12:00:00.000Z", "to": "2026-11-22T12:00:00.000Z", "by": "day",
    "time_zone": "Europe/Vienna", "total": 12, "items": [{"value": "2026-11-21", "clicks": 5}, {"value": "2026-11-22", "clicks": 7}]
}))]
struct LinkStats {
    /// The link.
    #[schema(value_type = uuid::Uuid)]
    link_id: Id<Link>,
    /// The first hour.
    from: Timestamp,
    /// The end, not included.
    to: Timestamp,
    /// What is told apart.
    by: By,
    /// Whose days and months they are.
    time_zone: String,
    /// All clicks of the span.
    total: i64,
    /// Times in order, other values with the most clicks first; what has no clicks is left out.
    items: Vec<LinkStatsItem>,
}

/// The clicks of one value.
#[derive(Serialize, ToSchema)]
struct LinkStatsItem {
    /// The hour, day, host, family and so on.
    value: String,
    /// How many.
    clicks: i64,
}

async fn get(ctx: Ctx, Path(id): Path<Id<Link>>, Query(query): Query<LinkStatsQuery>) -> Result<Json<LinkStats>> {
    let by = query.by.unwrap_or(By::Day);
    let includes_automated = query.include.is_some();
    let answer =
        stats::of_link(&ctx, id, Question { from: query.from, to: query.to, by, includes_automated, time_zone: query.time_zone }).await?;
    let items = answer.items.into_iter().map(|(value, clicks)| LinkStatsItem { value, clicks }).collect();
    Ok(Json(LinkStats { link_id: id, from: answer.from, to: answer.to, by, time_zone: answer.time_zone, total: answer.total, items }))
}
