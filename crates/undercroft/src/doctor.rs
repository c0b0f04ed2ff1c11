//! `doctor`: what is wrong here, without changing anything.

use kernel::platform::unsafe_settings;
use kernel::{App, Plan};
use serde_json::json;

use crate::cli::Given;
use crate::logging;
use crate::outcome::{Failure, Outcome, print};
use crate::serve::runtime;
use crate::start::{Settings, Store};

struct Line {
    module: &'static str,
    is_serious: bool,
    text: String,
}

impl Line {
    fn serious(text: String) -> Line {
        Line { module: "platform", is_serious: true, text }
    }
}

/// Examines settings, folder, key, database and modules.
pub(crate) fn doctor(plan: Plan, given: Given, as_json: bool) -> Outcome {
    logging::start(&logging::quiet())?;
    let settings = Settings::read(&plan, given)?;
    let lines = examine(plan, settings)?;
    print(&if as_json { machine(&lines) } else { human(&lines) })?;
    if lines.iter().any(|line| line.is_serious) { Err(Failure::findings()) } else { Ok(()) }
}

fn examine(plan: Plan, settings: Settings) -> Outcome<Vec<Line>> {
    let mut lines: Vec<Line> = exposed_folder(&settings).into_iter().collect();
    match ready_store(&plan, &settings) {
        Ok(store) => lines.extend(runtime()?.block_on(of_modules(&store.app(plan, settings)?))?),
        Err(failure) => {
            // The modules' own checks do not come to run; what needs no database is said all the same.
            let unsafe_settings = unsafe_settings(&settings.platform, &settings.http, &settings.mail);
            lines.extend(unsafe_settings.into_iter().chain(failure.into_sentences()).map(Line::serious));
        }
    }
    Ok(lines)
}

/// The database, if it is there and up to date.
fn ready_store(plan: &Plan, settings: &Settings) -> Outcome<Store> {
    let store = Store::open_existing(settings)?;
    match store.missing(plan)?.as_slice() {
        [] => Ok(store),
        missing => Err(format!("The database lacks {} migrations ({}): run the verb migrate.", missing.len(), missing.join(", ")).into()),
    }
}

async fn of_modules(app: &App) -> Outcome<Vec<Line>> {
    let findings = app.findings().await;
    app.db().close().await;
    Ok(findings?.into_iter().map(|(module, finding)| Line { module, is_serious: finding.is_serious, text: finding.text }).collect())
}

#[cfg(unix)]
fn exposed_folder(settings: &Settings) -> Option<Line> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(settings.data_dir()).ok()?.permissions().mode() & 0o7777;
    let text = format!(
        "The data folder {0} is open to every account of this machine (mode {mode:04o}). Run: chmod 700 {0}",
        settings.data_dir().display()
    );
    (mode & 0o007 != 0).then(|| Line::serious(text))
}

#[cfg(not(unix))]
fn exposed_folder(_: &Settings) -> Option<Line> {
    None
}

fn human(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "Everything is fine.\n".to_owned();
    }
    let line = |line: &Line| format!("{} {}: {}\n", if line.is_serious { "mend" } else { "note" }, line.module, line.text);
    lines.iter().map(line).collect()
}

fn machine(lines: &[Line]) -> String {
    let finding = |line: &Line| json!({ "module": line.module, "is_serious": line.is_serious, "text": line.text });
    format!("{:#}\n", json!({ "findings": lines.iter().map(finding).collect::<Vec<_>>() }))
}
