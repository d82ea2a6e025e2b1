//! `cargo xtask fuzz`: every target, built once, run for a while each.

use std::fs;
use std::path::{Path, PathBuf};

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
    build(only)?;
    let built = built()?;
    let mut failed = Vec::new();
    for target in targets
        .iter()
        .filter(|target| only.is_empty() || only.contains(target))
    {
        if let Err(error) = run_one(&built, target, seconds) {
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

fn build(only: &[String]) -> anyhow::Result<()> {
    let mut cargo = shell::cargo_of("nightly");
    // Link-time optimisation gives a fuzzer nothing and costs minutes.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
    cargo.args(["fuzz", "build"]);
    // It takes one name or none.
    if let [target] = only {
        cargo.arg(target);
    }
    shell::run(&mut cargo)
}

/// Where `cargo fuzz build` puts the targets.
fn built() -> anyhow::Result<PathBuf> {
    let metadata = shell::metadata()?;
    let folder = metadata["target_directory"].as_str();
    let folder = folder.context("cargo metadata has no target directory")?;
    let version = shell::output(shell::command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not name its host")?;
    Ok(Path::new(folder).join(host).join("release"))
}

/// Runs what was built: `cargo fuzz run` would look through all sources again.
fn run_one(built: &Path, target: &str, seconds: u32) -> anyhow::Result<()> {
    let root = shell::root();
    // What the fuzzer learns goes to the first folder; the seeds stay as they are.
    let corpus = root.join("fuzz/corpus").join(target);
    let artifacts = root.join("fuzz/artifacts").join(target);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let ran = shell::run(
        shell::command(built.join(target))
            .arg(&corpus)
            .arg(root.join("fuzz/seeds").join(target))
            .args(["-timeout=10", "-rss_limit_mb=2048", "-verbosity=0"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(format!("-max_total_time={seconds}")),
    );
    keep_crashes(&artifacts, &root.join("fuzz/crashes").join(target))?;
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
        fs::rename(&path, crashes.join(name)).context("cannot keep a crash")?;
    }
    Ok(())
}
