//! An unmodified ACME CSE.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::folder;
use super::originator::{Originator, Request};
use super::process::Process;
use super::venv::Venv;

/// ACME takes three seconds here; its first start also compiles.
const START: Duration = Duration::from_secs(60);

/// A running CSE.
#[derive(Debug)]
pub(super) struct Cse {
    process: Process,
}

impl Cse {
    /// Starts the CSE `name` (`in` or `mn`) in a folder of its own and waits until it answers at `address`.
    pub(super) fn start(
        name: &str,
        home: &Path,
        venv: &Venv,
        address: SocketAddr,
        ports: &[(&str, u16)],
    ) -> anyhow::Result<Self> {
        let home = home.join(name);
        fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
        let mut values: Vec<_> = ports
            .iter()
            .map(|(word, port)| (*word, port.to_string()))
            .collect();
        values.push(("http_port", address.port().to_string()));
        fs::write(
            home.join("acme.ini"),
            folder::fill(&format!("{name}.ini"), &values)?,
        )
        .context("cannot write acme.ini")?;
        let mut process = Process::start(
            "acme",
            &home,
            &venv.acmecse(),
            ["-dir".as_ref(), home.as_os_str(), "--headless".as_ref()],
        )?;
        // A request that comes while ACME starts ends it ("setup method can no longer be called"): it is not asked before.
        process.wait_until(START, |printed| printed.contains("CSE started"))?;
        let operator = Originator::new("CAdmin", address);
        let base = Request::retrieve(&format!("/cse-{name}"));
        process.wait_until(START, |_| operator.expect(&base, 2000).is_ok())?;
        Ok(Self { process })
    }

    /// Fails when the CSE has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.process.check()
    }
}
