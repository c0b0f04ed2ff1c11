//! What `cargo metadata` knows: the packages, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// The graph is judged for one platform, so that its list of native code is the same on every machine.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    manifest_path: String,
    links: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    kind: Option<String>,
    /// Only of packages in this workspace.
    pub(crate) path: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDep>,
}

#[derive(Deserialize)]
struct NodeDep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

impl Metadata {
    pub(crate) fn read() -> Result<Metadata> {
        let json = process::output(&mut process::command("cargo", ["metadata", "--format-version=1", "--filter-platform", PLATFORM]))?;
        serde_json::from_str(&json).context("cargo metadata has changed its shape")
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Names of packages that link to a library or build with `cc`.
    pub(crate) fn native(&self) -> BTreeSet<&str> {
        let cc = |id: &str| self.packages.iter().any(|package| package.id == id && package.name == "cc");
        let builds_with_cc: BTreeSet<&str> = (self.resolve.nodes.iter())
            .filter(|node| {
                node.deps.iter().any(|dep| cc(&dep.pkg) && dep.dep_kinds.iter().any(|kind| kind.kind.as_deref() == Some("build")))
            })
            .map(|node| node.id.as_str())
            .collect();
        (self.packages.iter())
            .filter(|package| package.links.is_some() || builds_with_cc.contains(package.id.as_str()))
            .map(|package| package.name.as_str())
            .collect()
    }

    /// Packages that are here more than once, with their versions.
    pub(crate) fn duplicates(&self) -> Vec<(&str, Vec<&str>)> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in &self.packages {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        versions.into_iter().filter(|(_, versions)| versions.len() > 1).collect()
    }
}

impl Package {
    /// The package's folder, relative to the workspace.
    pub(crate) fn folder(&self) -> &str {
        let manifest = self.manifest_path.strip_suffix("/Cargo.toml").unwrap_or(&self.manifest_path);
        Path::new(manifest).strip_prefix(process::root()).ok().and_then(Path::to_str).unwrap_or(manifest)
    }

    /// The names of its programs.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bin")).map(|target| target.name.as_str())
    }
}

impl Dependency {
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}
