//! The walls of the house: `db ← kernel ← {features, admin} ← undercroft`, and `testkit` for tests only.

use std::fs;

use anyhow::Result;

use crate::finding::{Finding, Report};
use crate::metadata::Metadata;

/// The crates from bottom to top. Each may use those on the lines above its own, never its neighbours.
const LAYERS: &[&[&str]] = &[&["db"], &["kernel"], &["accounts", "blog", "shop", "links", "collections", "admin"], &["undercroft"]];

/// What the examples, as code of a user, may use.
const FOR_USERS: &[&str] = &["undercroft", "kernel", "testkit"];

pub(crate) fn check() -> Result<Report> {
    let metadata = Metadata::read()?;
    let mut report = Report::default();
    for package in metadata.members() {
        let manifest = format!("{}/Cargo.toml", package.folder());
        let text = fs::read_to_string(&manifest)?;
        if package.folder().starts_with("crates/") && layer(&package.name).is_none() && package.name != "testkit" {
            report.findings.push(Finding::new(&manifest, 1, unknown(&package.name)));
        }
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            if let Some(what) = verdict(package.folder(), &package.name, &dependency.name, dependency.is_dev()) {
                report.findings.push(Finding::new(&manifest, line_of(&text, &dependency.name), what));
            }
        }
    }
    Ok(report)
}

/// What is wrong with an edge, and what to do about it.
fn verdict(folder: &str, from: &str, to: &str, dev: bool) -> Option<String> {
    let allowed = match folder.split('/').next() {
        Some("benches") => true,
        Some("examples") => FOR_USERS.contains(&to),
        Some("crates") => crate_may_use(from, to, dev),
        _ => false,
    };
    (!allowed).then(|| match (folder.split('/').next(), to) {
        (Some("examples"), _) => format!("example {from} uses {to}: use what {} offers", FOR_USERS.join(", ")),
        (Some("crates"), "testkit") => format!("{from} → testkit: move it to [dev-dependencies], testkit is for tests"),
        (Some("crates"), _) if layer(from) == layer(to) && layer(from).is_some() => {
            format!("{from} → {to}, its neighbour: use a port or an event, or glue in undercroft")
        }
        (Some("crates"), _) => format!("{from} → {to} points upwards: turn it round with a port or an event"),
        _ => format!("{from} → {to}: a tool that needs our crates belongs in undercroft's command line or in benches/"),
    })
}

fn crate_may_use(from: &str, to: &str, dev: bool) -> bool {
    match (from, to) {
        (_, "testkit") => dev,
        ("testkit", _) => layer(to) < layer("accounts"),
        _ => matches!((layer(from), layer(to)), (Some(from), Some(to)) if to < from),
    }
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn unknown(name: &str) -> String {
    format!("{name} is on no layer: write a decision record and add it to LAYERS in xtask/src/layers.rs")
}

fn line_of(manifest: &str, dependency: &str) -> usize {
    let names_it = |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    1 + manifest.lines().position(names_it).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_crate(from: &str, to: &str) -> Option<String> {
        verdict(&format!("crates/{from}"), from, to, false)
    }

    #[test]
    fn edges_point_downwards() {
        for (from, to) in [("kernel", "db"), ("accounts", "kernel"), ("blog", "db"), ("undercroft", "admin"), ("testkit", "kernel")] {
            assert_eq!(of_crate(from, to), None, "{from} → {to}");
        }
    }

    #[test]
    fn an_edge_upwards_names_both_ends() {
        let what = of_crate("kernel", "accounts").unwrap();
        assert!(what.contains("kernel → accounts") && what.contains("port"), "{what}");
        assert!(of_crate("testkit", "undercroft").is_some());
    }

    #[test]
    fn features_do_not_know_each_other() {
        assert!(of_crate("shop", "accounts").unwrap().contains("neighbour"));
        assert!(of_crate("admin", "blog").is_some());
    }

    #[test]
    fn testkit_is_for_tests() {
        assert!(of_crate("accounts", "testkit").unwrap().contains("dev-dependencies"));
        assert_eq!(verdict("crates/accounts", "accounts", "testkit", true), None);
        assert_eq!(verdict("crates/db", "db", "testkit", true), None);
    }

    #[test]
    fn examples_use_what_users_use_and_benches_everything() {
        assert_eq!(verdict("examples/hello", "hello", "undercroft", false), None);
        assert!(verdict("examples/hello", "hello", "accounts", false).is_some());
        assert_eq!(verdict("benches/server", "bench-server", "db", false), None);
        assert!(verdict("xtask", "xtask", "db", false).is_some());
    }

    #[test]
    fn the_line_is_the_dependency_s_own() {
        assert_eq!(line_of("[dependencies]\ndb-x = 1\ndb.workspace = true\n", "db"), 3);
    }
}
