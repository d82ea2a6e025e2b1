//! `cargo xtask interop`: refpoint against software that is not ours.

mod acme;
mod python;

use clap::ValueEnum;

/// The software on the other side.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Peer {
    /// Two unmodified ACME CSEs from PyPI, a node beside each
    Acme,
    /// A client written only from `proto/README.md`
    Python,
}

/// Runs the interoperation test with `peer`.
pub(crate) fn run(peer: Peer) -> anyhow::Result<()> {
    match peer {
        Peer::Acme => acme::run(),
        Peer::Python => python::run(),
    }
}
