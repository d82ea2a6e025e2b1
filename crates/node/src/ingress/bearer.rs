use core::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

/// The longest token that is taken.
const MAX: u64 = 4096;

/// The token by which the local CSE knows this node.
pub struct BearerToken(Zeroizing<String>);

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BearerError {
    /// Others than the owner can read the file.
    #[error(
        "others can read this token (mode {0:04o}): run chmod 600 on it, and replace the token if it was exposed"
    )]
    Readable(u32),
    /// The file does not hold one token.
    #[error("not a token: write one line of visible ASCII characters")]
    NotAToken,
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl BearerToken {
    /// A token as it is.
    ///
    /// # Errors
    ///
    /// [`BearerError::NotAToken`] when it is empty or holds other than visible ASCII characters.
    pub fn new(token: &str) -> Result<Self, BearerError> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BearerError::NotAToken);
        }
        Ok(Self(Zeroizing::new(format!("Bearer {token}"))))
    }

    /// Reads the token in the file at `path`, which only its owner may be able to read.
    ///
    /// # Errors
    ///
    /// When it cannot be read, others can read it, or it does not hold one token.
    pub fn load(path: &Path) -> Result<Self, BearerError> {
        let file = std::fs::File::open(path)?;
        let mode = file.metadata()?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(BearerError::Readable(mode));
        }
        let mut text = Zeroizing::new(String::with_capacity(MAX as usize));
        file.take(MAX).read_to_string(&mut text)?;
        Self::new(text.trim_ascii())
    }

    /// The value of `Authorization`, for the request to the local CSE.
    pub fn expose_authorization(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken(..)")
    }
}
