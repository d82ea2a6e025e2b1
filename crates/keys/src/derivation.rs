//! The one way in which this crate makes a key of a key.

use alloc::vec::Vec;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroize;

use crate::secret::Secret;

/// What a derived key is for. No two derivations share a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    ConnectionKey,
    ApplicationKey,
    EndToEndConnectionKey,
    AssociationPsk,
    TagKey,
    HintKey,
    NetworkKey,
    OneM2mRootKey,
    OneM2mConnectionKey,
}

impl Label {
    const fn text(self) -> &'static str {
        match self {
            Self::ConnectionKey => "connection key",
            Self::ApplicationKey => "application key",
            Self::EndToEndConnectionKey => "end-to-end connection key",
            Self::AssociationPsk => "association psk",
            Self::TagKey => "tag key",
            Self::HintKey => "hint key",
            Self::NetworkKey => "network key",
            Self::OneM2mRootKey => "onem2m root key",
            Self::OneM2mConnectionKey => "onem2m connection key",
        }
    }
}

/// The context of a derivation: a label and fields, each behind its length in one byte.
///
/// Lengths make it injective: different sequences of fields never give the same bytes.
pub(crate) struct Info(Vec<u8>);

impl Info {
    pub(crate) fn new(label: Label) -> Self {
        Self(Vec::new()).field(label.text().as_bytes())
    }

    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        let length = u8::try_from(bytes.len())
            .expect("ids, key ids and texts are limited to 255 bytes where they are made");
        self.0.push(length);
        self.0.extend_from_slice(bytes);
        self
    }

    /// HKDF-SHA256 (RFC 5869) of `key` with the salt of this crate, 32 bytes long.
    pub(crate) fn derive(&self, key: &Secret) -> Secret {
        let mut derived = Secret::zero();
        hkdf_sha256(SALT, key.bytes(), &self.0, derived.bytes_mut());
        derived
    }
}

// Keeps our derivations apart from any other use that somebody makes of the same key.
const SALT: &[u8] = b"refpoint keys v1";

fn hkdf_sha256(salt: &[u8], key: &[u8], info: &[u8], out: &mut [u8]) {
    let (mut extracted, expander) = Hkdf::<Sha256>::extract(Some(salt), key);
    extracted.as_mut_slice().zeroize();
    expander
        .expand(info, out)
        .expect("no key of this crate is longer than 255 hashes");
}
