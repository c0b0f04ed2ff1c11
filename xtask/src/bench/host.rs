//! A server under measurement: seeded once, copied for each run, pinned to a core, watched through `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::scenarios::{Caller, Load, Program, Run, SEED};
use crate::http::{self, Request};
use crate::process::{self, command, passes};
use crate::server;

/// Filling an empty database takes the longest.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// Ticks a second of `/proc/PID/stat`: the same for every Linux program.
const TICKS_PER_SEC: f64 = 100.0;

/// Builds the programs as users would.
pub(crate) fn build(programs: &BTreeSet<Program>) -> Result<()> {
    let packages = programs.iter().flat_map(|program| ["--package", program.package()]);
    ensure!(passes(&mut command("cargo", ["build", "--release", "--locked"].into_iter().chain(packages)))?, "the build failed");
    Ok(())
}

/// What is made once for all runs: the slow disk, a seeded folder for each program.
pub(crate) struct Stage {
    folder: TempDir,
}

impl Stage {
    pub(crate) fn prepare(programs: &BTreeSet<Program>) -> Result<Stage> {
        // Beside the build, not in /tmp: that may be memory, and this is about durable writes.
        let parent = process::built("bench");
        fs::create_dir_all(&parent)?;
        let stage = Stage { folder: TempDir::new_in(parent)? };
        let shim = stage.slow_disk();
        let cc = ["-O2", "-shared", "-fPIC", "-o", &shim.to_string_lossy(), "benches/fsync_delay/fsync_delay.c", "-ldl"];
        ensure!(passes(&mut command("cc", cc))?, "the fsync shim does not compile");
        for program in programs {
            let mut seeding = Command::new(program.path());
            let mut seeded = Running::start(&mut seeding, stage.template(*program))?;
            seeded.wait_until_ready(*program)?;
        }
        Ok(stage)
    }

    fn slow_disk(&self) -> PathBuf {
        self.folder.path().join("fsync_delay.so")
    }

    fn template(&self, program: Program) -> PathBuf {
        self.folder.path().join(program.package())
    }
}

/// A server in its run.
pub(crate) struct Host {
    running: Running,
    pub(crate) address: SocketAddr,
    /// The `BENCH_…=…` lines it printed.
    pub(crate) says: BTreeMap<String, String>,
    /// From its start to its first answer.
    pub(crate) start: Duration,
    _folder: TempDir,
}

impl Host {
    pub(crate) fn start(stage: &Stage, run: &Run) -> Result<Host> {
        let folder = TempDir::new_in(stage.folder.path())?;
        let data = folder.path().join("data");
        copy(&stage.template(run.program), &data)?;
        let mut command = pinned(Core::Server, run.program.path());
        if let Some(max_group) = run.max_group {
            command.args(["--max-group", &max_group.to_string()]);
        }
        for setting in run.settings {
            command.args(["--set", setting]);
        }
        if run.fsync_delay_us > 0 {
            command.env("LD_PRELOAD", stage.slow_disk()).env("FSYNC_DELAY_US", run.fsync_delay_us.to_string());
        }
        let started = Instant::now();
        let mut running = Running::start(&mut command, data)?;
        let (address, says) = running.wait_until_ready(run.program)?;
        Ok(Host { running, address, says, start: started.elapsed(), _folder: folder })
    }

    /// One request, to see that the load is answered as it should be before thousands are sent; its ETag is for those.
    pub(crate) fn probe(&mut self, load: &Load) -> Result<()> {
        let path = load.path.replace("{id}", "018bcfe5-6800-7000-8000-000000000000").replace("{n}", "0"); // row 0
        let headers = self.credentials(load)?;
        let login = self.says.get("BENCH_LOGIN").map_or("", String::as_str);
        let (method, body) = match load.script {
            "insert" => ("POST", r#"{"title":"A probe","body":"of the bench"}"#),
            "login" => ("POST", login),
            // It would use up a cart of the load.
            "checkout" => return Ok(()),
            _ => ("GET", ""),
        };
        let answer = Request { method, path: &path, headers: &headers, body }.answer(self.address)?;
        ensure!((200..400).contains(&answer.status), "{method} {path} answers {}: {:.300}", answer.status, answer.body);
        self.says.extend(answer.header("etag").map(|etag| ("BENCH_ETAG".to_owned(), etag.to_owned())));
        Ok(())
    }

    /// The header lines that say who asks.
    pub(crate) fn credentials(&self, load: &Load) -> Result<Vec<String>> {
        let said = |name: &str| self.says.get(name).with_context(|| format!("the server printed no {name}=…"));
        Ok(match load.caller {
            Caller::Anyone => vec![],
            Caller::Token => vec![format!("Authorization: Bearer {}", said("BENCH_TOKEN")?)],
            Caller::Session => vec![format!("Cookie: {}", said("BENCH_COOKIE")?)],
        })
    }

    /// Processor time the server has used, in its own code and in the kernel.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.running.child.id()))?;
        ticks(&stat).map(|ticks| Duration::from_secs_f64(ticks / TICKS_PER_SEC)).context("/proc/PID/stat has changed its shape")
    }

    /// A `VmRSS` or `VmHWM`, in KiB.
    pub(crate) fn memory(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.child.id()))?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok());
        value.with_context(|| format!("/proc/PID/status has no {name}"))
    }
}

/// A process that is stopped when this is dropped.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(command: &mut Command, data: PathBuf) -> Result<Running> {
        fs::create_dir_all(&data)?;
        let log = data.with_extension("log");
        let output = File::create(&log)?;
        command.args(["--port", "0", "--seed", &SEED.to_string(), "--data"]).arg(data);
        let child = command.stdout(output.try_clone()?).stderr(output).spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Running { child, log })
    }

    /// Its address and what else it said, once it has answered a first request.
    fn wait_until_ready(&mut self, program: Program) -> Result<(SocketAddr, BTreeMap<String, String>)> {
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN && self.child.try_wait()?.is_none() {
            if let Some((address, says)) = understood(&fs::read_to_string(&self.log)?)
                && matches!(http::get(program.first_path()).send(address), Ok((200, _)))
            {
                return Ok((address, says));
            }
            thread::sleep(Duration::from_micros(500));
        }
        bail!("{} does not answer; it said:\n{}", program.package(), fs::read_to_string(&self.log)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        server::stop(&mut self.child);
    }
}

/// Server and clients have a core of their own where there are two.
pub(crate) enum Core {
    Server,
    Clients,
}

pub(crate) fn pinned(core: Core, program: impl AsRef<Path>) -> Command {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return command(program, []);
    }
    let number = match core {
        Core::Server => "0",
        Core::Clients => "1",
    };
    let mut command = command("taskset", ["--cpu-list", number]);
    command.arg(program.as_ref());
    command
}

fn understood(log: &str) -> Option<(SocketAddr, BTreeMap<String, String>)> {
    let address = log.lines().find_map(|line| line.strip_prefix("listening on http://"))?.trim().parse().ok()?;
    let pairs = log.lines().filter(|line| line.starts_with("BENCH_")).filter_map(|line| line.split_once('='));
    Some((address, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

/// utime + stime; the program's name before them may hold anything, even brackets.
fn ticks(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_where_it_is_and_what_clients_need() {
        let (address, says) = understood("BENCH_TOKEN=a=b\nlistening on http://127.0.0.1:81\n").unwrap();
        assert_eq!(address.port(), 81);
        assert_eq!(says["BENCH_TOKEN"], "a=b");
        assert!(understood("BENCH_TOKEN=a\n").is_none());
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        assert_eq!(ticks("1 (a) b (c) S 1 1 1 0 -1 4 0 0 0 0 30 12 0 0 20"), Some(42.0));
    }
}
