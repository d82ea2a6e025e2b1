//! `cargo xtask ci`: the steps of CI, listed here and nowhere else.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{fuzz, interop, model, package, shell, thumb, tidy};

/// Which steps to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these steps
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<String>,
    /// All but these steps
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    skip: Vec<String>,
    /// Name the steps and stop
    #[arg(long)]
    list: bool,
}

type Step = (&'static str, fn() -> anyhow::Result<()>);

/// Cheap ones first. Those that build alike stand together: they share the target directory.
const STEPS: [Step; 15] = [
    // Nothing is built.
    ("fmt", fmt),
    ("tidy", tidy::run),
    ("deny", deny),
    ("model", model::run_fast),
    // Checked only.
    ("clippy", clippy),
    ("doc", doc),
    ("oldest", oldest),
    ("thumb", thumb::run),
    // The dev profile, in which all primitives are optimised: a release build costs ten minutes and shows no more here.
    ("test", test),
    ("package", package::run),
    ("demo", demo),
    ("python", || interop::run(interop::Peer::Python)),
    ("acme", || interop::run(interop::Peer::Acme)),
    // With the benches' peers.
    ("bench", bench),
    // Nightly.
    ("fuzz", || fuzz::run(FUZZ_SECONDS, &[])),
];

/// Enough to see that a target starts and finds nothing at once.
const FUZZ_SECONDS: u32 = 2;

/// Runs the steps in order and stops at the first that fails.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let named = options.only.iter().chain(&options.skip);
    if let Some(unknown) = named
        .into_iter()
        .find(|name| !STEPS.iter().any(|(step, _)| step == name))
    {
        bail!("no step {unknown}: `cargo xtask ci --list` names them");
    }
    let chosen = STEPS.iter().filter(|(name, _)| {
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        (options.only.is_empty() || listed(&options.only)) && !listed(&options.skip)
    });
    let mut timings = Vec::new();
    for (name, step) in chosen {
        if options.list {
            println!("{name}");
            continue;
        }
        eprintln!("== {name}");
        let start = Instant::now();
        let outcome = step().with_context(|| format!("step {name} failed"));
        timings.push((*name, start.elapsed()));
        if outcome.is_err() {
            report(&timings);
            return outcome;
        }
    }
    report(&timings);
    Ok(())
}

fn report(timings: &[(&str, Duration)]) {
    for (name, took) in timings {
        eprintln!("{:>6} s  {name}", took.as_secs());
    }
    let sum: Duration = timings.iter().map(|(_, took)| took).sum();
    eprintln!("{:>6} s  in all", sum.as_secs());
}

fn fmt() -> anyhow::Result<()> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
}

const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

fn clippy() -> anyhow::Result<()> {
    // With what tests need not build, too: the benches, their peers, the partner of the Python client.
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features"];
    shell::run(shell::cargo().args(clippy).args(DENY_WARNINGS))
}

/// Licences and origins of what we build on.
fn deny() -> anyhow::Result<()> {
    let deny = ["deny", "--config", ".cargo/deny.toml", "--workspace"];
    shell::run(
        shell::cargo()
            .args(deny)
            .args(["check", "bans", "licenses", "sources"]),
    )
}

/// The oldest Rust that the manifests promise; nothing to do when it is the one in use.
fn oldest() -> anyhow::Result<()> {
    let metadata = shell::metadata()?;
    let version = metadata["packages"][0]["rust_version"].as_str();
    let version = version.context("the packages have no rust-version")?;
    let used = shell::output(shell::cargo().arg("--version"))?;
    if used.starts_with(&format!("cargo {version}")) {
        eprintln!("Rust {version} is in use: every other step builds with it");
        return Ok(());
    }
    shell::run(shell::command("rustup").args([
        "toolchain",
        "install",
        "--profile",
        "minimal",
        version,
    ]))?;
    shell::run(shell::cargo_of(version).args(["check", "--workspace"]))
}

/// The other command that the README names, in the profile of the tests.
fn demo() -> anyhow::Result<()> {
    let demo = ["run", "--bin", "refpoint", "--", "demo"];
    shell::run(shell::cargo().args(demo))
}

/// That it runs and prints rows; CI's machines are too noisy for numbers, and for a storm.
fn bench() -> anyhow::Result<()> {
    let bench = ["xtask", "bench", "--profile", "dev", "handshake"];
    shell::run(shell::cargo().args(bench))
}

/// The command that the README names.
fn test() -> anyhow::Result<()> {
    shell::run(shell::cargo().args(["test", "--workspace"]))
}

fn doc() -> anyhow::Result<()> {
    let doc = ["doc", "--workspace", "--no-deps"];
    shell::run(shell::cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"))
}
