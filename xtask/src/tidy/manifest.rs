//! The rules for a member's `Cargo.toml`: declared once (DEP-4), and used.

use crate::finding::Finding;

/// In the comment above it, a dependency that no source names says why it is there.
const EXCUSE: &str = "# Not named in code:";

/// A member's Rust sources.
#[derive(Default)]
pub(crate) struct Sources {
    /// What a build of the crate reads.
    normal: String,
    /// What only its tests, examples and benches read.
    dev: String,
}

impl Sources {
    /// Adds a file; `path` begins inside the member's folder.
    pub(crate) fn add(&mut self, path: &str, text: &str) {
        let normal = path.starts_with("src/") || path == "build.rs";
        if normal { &mut self.normal } else { &mut self.dev }.push_str(text);
    }
}

struct Declared<'a> {
    name: &'a str,
    line: usize,
    is_inherited: bool,
    is_dev: bool,
    has_excuse: bool,
}

pub(crate) fn check(path: &str, manifest: &str, sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in declared(manifest) {
        let Declared { name, line, .. } = dependency;
        if !dependency.is_inherited {
            findings.push(Finding::new(
                path,
                line,
                format!("{name} is declared here: move it to [workspace.dependencies], say `{name}.workspace = true`"),
            ));
        }
        if dependency.has_excuse || names(&sources.normal, name) {
            continue;
        }
        match (names(&sources.dev, name), dependency.is_dev) {
            (true, true) => {}
            (true, false) => findings.push(Finding::new(path, line, format!("only tests use {name}: move it to [dev-dependencies]"))),
            (false, _) => findings.push(Finding::new(
                path,
                line,
                format!("nothing uses {name}: remove it, or say why above it in a comment `{EXCUSE} …`"),
            )),
        }
    }
    findings
}

fn declared(manifest: &str) -> Vec<Declared<'_>> {
    let (mut found, mut section, mut has_excuse) = (Vec::new(), "", false);
    for (number, line) in (1..).zip(manifest.lines().map(str::trim)) {
        if let Some(title) = line.strip_prefix('[') {
            section = title.trim_end_matches(']');
        } else if is_dependencies(section)
            && let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#'))
        {
            let (name, option) = key.trim().split_once('.').unwrap_or((key.trim(), ""));
            let is_inherited = option == "workspace" || value.replace(' ', "").contains("workspace=true");
            found.push(Declared { name, line: number, is_inherited, is_dev: section.contains("dev-dependencies"), has_excuse });
        }
        has_excuse = line.starts_with(EXCUSE) || (has_excuse && line.starts_with('#'));
    }
    found
}

/// `dependencies`, `dev-dependencies`, `target.'cfg(unix)'.build-dependencies`, …
fn is_dependencies(section: &str) -> bool {
    section.rsplit('.').next().is_some_and(|last| last.ends_with("dependencies"))
}

/// Whether the sources name the crate that the package brings.
fn names(sources: &str, package: &str) -> bool {
    let name = package.trim_matches('"').replace('-', "_");
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    sources.match_indices(&name).any(|(at, _)| !sources[..at].ends_with(part) && !sources[at + name.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: &str, normal: &str, dev: &str) -> Vec<String> {
        let mut sources = Sources::default();
        sources.add("src/lib.rs", normal);
        sources.add("tests/api/main.rs", dev);
        check("Cargo.toml", manifest, &sources).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_dependency_is_inherited_and_used() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nserde_json.workspace = true\ntower-http = { workspace = true, features = [\"cors\"] }\n";
        assert!(found(manifest, "use serde_json; tower_http::x()", "").is_empty());
    }

    #[test]
    fn a_version_in_a_member_is_found_with_its_line() {
        let findings = found("[package]\nname = \"x\"\n\n[dependencies]\nurl = \"2\"\n", "url::Url", "");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("Cargo.toml:5: url is declared here"), "{findings:?}");
    }

    #[test]
    fn what_nothing_names_is_unused() {
        let findings = found("[dependencies]\nurl.workspace = true\n", "let curl = url_of(x);", "");
        assert!(findings[0].contains("nothing uses url"), "{findings:?}");
    }

    #[test]
    fn what_only_tests_name_is_a_dev_dependency() {
        assert!(found("[dependencies]\nurl.workspace = true\n", "", "url::Url")[0].contains("dev-dependencies"));
        assert!(found("[dev-dependencies]\nurl.workspace = true\n", "", "url::Url").is_empty());
        assert!(found("[target.'cfg(unix)'.dev-dependencies]\nurl.workspace = true\n", "#[cfg(test)] use url::Url;", "").is_empty());
    }

    #[test]
    fn an_excuse_above_it_is_accepted() {
        let manifest =
            "[dependencies]\n# Not named in code: turns a feature on\n# for everybody.\nring.workspace = true\nurl.workspace = true\n";
        let findings = found(manifest, "", "");
        assert!(findings.len() == 1 && findings[0].contains("url"), "{findings:?}");
    }
}
