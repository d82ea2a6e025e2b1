//! `cargo xtask bench`: the numbers of the design, side by side with their peers in one run.
//!
//! The measuring itself is the binary `bench`, which only this task builds: the peers are optional
//! dependencies, so that no test has to wait for them. It is built twice, because boringtun
//! switches on tables of curve25519-dalek that snow's users do not have, and snow would be measured
//! with them.

mod table;

use std::{fs, path::Path, process::Command};

use anyhow::Context as _;
use serde_json::Value;

use self::table::{public, show};
use crate::shell;

/// The features of each build, and what is measured with it alone.
const BUILDS: [(&str, &[&str]); 2] = [
    (
        "peers",
        &[
            // Before the others, which stay on one processor.
            "storm",
            "flood",
            "handshake",
            "resumption",
            "costs",
            "record",
            "memory",
            "grpc",
            "e2e",
        ],
    ),
    ("wireguard", &["wireguard"]),
];

/// Sections that run only when they are named: they take minutes, and fail when what they check
/// does not hold, which would take the rows of the others along.
const NAMED: [&str; 2] = ["storm", "flood"];

/// Handles that the store is measured with.
const STORED: &str = "200000";

/// Measures the named sections, or all that need no name; with `json`, writes one object a row there.
pub(crate) fn run(
    json: Option<&Path>,
    profile: &str,
    devices: Option<u32>,
    only: &[String],
) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (features, sections) in BUILDS {
        let wanted = |section: &&&str| match only {
            [] => !NAMED.contains(*section),
            only => only.iter().any(|one| one == **section),
        };
        let sections: Vec<_> = sections.iter().filter(wanted).collect();
        if sections.is_empty() {
            continue;
        }
        let build = ["run", "--package", "xtask", "--bin", "bench"];
        let mut bench = shell::cargo();
        bench.args(build).args(["--profile", profile]);
        bench.args(["--features", features, "--"]);
        if let Some(devices) = devices {
            bench.args(["--devices", &devices.to_string()]);
        }
        rows.extend(printed_rows(bench.args(sections))?);
    }
    if only.is_empty() || only.iter().any(|one| one == "store") {
        let build = ["run", "--package", "refpoint-store"];
        let mut measure = shell::cargo();
        measure.args(build).args(["--profile", profile]);
        rows.extend(printed_rows(measure.args([
            "--example",
            "measure",
            "--",
            STORED,
        ]))?);
    }
    print!("{}", show(&rows));
    if let Some(file) = json {
        fs::write(file, public(rows)).with_context(|| format!("cannot write {file:?}"))?;
    }
    Ok(())
}

/// The rows that a program prints, an object a line.
fn printed_rows(program: &mut Command) -> anyhow::Result<Vec<Value>> {
    let printed = shell::output(program)?;
    let rows = printed.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>()
        .context("bench printed no row")
}
