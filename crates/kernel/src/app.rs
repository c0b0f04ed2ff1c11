//! A running composition of modules: settings, database, state, ports.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use db::Db;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit;
use crate::error::{Error, LogAndContinue as _, Result};
use crate::events::StoredEvent;
use crate::http::{Components, Validators};
use crate::id::Id;
use crate::jobs::{self, JobHandler, Jobs, Schedule};
use crate::limits::Limiter;
use crate::module::{Finding, Plan, Subscriber};
use crate::outbox;
use crate::platform::{PlatformSettings, public_url};
use crate::ports::Ports;
use crate::random::{IdSource, Random};
use crate::seal::Keyring;
use crate::settings::{Section, SettingsError, Source};
use crate::templates::Templates;
use crate::time::Clock;

/// How long a stop waits for the last rows of the audit trail.
const END_OF_TRAIL: Duration = Duration::from_secs(2);

type TypeMap = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// What an [`App`] needs besides its modules.
pub struct Launch {
    /// The raw settings.
    pub source: Source,
    /// The open database.
    pub db: Db,
    /// The keys that seal and sign.
    pub keyring: Keyring,
    /// Where the time comes from.
    pub clock: Clock,
    /// Where randomness comes from.
    pub random: Random,
}

/// What is there when a module makes its state: settings, database, keys.
pub struct Setup<'a> {
    settings: &'a TypeMap,
    /// The open database.
    pub db: &'a Db,
    /// The keys that seal and sign.
    pub keyring: &'a Keyring,
    /// Where the time comes from.
    pub clock: &'a Clock,
    /// Where randomness comes from.
    pub random: &'a Random,
}

impl Setup<'_> {
    /// The settings section of this type.
    ///
    /// # Panics
    /// When no module registered the section.
    pub fn settings<S: Section>(&self) -> &S {
        lookup(self.settings)
    }
}

fn lookup<T: 'static>(map: &TypeMap) -> &T {
    map.get(&TypeId::of::<T>())
        .and_then(|value| value.downcast_ref())
        .unwrap_or_else(|| panic!("no module registered {}", type_name::<T>()))
}

/// A running composition of modules; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    plan: Plan,
    db: Db,
    keyring: Keyring,
    clock: Clock,
    random: Random,
    ids: IdSource,
    source: Source,
    settings: TypeMap,
    states: TypeMap,
    subscribers: HashMap<String, Subscriber>,
    subscriptions: HashMap<&'static str, Vec<String>>,
    templates: Templates,
    jobs: Jobs,
    limiter: Limiter,
    validators: Validators,
    stop: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
    told: Mutex<outbox::Told>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("modules", &self.0.plan.modules.iter().map(|m| m.name()).collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// Waits for the app to stop.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Whether the app is stopping.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the app is stopping.
    pub async fn wait(&mut self) {
        // An error means that the app is gone altogether, which is a stop too.
        let _ = self.0.wait_for(|is_stopping| *is_stopping).await;
    }
}

impl App {
    /// Builds the app: reads settings, makes the modules' states. Migrations must have run before it is used.
    ///
    /// # Errors
    /// When a setting is wrong or a module cannot make its state.
    pub fn build(plan: Plan, launch: Launch) -> Result<App> {
        let settings = load_settings(&plan, &launch.source).map_err(Error::internal)?;
        let states = make_states(&plan, &settings, &launch)?;
        let components = Components::of(plan.operations())?;
        let validators = Validators::of(plan.operations(), &components)?;
        let mut templates = Templates::new();
        for template in &plan.templates {
            templates.add(template)?;
        }
        let mut subscribers = HashMap::new();
        let mut subscriptions: HashMap<&'static str, Vec<String>> = HashMap::new();
        for (module, event, handler) in &plan.subscribers {
            let key = format!("{module}/{event}");
            subscriptions.entry(event).or_default().push(key.clone());
            subscribers.insert(key, handler.clone());
        }
        Ok(App(Arc::new(Inner {
            ids: IdSource::new(launch.clock.clone(), launch.random.clone()),
            plan,
            db: launch.db,
            keyring: launch.keyring,
            clock: launch.clock,
            random: launch.random,
            source: launch.source,
            settings,
            states,
            subscribers,
            subscriptions,
            templates,
            jobs: Jobs::default(),
            limiter: Limiter::default(),
            validators,
            stop: watch::Sender::new(false),
            tasks: Mutex::new(JoinSet::new()),
            told: Mutex::default(),
        })))
    }

    /// Starts the modules, then the work in the background.
    pub async fn start(&self) -> Result<()> {
        self.start_modules().await?;
        self.start_background();
        Ok(())
    }

    /// Starts the job runner, the event watcher and the writers of the audit trail, once the modules have started.
    pub fn start_background(&self) {
        self.spawn(jobs::run(self.clone()));
        self.spawn(outbox::watch_events(self.clone()));
        self.spawn(audit::write_attempts(self.clone()));
        self.spawn(audit::seal_rows(self.clone()));
    }

    /// Starts the modules only; for commands and tests that run jobs by hand.
    pub async fn start_modules(&self) -> Result<()> {
        outbox::begin(self).await?;
        for module in &self.0.plan.modules {
            module.start(self).await?;
        }
        Ok(())
    }

    /// Runs `task` until it ends; [`App::stop`] waits for it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Asks every background task to end, waits at most `grace`, then closes the database.
    pub async fn stop(&self, grace: Duration) {
        self.announce_stop();
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let drained = tokio::time::timeout(grace, async { while tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!("some background work did not end in time and was cut off; jobs among it will run again");
            tasks.abort_all();
        }
        // Last, since requests and jobs audit as long as they run.
        let end_of_trail = async {
            self.flush_audit().await.log_and_continue("writing the last attempts into the audit trail");
            audit::seal_own(self).await;
        };
        if tokio::time::timeout(END_OF_TRAIL, end_of_trail).await.is_err() {
            tracing::warn!("the last rows of the audit trail were not sealed in time; they are when a server runs again");
        }
        self.0.db.close().await;
    }

    /// Tells `/readyz` and the background tasks that the app is about to stop.
    pub fn announce_stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// A handle that waits for the app to stop.
    pub fn stopping(&self) -> Stopping {
        Stopping(self.0.stop.subscribe())
    }

    /// Everything that the modules bring.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The keys that seal and sign.
    pub fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    /// Where the time comes from.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Where randomness comes from.
    pub fn random(&self) -> &Random {
        &self.0.random
    }

    /// A fresh identifier.
    pub fn new_id<T>(&self) -> Id<T> {
        Id::from_uuid(self.0.ids.next())
    }

    /// The raw settings with their origins.
    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// The settings section of this type.
    ///
    /// # Panics
    /// When no module registered the section.
    pub fn settings<S: Section>(&self) -> &S {
        lookup(&self.0.settings)
    }

    /// The module's state of this type.
    ///
    /// # Panics
    /// When no module registered a state of this type.
    pub fn state<T: Send + Sync + 'static>(&self) -> &T {
        lookup(&self.0.states)
    }

    /// The ports and who provides them.
    pub fn ports(&self) -> &Ports {
        &self.0.plan.ports
    }

    /// The job queue.
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// The mail templates.
    pub fn templates(&self) -> &Templates {
        &self.0.templates
    }

    /// The request limiter of this node.
    pub fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    /// The address under which people reach this server, without a trailing slash; mailed links start with it (RST-6).
    pub fn public_url(&self) -> String {
        public_url(self.settings(), self.settings())
    }

    /// Whether the server runs in production mode.
    pub fn is_production(&self) -> bool {
        self.settings::<PlatformSettings>().mode == crate::platform::Mode::Production
    }

    /// What every module's self-examination found.
    pub async fn findings(&self) -> Result<Vec<(&'static str, Finding)>> {
        let mut all = Vec::new();
        for module in &self.0.plan.modules {
            all.extend(module.check(self).await?.into_iter().map(|finding| (module.name(), finding)));
        }
        Ok(all)
    }

    /// The lines of all modules that `serve` prints at start.
    pub async fn notices(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for module in &self.0.plan.modules {
            lines.extend(module.notices(self).await?);
        }
        Ok(lines)
    }

    pub(crate) fn validators(&self) -> &Validators {
        &self.0.validators
    }

    pub(crate) fn schedules(&self) -> &[Schedule] {
        &self.0.plan.schedules
    }

    pub(crate) fn job_handler(&self, kind: &str) -> Option<&JobHandler> {
        self.0.plan.jobs.get(kind)
    }

    pub(crate) fn subscribers_of(&self, event: &str) -> &[String] {
        self.0.subscriptions.get(event).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn subscriber(&self, key: &str) -> Option<&Subscriber> {
        self.0.subscribers.get(key)
    }

    /// The names of the events that a module watches, each once.
    pub(crate) fn watched_events(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.plan.watchers.iter().map(|(_, name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(crate) fn is_watched(&self, event: &str) -> bool {
        self.0.plan.watchers.iter().any(|(_, name, _)| *name == event)
    }

    /// The events that this node's watchers were told of.
    pub(crate) fn told(&self) -> MutexGuard<'_, outbox::Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell_watchers(&self, event: &StoredEvent) {
        for (_, name, watch) in &self.0.plan.watchers {
            if *name == event.name {
                watch(self, event);
            }
        }
    }
}

fn load_settings(plan: &Plan, source: &Source) -> Result<TypeMap, SettingsError> {
    plan.check_settings(source)?;
    plan.sections.iter().map(|section| Ok((section.type_id, (section.load)(source)?))).collect()
}

fn make_states(plan: &Plan, settings: &TypeMap, launch: &Launch) -> Result<TypeMap> {
    let setup = Setup { settings, db: &launch.db, keyring: &launch.keyring, clock: &launch.clock, random: &launch.random };
    let mut map = TypeMap::new();
    for make in &plan.states {
        let (type_id, state) = make(&setup)?;
        map.insert(type_id, state);
    }
    Ok(map)
}
