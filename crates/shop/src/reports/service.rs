//! The verbs of reports.

use kernel::{Ctx, Error, Job, Result, Timestamp, Tx};
use serde::{Deserialize, Serialize};

use crate::reports::{DailyRow, store};

/// Makes the roll-ups of today and yesterday anew.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RollUp {}

impl Job for RollUp {
    const KIND: &'static str = "shop.rollup";
}

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

pub(crate) async fn roll_up(ctx: Ctx, _job: RollUp) -> Result<()> {
    let today = start_of_day(ctx.now());
    for start in [Timestamp::from_millis(today.as_millis() - DAY_MILLIS), today] {
        make_day(&ctx, start).await?;
    }
    Ok(())
}

/// Makes the roll-ups of one day anew.
pub(crate) async fn make_day(ctx: &Ctx, start: Timestamp) -> Result<()> {
    ctx.write(move |tx| rebuild(tx, start)).await
}

/// The first instant of the day, in UTC.
pub(crate) fn start_of_day(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(DAY_MILLIS) * DAY_MILLIS)
}

/// The day as people write it.
pub(crate) fn day_of(start: Timestamp) -> String {
    start.to_string().chars().take(10).collect()
}

fn rebuild(tx: &mut Tx<'_, '_>, start: Timestamp) -> Result<()> {
    let (day, end) = (day_of(start), Timestamp::from_millis(start.as_millis() + DAY_MILLIS));
    let mut rows = Vec::new();
    for (currency, count, total, discount, shipping, tax) in store::orders(tx, start, end)? {
        for (kind, amount) in [("orders", total), ("discount", discount), ("shipping", shipping), ("tax", tax)] {
            rows.push(DailyRow { day: day.clone(), currency, kind: kind.to_owned(), item: String::new(), count, amount });
        }
    }
    for (currency, kind, count, amount) in store::booked(tx, start, end)? {
        rows.push(DailyRow { day: day.clone(), currency, kind: format!("booked_{kind}"), item: String::new(), count, amount: -amount });
    }
    for (currency, variant, count, amount) in store::variants(tx, start, end)? {
        rows.push(DailyRow { day: day.clone(), currency, kind: "variant".to_owned(), item: variant.to_string(), count, amount });
    }
    rows.sort_unstable();
    store::clear(tx, &day)?;
    for row in &rows {
        store::insert(tx, row)?;
    }
    Ok(())
}

/// The figures of these days: of sales, or of single variants.
pub(crate) async fn read(ctx: &Ctx, from: String, to: String, is_sales: bool) -> Result<Vec<DailyRow>> {
    ctx.read_long(move |c| store::rows(c, &from, &to, is_sales).map_err(Error::from)).await
}
