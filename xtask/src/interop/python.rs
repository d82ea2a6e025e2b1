//! `cargo xtask interop python`: a peer that was written from `proto/README.md` alone, against
//! refpoint's end point and layer X on a UDP socket, its streams on TCP, and an end point of
//! section 18.
//!
//! The Python side lies in `xtask/interop/python`; it uses `noiseprotocol`, `cryptography` and
//! bindings that it generates from `proto/`. The other side is the binary `partner`. First the
//! transcripts in `crates/association/tests/vectors`, those of `crates/e2e/tests/vectors` and the example of `proto/README.md` must be
//! what the Python side makes of them.

mod partner;
mod steps;
mod venv;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use self::{partner::Partner, steps::Steps, venv::Venv};
use crate::shell;

/// Runs every step and prints a table; fails when one has failed or is missing.
pub(super) fn run() -> anyhow::Result<()> {
    let venv = Venv::prepare()?;
    let vectors = shell::root().join("crates/association/tests/vectors");
    let mut transcripts = venv.script("transcripts.py");
    shell::run(transcripts.arg(vectors).arg("--check"))?;
    let vectors = shell::root().join("crates/e2e/tests/vectors");
    let mut end_to_end = venv.script("end_to_end.py");
    shell::run(end_to_end.arg(vectors).arg("--check"))?;

    let program = partner::build()?;
    let credentials = venv::data("credentials.json");
    let gateway = Partner::start(&program, &credentials, &[])?;
    let loaded = Partner::start(&program, &credentials, &["--loaded"])?;
    let slow = Partner::start(&program, &credentials, &["--per-second", "1"])?;
    let streams = Partner::start(&program, &credentials, &["--streams"])?;
    let end_point = Partner::start(&program, &credentials, &["--end-to-end"])?;
    let mut peer = venv.script("peer.py");
    let partners = [&gateway, &loaded, &slow, &streams, &end_point];
    peer.arg(credentials).args(partners.map(Partner::address));
    let mut peer = peer
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the Python peer")?;
    let output = peer.stdout.take().context("its output is piped")?;
    let mut steps = Steps::default();
    steps.add(
        "",
        "transcripts",
        true,
        "vectors and example agree with proto/README.md",
    );
    for line in BufReader::new(output).lines() {
        steps.read(&line?)?;
    }
    let status = peer.wait()?;
    steps.finish()?;
    ensure!(status.success(), "the Python peer failed: {status}");
    Ok(())
}
