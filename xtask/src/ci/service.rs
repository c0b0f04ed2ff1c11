//! The servers that tests run against: `scripts/svc/NAME.sh need | up | down`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// The exit code of `need` for "not installed, and I may not install it".
const NOT_INSTALLED: i32 = 3;

/// A server that is stopped when this is dropped, also after a failure.
pub(crate) struct Service {
    script: PathBuf,
    /// What `up` told us to export.
    variables: Vec<(String, String)>,
}

impl Service {
    /// The server that `variable` names, or one of our own. None when it is not installed.
    pub(crate) fn get(name: &str, variable: &str) -> Result<Option<Service>> {
        let script = script(name);
        if let Some(value) = process::env(variable) {
            println!("using the server of {variable}");
            return Ok(Some(Service { script, variables: vec![(variable.to_owned(), value)] }));
        }
        if !is_usable(name)? {
            return Ok(None);
        }
        let line = process::output(&mut process::command(&script, ["up"])).or_else(|first| {
            eprintln!("{first:#}: once more, the port may have been taken");
            process::output(&mut process::command(&script, ["up"]))
        })?;
        let variables = exported(&line).with_context(|| format!("{} up printed `{line}`", script.display()))?;
        ensure!(variables.iter().any(|(name, _)| name == variable), "{} up exports no {variable}", script.display());
        Ok(Some(Service { script, variables }))
    }

    /// Gives `command` the variables that name this server.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    fn is_ours(&self) -> bool {
        self.variables.iter().any(|(name, _)| name.starts_with("SVC_"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.is_ours() {
            let mut down = process::command(&self.script, ["down"]);
            self.tell(&mut down);
            if !matches!(down.status(), Ok(status) if status.success()) {
                eprintln!("cannot stop the server of {}: {:?}", self.script.display(), self.variables);
            }
        }
    }
}

/// Where a tool is; None when it is not installed.
pub(crate) fn tool(name: &str) -> Result<Option<String>> {
    if !is_usable(name)? {
        return Ok(None);
    }
    let path = process::output(&mut process::command(script(name), ["path"]))?;
    Ok(Some(path.trim().to_owned()))
}

fn is_usable(name: &str) -> Result<bool> {
    let script = script(name);
    let status = process::command(&script, ["need"]).status().with_context(|| format!("cannot run {}", script.display()))?;
    match status.code() {
        Some(0) => Ok(true),
        Some(NOT_INSTALLED) => Ok(false),
        _ => bail!("{} need: {status}", script.display()),
    }
}

fn script(name: &str) -> PathBuf {
    process::root().join(format!("scripts/svc/{name}.sh"))
}

/// The pairs of an `export A=b C='d e'` line.
fn exported(line: &str) -> Option<Vec<(String, String)>> {
    let mut rest = line.trim().strip_prefix("export ")?.trim_start();
    let mut variables = Vec::new();
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'')?,
            None => value.split_once(' ').unwrap_or((value, "")),
        };
        variables.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    rest.is_empty().then_some(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_line_is_read() {
        let pairs = exported("export TEST_X_URL=x://a:b@c/d?e=f SVC_X_PIDS='1 2' SVC_X_DIR=/tmp/x\n").unwrap();
        let expected = [("TEST_X_URL", "x://a:b@c/d?e=f"), ("SVC_X_PIDS", "1 2"), ("SVC_X_DIR", "/tmp/x")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(exported("started"), None);
        assert_eq!(exported("export nonsense"), None);
    }
}
