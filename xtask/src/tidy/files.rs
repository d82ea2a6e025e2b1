//! Where files lie, what they are called and how long they are.

use super::Finding;
use super::tree::Tree;

const MOST_LINES: usize = 600;
const MANY_LINES: usize = 250;

/// What may lie at the top, dotfiles and licences aside.
const TOP: [&str; 7] = [
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "crates",
    "fuzz",
    "proto",
    "xtask",
];

/// Names that say nothing about what is inside.
const VAGUE: [&str; 10] = [
    "common",
    "helper",
    "helpers",
    "manager",
    "misc",
    "types",
    "util",
    "utilities",
    "utils",
    "mod",
];

/// Nothing new at the top: it is the first thing a visitor sees.
pub(super) fn top_level(tree: &Tree) -> Vec<Finding> {
    let mut tops: Vec<_> = tree
        .files()
        .filter_map(|file| file.path.split('/').next())
        .collect();
    tops.dedup();
    tops.retain(|top| !TOP.contains(top) && !top.starts_with('.') && !top.starts_with("LICENSE-"));
    let advice = "move it: the top holds crates, proto, fuzz, xtask, README.md and dotfiles only";
    tops.into_iter()
        .map(|top| Finding::new(top, advice))
        .collect()
}

/// Files that can no longer be read in one sitting.
pub(super) fn too_long(tree: &Tree) -> Vec<Finding> {
    let files = lengths(tree).filter(|&(_, lines)| lines > MOST_LINES);
    files
        .map(|(path, lines)| {
            Finding::new(
                path,
                format!("{lines} lines: split it by concept (at most {MOST_LINES})"),
            )
        })
        .collect()
}

/// Files that get long; a note only.
pub(super) fn long(tree: &Tree) -> Vec<Finding> {
    let files = lengths(tree).filter(|&(_, lines)| lines > MANY_LINES && lines <= MOST_LINES);
    files
        .map(|(path, lines)| Finding::new(path, format!("{lines} lines")))
        .collect()
}

fn lengths(tree: &Tree) -> impl Iterator<Item = (&str, usize)> {
    tree.written_rust()
        .map(|file| (file.path.as_str(), file.text.lines().count()))
}

/// `foo.rs` beside `foo/`, and every name says what is inside.
pub(super) fn names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.written_rust() {
        let parts = file.path.trim_end_matches(".rs").split('/');
        if let Some(vague) = parts.into_iter().find(|part| VAGUE.contains(part)) {
            let advice = match vague {
                "mod" => "name the module's file after it and put it beside its folder".to_owned(),
                _ => format!("`{vague}` says nothing: name the file by its concept"),
            };
            findings.push(Finding::new(&file.path, advice));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_file_at_the_top_is_found() {
        let tree = Tree::sample(&[("Cargo.toml", ""), (".ci/run", ""), ("notes/a.md", "")]);
        assert_eq!(top_level(&tree)[0].place, "notes");
        assert_eq!(top_level(&tree).len(), 1);
    }

    #[test]
    fn a_long_file_is_found_unless_it_is_generated() {
        let text = "\n".repeat(MOST_LINES + 1);
        let tree = Tree::sample(&[
            ("crates/x/src/a.rs", &text),
            ("crates/x/src/generated/b.rs", &text),
            ("crates/x/src/c.rs", &text[1..]),
        ]);
        assert_eq!(too_long(&tree).len(), 1);
        assert_eq!(long(&tree)[0].place, "crates/x/src/c.rs");
    }

    #[test]
    fn vague_names_are_found() {
        let tree = Tree::sample(&[
            ("crates/x/src/policy/mod.rs", ""),
            ("crates/x/src/utils.rs", ""),
            ("crates/x/src/common/ids.rs", ""),
            ("crates/x/src/policy.rs", ""),
        ]);
        assert_eq!(names(&tree).len(), 3);
    }
}
