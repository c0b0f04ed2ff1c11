//! Every check there is, one after the other. A failure does not stop the next: one run tells all.

mod service;
mod steps;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::process;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs only this step; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Leaves this step out, and does not count it.
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// Counts a step that somebody else has run, such as `sqlite=passed`, instead of running it.
    #[arg(long, value_name = "NAME=passed|failed")]
    already: Vec<Already>,
    /// Lists the steps and runs none.
    #[arg(long)]
    list: bool,
}

#[derive(Clone)]
struct Already {
    name: String,
    outcome: Outcome,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    /// Never on CI for a service that is required there (SVC-2).
    Skipped(String),
}

struct Done {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let known = |name: &String| steps::ALL.iter().any(|step| step.name == name);
    let named = args.only.iter().chain(&args.skip).chain(args.already.iter().map(|already| &already.name));
    for name in named {
        ensure!(known(name), "there is no step {name}; `cargo xtask ci --list` shows them all");
    }
    if args.list {
        steps::ALL.iter().for_each(|step| println!("{:<13} {}", step.name, step.what));
        return Ok(true);
    }
    let done: Vec<Done> = steps::ALL.iter().filter(|step| args.wants(step.name)).map(|step| args.run(step)).collect();
    print_summary(&done);
    Ok(!done.iter().any(|done| matches!(done.outcome, Outcome::Failed(_))))
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        let is = |listed: &String| listed == name;
        (self.only.is_empty() || self.only.iter().any(is)) && !self.skip.iter().any(is)
    }

    fn run(&self, step: &steps::Step) -> Done {
        let started = Instant::now();
        let outcome = match self.already.iter().find(|already| already.name == step.name) {
            Some(already) => already.outcome.clone(),
            None => {
                println!("\n══ {}: {}", step.name, step.what);
                (step.run)().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
            }
        };
        let done = Done { name: step.name, outcome, took: started.elapsed() };
        println!("{done}");
        done
    }
}

impl Outcome {
    fn of(passed: bool) -> Outcome {
        if passed { Outcome::Passed } else { Outcome::Failed("see above".into()) }
    }

    /// What to do when something is not there: on CI it has to be.
    fn missing(what: impl fmt::Display) -> Outcome {
        if process::is_ci() { Outcome::Failed(what.to_string()) } else { Outcome::Skipped(what.to_string()) }
    }
}

impl FromStr for Already {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, outcome) = match text.split_once('=') {
            Some((name, "passed")) => (name, Outcome::Passed),
            Some((name, "failed")) => (name, Outcome::Failed("it ran before".into())),
            _ => return Err("say NAME=passed or NAME=failed".into()),
        };
        Ok(Already { name: name.to_owned(), outcome })
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, secs) = (self.name, self.took.as_secs_f64());
        match &self.outcome {
            Outcome::Passed => write!(f, "ok   {name:<13} {secs:>6.1} s"),
            Outcome::Failed(why) => write!(f, "FAIL {name:<13} {secs:>6.1} s  {why}"),
            Outcome::Skipped(why) => write!(f, "SKIP {name:<13} {secs:>6.1} s  {why}"),
        }
    }
}

/// Ends with the one line that CI counts.
fn print_summary(done: &[Done]) {
    println!("\n══ summary");
    done.iter().for_each(|done| println!("{done}"));
    println!("\n{}", counted(done.iter().map(|done| &done.outcome)));
}

fn counted<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for outcome in outcomes {
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(_) => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
    }
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let outcomes = [Outcome::Passed, Outcome::Skipped("x".into()), Outcome::Passed, Outcome::Failed("y".into())];
        assert_eq!(counted(outcomes.iter()), "2 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn what_ran_before_is_named_with_its_end() {
        assert_eq!("sqlite=passed".parse::<Already>().unwrap().outcome, Outcome::Passed);
        assert!("sqlite".parse::<Already>().is_err() && "sqlite=maybe".parse::<Already>().is_err());
    }
}
