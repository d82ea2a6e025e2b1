//! Keys in files: one text format for the kinds that a node uses.
//!
//! ```text
//! # anything after a hash at the beginning of a line is a comment
//! refpoint-key: connection                      or another kind of the table
//! id: 6d6e2d69                                  the key id, 1 to 32 bytes in hexadecimal
//! point: y                                      x, y, y-prime or z
//! entity: //acme.example.com/id-mn              whose it is
//! entity: //acme.example.com/id-in              twice where two share it, in either order
//! not-before: 2026-11-23T08:00:00Z              optional
//! not-after: 2027-02-21T08:00:00Z
//! secret: 64 hexadecimal digits
//! ```
//!
//! | kind | what | lines |
//! |---|---|---|
//! | `root` | the key at the root of an entity's tree | entity, secret |
//! | `connection` | the key of two entities at a reference point (Kc) | id, point, entity twice, not-before, not-after, secret |
//! | `application` | the key of two end points (Ka) | id, entity twice, not-before, not-after, secret |
//! | `static` | an X25519 private key | entity, secret |
//! | `public` | its public half | entity, public |
//! | `signing` | an Ed25519 private key: an entity's for its pre-keys, or an authority's for records | entity, secret |
//! | `verifying` | its public half | entity, public |
//! | `record` | which keys are an entity's, signed by an authority (rule E2) | entity, record |
//!
//! Lines are `name: value`, in any order after the first. A file with a `secret` must be readable by its owner
//! only (mode 0600 or 0400): others are refused, so that a mistake shows when it is made. The buffers through
//! which a secret passes are wiped.

mod parse;
mod write;

use core::fmt;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use refpoint_keys::{ApplicationKey, ConnectionKey, EntityId, RootKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use crate::utc::parse as parse_time;
pub use parse::{KeyFileError, point as parse_point};

/// No key file is longer.
const MAX: u64 = 4096;

/// What is in a key file.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyFile {
    /// The key at the root of an entity's tree.
    Root {
        /// Whose it is.
        entity: EntityId,
        /// The key.
        key: RootKey,
    },
    /// The key of two entities at one reference point.
    Connection(ConnectionKey),
    /// The key of two end points.
    Application(ApplicationKey),
    /// An X25519 private key.
    Static {
        /// Whose it is.
        entity: EntityId,
        /// The key.
        key: StaticSecret,
    },
    /// An X25519 public key.
    Public {
        /// Whose it is.
        entity: EntityId,
        /// The key.
        key: [u8; 32],
    },
    /// An Ed25519 private key.
    Signing {
        /// Whose it is.
        entity: EntityId,
        /// The key.
        key: StaticSecret,
    },
    /// An Ed25519 public key.
    Verifying {
        /// Whose it is.
        entity: EntityId,
        /// The key.
        key: [u8; 32],
    },
    /// An entity record as its authority issued it; nobody's until it is verified.
    Record {
        /// Whose it says it is.
        entity: EntityId,
        /// The record (`refpoint.e2e.v1.EntityRecord`).
        record: Vec<u8>,
    },
}

/// The bytes of an X25519 or Ed25519 private key on their way between a file and who uses it.
#[derive(ZeroizeOnDrop)]
pub struct StaticSecret([u8; 32]);

impl StaticSecret {
    /// Takes over 32 uniformly random bytes.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let key = Self(bytes);
        bytes.zeroize();
        key
    }

    /// The key's bytes, for who uses it and for the file that keeps them.
    pub fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for StaticSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StaticSecret(..)")
    }
}

/// A key file that cannot be used or written, by its name.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct KeyFileProblem {
    path: PathBuf,
    problem: KeyFileError,
}

impl KeyFileProblem {
    /// What is wrong.
    pub fn problem(&self) -> &KeyFileError {
        &self.problem
    }
}

impl KeyFile {
    /// Reads the key file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, holds a secret that others than its owner can read, or is not a key file.
    pub fn load(path: &Path) -> Result<Self, KeyFileProblem> {
        read(path).map_err(|problem| KeyFileProblem {
            path: path.to_owned(),
            problem,
        })
    }

    /// Whether there is nothing secret in it.
    pub fn is_public(&self) -> bool {
        match self {
            Self::Public { .. } | Self::Verifying { .. } | Self::Record { .. } => true,
            Self::Root { .. }
            | Self::Connection(_)
            | Self::Application(_)
            | Self::Static { .. }
            | Self::Signing { .. } => false,
        }
    }

    /// Writes a new key file at `path`: for its owner only, unless it is public.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or exists: a key is never overwritten.
    pub fn create(&self, path: &Path) -> Result<(), KeyFileProblem> {
        let mode = if self.is_public() { 0o644 } else { 0o600 };
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .and_then(|mut file| {
                file.write_all(self.to_text().as_bytes())
                    .and_then(|()| file.sync_all())
            })
            .map_err(|error| KeyFileProblem {
                path: path.to_owned(),
                problem: match error.kind() {
                    std::io::ErrorKind::AlreadyExists => KeyFileError::Exists,
                    _ => KeyFileError::Io(error),
                },
            })
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    ///
    /// Names the line that cannot be used.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        parse::parse(text)
    }

    /// The text of the key file, secret included.
    pub fn to_text(&self) -> Zeroizing<String> {
        write::text(self, write::Part::All)
    }

    /// The text of the key file without the secret: to show to people.
    pub fn public_part(&self) -> String {
        write::text(self, write::Part::Public).as_str().to_owned()
    }
}

fn read(path: &Path) -> Result<KeyFile, KeyFileError> {
    let file = std::fs::File::open(path)?;
    // Asked of the opened file, not of its name, which may meanwhile be another's.
    let mode = file.metadata()?.mode() & 0o777;
    let mut text = Zeroizing::new(String::with_capacity(MAX as usize + 1));
    file.take(MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX {
        return Err(KeyFileError::TooLong);
    }
    let key = KeyFile::parse(&text)?;
    if !key.is_public() && mode & 0o077 != 0 {
        return Err(KeyFileError::Readable(mode));
    }
    Ok(key)
}
