//! What must not stand in any file.

use super::Finding;
use super::rust;
use super::tree::Tree;

/// Folders that exist on one machine only; assembled, so that this file does not name them.
const MACHINE: [&str; 6] = [
    concat!("/", "home/"),
    concat!("/", "root/"),
    concat!("/", "tmp/"),
    concat!("/", "work/"),
    concat!("/", "farm/"),
    concat!("/", "Users/"),
];

/// Words for work that was left; in comments as well as in code.
const LEFT: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];

/// Code that stands for work that was left.
const STUBS: [&str; 3] = [
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
    concat!("#[ign", "ore"),
];

/// No path of one machine: a clone lies elsewhere.
pub(super) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| !is_data(&file.path)) {
        for (index, line) in file.text.lines().enumerate() {
            let starts_a_path = |(at, folder): (usize, &str)| {
                let name = line[at + folder.len()..].starts_with(|c: char| c.is_ascii_lowercase());
                let joined =
                    line[..at].ends_with(|c: char| c.is_alphanumeric() || "./-_~}".contains(c));
                name && !joined
            };
            let found = MACHINE
                .iter()
                .any(|f| line.match_indices(f).any(starts_a_path));
            if found {
                let advice = "an absolute path of one machine: derive it, or make it an argument";
                findings.push(Finding::at(&file.path, index + 1, advice));
            }
        }
    }
    findings
}

/// Nothing is left to do, and no test is skipped.
pub(super) fn unfinished(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| !is_data(&file.path)) {
        for word in LEFT {
            for at in rust::words(&file.text, word) {
                let advice = format!("{word}: do it, or open an issue and drop the note");
                findings.push(Finding::at(&file.path, rust::line(&file.text, at), advice));
            }
        }
        if file.path.ends_with(".rs") {
            let code = rust::without_text(&file.text);
            for (stub, (at, _)) in STUBS
                .iter()
                .flat_map(|stub| code.match_indices(stub).map(move |at| (stub, at)))
            {
                let advice = format!("{stub}: finish it, or take it out");
                findings.push(Finding::at(&file.path, rust::line(&code, at), advice));
            }
        }
    }
    findings
}

/// Bytes, or written by tools.
fn is_data(path: &str) -> bool {
    let folders = ["fuzz/seeds/", "fuzz/crashes/"];
    path == "Cargo.lock" || folders.iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::sample(&[("crates/x/src/a.rs", text)])
    }

    #[test]
    fn a_path_of_this_machine_is_found() {
        for folder in MACHINE {
            assert_eq!(
                machine_paths(&tree(&format!("let a = \"{folder}abc\";"))).len(),
                1
            );
        }
    }

    #[test]
    fn relative_paths_and_addresses_are_fine() {
        let relative = format!("see ..{}abc and http://host{}abc", MACHINE[2], MACHINE[3]);
        assert!(machine_paths(&tree(&relative)).is_empty());
    }

    #[test]
    fn notes_of_work_left_are_found() {
        for word in LEFT {
            assert_eq!(unfinished(&tree(&format!("// {word} later"))).len(), 1);
        }
    }

    #[test]
    fn stubs_and_skipped_tests_are_found_in_code_only() {
        for stub in STUBS {
            assert_eq!(unfinished(&tree(stub)).len(), 1);
            assert_eq!(unfinished(&tree(&format!("// {stub}"))).len(), 0);
        }
    }
}
