use core::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Error;
use crate::embedded::Claimed;
use crate::key_file::{Slot, refuse_readable};

const FILE: &str = "state";
const LOCK: &str = "state.lock";
const MAGIC: &[u8] = b"refpoint state 1\n";
const DIGEST: usize = 32;
/// Nobody's state is longer.
const MOST: u64 = 64 << 20;

/// One entity's secret state, whole: what its pre-keys have opened, what its sessions receive.
///
/// ```text
/// file = "refpoint state 1\n" ‖ SHA-256(state) ‖ state
/// ```
///
/// It is replaced as a whole: after a crash there is the state before or the one after. The one before is
/// overwritten, as far as the medium allows (see the crate's documentation on destroying keys). It lies in
/// a directory that one process uses at a time. It is for its owner only (0600) and not encrypted: put it where
/// private keys may lie.
pub struct StateFile {
    slot: Slot,
    kept: Option<Zeroizing<Vec<u8>>>,
    _directory: Claimed,
}

impl StateFile {
    /// Takes the directory, which is made if need be, and reads the state in it.
    ///
    /// # Errors
    ///
    /// When another process has it, others can read it, or it is damaged; then it stays as it was.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let claimed = Claimed::claim(directory, LOCK)?;
        let slot = Slot::new(directory.join(FILE));
        let kept = read(slot.path())?;
        slot.recover()?;
        Ok(Self {
            slot,
            kept,
            _directory: claimed,
        })
    }

    /// The state that was found, once; none where nothing was kept yet.
    pub fn take_kept(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.kept.take()
    }

    /// Makes `state` what is kept: durable when this returns, and the state before it unreadable.
    ///
    /// # Errors
    ///
    /// When the disk fails: which of the two is there is unknown then.
    pub fn replace(&self, state: &[u8]) -> Result<(), Error> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + DIGEST + state.len()));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&Sha256::digest(state));
        bytes.extend_from_slice(state);
        self.slot.replace_bytes(&bytes)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.slot.path()
    }
}

impl fmt::Debug for StateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateFile").field(&self.slot).finish()
    }
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path)(error)),
    };
    refuse_readable(path, &file)?;
    let damaged = || Error::State(PathBuf::from(path));
    let length = file.metadata().map_err(Error::io(path))?.len();
    if length > MOST {
        return Err(damaged());
    }
    // Of its final size from the start: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize + 1));
    let read = file.take(length).read_to_end(&mut bytes);
    read.map_err(Error::io(path))?;
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (digest, state) = rest.split_first_chunk::<DIGEST>().ok_or_else(damaged)?;
    if Sha256::digest(state)[..] != digest[..] {
        return Err(damaged());
    }
    Ok(Some(Zeroizing::new(state.to_vec())))
}
