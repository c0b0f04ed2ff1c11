//! The command line: its shape, and which verb does what.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use kernel::{AppBuilder, Plan};

use crate::outcome::{FINE, Failure, Outcome};
use crate::start::Settings;
use crate::{doctor, serve, verbs};

/// How the program ended.
pub(crate) struct Ending(ExitCode);

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> ExitCode {
        ending.0
    }
}

/// Reads the command line and carries out its verb.
pub(crate) fn run(builder: AppBuilder, args: impl IntoIterator<Item = OsString>, env: Vec<(String, String)>) -> Ending {
    let outcome = match builder.plan().map_err(Failure::because) {
        Ok(plan) => match shape(&plan).try_get_matches_from(args) {
            Ok(matches) => dispatch(plan, &matches, env),
            Err(error) => {
                // Help and version are no failures, and go to stdout.
                _ = error.print();
                return Ending(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX)));
            }
        },
        Err(failure) => Err(failure),
    };
    Ending(match outcome {
        Ok(()) => ExitCode::from(FINE),
        Err(failure) => failure.report(),
    })
}

fn dispatch(plan: Plan, matches: &ArgMatches, env: Vec<(String, String)>) -> Outcome {
    let (verb, matches) = matches.subcommand().unwrap_or(("serve", matches));
    let given = Given::of(matches, env);
    match verb {
        "serve" => serve::serve(plan, given),
        "init" => verbs::init(&plan, given.config),
        "migrate" => verbs::migrate(&plan, &Settings::read(&plan, given)?, matches.get_flag("check")),
        "config" if matches.get_flag("reference") => verbs::settings_reference(&plan),
        "config" => verbs::config(&plan, given, matches.get_flag("json")),
        "doctor" => doctor::doctor(plan, given, matches.get_flag("json")),
        "openapi" if matches.get_flag("errors") => verbs::error_reference(&plan),
        "openapi" => verbs::openapi(&plan),
        "seed" => verbs::seed(plan, given),
        "completions" => verbs::completions(shape(&plan), matches),
        other => verbs::of_module(plan, given, other, matches),
    }
}

/// What the command line says about settings.
pub(crate) struct Given {
    pub(crate) config: Option<PathBuf>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) flags: Vec<(String, String)>,
}

/// Flags that are settings under a shorter name.
const SHORTCUTS: [(&str, &str); 3] = [("listen", "http.listen"), ("database-url", "database.url"), ("data-dir", "data_dir")];

impl Given {
    fn of(matches: &ArgMatches, env: Vec<(String, String)>) -> Given {
        let mut flags: Vec<(String, String)> = matches.get_many("set").into_iter().flatten().cloned().collect();
        for (flag, key) in SHORTCUTS {
            // Only `serve` has all of them.
            if let Ok(Some(value)) = matches.try_get_one::<String>(flag) {
                flags.push((key.to_owned(), value.clone()));
            }
        }
        Given { config: matches.get_one("config").cloned(), env, flags }
    }
}

fn shape(plan: &Plan) -> Command {
    let own = [
        Command::new("serve").about("Serve until SIGINT or SIGTERM; the default").arg(listen()).after_help(
            "Migrates the database first, unless auto_migrate = false.\n\nExample:\n  undercroft serve --listen 127.0.0.1:9000 --data-dir /var/lib/undercroft",
        ),
        Command::new("init")
            .about("Write a commented undercroft.toml with every setting and its default")
            .after_help("An existing file is not overwritten.\n\nExample:\n  undercroft init --config /etc/undercroft.toml"),
        Command::new("migrate")
            .about("Bring the database up to date")
            .arg(switch("check", "Only list what is missing; exit code 3 if something is"))
            .after_help("Example:\n  undercroft migrate --check || undercroft migrate"),
        Command::new("config")
            .about("Show every setting with its value and where it comes from")
            .arg(switch("reference", "Print the reference of all settings in Markdown"))
            .arg(switch("json", "Print JSON").conflicts_with("reference"))
            .after_help("Secrets are never shown.\n\nExample:\n  undercroft config --set http.listen=0.0.0.0:80 --json"),
        Command::new("doctor")
            .about("Examine settings, database and modules")
            .arg(switch("json", "Print JSON"))
            .after_help("Changes nothing. Exit code 3 if something must be mended.\n\nExample:\n  undercroft doctor --json"),
        Command::new("seed")
            .about("Fill the database with sample data to look at and to play with")
            .arg(switch("demo", "Say that it is for a demonstration; needed, because it writes").required(true))
            .after_help("What exists already is left alone; running it twice changes nothing.\n\nExample:\n  undercroft seed --demo"),
        Command::new("openapi")
            .about("Print the OpenAPI document")
            .arg(switch("errors", "Print the reference of all error codes in Markdown"))
            .after_help("Example:\n  undercroft openapi > openapi.json"),
        Command::new("completions")
            .about("Print completions for a shell")
            .arg(Arg::new("shell").required(true).value_parser(value_parser!(clap_complete::Shell)))
            .after_help("Example:\n  undercroft completions bash > /etc/bash_completion.d/undercroft"),
    ];
    Command::new("undercroft")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A backend in one program. Without a verb it serves.")
        .after_help("Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 there are findings.\n\nExample:\n  undercroft --listen 127.0.0.1:9000")
        .arg(listen())
        .args(global_args())
        .subcommands(own)
        .subcommands(plan.verbs().iter().map(kernel::Verb::shape))
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn listen() -> Arg {
    Arg::new("listen").long("listen").value_name("ADDRESS").help("Where to listen; the setting http.listen")
}

fn global_args() -> [Arg; 4] {
    [
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
            .help("The settings file; undercroft.toml in the working directory if there is one"),
        Arg::new("set")
            .long("set")
            .value_name("SECTION.KEY=VALUE")
            .action(ArgAction::Append)
            .value_parser(assignment)
            .help("Set one setting; stronger than environment and file"),
        Arg::new("database-url").long("database-url").value_name("URL").help("The database; the setting database.url"),
        Arg::new("data-dir")
            .long("data-dir")
            .value_name("FOLDER")
            .value_hint(ValueHint::DirPath)
            .help("The folder for database, key file and media; the setting data_dir"),
    ]
    .map(|arg| arg.global(true))
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected SECTION.KEY=VALUE, such as http.listen=127.0.0.1:9000")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use kernel::App;

    use super::*;

    fn parse(args: &[&str]) -> Result<ArgMatches, clap::Error> {
        shape(&App::builder().plan().unwrap()).try_get_matches_from(["undercroft"].iter().chain(args))
    }

    #[test]
    fn the_command_line_is_well_formed_and_every_verb_has_an_example() {
        let shape = shape(&App::builder().plan().unwrap());
        shape.clone().debug_assert();
        for verb in shape.get_subcommands() {
            assert!(verb.get_after_help().is_some_and(|help| help.to_string().contains("Example:\n  undercroft ")), "{}", verb.get_name());
        }
    }

    #[test]
    fn flags_are_settings_with_and_without_a_verb() {
        for args in [&["--listen", "a", "--set", "x.y=1=2"][..], &["serve", "--listen", "a", "--set", "x.y=1=2"]] {
            let matches = parse(args).unwrap();
            let given = Given::of(matches.subcommand().map_or(&matches, |(_, inner)| inner), Vec::new());
            assert_eq!(given.flags, [("x.y".to_owned(), "1=2".to_owned()), ("http.listen".to_owned(), "a".to_owned())]);
        }
        let matches = parse(&["--data-dir", "d", "migrate", "--check"]).unwrap();
        assert_eq!(Given::of(matches.subcommand().unwrap().1, Vec::new()).flags, [("data_dir".to_owned(), "d".to_owned())]);
    }

    #[test]
    fn wrong_usage_has_the_exit_code_2() {
        for args in [&["nonsense"][..], &["--set", "x"], &["config", "--json", "--reference"]] {
            assert_eq!(parse(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }
}
