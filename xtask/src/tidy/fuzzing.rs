//! Every crate is fuzzed, every target has seeds, every seed has a target.

use super::Finding;
use super::tree::Tree;

const TARGETS: &str = "fuzz/fuzz_targets/";

/// Crates that take no bytes from outside.
const EXEMPT: [&str; 1] = ["sim"];

/// Every crate has targets, every target is named after a crate and is in the manifest.
pub(super) fn targets(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let names = names(tree);
    let crates = tree.crates();
    let belongs = |target: &str, name: &str| {
        target
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('_'))
    };
    for name in crates.iter().filter(|name| !EXEMPT.contains(name)) {
        if !names.iter().any(|target| belongs(target, name)) {
            let advice = format!("add a fuzz target named {name}_*");
            findings.push(Finding::new(format!("crates/{name}"), advice));
        }
    }
    let manifest = tree.text("fuzz/Cargo.toml").unwrap_or_default();
    for target in names {
        let place = format!("{TARGETS}{target}.rs");
        if !crates.iter().any(|name| belongs(target, name)) {
            findings.push(Finding::new(&place, "name the target after its crate"));
        }
        if !manifest.contains(&format!("name = \"{target}\"")) {
            findings.push(Finding::new(&place, "add the target to fuzz/Cargo.toml"));
        }
    }
    findings
}

/// Every target has seeds; every folder of seeds or crashes belongs to a target.
pub(super) fn seeds(tree: &Tree) -> Vec<Finding> {
    let names = names(tree);
    let mut findings = Vec::new();
    for target in &names {
        let folder = format!("fuzz/seeds/{target}/");
        if !tree.files().any(|file| file.path.starts_with(&folder)) {
            findings.push(Finding::new(
                folder,
                "add a seed: nothing replays this target",
            ));
        }
    }
    for kind in ["fuzz/seeds/", "fuzz/crashes/"] {
        let mut folders: Vec<_> = tree
            .files()
            .filter_map(|file| file.path.strip_prefix(kind)?.split_once('/'))
            .map(|(folder, _)| folder)
            .collect();
        folders.dedup();
        folders.retain(|folder| !names.contains(folder));
        for folder in folders {
            findings.push(Finding::new(
                format!("{kind}{folder}"),
                "no target has this name",
            ));
        }
    }
    findings
}

fn names(tree: &Tree) -> Vec<&str> {
    tree.files()
        .filter_map(|file| file.path.strip_prefix(TARGETS)?.strip_suffix(".rs"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATE: (&str, &str) = ("crates/keys/Cargo.toml", "");
    const TARGET: (&str, &str) = ("fuzz/fuzz_targets/keys_ids.rs", "");
    const MANIFEST: (&str, &str) = ("fuzz/Cargo.toml", "name = \"keys_ids\"");
    const SEED: (&str, &str) = ("fuzz/seeds/keys_ids/absolute", "x");

    fn findings(files: &[(&str, &str)]) -> usize {
        let tree = Tree::sample(files);
        targets(&tree).len() + seeds(&tree).len()
    }

    #[test]
    fn a_complete_set_is_fine() {
        assert_eq!(findings(&[CRATE, TARGET, MANIFEST, SEED]), 0);
    }

    #[test]
    fn each_missing_part_is_found() {
        assert_eq!(findings(&[CRATE, MANIFEST]), 1);
        assert_eq!(findings(&[TARGET, MANIFEST, SEED]), 1);
        assert_eq!(findings(&[CRATE, TARGET, SEED]), 1);
        assert_eq!(findings(&[CRATE, TARGET, MANIFEST]), 1);
    }

    #[test]
    fn seeds_and_crashes_without_a_target_are_found() {
        let stray = ("fuzz/seeds/keys_none/a", "");
        let crash = ("fuzz/crashes/keys_gone/a", "");
        assert_eq!(findings(&[CRATE, TARGET, MANIFEST, SEED, stray, crash]), 2);
    }
}
