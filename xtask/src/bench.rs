//! `cargo xtask bench`: the numbers of the design, side by side with their peers in one run.

use std::path::Path;

use anyhow::bail;

/// Runs every measurement; with `json`, writes one object a row there.
pub(crate) fn run(_json: Option<&Path>) -> anyhow::Result<()> {
    bail!("the benches come with the association core")
}
