//! Keys from network authentication: asked for, delivered, withdrawn.

mod delivered;
mod notice;
mod request;

use alloc::string::String;

use refpoint_keys::NetworkKeySource;
use refpoint_primitive::Error;

use crate::proto;
use crate::reference::{invalid, visible};

pub use delivered::DeliveredKey;
pub use notice::{KeyEvent, KeyNotice};
pub use request::KeyRequest;

/// The network's name of a key (B-TID, A-KID or the like): 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkKeyName(String);

impl NetworkKeyName {
    /// The longest name, in bytes.
    pub const MAX: usize = 255;

    /// Reads a name.
    ///
    /// # Errors
    /// [`Error`] that names `key_id` when it is empty, too long or holds other characters.
    pub fn new(text: &str) -> Result<Self, Error> {
        visible(text, Self::MAX, "key_id").map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn source_from_proto(code: i32) -> Result<NetworkKeySource, Error> {
    use proto::KeySource as Source;
    match Source::try_from(code) {
        Ok(Source::Gba) => Ok(NetworkKeySource::Gba),
        Ok(Source::Akma) => Ok(NetworkKeySource::Akma),
        Ok(Source::Best) => Ok(NetworkKeySource::Best),
        Ok(Source::Static) => Ok(NetworkKeySource::Static),
        Ok(Source::Unspecified) | Err(_) => Err(invalid("source", "write 1 to 4")),
    }
}

const fn source_into_proto(source: NetworkKeySource) -> proto::KeySource {
    use proto::KeySource as Source;
    match source {
        NetworkKeySource::Gba => Source::Gba,
        NetworkKeySource::Akma => Source::Akma,
        NetworkKeySource::Best => Source::Best,
        NetworkKeySource::Static => Source::Static,
    }
}
