//! From the journal to the statistics: each record once, in short transactions that also note how far they came (INV-L2).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kernel::http::Metrics;
use kernel::{App, Ctx, Error, Id, Job, LogAndContinue as _, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::clicks::agents::{self, Agent};
use crate::clicks::journal::hour_of;
use crate::clicks::record::{CAMPAIGN, Click, Flags, Record};
use crate::clicks::segment::Segment;
use crate::clicks::store::{self, ClickRow, HourKey};
use crate::clicks::{Class, Journal};
use crate::links::Link;
use crate::settings::ClickSettings;
use crate::threads::off_worker;

/// Rows of one transaction: a few thousand, so that no other writer waits for long.
const BATCH: usize = 2_000;
/// Values of one dimension of a link in a day; the rest is `other` (INV-L25).
const MAX_VALUES: i64 = 500;
const DAY_MS: i64 = 86_400_000;
/// The longest value of a dimension in characters.
const MAX_VALUE_CHARS: usize = 120;

/// What the flusher remembers: that it is alone, and how much detail it may still store.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    running: Mutex<Allowance>,
}

/// Single clicks that may still be stored; refilled by the time that passes (INV-L3).
#[derive(Debug, Default)]
struct Allowance {
    rows: u64,
    refilled_at: Option<std::time::Instant>,
}

impl Allowance {
    fn refill(&mut self, per_second: u32, flush: Duration) {
        let now = std::time::Instant::now();
        let most = f64::from(per_second) * flush.as_secs_f64().max(1.0) * 2.0;
        let since = self.refilled_at.map_or(most / f64::from(per_second.max(1)), |at| (now - at).as_secs_f64());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows that is bounded by the line above")]
        let gained = (since * f64::from(per_second)).min(most) as u64;
        if gained > 0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
            let most = most as u64;
            (self.rows, self.refilled_at) = ((self.rows + gained).min(most), Some(now));
        }
    }
}

/// Adds to the statistics what the journal of this node holds, now and then until the app stops.
pub(crate) async fn run(app: App) {
    let mut stopping = app.stopping();
    let every = *app.settings::<ClickSettings>().flush;
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stopping.wait() => {
                // What is clicked while the last requests end stays on disk for the next start.
                flush(&app).await.log_and_continue("adding the last clicks to the statistics");
                return;
            }
        }
        flush(&app).await.log_and_continue("adding clicks to the statistics");
    }
}

/// How long what a visitor sent may wait for the database; an hour less than is promised, since not every moment is looked at.
const RAW_KEPT: Duration = Duration::from_secs(23 * 3600);

/// Adds to the statistics what the journal of this node holds.
pub(crate) async fn flush(app: &App) -> Result<()> {
    let journal = app.state::<Journal>();
    let mut allowance = app.state::<Flusher>().running.lock().await;
    let outcome = apply_all(app, journal, &mut allowance).await;
    if outcome.is_err() {
        // The clicks wait until the database takes them; what identifies visitors does not (INV-L12).
        journal.redact((app.clock().now() - RAW_KEPT).as_millis()).await;
    }
    // Also when the database is away: that is when clicks get lost.
    tell_losses(app, journal);
    outcome
}

/// Adds all closed files, then what was written until now: while the database takes nothing, files are not cut into ever smaller ones.
async fn apply_all(app: &App, journal: &Journal, allowance: &mut Allowance) -> Result<()> {
    apply_closed(app, journal, allowance).await?;
    journal.close().await;
    apply_closed(app, journal, allowance).await
}

async fn apply_closed(app: &App, journal: &Journal, allowance: &mut Allowance) -> Result<()> {
    while let Some(segment) = journal.take().await {
        let name = segment.name;
        apply(app, segment, allowance).await?;
        journal.remove(name).await;
    }
    Ok(())
}

fn tell_losses(app: &App, journal: &Journal) {
    let (shed, lost) = journal.take_losses();
    if shed > 0 {
        tracing::warn!(shed, "clicks came faster than they could be written: {shed} have no detail");
        count(app, "memory", shed);
    }
    if lost > 0 {
        tracing::error!(lost, "clicks found no room in memory or on disk: {lost} are not counted");
        count(app, "lost", lost);
    }
}

/// Tells the operator of clicks without detail, and of clicks that are not even counted.
fn count(app: &App, why: &'static str, clicks: u64) {
    // The metric grows one by one; beyond so many at once its size says nothing more.
    (0..clicks.min(100_000)).for_each(|_| app.state::<Metrics>().count("links_clicks_detail_dropped_total", "why", why));
}

/// Adds a segment, from where an earlier run has stopped.
async fn apply(app: &App, segment: Segment, allowance: &mut Allowance) -> Result<()> {
    let settings = app.settings::<ClickSettings>();
    let journal = Uuid::from_u128(segment.name.journal);
    let number = i64::from(segment.name.number);
    let mut position = app.db().read(move |c| Ok::<_, Error>(store::position(c, journal)?)).await?;
    let done = match position {
        Some((at, _)) if at > number => return Ok(()),
        Some((at, units)) if at == number => usize::try_from(units).unwrap_or(0),
        _ => 0,
    };
    allowance.refill(settings.detail_per_second, *settings.flush);
    let Planned { units, damaged_bytes } = plan(segment, allowance.rows).await?;
    for (n, unit) in units.into_iter().enumerate().skip(done) {
        if let Unit::Rows(rows) = &unit {
            allowance.rows = allowance.rows.saturating_sub(rows.len() as u64);
        }
        let (next, from, now) = ((number, i64::try_from(n + 1).unwrap_or(i64::MAX)), position, app.clock().now());
        let advanced = app.db().write(move |tx| unit.write(tx, journal, from, next, now)).await?;
        if !advanced {
            return Err(Error::internal("another process counts the clicks of this journal"));
        }
        position = Some(next);
    }
    if damaged_bytes > 0 {
        tracing::warn!(
            damaged_bytes,
            "a file of clicks ended in {damaged_bytes} bytes that a crash or a fault of the disk made unreadable"
        );
        count(app, "damaged", 1);
    }
    Ok(())
}

/// What one transaction adds. A segment always makes the same number of them, so that their count tells how far one came.
#[derive(Debug)]
enum Unit {
    /// Additions to sums by hour.
    Sums(Vec<(HourKey, i64)>),
    /// Additions to the totals on links: all clicks, those of people, the last one.
    Totals(Vec<(Id<Link>, (i64, i64, i64))>),
    /// Single clicks.
    Rows(Vec<ClickRow>),
}

/// Adds a segment up on a thread of its own: a hundred thousand clicks must not hold up a worker that answers requests.
async fn plan(segment: Segment, allowed: u64) -> Result<Planned> {
    off_worker("links-count", move || Sheet::of(&segment, allowed).planned()).await
}

/// What is to be written of a segment.
#[derive(Debug)]
struct Planned {
    units: Vec<Unit>,
    /// Bytes of it that nobody can read.
    damaged_bytes: usize,
}

/// What a segment adds up to.
#[derive(Debug, Default)]
struct Sheet {
    hours: HashMap<HourKey, i64>,
    links: HashMap<Id<Link>, (i64, i64, i64)>,
    /// The clicks with a row, or the sums of those without, a unit each.
    detail: Vec<Unit>,
    damaged_bytes: usize,
}

impl Sheet {
    fn of(segment: &Segment, allowed: u64) -> Sheet {
        let mut sheet = Sheet::default();
        let mut agents: HashMap<&str, Agent> = HashMap::new();
        let mut detail = Detail { allowed, ..Detail::default() };
        let mut records = segment.records();
        for (n, record) in records.by_ref().enumerate() {
            match record {
                Record::Click(click) => {
                    let agent = *agents.entry(click.user_agent).or_insert_with(|| agents::recognise(click.user_agent));
                    detail.add(sheet.add(&click, agent, click_id(segment, n, click.at)));
                }
                Record::Count { link, hour, is_human, clicks, last_at } => {
                    let class = if is_human { Class::Human } else { Class::Bot };
                    sheet.count(link, hour, class, "total", String::new(), clicks);
                    sheet.count(link, hour, class, "shed", String::new(), clicks);
                    sheet.total(link, clicks, class, last_at);
                }
            }
        }
        sheet.detail = detail.into_units();
        sheet.damaged_bytes = records.left();
        sheet
    }

    fn planned(self) -> Planned {
        let damaged_bytes = self.damaged_bytes;
        Planned { units: self.into_units(), damaged_bytes }
    }

    fn into_units(self) -> Vec<Unit> {
        // Sorted, so that two nodes that count the same links wait for each other instead of both giving up.
        let mut hours: Vec<(HourKey, i64)> = self.hours.into_iter().collect();
        hours.sort_unstable();
        let mut links: Vec<_> = self.links.into_iter().collect();
        links.sort_unstable_by_key(|(link, _)| link.uuid());
        let sums = hours.chunks(BATCH).map(|chunk| Unit::Sums(chunk.to_vec()));
        let totals = links.chunks(BATCH).map(|chunk| Unit::Totals(chunk.to_vec()));
        sums.chain(totals).chain(self.detail).collect()
    }

    fn count(&mut self, link: Id<Link>, hour: i64, class: Class, dimension: &'static str, value: String, clicks: i64) {
        *self.hours.entry(HourKey { link, dimension, hour, class: class.as_str(), value }).or_default() += clicks;
    }

    fn total(&mut self, link: Id<Link>, clicks: i64, class: Class, at: i64) {
        let (all, human, last) = self.links.entry(link).or_default();
        *all += clicks;
        *human += if class == Class::Human { clicks } else { 0 };
        *last = (*last).max(at);
    }

    /// Counts a click in every dimension, and gives its row.
    fn add(&mut self, click: &Click<'_>, agent: Agent, id: Id<ClickRow>) -> ClickRow {
        let (link, hour) = (click.link, hour_of(click.at));
        let class = match click.flags {
            flags if flags.has(Flags::HEAD) => Class::Head,
            flags if flags.has(Flags::PREFETCH) => Class::Prefetch,
            _ => agent.class,
        };
        let via = if click.flags.has(Flags::QR) { "qr" } else { "link" };
        let is_private = click.flags.has(Flags::PRIVATE);
        self.total(link, 1, class, click.at);
        self.count(link, hour, class, "total", String::new(), 1);
        self.count(link, hour, class, "via", via.to_owned(), 1);
        let referrer = bounded(click.referrer).to_ascii_lowercase();
        let language = bounded(click.language.split('-').next().unwrap_or_default()).to_ascii_lowercase();
        if !is_private {
            self.count(link, hour, class, "device", agent.device.to_owned(), 1);
            self.count(link, hour, class, "browser", agent.browser.to_owned(), 1);
            self.count(link, hour, class, "os", agent.os.to_owned(), 1);
            self.count(link, hour, class, "referrer", or(&referrer, "direct"), 1);
            self.count(link, hour, class, "language", or(&language, "unknown"), 1);
            for dimension in CAMPAIGN {
                if click.query.is_empty() {
                    break;
                }
                if let Some((_, value)) = url::form_urlencoded::parse(click.query.as_bytes()).find(|(key, _)| key == dimension) {
                    self.count(link, hour, class, dimension, bounded(&value), 1);
                }
            }
        }
        ClickRow {
            id,
            link,
            at: click.at,
            class: class.as_str(),
            via,
            device: (!is_private).then_some(agent.device),
            browser: (!is_private).then_some(agent.browser),
            os: (!is_private).then_some(agent.os),
            language: (!language.is_empty()).then_some(language),
            referrer_host: (!referrer.is_empty()).then_some(referrer),
        }
    }
}

/// The single clicks of a segment, in units that are stored or shed as a whole: how many there are depends on the segment alone.
#[derive(Debug, Default)]
struct Detail {
    allowed: u64,
    rows: Vec<ClickRow>,
    units: Vec<Unit>,
}

impl Detail {
    fn add(&mut self, row: ClickRow) {
        self.rows.push(row);
        if self.rows.len() == BATCH {
            self.close_unit();
        }
    }

    fn close_unit(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if self.allowed > 0 {
            self.allowed = self.allowed.saturating_sub(rows.len() as u64);
            self.units.push(Unit::Rows(rows));
            return;
        }
        let mut shed: BTreeMap<HourKey, i64> = BTreeMap::new();
        for row in rows {
            let key = HourKey { link: row.link, dimension: "shed", hour: hour_of(row.at), class: row.class, value: String::new() };
            *shed.entry(key).or_default() += 1;
        }
        self.units.push(Unit::Sums(shed.into_iter().collect()));
    }

    fn into_units(mut self) -> Vec<Unit> {
        if !self.rows.is_empty() {
            self.close_unit();
        }
        self.units
    }
}

impl Unit {
    /// Writes it all, unless the journal is not where it was.
    fn write(
        &self,
        tx: &mut db::Tx<'_>,
        journal: Uuid,
        from: Option<(i64, i64)>,
        next: (i64, i64),
        now: kernel::Timestamp,
    ) -> Result<bool> {
        // First, so that whoever counts the same journal waits here and then finds it moved.
        if !store::advance(tx, journal, from, next, now)? {
            return Ok(false);
        }
        match self {
            Unit::Sums(sums) => {
                let mut values = HashMap::new();
                for (key, clicks) in sums {
                    add(tx, key, *clicks, &mut values)?;
                }
            }
            Unit::Totals(totals) => {
                for (link, (clicks, human, last_at)) in totals {
                    store::add_to_link(tx, *link, *clicks, *human, *last_at)?;
                }
            }
            Unit::Rows(rows) => store::insert_clicks(tx, rows)?,
        }
        Ok(true)
    }
}

/// Dimensions whose values visitors make up.
const OPEN: [&str; 5] = ["referrer", "language", "utm_source", "utm_medium", "utm_campaign"];

/// Adds to a sum, or begins it; beyond so many values in a day it goes to `other`.
fn add(tx: &mut db::Tx<'_>, key: &HourKey, clicks: i64, values: &mut HashMap<(Id<Link>, &'static str, i64), i64>) -> Result<()> {
    if store::add_hour(tx, key, clicks)? {
        return Ok(());
    }
    let other;
    let mut key = key;
    if OPEN.contains(&key.dimension) && key.value != "other" {
        let day = key.hour.div_euclid(DAY_MS) * DAY_MS;
        let place = (key.link, key.dimension, day);
        let count = match values.get(&place) {
            Some(count) => *count,
            None => {
                // Or two nodes count at once, and each begins the last value that may be.
                store::lock_link(tx, key.link)?;
                store::count_values(tx, key.link, key.dimension, day, day + DAY_MS)?
            }
        };
        values.insert(place, count + 1);
        if count >= MAX_VALUES {
            other = HourKey { value: "other".to_owned(), ..key.clone() };
            key = &other;
            if store::add_hour(tx, key, clicks)? {
                return Ok(());
            }
        }
    }
    if !store::insert_hour(tx, key, clicks)? && !store::add_hour(tx, key, clicks)? {
        return Err(Error::from(db::Error::Serialization));
    }
    Ok(())
}

/// The same id for the same record, whatever run stores it; ids sort by time.
fn click_id(segment: &Segment, record: usize, at: i64) -> Id<ClickRow> {
    let mut bytes = [0; 10];
    let name = segment.name.journal.to_le_bytes();
    bytes[..4].copy_from_slice(&name[..4]);
    bytes[4..7].copy_from_slice(&segment.name.number.to_le_bytes()[..3]);
    bytes[7..].copy_from_slice(&record.to_le_bytes()[..3]);
    Id::from_uuid(uuid::Builder::from_unix_timestamp_millis(u64::try_from(at).unwrap_or(0), &bytes).into_uuid())
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_VALUE_CHARS).collect()
}

fn or(text: &str, instead: &str) -> String {
    if text.is_empty() { instead.to_owned() } else { text.to_owned() }
}

/// Forgets single clicks that are too old, and journals of processes long gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrimRaw {}

impl Job for TrimRaw {
    const KIND: &'static str = "links.trim_raw";
}

/// Leftovers of journals are taken over by the next start; after so long nobody will.
const JOURNALS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

pub(crate) async fn trim_raw(ctx: Ctx, _job: TrimRaw) -> Result<()> {
    let now = ctx.now();
    let kept = Duration::from_secs(u64::from(ctx.settings::<ClickSettings>().raw_days) * 24 * 3600);
    let before = u64::try_from((now - kept).as_millis()).unwrap_or(0);
    let before = uuid::Builder::from_unix_timestamp_millis(before, &[0; 10]).into_uuid();
    ctx.write_in_batches(store::PURGE_BATCH, move |tx| Ok(store::purge_clicks(tx, before)?)).await?;
    ctx.write(move |tx| Ok(store::purge_journals(tx, now - JOURNALS_KEPT).map(drop)?)).await
}

#[cfg(test)]
mod tests {
    use kernel::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::clicks::record::{self, Visit};

    fn planned(segment: &Segment) -> String {
        format!("{:#?}", Sheet::of(segment, u64::MAX).into_units())
    }

    fn any_agent() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "curl/8.5.0",
            "Slackbot-LinkExpanding 1.0",
            "kube-probe/1.31",
            "Mozilla/5.0 (something new)",
            "",
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn inv_l14_the_sums_are_the_rows_and_what_was_shed_for_every_link_hour_and_class(
            clicks in prop::collection::vec((0..2_u8, 0..8_000_000_i64, 0..4_u8, any_agent()), 1..6_000), allowed in 0..6_000_u64,
        ) {
            let mut block = Vec::new();
            for (link, at, flags, user_agent) in &clicks {
                let link = Id::from_uuid(Uuid::from_bytes([*link; 16]));
                let at = Timestamp::from_millis(*at);
                Visit { at, link, flags: Flags(*flags), user_agent, referrer: "", language: "", query: "" }.write(&mut block);
            }
            record::write_count(&mut block, Id::from_uuid(Uuid::from_bytes([1; 16])), 3_600_000, true, 5, 3_600_001);
            let (mut balance, mut rows): (BTreeMap<_, i64>, u64) = (BTreeMap::new(), 0);
            let (mut on_links, mut total) = (0, 0);
            for unit in Sheet::of(&Segment::of_block(&block), allowed).into_units() {
                match unit {
                    Unit::Sums(sums) => sums.iter().for_each(|(key, clicks)| {
                        let sign = match key.dimension { "total" => 1, "shed" => -1, _ => 0 };
                        total += if sign > 0 { *clicks } else { 0 };
                        *balance.entry((key.link.uuid(), key.hour, key.class)).or_default() += sign * clicks;
                    }),
                    Unit::Totals(links) => on_links += links.iter().map(|(_, (all, ..))| all).sum::<i64>(),
                    Unit::Rows(clicks) => clicks.iter().for_each(|row| {
                        rows += 1;
                        *balance.entry((row.link.uuid(), hour_of(row.at), row.class)).or_default() -= 1;
                    }),
                }
            }
            prop_assert!(balance.values().all(|difference| *difference == 0), "{balance:?}");
            // Detail is shed by whole batches.
            prop_assert!(rows <= allowed.next_multiple_of(BATCH as u64));
            prop_assert_eq!((total, on_links), (clicks.len() as i64 + 5, clicks.len() as i64 + 5));
        }

        // A file may be half counted when it is cut down: the other half must be what it would have been.
        #[test]
        fn inv_l12_a_file_that_is_cut_down_changes_no_statistics(clicks in prop::collection::vec(
            (0..3_u8, 0..10_000_000_i64, 0..16_u8, any_agent(), "[a-z]{0,6}", "(utm_(source|medium|campaign|x)=[a-z%+é]{0,8}&?|[a-z&=%]{0,6}){0,4}"), 0..40)
        ) {
            let (mut raw, mut cut) = (Vec::new(), Vec::new());
            for (link, at, flags, user_agent, host, query) in &clicks {
                let mut one = Vec::new();
                let link = Id::from_uuid(Uuid::from_bytes([*link; 16]));
                let referrer = format!("https://{host}.example/path");
                Visit { at: Timestamp::from_millis(*at), link, flags: Flags(*flags), user_agent, referrer: &referrer, language: "de", query }.write(&mut one);
                record::read(&mut &one[..]).expect("a record").write_redacted(&mut cut);
                raw.extend(one);
            }
            record::write_count(&mut raw, Id::from_uuid(Uuid::from_bytes([9; 16])), 3_600_000, true, 5, 3_600_001);
            record::write_count(&mut cut, Id::from_uuid(Uuid::from_bytes([9; 16])), 3_600_000, true, 5, 3_600_001);
            prop_assert_eq!(planned(&Segment::of_block(&raw)), planned(&Segment::of_block(&cut)));
        }
    }
}
