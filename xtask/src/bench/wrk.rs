//! The load generator: Debian's `wrk` with the scripts of `benches/wrk`.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::host::{Core, Host, pinned};
use super::scenarios::{Load, SEED};
use crate::process;

const THREADS: u32 = 2;

/// What `benches/wrk/report.lua` prints.
#[derive(Deserialize)]
pub(crate) struct Answers {
    pub(crate) requests: u64,
    pub(crate) duration_us: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    connect: u64,
    read: u64,
    write: u64,
    status: u64,
    timeout: u64,
}

impl Answers {
    /// A fast error is no answer.
    pub(crate) fn without_errors(self) -> Result<Answers> {
        let Answers { connect, read, write, status, timeout, .. } = self;
        let errors = connect + read + write + status + timeout;
        ensure!(
            errors == 0,
            "{errors} of {} requests failed ({status} by status, {timeout} timed out, {connect} at connect, {read} at read, {write} at write)",
            self.requests
        );
        ensure!(self.requests > 0, "nothing was answered");
        Ok(self)
    }
}

/// Loads the server for `seconds` before anything is measured.
pub(crate) fn warm_up(host: &Host, load: &Load, seconds: u32) -> Result<()> {
    understood(&process::output(wrk(host, load, seconds)?.env("BENCH_WARM_UP", "1"))?)?.without_errors().map(drop)
}

/// Loads the server for `seconds`.
pub(crate) fn run(host: &Host, load: &Load, seconds: u32) -> Result<Answers> {
    understood(&process::output(&mut wrk(host, load, seconds)?)?)
}

fn understood(printed: &str) -> Result<Answers> {
    let json =
        printed.lines().find_map(|line| line.strip_prefix("BENCH ")).with_context(|| format!("wrk printed no figures:\n{printed}"))?;
    serde_json::from_str(json).context("benches/wrk/report.lua has changed its shape")
}

/// A load in the background; dropping it ends it.
pub(crate) struct Flood(Child);

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn start(host: &Host, load: &Load, seconds: u32) -> Result<Flood> {
    let child = wrk(host, load, seconds)?.stdout(Stdio::null()).spawn().context("cannot start wrk")?;
    Ok(Flood(child))
}

fn wrk(host: &Host, load: &Load, seconds: u32) -> Result<Command> {
    let scripts = process::root().join("benches/wrk");
    let mut command = pinned(Core::Clients, "wrk");
    command.args([format!("-t{THREADS}"), format!("-c{}", load.connections), format!("-d{seconds}s"), "--timeout=10s".into()]);
    command.arg("-s").arg(scripts.join(load.script).with_extension("lua"));
    for header in host.credentials(load)? {
        command.args(["-H", &header]);
    }
    command.arg(format!("http://{}{}", host.address, load.path));
    command.envs(&host.says).env("BENCH_SCRIPTS", scripts).env("BENCH_PATH", load.path).env("BENCH_SEED", SEED.to_string());
    Ok(command)
}
