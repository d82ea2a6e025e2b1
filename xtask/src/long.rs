//! `cargo xtask long`: a month of ten thousand associations in virtual time, watched.
//!
//! The end points and their cryptography are the shipped ones; `crates/association/tests/long` has the
//! rest. Each device asks its gateway once an hour, in the mean, so that it takes some minutes of two cores.

use clap::Args;

use crate::shell;

/// What is run.
#[derive(Args)]
pub(crate) struct Options {
    /// How many associations
    #[arg(long, default_value_t = 10_000)]
    associations: u32,
    /// How many days of virtual time
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Of all chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs it and prints what was counted; fails when anything has happened that must not.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let numbers = [
        options.associations.into(),
        options.days.into(),
        options.seed,
    ];
    let run = ["run", "--release", "--package", "refpoint-association"];
    shell::run(
        shell::cargo()
            .args(run)
            .args(["--example", "long_run", "--"])
            .args(numbers.map(|number: u64| number.to_string())),
    )
}
