//! ACME from PyPI, in a virtual environment of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::folder;
use crate::shell;

/// A virtual environment with ACME in it.
#[derive(Debug)]
pub(super) struct Venv {
    bin: PathBuf,
}

impl Venv {
    /// Makes the environment, unless an earlier run made it from the same requirements.
    pub(super) fn prepare() -> anyhow::Result<Self> {
        python()?;
        let home = folder::interop().join("venv");
        let bin = home.join("bin");
        let requirements = fs::read_to_string(folder::data("requirements.txt"))
            .context("cannot read requirements.txt")?;
        let made = home.join("made-from.txt");
        if fs::read_to_string(&made).is_ok_and(|text| text == requirements)
            && bin.join("acmecse").exists()
        {
            return Ok(Self { bin });
        }
        fs::create_dir_all(folder::interop()).context("cannot create target/interop")?;
        let mut create = shell::command("python3");
        create.args(["-m", "venv", "--clear"]).arg(&home);
        shell::run(&mut create).context(
            "cannot make a virtual environment; on Debian and Ubuntu install it with `apt-get install python3-venv`",
        )?;
        let mut install = shell::command(bin.join("pip"));
        install.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ]);
        shell::run(install.arg(folder::data("requirements.txt")))
            .context("cannot install ACME from PyPI")?;
        fs::write(&made, requirements).context("cannot note what the environment was made from")?;
        Ok(Self { bin })
    }

    /// The CSE's command.
    pub(super) fn acmecse(&self) -> PathBuf {
        self.bin.join("acmecse")
    }
}

/// Fails unless there is a Python that ACME runs on.
fn python() -> anyhow::Result<()> {
    let version = Command::new("python3")
        .args(["-c", "import sys; print(*sys.version_info[:2])"])
        .output();
    let Ok(version) = version else {
        bail!(
            "python3 is missing: ACME needs Python 3.11 or newer with venv (`apt-get install python3-venv`)"
        );
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    match version
        .trim()
        .split_once(' ')
        .map(|(major, minor)| (major.parse::<u32>(), minor.parse::<u32>()))
    {
        Some((Ok(major), Ok(minor))) if (major, minor) >= (3, 11) => Ok(()),
        _ => bail!(
            "python3 is too old ({}): ACME needs Python 3.11 or newer",
            version.trim()
        ),
    }
}
