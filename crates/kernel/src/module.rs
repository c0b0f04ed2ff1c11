//! How a feature plugs in: one `register`, read as the module's table of contents.

use std::any::{Any, TypeId, type_name};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use clap::ArgMatches;
use db::{Migration, MigrationSet};
use futures_util::future::BoxFuture;

use crate::actor::Permission;
use crate::app::{App, Setup};
use crate::assets::Asset;
use crate::ctx::Ctx;
use crate::error::{Problem, Result};
use crate::events::{Event, EventType, StoredEvent};
use crate::http::{Fallback, Operation};
use crate::jobs::{Job, JobHandler, Schedule};
use crate::messages::Template;
use crate::ports::{Authenticator, Directory, Passwords, Ports, Shortener};
use crate::settings::{Section, SectionInfo, SettingsError, Source};

/// A product feature that an [`App`] can be built from.
pub trait Module: Send + Sync + 'static {
    /// The one name: table prefix, settings section, event prefix, permission prefix.
    fn name(&self) -> &'static str;

    /// Lists what the module brings. No I/O: it also runs for generated documents.
    fn register(&self, parts: &mut Parts<'_>);

    /// Runs once, after migrations and before the first request.
    fn start<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<()>> {
        let _ = app;
        Box::pin(async { Ok(()) })
    }

    /// What `undercroft doctor` should report.
    fn check<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<Vec<Finding>>> {
        let _ = app;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Lines that `serve` prints at start, such as the link for the first owner.
    fn notices<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<Vec<String>>> {
        let _ = app;
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Something that `undercroft doctor` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it must be mended before production.
    pub is_serious: bool,
    /// What was found and what to do, in one or two sentences.
    pub text: String,
}

/// A role that a module suggests, with its default grants.
#[derive(Clone, Debug)]
pub struct RoleTemplate {
    /// The role's name.
    pub name: &'static str,
    /// One sentence: who gets it.
    pub doc: &'static str,
    /// The permissions it starts with.
    pub permissions: Vec<&'static str>,
}

type CommandHandler = Arc<dyn Fn(Ctx, ArgMatches) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// A verb of the command line that a module brings.
#[derive(Clone)]
pub struct Verb {
    name: &'static str,
    shape: clap::Command,
    run: CommandHandler,
}

impl Verb {
    /// The verb itself.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its arguments, sub-verbs and help.
    pub fn shape(&self) -> clap::Command {
        self.shape.clone()
    }

    /// Carries it out, as the system.
    pub async fn run(&self, ctx: Ctx, matches: ArgMatches) -> Result<()> {
        (self.run)(ctx, matches).await
    }
}

impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verb({})", self.name)
    }
}

pub(crate) type Subscriber = Arc<dyn Fn(Ctx, StoredEvent) -> BoxFuture<'static, Result<()>> + Send + Sync>;
type Sampler = Arc<dyn Fn(Ctx) -> BoxFuture<'static, Result<()>> + Send + Sync>;
pub(crate) type Watcher = Arc<dyn Fn(&App, &StoredEvent) + Send + Sync>;
pub(crate) type StateMaker = Box<dyn Fn(&Setup<'_>) -> Result<(TypeId, Arc<dyn Any + Send + Sync>)> + Send + Sync>;
pub(crate) type SectionLoader = Arc<dyn Fn(&Source) -> Result<Arc<dyn Any + Send + Sync>, SettingsError> + Send + Sync>;

pub(crate) struct RegisteredSection {
    pub(crate) info: SectionInfo,
    pub(crate) type_id: TypeId,
    pub(crate) load: SectionLoader,
}

/// Everything that the modules of an app bring, before any I/O.
#[derive(Default)]
pub struct Plan {
    pub(crate) modules: Vec<Arc<dyn Module>>,
    pub(crate) migrations: Vec<MigrationSet>,
    pub(crate) operations: Vec<(&'static str, Operation)>,
    pub(crate) permissions: BTreeMap<&'static str, &'static Permission>,
    pub(crate) roles: Vec<RoleTemplate>,
    pub(crate) problems: BTreeMap<&'static str, &'static Problem>,
    pub(crate) events: BTreeMap<&'static str, EventType>,
    pub(crate) subscribers: Vec<(&'static str, &'static str, Subscriber)>,
    pub(crate) watchers: Vec<(&'static str, &'static str, Watcher)>,
    pub(crate) jobs: HashMap<&'static str, JobHandler>,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) templates: Vec<Template>,
    pub(crate) sections: Vec<RegisteredSection>,
    pub(crate) states: Vec<StateMaker>,
    verbs: Vec<Verb>,
    samples: Vec<(&'static str, Sampler)>,
    fallbacks: Vec<(u8, Arc<dyn Fallback>)>,
    assets: Vec<&'static Asset>,
    pub(crate) ports: Ports,
    needs: Vec<(&'static str, &'static str)>,
    mistakes: Vec<String>,
}

impl Plan {
    /// What these modules bring together, or every contradiction between them.
    ///
    /// # Errors
    /// One sentence per contradiction, each naming both sides.
    pub fn of(modules: Vec<Arc<dyn Module>>) -> Result<Plan, Vec<String>> {
        let mut plan = Plan::default();
        for module in &modules {
            if plan.modules.iter().any(|other| other.name() == module.name()) {
                plan.mistakes.push(format!("Two modules are named {}: remove one of them.", module.name()));
            }
            plan.modules.push(module.clone());
            module.register(&mut Parts { module: module.name(), plan: &mut plan });
        }
        plan.check_references();
        if plan.mistakes.is_empty() { Ok(plan) } else { Err(plan.mistakes) }
    }

    fn check_references(&mut self) {
        let listened = self.subscribers.iter().map(|(module, event, _)| (*module, *event));
        let watched = self.watchers.iter().map(|(module, event, _)| (*module, *event));
        for (module, event) in listened.chain(watched) {
            if !self.events.contains_key(event) {
                self.mistakes.push(format!("Module {module} listens to {event}, but no module emits it."));
            }
        }
        for (module, port) in &self.needs {
            let is_there = match *port {
                "Authenticator" => self.ports.authenticator.is_some(),
                "Directory" => self.ports.directory.is_some(),
                "Passwords" => self.ports.passwords.is_some(),
                "Shortener" => self.ports.shortener.is_some(),
                _ => false,
            };
            if !is_there {
                self.mistakes.push(format!("Module {module} needs the port {port}, but no module provides it."));
            }
        }
        for (module, operation) in &self.operations {
            if let Some(permission) = operation.access().permission()
                && !self.permissions.contains_key(permission.name)
            {
                self.mistakes.push(format!(
                    "Module {module} guards {} with the undeclared permission {}.",
                    operation.id(),
                    permission.name
                ));
            }
            for problem in operation.problems() {
                if !self.problems.contains_key(problem.code) {
                    self.mistakes.push(format!("Module {module}: {} raises the unregistered problem {}.", operation.id(), problem.code));
                }
            }
        }
        self.check_duplicate_operations();
    }

    fn check_duplicate_operations(&mut self) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for (module, operation) in &self.operations {
            let keys = [format!("the operation id {}", operation.id()), format!("{} {}", operation.method(), operation.path())];
            for key in keys {
                if let Some(other) = seen.insert(key.clone(), module) {
                    self.mistakes.push(format!("Modules {other} and {module} both bring {key}."));
                }
            }
        }
    }

    /// The names of the modules, in their order.
    pub fn module_names(&self) -> Vec<&'static str> {
        self.modules.iter().map(|module| module.name()).collect()
    }

    /// Reads every section, so that everything wrong with the settings is told at once.
    ///
    /// # Errors
    /// One sentence for each value that cannot be read and each key that nobody declares.
    pub fn check_settings(&self, source: &Source) -> Result<(), SettingsError> {
        let wrong = self.sections.iter().filter_map(|section| (section.load)(source).err()).chain(source.finish(&self.sections()).err());
        wrong.reduce(SettingsError::and).map_or(Ok(()), Err)
    }

    /// The settings sections, for the reference and for unknown-key errors.
    pub fn sections(&self) -> Vec<&SectionInfo> {
        self.sections.iter().map(|section| &section.info).collect()
    }

    /// The migrations of all modules, in module order.
    pub fn migrations(&self) -> &[MigrationSet] {
        &self.migrations
    }

    /// Every declared permission, by name.
    pub fn permissions(&self) -> impl Iterator<Item = &'static Permission> {
        self.permissions.values().copied()
    }

    /// The roles that modules suggest.
    pub fn roles(&self) -> &[RoleTemplate] {
        &self.roles
    }

    /// Every declared problem, by code.
    pub fn problems(&self) -> impl Iterator<Item = &'static Problem> {
        self.problems.values().copied()
    }

    /// Every event that a module emits, by name.
    pub fn events(&self) -> impl Iterator<Item = &EventType> {
        self.events.values()
    }

    /// The verbs that the modules add to the command line.
    pub fn verbs(&self) -> &[Verb] {
        &self.verbs
    }

    /// Fills the app with sample data, module by module; done is told the name of each module that has finished.
    ///
    /// # Errors
    /// Those of the module whose samples failed; what came before stays.
    pub async fn fill_with_samples(&self, ctx: &Ctx, mut done: impl FnMut(&'static str)) -> Result<()> {
        for samplers in self.samples.chunk_by(|(one, _), (next, _)| one == next) {
            for (_, sampler) in samplers {
                sampler(ctx.clone()).await?;
            }
            done(samplers[0].0);
        }
        Ok(())
    }

    /// What answers paths that no route takes, in their order.
    pub(crate) fn fallbacks(&self) -> Arc<[Arc<dyn Fallback>]> {
        let mut all: Vec<&(u8, Arc<dyn Fallback>)> = self.fallbacks.iter().collect();
        all.sort_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, fallback)| fallback.clone()).collect()
    }

    /// The style sheets and scripts that the modules' pages use.
    pub fn assets(&self) -> impl Iterator<Item = &'static Asset> {
        self.assets.iter().copied()
    }

    /// Every operation, in the order of registration.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().map(|(_, operation)| operation)
    }
}

/// What a module hands over in [`Module::register`].
pub struct Parts<'p> {
    module: &'static str,
    plan: &'p mut Plan,
}

impl Parts<'_> {
    /// A settings section of the module; read it with [`App::settings`].
    pub fn settings<S: Section>(&mut self) -> &mut Self {
        self.plan.sections.push(RegisteredSection {
            info: SectionInfo::of::<S>(),
            type_id: TypeId::of::<S>(),
            load: Arc::new(|source| source.section::<S>().map(|section| Arc::new(section) as Arc<dyn Any + Send + Sync>)),
        });
        self
    }

    /// Something the module keeps while the app runs, made from settings and the database; read it with [`App::state`].
    pub fn state<T, F>(&mut self, make: F) -> &mut Self
    where
        T: Send + Sync + 'static,
        F: Fn(&Setup<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.plan.states.push(Box::new(move |setup| Ok((TypeId::of::<T>(), Arc::new(make(setup)?) as Arc<dyn Any + Send + Sync>))));
        self
    }

    /// The module's tables.
    pub fn migrations(&mut self, migrations: &'static [Migration]) -> &mut Self {
        self.plan.migrations.push(MigrationSet { module: self.module, migrations });
        self
    }

    /// One HTTP operation.
    pub fn route(&mut self, operation: Operation) -> &mut Self {
        self.plan.operations.push((self.module, operation));
        self
    }

    /// Several HTTP operations.
    pub fn routes(&mut self, operations: impl IntoIterator<Item = Operation>) -> &mut Self {
        for operation in operations {
            self.route(operation);
        }
        self
    }

    /// Permissions that the module checks.
    pub fn permissions(&mut self, permissions: &[&'static Permission]) -> &mut Self {
        for permission in permissions {
            if self.plan.permissions.insert(permission.name, permission).is_some() {
                self.plan.mistakes.push(format!("Module {} declares the permission {} a second time.", self.module, permission.name));
            }
        }
        self
    }

    /// A role that first start creates, with its default grants.
    pub fn role(&mut self, name: &'static str, doc: &'static str, permissions: &[&'static Permission]) -> &mut Self {
        let permissions = permissions.iter().map(|permission| permission.name).collect();
        self.plan.roles.push(RoleTemplate { name, doc, permissions });
        self
    }

    /// Problems that the module raises.
    pub fn problems(&mut self, problems: &'static [&'static Problem]) -> &mut Self {
        for problem in problems {
            if self.plan.problems.insert(problem.code, problem).is_some() {
                self.plan.mistakes.push(format!("Module {} declares the problem {} a second time.", self.module, problem.code));
            }
        }
        self
    }

    /// An event that the module records.
    pub fn emits<E: Event>(&mut self) -> &mut Self {
        if self.plan.events.insert(E::NAME, EventType::of::<E>()).is_some() {
            self.plan.mistakes.push(format!("Module {} emits {} a second time.", self.module, E::NAME));
        }
        self
    }

    /// Runs `handler` at least once for each event of this name, as a job; it must be idempotent.
    pub fn on<F, Fut>(&mut self, event: &'static str, handler: F) -> &mut Self
    where
        F: Fn(Ctx, StoredEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.plan.subscribers.push((self.module, event, Arc::new(move |ctx, event| Box::pin(handler(ctx, event)))));
        self
    }

    /// Runs `watch` on every node soon after each event of this name, to drop cached copies; it may run twice, or late.
    pub fn watch(&mut self, event: &'static str, watch: impl Fn(&App, &StoredEvent) + Send + Sync + 'static) -> &mut Self {
        self.plan.watchers.push((self.module, event, Arc::new(watch)));
        self
    }

    /// A kind of job and its handler, which must be idempotent.
    pub fn job<J, F, Fut>(&mut self, handler: F) -> &mut Self
    where
        J: Job,
        F: Fn(Ctx, J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        if self.plan.jobs.insert(J::KIND, JobHandler::new::<J, F, Fut>(handler)).is_some() {
            self.plan.mistakes.push(format!("Module {} handles the job {} a second time.", self.module, J::KIND));
        }
        self
    }

    /// Enqueues `job` at every instant of the cron pattern (UTC), on one node.
    pub fn every<J: Job>(&mut self, cron: &'static str, job: J) -> &mut Self {
        match Schedule::new(cron, &job) {
            Ok(schedule) => self.plan.schedules.push(schedule),
            Err(error) => self.plan.mistakes.push(format!("Module {}: the schedule {cron:?} is wrong: {error}", self.module)),
        }
        self
    }

    /// A mail template of the module.
    pub fn template(&mut self, template: Template) -> &mut Self {
        self.plan.templates.push(template);
        self
    }

    /// A verb of the command line; its handler runs as the system, in a started app whose background work is not running.
    pub fn command<F, Fut>(&mut self, name: &'static str, about: &'static str, shape: clap::Command, handler: F) -> &mut Self
    where
        F: Fn(Ctx, ArgMatches) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        if self.plan.verbs.iter().any(|verb| verb.name == name) {
            self.plan.mistakes.push(format!("Module {} brings the command {name} a second time.", self.module));
        }
        let shape = shape.name(name).about(about);
        self.plan.verbs.push(Verb { name, shape, run: Arc::new(move |ctx, matches| Box::pin(handler(ctx, matches))) });
        self
    }

    /// Fills the module's tables with believable sample data, as the system; running it twice changes nothing the second time.
    pub fn samples<F, Fut>(&mut self, fill: F) -> &mut Self
    where
        F: Fn(Ctx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.plan.samples.push((self.module, Arc::new(move |ctx| Box::pin(fill(ctx)))));
        self
    }

    /// A style sheet or script that the module's pages use, served from the binary.
    pub fn asset(&mut self, asset: &'static Asset) -> &mut Self {
        self.plan.assets.push(asset);
        self
    }

    /// Answers paths of the main host that no route takes; lower orders are asked first.
    pub fn fallback(&mut self, order: u8, fallback: impl Fallback) -> &mut Self {
        self.plan.fallbacks.push((order, Arc::new(fallback)));
        self
    }

    /// Provides the port that hashes and verifies passwords of things other than accounts.
    pub fn provide_passwords(&mut self, passwords: impl Passwords) -> &mut Self {
        if self.plan.ports.passwords.replace(Arc::new(passwords)).is_some() {
            self.plan.mistakes.push(format!("Module {} provides the port Passwords a second time.", self.module));
        }
        self
    }

    /// Provides the port that makes short links.
    pub fn provide_shortener(&mut self, shortener: impl Shortener) -> &mut Self {
        if self.plan.ports.shortener.replace(Arc::new(shortener)).is_some() {
            self.plan.mistakes.push(format!("Module {} provides the port Shortener a second time.", self.module));
        }
        self
    }

    /// Provides the port that turns credentials into actors.
    pub fn provide_authenticator(&mut self, authenticator: impl Authenticator) -> &mut Self {
        if self.plan.ports.authenticator.replace(Arc::new(authenticator)).is_some() {
            self.plan.mistakes.push(format!("Module {} provides the port Authenticator a second time.", self.module));
        }
        self
    }

    /// Provides the port that knows people.
    pub fn provide_directory(&mut self, directory: impl Directory) -> &mut Self {
        if self.plan.ports.directory.replace(Arc::new(directory)).is_some() {
            self.plan.mistakes.push(format!("Module {} provides the port Directory a second time.", self.module));
        }
        self
    }

    /// Refuses to start unless some module provides the port of this name.
    pub fn needs<P: ?Sized + 'static>(&mut self) -> &mut Self {
        let port = type_name::<P>().rsplit("::").next().unwrap_or_default();
        self.plan.needs.push((self.module, port));
        self
    }
}
