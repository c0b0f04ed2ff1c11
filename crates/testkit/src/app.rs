//! `TestApp`: one test's own server, database, clock, ids, mailbox and event log.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use db::testing::TestDatabase;
use kernel::platform::Platform;
use kernel::seal::Keyring;
use kernel::settings::Source;
use kernel::{Clock, Module, Plan, Random, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use crate::mail::Mail;
use crate::node::{Node, Parts};
use crate::store;

/// When every test begins.
const START: &str = "2026-11-22T12:00:00Z";

/// Settings that every test has unless it says otherwise: a fixed address for links, and limits that only tests of limits reach.
const SETTINGS: [(&str, &str); 4] = [
    ("public_url", "http://undercroft.test"),
    ("http.listen", "127.0.0.1:0"),
    ("limits.default_per_minute", "1000000"),
    ("limits.auth_per_minute", "1000000"),
];

/// A composition of modules that only one test sees; dereferences to the [`Node`] that serves it.
///
/// Jobs run when the test says so: [`TestApp::run_jobs`]. Dropping it fails the test when a due or dead job is left, stops the
/// server and removes the database, also after a panic.
pub struct TestApp {
    node: Node,
    modules: Vec<Arc<dyn Module>>,
    settings: Vec<(String, String)>,
    events_at_start: usize,
    // Files of modules: media, journals.
    _data: TempDir,
    // Dropped last, when nothing uses it any more.
    database: TestDatabase,
}

/// Collects what a [`TestApp`] is made of.
#[derive(Default)]
pub struct Builder {
    modules: Vec<Arc<dyn Module>>,
    settings: Vec<(String, String)>,
}

impl Builder {
    /// Adds a module; the kernel's own is always there.
    #[must_use]
    pub fn module(mut self, module: impl Module) -> Builder {
        self.modules.push(Arc::new(module));
        self
    }

    /// Adds modules.
    #[must_use]
    pub fn modules(mut self, modules: impl IntoIterator<Item = Arc<dyn Module>>) -> Builder {
        self.modules.extend(modules);
        self
    }

    /// Sets `section.key`, as a flag of the command line would.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Builder {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts the app.
    ///
    /// # Panics
    /// When the modules contradict each other, a setting is wrong, or a module does not start.
    pub async fn start(self) -> TestApp {
        // Somebody else in this process may have installed it before.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut modules: Vec<Arc<dyn Module>> = vec![Arc::new(Platform)];
        modules.extend(self.modules);
        let data = tempfile::tempdir().expect("a folder for the app's files");
        let data_dir = ("data_dir".to_owned(), data.path().display().to_string());
        let given = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings: Vec<(String, String)> = given.chain([data_dir]).chain(self.settings).collect();
        let plan = plan_of(&modules);
        let database = TestDatabase::create(plan.migrations());
        let (clock, random) = (Clock::manual(START.parse().expect("a time")), Random::seeded(1));
        let parts =
            Parts { plan, source: source_of(&settings), db: database.db().clone(), keyring: Keyring::generate(&random), clock, random };
        let mut app = TestApp { node: Node::start(parts).await, modules, settings, events_at_start: 0, _data: data, database };
        app.events_at_start = app.events().await.len();
        app
    }
}

fn plan_of(modules: &[Arc<dyn Module>]) -> Plan {
    Plan::of(modules.to_vec()).unwrap_or_else(|mistakes| panic!("the modules do not fit together:\n{}", mistakes.join("\n")))
}

fn source_of(settings: &[(String, String)]) -> Source {
    Source::read(None, Vec::new(), settings.to_vec()).unwrap_or_else(|error| panic!("{error}"))
}

impl TestApp {
    /// An app of these modules beside the kernel's own.
    pub async fn with(modules: Vec<Arc<dyn Module>>) -> TestApp {
        Builder::default().modules(modules).start().await
    }

    /// Collects modules and settings for an app.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A second node over the same database, with the same keys and the same clock, but limits and randomness of its own.
    pub async fn twin(&self) -> Node {
        let kernel = self.kernel();
        let parts = Parts {
            plan: plan_of(&self.modules),
            source: source_of(&self.settings),
            db: kernel.db().clone(),
            keyring: kernel.keyring().clone(),
            clock: kernel.clock().clone(),
            random: Random::seeded(kernel.db().stats().statements.wrapping_add(2)),
        };
        Node::start(parts).await
    }

    /// Where the database is, to be opened once more.
    pub fn database_url(&self) -> String {
        self.database.url()
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.kernel().clock().now()
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.kernel().clock().advance(by);
    }

    /// Fires due schedules and runs due jobs until none is due.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn run_jobs(&self) {
        self.kernel().run_due_jobs().await.unwrap_or_else(|error| panic!("cannot run jobs: {error:?}"));
    }

    /// Deletes all jobs, for a test that leaves some on purpose.
    pub async fn forget_jobs(&self) {
        self.kernel().db().write(store::delete_jobs).await.expect("jobs can be deleted");
    }

    /// Every job that waits or is dead: its kind, its attempts and its last error.
    pub async fn jobs(&self) -> Vec<(String, i64, Option<String>)> {
        self.kernel().db().read(store::jobs).await.expect("jobs can be read")
    }

    /// Every mail so far, oldest first. Runs due jobs, since mail is sent by one.
    pub async fn mails(&self) -> Vec<Mail> {
        self.run_jobs().await;
        let rows = self.kernel().db().read(store::mails).await.expect("mails can be read");
        rows.into_iter().map(|row| Mail::unseal(self.kernel(), row)).collect()
    }

    /// The newest mail to this address.
    ///
    /// # Panics
    /// When there is none.
    pub async fn last_mail_to(&self, address: &str) -> Mail {
        let mails = self.mails().await;
        let all: Vec<&str> = mails.iter().map(|mail| mail.to.as_str()).collect();
        mails.iter().rfind(|mail| mail.to == address).cloned().unwrap_or_else(|| panic!("no mail went to {address}, only to {all:?}"))
    }

    /// Every event since the start of the app, oldest first: its name and its payload.
    pub async fn events(&self) -> Vec<(String, Value)> {
        let rows = self.kernel().db().read(store::events).await.expect("events can be read");
        let since_start = rows.into_iter().skip(self.events_at_start);
        since_start.map(|(name, data)| (name, serde_json::from_str(&data).expect("a payload is JSON"))).collect()
    }

    /// The names of all events since the start of the app, oldest first.
    pub async fn event_names(&self) -> Vec<String> {
        self.events().await.into_iter().map(|(name, _)| name).collect()
    }

    /// Every audit row so far, oldest first: action, subject and result. Writes the attempts that wait in memory.
    pub async fn audit(&self) -> Vec<(String, Option<String>, String)> {
        self.kernel().flush_audit().await.expect("attempts can be written");
        self.kernel().db().read(store::audit).await.expect("the audit trail can be read")
    }

    /// Awaits `work` and counts the SQL statements that ran meanwhile.
    pub async fn statements<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let before = self.kernel().db().stats().statements;
        let value = work.await;
        (value, self.kernel().db().stats().statements - before)
    }

    /// What an app must not leave behind; nothing once the database is closed.
    fn leftovers(&self) -> Option<String> {
        let now = self.now();
        let left = self.kernel().db().read_blocking(move |c| store::unfinished_jobs(c, now)).ok()?;
        let lines: Vec<String> =
            left.iter().map(|(kind, error)| format!("{kind}: {}", error.as_deref().unwrap_or("not run yet"))).collect();
        (!lines.is_empty()).then(|| format!("the test leaves jobs undone, call run_jobs():\n{}", lines.join("\n")))
    }
}

impl Deref for TestApp {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let leftovers = if std::thread::panicking() { None } else { self.leftovers() };
        self.kernel().announce_stop();
        if let Some(complaint) = leftovers {
            panic!("{complaint}");
        }
    }
}
