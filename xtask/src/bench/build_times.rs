//! `cargo xtask bench --build`: what the compiler costs us.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process::{self, command, passes};

/// How many crates are listed.
const SHOWN: usize = 25;
/// The edit after which we wait for the compiler most often.
const EDITED: &str = "crates/accounts/src/lib.rs";

/// A line of cargo's own timing page.
#[derive(Deserialize)]
struct Unit {
    name: String,
    duration: f64,
}

pub(crate) fn run() -> Result<bool> {
    let target = process::built("bench-build");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let folder = target.to_string_lossy().into_owned();
    let cold = timed(&["build", "--release", "--locked", "--package", "undercroft", "--timings", "--target-dir", &folder])?;
    let check = ["check", "--locked", "--package", "undercroft"];
    timed(&check)?;
    ensure!(passes(&mut command("touch", ["-c", EDITED]))?, "cannot touch {EDITED}");
    let edit = timed(&check)?;
    print_crates(&target)?;
    println!("\ncold `cargo build --release`         {cold:>7.1} s\n`cargo check` after an edit          {edit:>7.1} s");
    Ok(true)
}

fn timed(args: &[&str]) -> Result<f64> {
    let started = Instant::now();
    ensure!(passes(&mut command("cargo", args.iter().copied()))?, "the build failed");
    Ok(started.elapsed().as_secs_f64())
}

fn print_crates(target: &Path) -> Result<()> {
    let page = fs::read_to_string(target.join("cargo-timings/cargo-timing.html"))?;
    let crates = crate_seconds(&page)?;
    println!("\n{:<40} {:>7.1} crate-seconds", "all crates", crates.iter().map(|(_, seconds)| seconds).sum::<f64>());
    crates.iter().take(SHOWN).for_each(|(name, seconds)| println!("{name:<40} {seconds:>7.1}"));
    Ok(())
}

/// Crates by what they cost, the dearest first; build scripts count for their crate.
fn crate_seconds(page: &str) -> Result<Vec<(String, f64)>> {
    let (_, data) = page.split_once("UNIT_DATA = ").context("cargo's timing page has changed its shape")?;
    let data = data.split_once("];").map_or(data, |(data, _)| data).to_owned() + "]";
    let mut seconds: BTreeMap<String, f64> = BTreeMap::new();
    for unit in serde_json::from_str::<Vec<Unit>>(&data).context("cargo's timing page has changed its shape")? {
        *seconds.entry(unit.name).or_default() += unit.duration;
    }
    let mut crates: Vec<_> = seconds.into_iter().collect();
    crates.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_s_parts_add_up_and_the_dearest_is_first() {
        let page =
            r#"const UNIT_DATA = [{"i":0,"name":"a","duration":1.5},{"name":"b","duration":2.0},{"name":"a","duration":1.0}];const X"#;
        assert_eq!(crate_seconds(page).unwrap(), [("a".to_owned(), 2.5), ("b".to_owned(), 2.0)]);
        assert!(crate_seconds("<html>").is_err());
    }
}
