//! The gateway that the Python peer talks to, as a process.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::Context as _;

use crate::shell;

/// Builds the gateway's program.
pub(super) fn build() -> anyhow::Result<PathBuf> {
    let package = ["--package", "xtask", "--features", "partner"];
    shell::run(
        shell::cargo()
            .args(["build", "--quiet"])
            .args(package)
            .args(["--bin", "partner"]),
    )?;
    let metadata = shell::metadata()?;
    let target = metadata["target_directory"].as_str();
    let target = PathBuf::from(target.context("cargo metadata names no target directory")?);
    let name = format!("partner{}", std::env::consts::EXE_SUFFIX);
    Ok(target.join("debug").join(name))
}

/// A running gateway; it ends when this is dropped.
pub(super) struct Partner {
    process: Child,
    address: String,
}

impl Partner {
    /// Starts a gateway with these options.
    pub(super) fn start(
        program: &Path,
        credentials: &Path,
        options: &[&str],
    ) -> anyhow::Result<Self> {
        let mut command = shell::command(program);
        let process = command
            .arg(credentials)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the gateway")?;
        let address = String::new();
        let mut partner = Self { process, address };
        let output = partner
            .process
            .stdout
            .take()
            .context("its output is piped")?;
        BufReader::new(output).read_line(&mut partner.address)?;
        partner.address.truncate(partner.address.trim_end().len());
        anyhow::ensure!(
            !partner.address.is_empty(),
            "the gateway ended before it listened"
        );
        Ok(partner)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // It ends when its input does; the rest is for one that hangs.
        drop(self.process.stdin.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
