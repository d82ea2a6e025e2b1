//! The Python side's virtual environment.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::shell;

/// A file that belongs to this test, under `xtask/interop/python`.
pub(super) fn data(name: &str) -> PathBuf {
    shell::root().join("xtask/interop/python").join(name)
}

/// A virtual environment with the packages of `requirements.txt`.
pub(super) struct Venv {
    home: PathBuf,
}

impl Venv {
    /// Makes the environment, unless an earlier run made it from the same requirements.
    pub(super) fn prepare() -> anyhow::Result<Self> {
        let home = shell::root().join("target/interop/python");
        let venv = Self { home };
        let file = data("requirements.txt");
        let requirements = fs::read_to_string(&file).context("cannot read requirements.txt")?;
        let made = venv.home.join("made-from.txt");
        let is_made = fs::read_to_string(&made).is_ok_and(|text| text == requirements);
        if is_made && venv.python().exists() {
            return Ok(venv);
        }
        fs::create_dir_all(&venv.home).context("cannot create target/interop/python")?;
        let mut create = shell::command("python3");
        create
            .args(["-m", "venv", "--clear"])
            .arg(venv.home.join("venv"));
        shell::run(&mut create).context(
            "cannot make a virtual environment: install python3 with venv (`apt-get install python3-venv`)",
        )?;
        let mut install = shell::command(venv.python());
        install.args(["-m", "pip", "install", "--quiet"]);
        install.args(["--disable-pip-version-check", "--requirement"]);
        shell::run(install.arg(file)).context("cannot install the packages from PyPI")?;
        fs::write(&made, requirements).context("cannot note what the environment was made from")?;
        Ok(venv)
    }

    /// The command that runs one of the test's scripts.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = shell::command(self.python());
        command
            .env("REFPOINT_BINDINGS", self.home.join("bindings"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // `noiseprotocol` warns of ephemeral keys that are set, as a peer that repeats a
            // message has to.
            .env("PYTHONWARNINGS", "ignore")
            .arg(data(name));
        command
    }

    fn python(&self) -> PathBuf {
        self.home.join("venv/bin/python")
    }
}
