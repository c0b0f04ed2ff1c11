//! One of our own servers, on a free loopback port and in a folder of its own, stopped by its pid.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::http;
use crate::process;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(25);

/// A running server; dropping it stops it and removes its folder.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Starts a program that is built with `undercroft` and waits until it is ready.
    pub(crate) fn start(program: &Path) -> Result<Server> {
        let folder = tempfile::Builder::new().prefix("uc-server.").tempdir()?;
        let address = free_address()?;
        let log = File::create(folder.path().join("log"))?;
        let child = process::command(program, [])
            .current_dir(folder.path())
            .env("UNDERCROFT_HTTP__LISTEN", address.to_string())
            .env("UNDERCROFT_DATA_DIR", folder.path().join("data"))
            .env("UNDERCROFT_LIMITS__ENABLED", "false")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut server = Server { child, address, folder };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Where the server keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN && self.child.try_wait()?.is_none() {
            if matches!(http::get("/readyz").send(self.address), Ok((200, _))) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the server does not answer /readyz with 200; it said:\n{}", fs::read_to_string(self.folder.path().join("log"))?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Asks the process to end, and ends it when it does not.
pub(crate) fn stop(child: &mut Child) {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let asked = Instant::now();
    while asked.elapsed() < STOPPED_WITHIN {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
