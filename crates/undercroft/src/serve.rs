//! `serve`: from settings to a running server, and back down in good order.

use std::time::{Duration, Instant};

use kernel::http::{Listening, router};
use kernel::platform::{HttpSettings, Mode};
use kernel::{App, Plan};
use tokio::runtime::Runtime;

use crate::cli::Given;
use crate::logging;
use crate::outcome::{Outcome, print};
use crate::start::{Settings, Store, sentence};

/// Serves until a signal. What can be refused is refused before anything is changed: first the settings, then the port.
pub(crate) fn serve(plan: Plan, given: Given) -> Outcome {
    let settings = Settings::read(&plan, given)?;
    logging::start(&settings.log)?;
    settings.refuse_unsafe()?;
    let listening = Listening::bind(&settings.http)?;
    let settings = settings.listening_at(&plan, listening.address)?;
    let store = Store::open_to_use(&settings, &plan)?;
    let _lock = store.db.lock_for_serving().map_err(sentence)?;
    store.bring_up_to_date(&settings, &plan)?;
    runtime()?.block_on(run(plan, settings, store, listening))
}

/// One worker per core; the database and the hashers have threads of their own.
pub(crate) fn runtime() -> Outcome<Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores).thread_name("worker").enable_all().build();
    runtime.map_err(|error| format!("The worker threads cannot be started: {error}.").into())
}

async fn run(plan: Plan, settings: Settings, store: Store, listening: Listening) -> Outcome {
    // From here on a signal ends the server in good order, also while it starts.
    let mut signals = Signals::listen()?;
    let banner = Banner::of(&settings, &store, &listening);
    let app = store.app(plan, settings)?;
    app.start_modules().await?;
    print(&banner.text(&app, &app.notices().await?))?;
    app.start_background();
    let grace = *app.settings::<HttpSettings>().shutdown_grace;
    let mut server = std::pin::pin!(kernel::http::serve(&app, router(&app), listening, grace));
    let mut stopped = Instant::now();
    let served = tokio::select! {
        served = &mut server => served,
        () = signals.next() => {
            stopped = Instant::now();
            tracing::info!("stopping; a second signal stops at once");
            app.announce_stop();
            tokio::select! {
                served = &mut server => served,
                () = signals.next() => Ok(()),
            }
        }
    };
    app.stop(grace.saturating_sub(stopped.elapsed()).max(LAST_MOMENT)).await;
    tracing::info!("stopped");
    Ok(served?)
}

/// What background work always gets to end, also when requests used up the grace.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// What is printed when the server is ready.
struct Banner {
    address: String,
    data: String,
    mail: &'static str,
    mode: &'static str,
}

impl Banner {
    fn of(settings: &Settings, store: &Store, listening: &Listening) -> Banner {
        let folder = std::path::absolute(settings.data_dir()).unwrap_or_else(|_| settings.data_dir().to_owned());
        Banner {
            address: format!("http://{}", listening.address),
            data: format!("{} ({} {})", folder.display(), store.db.engine_name(), store.db.engine_version()),
            mail: match settings.mail.transport {
                kernel::messages::Transport::Mailbox => "stays in the development mailbox, /api/v1/messages",
                kernel::messages::Transport::Smtp => "goes to the server of mail.smtp_url",
            },
            mode: if settings.platform.mode == Mode::Production { "production" } else { "development" },
        }
    }

    fn text(&self, app: &App, notices: &[String]) -> String {
        let Banner { address, data, mail, mode } = self;
        let mut text = format!("Undercroft {} ({mode})\n  listens  {address}\n", env!("CARGO_PKG_VERSION"));
        if app.public_url() != *address {
            text += &format!("  public   {}\n", app.public_url());
        }
        text += &format!("  API      {}/api/openapi.json\n  data     {data}\n  mail     {mail}\n", app.public_url());
        notices.iter().for_each(|line| text += &format!("{line}\n"));
        text + "Ctrl-C stops it.\n"
    }
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Outcome<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let cannot = |error| format!("Signals cannot be received: {error}.");
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt()).map_err(cannot)?,
            terminate: signal(SignalKind::terminate()).map_err(cannot)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Outcome<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
