//! `cargo xtask bench`: ours against the limit server, on one core each way, interleaved, the median of the rounds.
//! Only the ratios of one run count: load generator and server share the machine.

mod build_times;
mod host;
mod report;
mod scenarios;
mod wrk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::metadata::Metadata;
use crate::process::{self, command, passes};
use host::{Host, Stage};
use report::{Figures, Line};
use scenarios::{Program, Run, Scenario};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each measurement lasts; a fifth of it is spent before, to warm up.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// How often each is repeated; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Runs only this scenario; may be given several times.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Where the figures go; `bench/result.json` beside the build when not given.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures the build instead: cold, after an edit, and crate by crate.
    #[arg(long)]
    build: bool,
    /// Measures the programs as they were built last.
    #[arg(long)]
    as_built: bool,
    /// Lists the scenarios and runs none.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    if args.list {
        scenarios::ALL.iter().for_each(|scenario| println!("{:<26} {}", scenario.name, scenario.what));
        return Ok(true);
    }
    if args.build {
        return build_times::run();
    }
    ensure!(args.seconds > 0 && args.rounds > 0, "there is nothing to measure in no time");
    let chosen = chosen(&args.scenario)?;
    ensure!(passes(&mut command("scripts/svc/wrk.sh", ["need"]))?, "wrk is not installed; INSTALL=1 installs it");
    let present = present_programs()?;
    if !args.as_built {
        host::build(&present)?;
    }
    let stage = Stage::prepare(&present)?;
    let mut lines = Vec::new();
    for scenario in chosen {
        lines.extend(measure(scenario, args, &stage, &present)?);
    }
    print!("{}", report::table(&lines));
    let file = args.json.clone().unwrap_or_else(|| process::built("bench").join("result.json"));
    write_json(&file, &lines)?;
    Ok(true)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    for name in names {
        ensure!(scenarios::ALL.iter().any(|scenario| scenario.name == name), "there is no scenario {name}; --list shows them all");
    }
    Ok(scenarios::ALL.iter().filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name)).collect())
}

/// The programs that are part of the workspace.
fn present_programs() -> Result<BTreeSet<Program>> {
    let metadata = Metadata::read()?;
    Ok(Program::ALL.into_iter().filter(|program| metadata.members().any(|package| package.name == program.package())).collect())
}

/// One line for each of the scenario's runs. A round has all of them, so that the machine's moods reach each.
fn measure(scenario: &Scenario, args: &Args, stage: &Stage, present: &BTreeSet<Program>) -> Result<Vec<Line>> {
    let runs: Vec<&Run> = scenario.runs.iter().filter(|run| present.contains(&run.program)).collect();
    if runs.is_empty() {
        eprintln!("SKIP {}: none of its programs is in the workspace", scenario.name);
    }
    let mut figures: BTreeMap<usize, Vec<Figures>> = BTreeMap::new();
    for round in 1..=args.rounds {
        for (number, run) in runs.iter().enumerate() {
            eprintln!("{} on {}, round {round}", scenario.name, run.label);
            let measured = measure_once(run, args.seconds, stage).with_context(|| format!("{} on {}", scenario.name, run.label))?;
            figures.entry(number).or_default().push(measured);
        }
    }
    Ok(figures.into_iter().map(|(number, rounds)| Line::new(scenario.name, runs[number].label, &rounds)).collect())
}

fn measure_once(run: &Run, seconds: u32, stage: &Stage) -> Result<Figures> {
    let mut host = Host::start(stage, run)?;
    host.probe(&run.load)?;
    let flood = run.flood.as_ref().map(|load| wrk::start(&host, load, seconds + seconds.div_ceil(5) + 1)).transpose()?;
    if flood.is_some() {
        thread::sleep(Duration::from_millis(500)); // until the flood is there
    }
    wrk::warm_up(&host, &run.load, seconds.div_ceil(5))?;
    let cpu_before = host.cpu()?;
    let answers = wrk::run(&host, &run.load, seconds)?.without_errors()?;
    let cpu = host.cpu()? - cpu_before;
    Figures::new(&answers, flood.is_none().then_some(cpu), &host)
}

fn write_json(file: &Path, lines: &[Line]) -> Result<()> {
    fs::write(file, serde_json::to_string_pretty(lines)?).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}", file.display());
    Ok(())
}
