//! `cargo xtask fuzz`: every target, built once, run for a while each.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::shell;

/// Builds all targets and runs each of `only` (all, when empty) for `seconds`.
///
/// New crashes are copied to `fuzz/crashes/<target>/`, from where `cargo test` replays them.
pub(crate) fn run(seconds: u32, only: &[String]) -> anyhow::Result<()> {
    let targets = targets()?;
    if let Some(unknown) = only.iter().find(|name| !targets.contains(name)) {
        bail!("no target {unknown}; there are: {}", targets.join(", "));
    }
    shell::run(fuzz("build").args(only.iter().take(usize::from(only.len() == 1))))?;
    let mut failed = Vec::new();
    for target in targets
        .iter()
        .filter(|target| only.is_empty() || only.contains(target))
    {
        if let Err(error) = run_one(target, seconds) {
            eprintln!("{error:#}");
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!(
            "crashes in {}; the inputs are in fuzz/crashes",
            failed.join(", ")
        );
    }
    Ok(())
}

/// The names of the targets, in order.
fn targets() -> anyhow::Result<Vec<String>> {
    let folder = shell::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).context("cannot read fuzz/fuzz_targets")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}

fn fuzz(task: &str) -> std::process::Command {
    let mut cargo = shell::cargo_of("nightly");
    // Link-time optimisation gives a fuzzer nothing and costs minutes.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
    cargo.args(["fuzz", task]);
    cargo
}

fn run_one(target: &str, seconds: u32) -> anyhow::Result<()> {
    let root = shell::root();
    // What the fuzzer learns goes to the first folder; the seeds stay as they are.
    let corpus = root.join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let ran = shell::run(
        fuzz("run")
            .arg(target)
            .arg(&corpus)
            .arg(root.join("fuzz/seeds").join(target))
            .args([
                "--",
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-print_final_stats=0",
            ])
            .arg(format!("-max_total_time={seconds}")),
    );
    keep_crashes(
        &root.join("fuzz/artifacts").join(target),
        &root.join("fuzz/crashes").join(target),
    )?;
    ran
}

fn keep_crashes(artifacts: &Path, crashes: &Path) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(artifacts) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        fs::create_dir_all(crashes)?;
        fs::copy(&path, crashes.join(name)).context("cannot keep a crash")?;
    }
    Ok(())
}
