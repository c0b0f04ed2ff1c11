//! The verbs that do one thing and end.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{ArgMatches, Command};
use kernel::http::status_of;
use kernel::settings::{commented_toml, env_name, reference};
use kernel::{Ctx, Plan};
use serde_json::json;

use crate::cli::Given;
use crate::logging;
use crate::outcome::{Failure, Outcome, print};
use crate::serve::runtime;
use crate::start::{CONFIG_FILE, Settings, Store, source};

/// Writes a settings file in which everything is a comment.
pub(crate) fn init(plan: &Plan, config: Option<PathBuf>) -> Outcome {
    let path = config.unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
    let text = format!(
        "# The settings of an Undercroft server. Remove the # in front of a key to change it.\n\n{}",
        commented_toml(&plan.sections())
    );
    let written = OpenOptions::new().write(true).create_new(true).open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => print(&format!("Wrote {}.\n", path.display())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(format!("There is a file {} already; it was not changed.", path.display()).into())
        }
        Err(error) => Err(format!("{} cannot be written: {error}.", path.display()).into()),
    }
}

/// Brings the database up to date, or lists what is missing.
pub(crate) fn migrate(plan: &Plan, settings: &Settings, check: bool) -> Outcome {
    logging::start(&logging::quiet())?;
    if check {
        let missing = missing_migrations(plan, settings)?;
        print(&missing.iter().map(|name| format!("missing {name}\n")).collect::<String>())?;
        return if missing.is_empty() { print("The database is up to date.\n") } else { Err(Failure::findings()) };
    }
    let store = Store::open(settings)?;
    let applied = store.migrate(plan)?;
    store.db.close_blocking();
    print(&applied.iter().map(|name| format!("applied {name}\n")).collect::<String>())?;
    print("The database is up to date.\n")
}

/// A file that does not exist lacks everything, and is not made for being asked.
fn missing_migrations(plan: &Plan, settings: &Settings) -> Outcome<Vec<String>> {
    if settings.database().file().is_some_and(|file| !file.exists()) {
        let name = |set: &db::MigrationSet| {
            set.migrations.iter().map(|m| format!("{} {:04}_{}", set.module, m.number, m.name)).collect::<Vec<_>>()
        };
        return Ok(plan.migrations().iter().flat_map(name).collect());
    }
    let store = Store::open_existing(settings)?;
    let missing = store.missing(plan);
    store.db.close_blocking();
    missing
}

/// Prints every setting with its value and where it comes from; wrong ones are named afterwards.
pub(crate) fn config(plan: &Plan, given: Given, as_json: bool) -> Outcome {
    let source = source(given)?;
    let mut text = String::new();
    let mut rows = Vec::new();
    for row in source.table(&plan.sections()) {
        let key = if row.section.is_empty() { row.key.to_owned() } else { format!("{}.{}", row.section, row.key) };
        text += &format!("{key} = {}  # {}\n", if row.value.is_empty() { "(none)" } else { &row.value }, row.origin);
        rows.push(json!({
            "key": key, "value": row.value, "origin": row.origin.to_string(), "default": row.default, "environment": env_name(&key), "doc": row.doc,
        }));
    }
    print(&if as_json { format!("{:#}\n", json!({ "settings": rows })) } else { text })?;
    Ok(plan.check_settings(&source)?)
}

/// Prints the reference of all settings.
pub(crate) fn settings_reference(plan: &Plan) -> Outcome {
    let head = "# Settings\n\nMade by `undercroft config --reference`; do not edit.\n\nOne TOML file, `undercroft.toml` in the working directory or the one of \
                `--config`. A flag (`--set section.key=value`) is stronger than the environment, the environment is stronger than the file. A variable \
                whose name ends in `_FILE` gives the file that holds the value.\n\n";
    print(&format!("{head}{}\n", reference(&plan.sections()).trim_end()))
}

/// Prints the OpenAPI document.
pub(crate) fn openapi(plan: &Plan) -> Outcome {
    print(&format!("{:#}\n", kernel::http::document(plan)?))
}

/// Prints the reference of all error codes, by status and code.
pub(crate) fn error_reference(plan: &Plan) -> Outcome {
    let mut problems: Vec<_> = plan.problems().map(|problem| (status_of(problem.kind).as_u16(), problem)).collect();
    problems.sort_by_key(|(status, problem)| (*status, problem.code));
    let mut text = "# Error codes\n\nMade by `undercroft openapi --errors`; do not edit.\n\nEvery error is a problem document (RFC 9457) with one of these \
                    codes. The codes are stable; titles and advice may get better words.\n\n| status | code | what happened | what to do |\n|---|---|---|---|\n"
        .to_owned();
    for (status, problem) in problems {
        text += &format!(
            "| {status} | `{}` | {} | {} |\n",
            problem.code,
            problem.title.replace('|', "\\|"),
            problem.advice.replace('|', "\\|")
        );
    }
    print(&text)
}

/// Prints completions for a shell.
pub(crate) fn completions(mut shape: Command, matches: &ArgMatches) -> Outcome {
    let shell: Option<&clap_complete::Shell> = matches.get_one("shell");
    let mut text = Vec::new();
    if let Some(shell) = shell {
        clap_complete::generate(*shell, &mut shape, "undercroft", &mut text);
    }
    print(&String::from_utf8_lossy(&text))
}

/// Fills the database with the sample data of every module.
pub(crate) fn seed(plan: Plan, given: Given) -> Outcome {
    in_app(plan, given, async |ctx| {
        let done = |module: &'static str| _ = print(&format!("Filled {module}.\n"));
        Ok(ctx.app.plan().fill_with_samples(&ctx, done).await?)
    })
}

/// Carries out a verb that a module brings.
pub(crate) fn of_module(plan: Plan, given: Given, name: &str, matches: &ArgMatches) -> Outcome {
    let verb = plan.verbs().iter().find(|verb| verb.name() == name).cloned().ok_or_else(|| format!("There is no verb {name}."))?;
    in_app(plan, given, async move |ctx| Ok(verb.run(ctx, matches.clone()).await?))
}

/// Runs `work` as the system in a started app over a database that is up to date.
fn in_app(plan: Plan, given: Given, work: impl AsyncFnOnce(Ctx) -> Outcome) -> Outcome {
    let settings = Settings::read(&plan, given)?;
    logging::start(&logging::quiet())?;
    let store = Store::open_to_use(&settings, &plan)?;
    store.bring_up_to_date(&settings, &plan)?;
    let app = store.app(plan, settings)?;
    runtime()?.block_on(async {
        app.start_modules().await?;
        let outcome = work(Ctx::system(&app, "command-line")).await;
        app.stop(*app.settings::<kernel::platform::HttpSettings>().shutdown_grace).await;
        outcome
    })
}
