//! Names that the network gives.

use alloc::borrow::ToOwned;
use alloc::string::String;

use refpoint_primitive::Error;

/// The network's name of something that goes on: a trigger, a series of location reports, a transfer. 1 to 64
/// visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(String);

impl Reference {
    /// The longest reference, in bytes.
    pub const MAX: usize = 64;

    /// Reads a reference.
    ///
    /// # Errors
    /// [`Error`] that names `reference` when it is empty, too long or holds other characters.
    pub fn new(text: &str) -> Result<Self, Error> {
        visible(text, Self::MAX, "reference").map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A device as the network knows it outside (M2M-Ext-ID, 3GPP external identifier), such as `sensor1@iot.example.net`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId(String);

impl ExternalId {
    /// The longest external id, in bytes.
    pub const MAX: usize = 253;

    /// Reads an external id.
    ///
    /// # Errors
    /// [`Error`] that names `external_id` when it is empty, too long or holds other characters than visible ASCII.
    pub fn new(text: &str) -> Result<Self, Error> {
        visible(text, Self::MAX, "external_id").map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) fn visible(text: &str, limit: usize, field: &'static str) -> Result<String, Error> {
    if text.is_empty() {
        return Err(Error::Missing(field));
    }
    if text.len() > limit {
        return Err(Error::TooLong { field, limit });
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid(field, "use visible ascii characters"));
    }
    Ok(text.to_owned())
}

pub(crate) const fn invalid(field: &'static str, expected: &'static str) -> Error {
    Error::Invalid { field, expected }
}
