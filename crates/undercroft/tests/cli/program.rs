//! One working directory and the program in it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A working directory of its own.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is there.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(self.folder.path())
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_undercroft"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a verb to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// Starts a server on a free port and waits until it is ready.
    pub(crate) fn serve(&self, args: &[&str]) -> Server {
        let mut command = self.command(&["--listen", "127.0.0.1:0"]);
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = Vec::new();
        while banner.last().is_none_or(|line| line != "Ctrl-C stops it.") {
            match lines.next() {
                Some(line) => banner.push(line.unwrap()),
                None => panic!("it did not start: {:?}", Ended::of(child.wait_with_output().unwrap())),
            }
        }
        let address = banner.iter().find_map(|line| line.trim().strip_prefix("listens")).unwrap();
        let address = address.trim().trim_start_matches("http://").to_owned();
        let server = Server { child, address, banner, lines: Box::new(lines.map_while(Result::ok)) };
        assert_eq!(server.get("/readyz").0, 200);
        server
    }
}

pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// How a verb ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    fn of(output: Output) -> Ended {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Fails unless it failed with one sentence that has all these words.
    #[track_caller]
    pub(crate) fn refused(self, words: &[&str]) -> Ended {
        let ended = self.expect(1);
        assert_eq!(ended.err.lines().count(), 1, "one sentence: {ended:#?}");
        assert!(ended.err.starts_with("undercroft: ") && words.iter().all(|word| ended.err.contains(word)), "{words:?}: {ended:#?}");
        ended
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A running server; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) banner: Vec<String>,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Server {
    /// Sends a request and reads the status and the body.
    pub(crate) fn request(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        write!(stream, "{request}Content-Type: application/json\r\nX-Session-Mode: token\r\n\r\n{body}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.request(&format!("GET {path}"), "")
    }

    /// Asks it to stop.
    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(asked.elapsed() < Duration::from_secs(60), "it does not end");
            std::thread::yield_now();
        }
    }

    /// Stops it, and gives back what it printed and logged.
    pub(crate) fn stop(mut self) -> Ended {
        self.signal("TERM");
        let status = self.wait();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let lines = self.banner.drain(..).chain(&mut self.lines);
        Ended { code: status.code(), out: lines.map(|line| line + "\n").collect(), err }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
