//! The files that the rules look at.

use std::fs;

use anyhow::Context as _;

use crate::shell;

/// Every file of the repository, new ones included, ignored ones not.
pub(super) struct Tree {
    files: Vec<File>,
}

/// A file: its path from the root, with `/`, and its text (empty when it is not text).
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

impl Tree {
    /// What git knows or would add.
    pub(super) fn of_workspace() -> anyhow::Result<Self> {
        let listing = shell::output(shell::command("git").args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let root = shell::root();
        let mut files = Vec::new();
        for path in listing.split('\0').filter(|path| !path.is_empty()) {
            let full = root.join(path);
            if !full.is_file() {
                continue; // deleted, and not yet committed
            }
            let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            files.push(File {
                path: path.to_owned(),
                text: String::from_utf8(bytes).unwrap_or_default(),
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Self { files })
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// Rust that people wrote.
    pub(super) fn written_rust(&self) -> impl Iterator<Item = &File> {
        self.files()
            .filter(|file| file.path.ends_with(".rs") && !file.is_generated())
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    }

    /// The directories directly under `crates/`.
    pub(super) fn crates(&self) -> Vec<&str> {
        let mut names: Vec<_> = self
            .files()
            .filter_map(|file| {
                file.path
                    .strip_prefix("crates/")?
                    .strip_suffix("/Cargo.toml")
            })
            .filter(|name| !name.contains('/'))
            .collect();
        names.dedup();
        names
    }

    #[cfg(test)]
    pub(super) fn sample(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File {
            path: path.into(),
            text: text.into(),
        };
        Self {
            files: files.iter().map(file).collect(),
        }
    }
}

impl File {
    /// Whether `cargo xtask codegen` wrote it.
    pub(super) fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }
}
