//! The identifiers that a response repeats.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use crate::Error;

/// The identifier of a request, unique for its originator (short name `rqi`, header `X-M2M-RI`).
///
/// 1 to 255 visible ASCII characters, spaces inside: it is echoed into headers and logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// The longest request id, in bytes.
    pub const MAX: usize = 255;

    /// Reads a request id.
    ///
    /// # Errors
    /// [`Error`] that names `rqi` when it is empty, too long or holds other characters.
    pub fn new(text: &str) -> Result<Self, Error> {
        token(text, Self::MAX, "rqi").map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The release whose rules a primitive follows, such as `2a` or `3` (short name `rvi`, header `X-M2M-RVI`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseVersion(String);

impl ReleaseVersion {
    /// The longest release version, in bytes.
    pub const MAX: usize = 16;

    /// Reads a release version.
    ///
    /// # Errors
    /// [`Error`] that names `rvi` when it is empty, too long or holds other characters than visible ASCII.
    pub fn new(text: &str) -> Result<Self, Error> {
        token(text, Self::MAX, "rvi").map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn token(text: &str, limit: usize, field: &'static str) -> Result<String, Error> {
    if text.is_empty() {
        return Err(Error::Missing(field));
    }
    Error::within(text.len(), limit, field)?;
    let is_visible = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if !is_visible || text.starts_with(' ') || text.ends_with(' ') {
        return Err(Error::invalid(field, "use visible ascii characters"));
    }
    Ok(text.to_owned())
}
