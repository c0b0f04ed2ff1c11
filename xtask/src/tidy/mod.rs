//! The rules that no compiler knows.

mod manifest;
mod native;
mod rules;
mod rust;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::finding::{Finding, Report};
use crate::metadata::Metadata;

/// Where our own sources are.
const FOLDERS: &[&str] = &["benches", "crates", "examples", "scripts", "xtask"];

pub(crate) fn check() -> Result<Report> {
    let metadata = Metadata::read()?;
    let mut report = Report::default();
    let mut files = Vec::new();
    for folder in FOLDERS {
        walk(Path::new(folder), &mut files)?;
    }
    for path in &files {
        check_file(path, &mut report)?;
    }
    for package in metadata.members() {
        check_package(package.folder(), &files, &mut report)?;
    }
    report.findings.extend(native::check(&metadata, &fs::read_to_string(native::LIST).unwrap_or_default()));
    report.notes =
        (metadata.duplicates().iter()).map(|(name, versions)| format!("in several versions: {name} {}", versions.join(", "))).collect();
    if !Path::new("CHANGELOG.md").exists() {
        report.findings.push(Finding::new("CHANGELOG.md", 1, "is missing: tell users what changed, newest first"));
    }
    Ok(report)
}

fn check_file(path: &str, report: &mut Report) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    if path.ends_with(".rs") {
        let lines = rust::lex(&text);
        report.findings.extend(rules::RULES.iter().flat_map(|rule| rule(path, &lines)));
        report.warnings.extend(rules::too_long(path, lines.len()));
    } else {
        report.findings.extend(rules::leftovers_in_text(path, &text));
    }
    Ok(())
}

fn check_package(folder: &str, files: &[String], report: &mut Report) -> Result<()> {
    let manifest = format!("{folder}/Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    let mut sources = manifest::Sources::default();
    for path in files.iter().filter(|path| path.ends_with(".rs")) {
        if let Some(inside) = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')) {
            sources.add(inside, &fs::read_to_string(path)?);
        }
    }
    report.findings.extend(manifest::check(&manifest, &text, &sources));
    if folder.starts_with("crates/") && !Path::new(folder).join("README.md").exists() {
        report.warnings.push(Finding::new(format!("{folder}/README.md"), 1, "is missing: say what the crate brings"));
    }
    Ok(())
}

/// All text files of ours below `folder`, sorted.
fn walk(folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|kind| ["c", "html", "lua", "rs", "sh", "sql", "toml"].iter().any(|ours| kind == *ours)) {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
