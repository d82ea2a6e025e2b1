//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! Each rule is a function from the tree to its findings, with a test that shows it fail.

mod arrows;
mod files;
mod fuzzing;
mod pure;
mod rust;
mod text;
mod tree;

use anyhow::bail;

use crate::codegen;
use tree::Tree;

/// One breach of a rule, where it is and what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    place: String,
    advice: String,
}

impl Finding {
    fn new(place: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            advice: advice.into(),
        }
    }

    fn at(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), advice)
    }
}

/// Checks the whole tree; prints every finding before it fails.
pub(crate) fn run() -> anyhow::Result<()> {
    let tree = Tree::of_workspace()?;
    for finding in files::long(&tree) {
        eprintln!("note: {}: {}", finding.place, finding.advice);
    }
    let mut findings = arrows::check(&arrows::packages()?);
    for rule in [
        files::top_level,
        files::too_long,
        files::names,
        pure::no_std,
        pure::reads_nothing,
        text::machine_paths,
        text::unfinished,
        fuzzing::targets,
        fuzzing::seeds,
    ] {
        findings.extend(rule(&tree));
    }
    findings.sort();
    for finding in &findings {
        eprintln!("{}: {}", finding.place, finding.advice);
    }
    codegen::run(true)?;
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}
