//! What strangers try, such as logins that fail: written in batches, and a flood as one row (LOG-6, PRV-2).
//!
//! Attempts wait in memory for a second and are then written many at once; a server that is killed loses the last second of them.
//! They are counted by where they come from and by whom they are about. Beyond a hundred in a minute of one key, what follows until the
//! end of the minute becomes one row with the number and the time of the first and the last. Memory is bounded: beyond that many keys,
//! or that many rows that wait for a database which is away, everything counts into one row for each action and result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::address::limit_key;
use crate::app::App;
use crate::audit::sealer::Sealer;
use crate::audit::store::{self, AuditRow, NewRow};
use crate::audit::{AuditEntry, explained};
use crate::ctx::Ctx;
use crate::error::{Error, LogAndContinue as _, Result};
use crate::id::Id;
use crate::time::Timestamp;

/// Attempts in a minute of one key that get a row each.
const ROWS_PER_MINUTE: u32 = 100;
/// Keys that are told apart in one minute; some megabytes.
const KEYS_MAX: usize = 20_000;
/// Rows that wait at most.
const WAITING_MAX: usize = 2_000;
/// Rows that one transaction writes.
const BATCH: usize = 200;
/// Characters of a subject.
const SUBJECT_MAX: usize = 120;
/// How long rows are gathered.
const GATHER: Duration = Duration::from_secs(1);

/// The attempts on this node that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    window: Mutex<Window>,
    wake: Notify,
}

/// An attempt, or a flood of them.
#[derive(Clone, Debug)]
struct Attempt {
    /// Made with the attempt, so that rows of one instant keep their order; a flood has none until it is written.
    id: Option<Id<AuditRow>>,
    at: Timestamp,
    actor: String,
    action: &'static str,
    subject: Option<String>,
    result: String,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    detail: Option<Value>,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    actor: String,
    action: &'static str,
    result: String,
    same: Same,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Same {
    Address(String),
    Subject(String),
    /// Nothing but action and result: there are too many keys to tell apart.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
struct Flood {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

#[derive(Debug, Default)]
struct Window {
    minute: i64,
    counts: HashMap<Key, u32>,
    floods: HashMap<Key, Flood>,
    waiting: Vec<Attempt>,
}

impl Window {
    fn note(&mut self, attempt: Attempt, address: String) {
        let minute = attempt.at.as_millis().div_euclid(60_000);
        if minute != self.minute {
            self.close();
            self.minute = minute;
        }
        let key = |same: Same| Key { actor: attempt.actor.clone(), action: attempt.action, result: attempt.result.clone(), same };
        let keys = [Some(key(Same::Address(address))), attempt.subject.clone().map(|subject| key(Same::Subject(subject)))];
        let mut flood = None;
        for key in keys.into_iter().flatten() {
            flood = flood.or(self.count(key));
        }
        if self.waiting.len() >= WAITING_MAX {
            flood = flood.or(Some(key(Same::Nothing)));
        }
        match flood {
            Some(key) => {
                let flood = self.floods.entry(key).or_insert(Flood { count: 0, first_at: attempt.at, last_at: attempt.at });
                (flood.count, flood.last_at) = (flood.count + 1, attempt.at);
            }
            None => self.waiting.push(attempt),
        }
    }

    /// Counts one more of a key; the key of the flood that it is part of, if it is.
    fn count(&mut self, key: Key) -> Option<Key> {
        if let Some(count) = self.counts.get_mut(&key) {
            *count = count.saturating_add(1);
            return (*count > ROWS_PER_MINUTE).then_some(key);
        }
        if self.counts.len() >= KEYS_MAX {
            return Some(Key { same: Same::Nothing, ..key });
        }
        self.counts.insert(key, 1);
        None
    }

    /// Ends the minute: its floods become rows.
    fn close(&mut self) {
        self.counts.clear();
        self.waiting.extend(self.floods.drain().map(|(key, flood)| row_of(key, flood)));
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.floods.is_empty()
    }
}

fn row_of(key: Key, flood: Flood) -> Attempt {
    let Key { actor, action, result, same } = key;
    let (subject, ip, name) = match same {
        Same::Address(address) => (None, Some(address), "address"),
        Same::Subject(subject) => (Some(subject), None, "subject"),
        Same::Nothing => (None, None, "nothing"),
    };
    let detail = json!({ "count": flood.count, "first_at": flood.first_at, "last_at": flood.last_at, "same": name });
    Attempt { id: None, at: flood.last_at, actor, action, subject, result, ip, user_agent: None, request_id: None, detail: Some(detail) }
}

impl Attempts {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ctx {
    /// Notes an attempt that came to nothing, outside of any transaction: it is written soon, and a flood of them as one row.
    ///
    /// What changes something is audited with [`Tx::audit`](crate::Tx::audit), in the transaction of the change.
    pub fn audit_attempt(&self, entry: AuditEntry<'_>) {
        let address = self.request.client_address;
        let attempt = Attempt {
            id: Some(self.new_id()),
            at: self.now(),
            actor: self.actor.label(),
            action: entry.action,
            // Cut to its column: a row that no database takes would hold up all that wait behind it.
            subject: entry.subject.map(|subject| subject.chars().take(SUBJECT_MAX).collect()),
            result: entry.result.to_owned(),
            ip: Some(address.to_string()),
            user_agent: self.request.user_agent.clone(),
            request_id: Some(self.request.id.clone()),
            detail: explained(self, &entry),
        };
        let attempts = self.state::<Attempts>();
        attempts.window().note(attempt, limit_key(address).to_string());
        attempts.wake.notify_one();
    }
}

impl App {
    /// Writes the attempts that wait, as at shutdown. For tests: a running server does it by itself.
    pub async fn flush_audit(&self) -> Result<()> {
        flush(self).await
    }
}

/// Writes attempts until the app stops; the last are written by [`App::stop`].
pub(crate) async fn run(app: App) {
    let mut stopping = app.stopping();
    while !stopping.is_set() {
        let gather = async {
            if app.state::<Attempts>().window().is_idle() {
                app.state::<Attempts>().wake.notified().await;
            }
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            () = gather => write_due(&app).await.log_and_continue("writing attempts into the audit trail"),
            () = stopping.wait() => None,
        };
    }
}

/// Writes the rows that wait; floods go on counting until their minute is over.
async fn write_due(app: &App) -> Result<()> {
    let now = app.clock().now();
    {
        let mut window = app.state::<Attempts>().window();
        if window.minute != now.as_millis().div_euclid(60_000) {
            window.close();
        }
    }
    write(app).await
}

/// Writes everything, open floods too.
pub(crate) async fn flush(app: &App) -> Result<()> {
    app.state::<Attempts>().window().close();
    write(app).await
}

async fn write(app: &App) -> Result<()> {
    loop {
        let batch: Vec<Attempt> = {
            let mut window = app.state::<Attempts>().window();
            let count = window.waiting.len().min(BATCH);
            window.waiting.drain(..count).collect()
        };
        if batch.is_empty() {
            return Ok(());
        }
        let batch = Arc::new(batch);
        if let Err(error) = write_batch(app, batch.clone()).await {
            // Back to the front; they are written when the database answers again.
            app.state::<Attempts>().window().waiting.splice(..0, batch.iter().cloned());
            return Err(error);
        }
        app.state::<Sealer>().wake();
    }
}

/// What is made before the transaction, which may run twice: id, salts, detail.
type Made = (Id<AuditRow>, [[u8; 16]; 2], Option<String>);

async fn write_batch(app: &App, batch: Arc<Vec<Attempt>>) -> Result<()> {
    let rows: Vec<Made> = batch
        .iter()
        .map(|attempt| {
            (attempt.id.unwrap_or_else(|| app.new_id()), store::salts(app.random()), attempt.detail.as_ref().map(Value::to_string))
        })
        .collect();
    let written = app.db().write(move |tx| {
        for (attempt, (id, salts, detail)) in batch.iter().zip(&rows) {
            let row = NewRow {
                id: *id,
                at: attempt.at,
                actor: &attempt.actor,
                action: attempt.action,
                subject: attempt.subject.as_deref(),
                result: &attempt.result,
                ip: attempt.ip.as_deref(),
                user_agent: attempt.user_agent.as_deref(),
                request_id: attempt.request_id.as_deref(),
                detail: detail.as_deref(),
                personal: None,
                salts: *salts,
            };
            store::insert(tx, &row)?;
        }
        Ok::<_, Error>(())
    });
    written.await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(millis: i64, subject: &str) -> Attempt {
        Attempt {
            id: None,
            at: Timestamp::from_millis(millis),
            actor: "anonymous".to_owned(),
            action: "accounts.session.start",
            subject: Some(subject.to_owned()),
            result: "invalid_credentials".to_owned(),
            ip: None,
            user_agent: None,
            request_id: None,
            detail: None,
        }
    }

    /// How many attempts the rows tell of.
    fn told(rows: &[Attempt]) -> u64 {
        rows.iter().map(|row| row.detail.as_ref().map_or(1, |detail| detail["count"].as_u64().unwrap())).sum()
    }

    #[test]
    fn prv2_a_hundred_attempts_of_a_minute_are_rows_and_the_rest_is_one() {
        let mut window = Window::default();
        for number in 0..250 {
            window.note(attempt(60_000 + number, &format!("name:{number}")), "203.0.113.7".to_owned());
        }
        assert_eq!((window.waiting.len(), window.floods.len()), (100, 1));
        window.note(attempt(120_000, "name:x"), "203.0.113.7".to_owned());
        assert_eq!((window.waiting.len(), window.floods.len()), (102, 0), "the flood's row, and a new minute's first");
        let flood = &window.waiting[100];
        assert_eq!((flood.subject.as_deref(), flood.ip.as_deref()), (None, Some("203.0.113.7")));
        let detail = flood.detail.as_ref().unwrap();
        assert_eq!(
            *detail,
            json!({ "count": 150, "first_at": "1970-01-01T00:01:00.100Z", "last_at": "1970-01-01T00:01:00.249Z", "same": "address" })
        );
    }

    #[test]
    fn prv2_a_flood_from_many_addresses_at_one_name_is_one_row_too() {
        let mut window = Window::default();
        for number in 0..250 {
            window.note(attempt(60_000, "user:7"), format!("203.0.113.{number}"));
        }
        window.close();
        assert_eq!((window.waiting.len(), told(&window.waiting)), (101, 250));
        assert_eq!(window.waiting[100].subject.as_deref(), Some("user:7"));
    }

    #[test]
    fn log5_the_memory_of_attempts_is_bounded_and_none_is_lost() {
        let mut window = Window::default();
        for number in 0..50_000 {
            window.note(attempt(60_000, &format!("name:{number}")), format!("address {number}"));
        }
        assert_eq!((window.waiting.len(), window.counts.len(), window.floods.len()), (WAITING_MAX, KEYS_MAX, 1));
        window.close();
        assert_eq!((window.waiting.len(), told(&window.waiting)), (WAITING_MAX + 1, 50_000));
        assert!(window.counts.is_empty());
    }
}
