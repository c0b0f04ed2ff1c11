//! Short links: slugs that lead somewhere, and honest numbers about who followed them.
//!
//! * `links`: a slug, a target and conditions; unique keys decide who was first
//! * `domains`: under which host they live; one so far
//! * `redirect`: from a path to its target out of memory, without waiting for database or statistics
//! * `clicks`: the journal beside the redirect, and the sums made of it
//! * [`slugs`], [`targets`]: the pure rules of what may be typed and where it may lead
//! * `qr`: codes to print
//! * `imports`: from CSV and back

pub mod clicks;
mod commands;
mod domains;
pub mod events;
mod imports;
mod links;
mod port;
pub mod problems;
mod qr;
mod redirect;
mod samples;
mod settings;
pub mod slugs;
pub mod targets;
mod threads;

use futures_util::future::BoxFuture;
use kernel::platform::PlatformSettings;
use kernel::{App, Finding, Module, Parts, Permission, Result};

use crate::clicks::flush::{self, Flusher};
use crate::clicks::{Journal, journal_settings};
use crate::domains::Domains;
use crate::redirect::{Redirector, Redirects};
use crate::settings::{ClickSettings, LinkSettings};
use crate::slugs::LengthMeter;

/// Who may make links where not everybody may.
pub static CREATE_LINKS: Permission = Permission::new("links:links:create", "Make short links.");
/// Who may see everybody's links.
pub static READ_ANY_LINK: Permission = Permission::new("links:links:read_any", "Read everybody's short links.");
/// Who may change everybody's links.
pub static UPDATE_ANY_LINK: Permission = Permission::new("links:links:update_any", "Change everybody's short links.");
/// Who may delete everybody's links.
pub static DELETE_ANY_LINK: Permission = Permission::new("links:links:delete_any", "Delete everybody's short links.");
/// Who may see everybody's statistics.
pub static READ_ANY_STATS: Permission = Permission::new("links:stats:read_any", "Read the statistics of everybody's short links.");
/// Who may import links.
pub static RUN_IMPORTS: Permission = Permission::new("links:imports:run", "Import short links from a file.");

const MIGRATIONS: &[db::Migration] = db::migrations![(1, "links", include_str!("../migrations/0001_links.sql"))];

/// The place of short links among the fallbacks of the main host: after permalinks.
const ORDER: u8 = 20;

/// The module.
#[derive(Debug, Default)]
pub struct Links;

impl Links {
    /// The module as it ships.
    pub fn new() -> Links {
        Links
    }
}

impl Module for Links {
    fn name(&self) -> &'static str {
        "links"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts
            .settings::<LinkSettings>()
            .settings::<ClickSettings>()
            .migrations(MIGRATIONS)
            .problems(problems::PROBLEMS)
            .permissions(&[&CREATE_LINKS, &READ_ANY_LINK, &UPDATE_ANY_LINK, &DELETE_ANY_LINK, &READ_ANY_STATS, &RUN_IMPORTS])
            .state(|_| Ok(Domains::default()))
            .state(|_| Ok(LengthMeter::default()))
            .state(|_| Ok(Flusher::default()))
            .state(|setup| Ok(Redirects::new(setup.settings::<LinkSettings>(), setup.settings::<ClickSettings>())))
            .state(|setup| Journal::start(journal_settings(setup.settings::<PlatformSettings>(), setup.settings::<ClickSettings>())))
            .routes(links::http::operations())
            .routes(clicks::http::operations())
            .routes(qr::operations())
            .routes(imports::http::operations())
            .fallback(ORDER, Redirector)
            .provide_shortener(port::LinkShortener)
            .job(flush::trim_raw)
            .job(imports::service::run)
            .job(imports::service::purge)
            .every("23 4 * * *", flush::TrimRaw {})
            .every("53 4 * * *", imports::service::PurgeImports {})
            .samples(samples::fill);
        register_events(parts);
        commands::register(parts);
    }

    fn start<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            settings::check(app)?;
            domains::service::prepare(app).await?;
            let domain = app.state::<Domains>().default_domain()?;
            app.state::<Journal>().set_database(*domain.id.uuid().as_bytes());
            app.spawn(flush::run(app.clone()));
            Ok(())
        })
    }

    fn check<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<Vec<Finding>>> {
        Box::pin(domains::service::findings(app))
    }
}

fn register_events(parts: &mut Parts<'_>) {
    parts
        .emits::<events::LinkCreated>()
        .emits::<events::LinkUpdated>()
        .emits::<events::LinkDeleted>()
        .emits::<events::LinkEnabled>()
        .emits::<events::LinkDisabled>()
        .emits::<events::LinkLimitReached>()
        .emits::<events::ImportFinished>()
        .watch("links.link.created", redirect::forget)
        .watch("links.link.updated", redirect::forget)
        .watch("links.link.deleted", redirect::forget)
        .watch("links.link.enabled", redirect::forget)
        .watch("links.link.disabled", redirect::forget)
        .watch("links.link.limit_reached", redirect::forget);
}

/// Adds the clicks that this node has journalled to the statistics now, instead of some seconds later: for tests and tools.
pub async fn flush_clicks(app: &App) -> Result<()> {
    flush::flush(app).await
}
