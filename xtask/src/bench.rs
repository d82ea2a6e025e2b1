//! `cargo xtask bench`: the numbers of the design, side by side with their peers in one run.
//!
//! The measuring itself is the binary `bench`, which only this task builds: the peers are optional
//! dependencies, so that no test has to wait for them.

use std::path::{self, Path};

use crate::shell;

/// Runs every measurement; with `json`, writes one object a row there.
pub(crate) fn run(json: Option<&Path>) -> anyhow::Result<()> {
    let build = ["--release", "--package", "xtask", "--features", "peers"];
    let mut bench = shell::cargo();
    bench.arg("run").args(build).args(["--bin", "bench", "--"]);
    if let Some(file) = json {
        bench.arg("--json").arg(path::absolute(file)?);
    }
    shell::run(&mut bench)
}
