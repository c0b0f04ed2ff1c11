//! The composition of an app, before anything runs.

use std::fmt;
use std::sync::Arc;

use crate::app::App;
use crate::module::{Module, Plan};
use crate::platform::Platform;

/// Collects the modules of an app; made by [`App::builder`].
///
/// ```
/// use kernel::{App, Module, Parts};
///
/// struct Notes;
/// impl Module for Notes {
///     fn name(&self) -> &'static str { "notes" }
///     fn register(&self, _parts: &mut Parts<'_>) {}
/// }
///
/// let plan = App::builder().module(Notes).plan().unwrap();
/// assert_eq!(plan.module_names(), ["platform", "notes"]);
/// ```
pub struct AppBuilder {
    modules: Vec<Arc<dyn Module>>,
}

impl AppBuilder {
    /// Adds a module; migrations run in this order.
    #[must_use]
    pub fn module(mut self, module: impl Module) -> AppBuilder {
        self.modules.push(Arc::new(module));
        self
    }

    /// What the modules bring together, or every contradiction between them.
    ///
    /// # Errors
    /// One sentence per contradiction, each naming both sides.
    pub fn plan(self) -> Result<Plan, Vec<String>> {
        Plan::of(self.modules)
    }
}

impl fmt::Debug for AppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.modules.iter().map(|module| module.name())).finish()
    }
}

impl App {
    /// A composition that has the kernel's own module and no other yet.
    pub fn builder() -> AppBuilder {
        AppBuilder { modules: vec![Arc::new(Platform)] }
    }
}
