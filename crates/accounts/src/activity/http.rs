//! One's own activity over HTTP.

use kernel::audit::{Activity, ActivityBy, activity};
use kernel::http::{List, Operation, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) fn operation() -> Operation {
    Operation::get("/api/v1/me/activity", "listMyActivity", list)
        .tag("Me")
        .summary("List what you did, and what was done to your account")
        .describe("Newest first: your logins and those that failed, your changes, and what administrators did to your account. It tells nothing of other people; of whoever tried to log in as you it tells from where. An attempt shows up within a second or two, a flood of attempts as one row.")
        .raises(&[&kernel::error::CURSOR_INVALID])
        .authenticated()
}

/// Something that you did, or that was done to your account.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000009", "at": "2026-11-22T12:00:00.000Z", "action": "accounts.session.start",
    "result": "invalid_credentials", "subject": "user:019ab0b2-8f00-7000-8000-000000000001", "by": "nobody", "address": "203.0.113.7",
    "user_agent": "curl/8.5"
}))]
struct ActivityView {
    /// The row of the audit trail.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Activity>,
    /// When it happened.
    at: Timestamp,
    /// What was done, `module.thing.verb`.
    action: String,
    /// `ok`, or the code of the problem.
    result: String,
    /// What it was done to; null where that is another person.
    subject: Option<String>,
    /// Who did it.
    by: ActivityByView,
    /// Where it came from; null for what others did, and once erased.
    address: Option<String>,
    /// The program; null for what others did, and once erased.
    user_agent: Option<String>,
}

/// Who did something.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ActivityBy)]
enum ActivityByView {
    /// You, logged in.
    You,
    /// Somebody who was not logged in: you at the login, or whoever guesses there.
    Nobody,
    /// Another person, such as an administrator.
    SomebodyElse,
    /// The system itself.
    System,
}

impl From<Activity> for ActivityView {
    fn from(activity: Activity) -> ActivityView {
        let by = match activity.by {
            ActivityBy::You => ActivityByView::You,
            ActivityBy::Nobody => ActivityByView::Nobody,
            ActivityBy::SomebodyElse => ActivityByView::SomebodyElse,
            ActivityBy::System => ActivityByView::System,
        };
        ActivityView {
            id: activity.id,
            at: activity.at,
            action: activity.action,
            result: activity.result,
            subject: activity.subject,
            by,
            address: activity.address,
            user_agent: activity.user_agent,
        }
    }
}

/// Which part of the activity to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivityFilter {
    /// How many rows a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn list(ctx: Ctx, Query(filter): Query<ActivityFilter>) -> Result<List<ActivityView>> {
    let page = activity(&ctx, PageRequest::new(filter.limit, filter.cursor)).await?;
    Ok(List(page.map(ActivityView::from)))
}
