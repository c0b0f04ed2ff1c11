//! The reference documents that the programs write about themselves.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

use crate::finding::{Finding, Report};
use crate::process;

/// Each file, and the arguments of `undercroft` that print it.
const DOCUMENTS: &[(&str, &[&str])] = &[
    ("docs/reference/openapi.json", &["openapi"]),
    ("docs/reference/settings.md", &["config", "--reference"]),
    ("docs/reference/errors.md", &["openapi", "--errors"]),
];

/// Writes the documents that have changed.
pub(crate) fn write() -> Result<()> {
    for (file, args) in DOCUMENTS {
        let (new, old) = (printed(args)?, committed(file)?);
        if new != old {
            fs::create_dir_all(Path::new(file).parent().expect("a document has a folder"))?;
            fs::write(file, new).with_context(|| format!("cannot write {file}"))?;
            println!("wrote {file}");
        }
    }
    Ok(())
}

/// Compares without writing.
pub(crate) fn check() -> Result<Report> {
    let mut report = Report::default();
    for (file, args) in DOCUMENTS {
        let difference = first_difference(&committed(file)?, &printed(args)?);
        report.findings.extend(difference.map(|(line, what)| Finding::new(*file, line, what)));
    }
    Ok(report)
}

fn printed(args: &[&str]) -> Result<String> {
    let program = ["run", "--quiet", "--locked", "--package", "undercroft", "--"];
    process::output(&mut process::command("cargo", program.iter().chain(args).copied()))
}

/// The file's text; nothing when there is no such file yet.
fn committed(file: &str) -> Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("cannot read {file}")),
    }
}

fn first_difference(old: &str, new: &str) -> Option<(usize, String)> {
    if old == new {
        return None;
    }
    let same = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
    let now = new.lines().nth(same).unwrap_or("(its end)").trim();
    Some((same + 1, format!("the code now says `{now:.80}`: run `cargo xtask generate` and commit the file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        let (line, what) = first_difference("a\nb\nc\n", "a\nB\nc\n").unwrap();
        assert_eq!(line, 2);
        assert!(what.contains("`B`"), "{what}");
    }

    #[test]
    fn a_missing_or_shorter_text_differs_at_its_end() {
        assert_eq!(first_difference("", "a\n").unwrap().0, 1);
        assert_eq!(first_difference("a\nb\n", "a\n").unwrap().0, 2);
    }
}
