//! Developer tasks: everything that CI does, and what developers do by hand, as subcommands.
//!
//! `cargo xtask ci` runs what CI runs. Each task is a module with one `run`.

mod bench;
mod ci;
mod codegen;
mod fuzz;
mod interop;
mod long;
mod model;
mod package;
mod shell;
mod thumb;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer tasks of refpoint.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the Rust code that is generated from `proto/`
    Codegen {
        /// Change nothing; fail when the checked-in code is not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Check the house rules that neither the compiler nor clippy knows
    Tidy,
    /// Measure refpoint side by side with its peers
    Bench {
        /// Also write the rows as JSON, one object a row
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// The profile to build with; only `release` gives numbers worth reading
        #[arg(long, default_value = "release")]
        profile: String,
        /// Devices of the storm
        #[arg(long, value_name = "N")]
        devices: Option<u32>,
        /// Only these sections
        #[arg(value_name = "SECTION")]
        sections: Vec<String>,
    },
    /// Build every fuzz target once, then run each (needs nightly and cargo-fuzz)
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 10)]
        seconds: u32,
        /// Only these targets
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
    },
    /// Run refpoint against software that is not ours
    Interop {
        /// The other side
        peer: interop::Peer,
    },
    /// Run a month of ten thousand associations in virtual time (takes minutes)
    Long(long::Options),
    /// Run the ProVerif models of `proto/model/` (skipped where proverif is not on the PATH)
    Model(model::Options),
    /// Run what CI runs
    Ci(ci::Options),
    /// Check the crates that a microcontroller uses for `thumbv7em-none-eabi`
    Thumb,
    /// Check that every published crate builds, documents and packages alone
    Package,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Codegen { check } => codegen::run(check),
        Task::Tidy => tidy::run(),
        Task::Bench {
            json,
            profile,
            devices,
            sections,
        } => bench::run(json.as_deref(), &profile, devices, &sections),
        Task::Fuzz { seconds, targets } => fuzz::run(seconds, &targets),
        Task::Interop { peer } => interop::run(peer),
        Task::Long(options) => long::run(&options),
        Task::Model(options) => model::run(&options),
        Task::Ci(options) => ci::run(&options),
        Task::Thumb => thumb::run(),
        Task::Package => package::run(),
    }
}
