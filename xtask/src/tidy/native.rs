//! C and assembly in the graph are a committed list (DEP-2).

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::metadata::Metadata;

/// One package a line, with its reason after a `#`.
pub(crate) const LIST: &str = "xtask/native.txt";

pub(crate) fn check(metadata: &Metadata, list: &str) -> Vec<Finding> {
    compare(&metadata.native(), list)
}

fn compare(graph: &BTreeSet<&str>, list: &str) -> Vec<Finding> {
    let named = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let listed: Vec<(usize, String)> = (1..).zip(list.lines().map(named)).filter(|(_, name)| !name.is_empty()).collect();
    let unlisted = (graph.iter().filter(|name| !listed.iter().any(|(_, listed)| listed == *name))).map(|name| {
        Finding::new(LIST, 1, format!("{name} links to a library or builds with cc: do without it, or list it with its reason"))
    });
    let gone = (listed.iter().filter(|(_, name)| !graph.contains(name.as_str())))
        .map(|(line, name)| Finding::new(LIST, *line, format!("{name} is no longer in the graph: remove the line")));
    unlisted.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_and_the_graph_agree() {
        assert!(compare(&BTreeSet::from(["ring"]), "# why\nring  # cryptography\n\n").is_empty());
    }

    #[test]
    fn what_is_new_and_what_is_gone_are_found() {
        let findings = compare(&BTreeSet::from(["ring", "zstd-sys"]), "ring\nopenssl-sys # old\n");
        let texts: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert!(texts[0].contains("zstd-sys") && texts[1].starts_with("xtask/native.txt:2: openssl-sys"), "{texts:?}");
    }
}
