//! Where the workspace is, and how other programs are run from it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// An environment variable, when it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "xtask has no settings: CI and the service scripts speak through the environment")]
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a missing service is a failure (SVC-2).
pub(crate) fn is_ci() -> bool {
    env("CI").as_deref() == Some("true")
}

/// `program` with `args`, in the workspace's root, without standard input.
pub(crate) fn command<'a>(program: impl AsRef<Path>, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs to the end and shows all output; true when it succeeded.
pub(crate) fn passes(command: &mut Command) -> Result<bool> {
    println!("$ {}", shown(command));
    Ok(command.status().with_context(|| format!("cannot run {}", shown(command)))?.success())
}

/// Runs to the end and returns standard output; the rest is shown. Anything but success is an error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {}", shown(command)))?;
    ensure!(output.status.success(), "{} ended with {}", shown(command), output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{} does not speak UTF-8", shown(command)))
}

/// Where cargo puts what it builds with `profile` (`debug`, `release`).
pub(crate) fn built(profile: &str) -> PathBuf {
    env("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join(profile)
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
