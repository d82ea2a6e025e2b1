//! Where things lie: data in the tree, state under `target/interop`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::shell;

/// A file that belongs to this test, under `xtask/interop/acme`.
pub(super) fn data(name: &str) -> PathBuf {
    shell::root().join("xtask/interop/acme").join(name)
}

/// What may be kept between runs: the virtual environment.
pub(super) fn interop() -> PathBuf {
    shell::root().join("target/interop")
}

/// The empty folder of one run: configurations, logs and captures, kept until the next run.
pub(super) fn fresh(run: &str) -> anyhow::Result<PathBuf> {
    let folder = interop().join("acme").join(run);
    emptied(&folder)?;
    Ok(folder)
}

/// Fills in a template: each `{{word}}` becomes its value, and none may be left over.
pub(super) fn fill(template: &str, values: &[(&str, String)]) -> anyhow::Result<String> {
    let path = data(template);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut filled = text.clone();
    for (word, value) in values {
        let place = format!("{{{{{word}}}}}");
        anyhow::ensure!(text.contains(&place), "{template} has no place for {word}");
        filled = filled.replace(&place, value);
    }
    anyhow::ensure!(
        !filled.contains("{{"),
        "{template} has a place that nothing fills"
    );
    Ok(filled)
}

/// A path as it is shown: from the workspace's root.
pub(super) fn shown(path: &Path) -> String {
    path.strip_prefix(shell::root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Prints the end of every log of a run, after something failed.
pub(super) fn print_logs(home: &Path) {
    const LINES: usize = 25;
    let mut folders = vec![home.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "log") {
                let text = fs::read(&path).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).into_owned();
                let lines: Vec<_> = text
                    .lines()
                    .filter(|line| !line.trim().is_empty())
                    .collect();
                println!("\n-- the end of {}", shown(&path));
                for line in &lines[lines.len().saturating_sub(LINES)..] {
                    println!("{}", line.chars().take(300).collect::<String>());
                }
            }
        }
    }
}

fn emptied(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// An empty folder for a test.
#[cfg(test)]
pub(super) fn scratch(test: &str) -> anyhow::Result<PathBuf> {
    let folder = interop().join("tests").join(test);
    emptied(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_completely_or_not_at_all() {
        let port = |word| (word, "18080".to_owned());
        let filled =
            fill("in.ini", &[port("http_port"), port("poa_port")]).expect("a filled template");
        assert!(filled.contains("httpPort=18080\n"));
        assert!(fill("in.ini", &[port("http_port")]).is_err());
        assert!(
            fill(
                "in.ini",
                &[port("http_port"), port("poa_port"), port("other")]
            )
            .is_err()
        );
    }
}
