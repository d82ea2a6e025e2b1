//! What a run of the demo makes anew and takes away: a directory, and randomness for its keys.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use zeroize::Zeroizing;

/// A directory for its owner only, which goes with the value.
#[derive(Debug)]
pub(super) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub(super) fn make(what: &str) -> anyhow::Result<Self> {
        let name = format!(
            "refpoint-{what}-{}-{}",
            std::process::id(),
            hex::encode(random::<8>()?.as_slice())
        );
        let directory = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
        Ok(Self(directory))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes from the operating system.
pub(super) fn random<const N: usize>() -> anyhow::Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).context("no randomness from the operating system")?;
    Ok(bytes)
}
