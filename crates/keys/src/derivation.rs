//! The one way in which this crate makes a key of a key.

use alloc::vec::Vec;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::secret::Secret;

/// What a derived key is for. No two derivations share a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    ConnectionKey,
    ApplicationKey,
    EndToEndConnectionKey,
    ObjectPsk,
    VoucherKey,
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
            Self::ObjectPsk => "object psk",
            Self::VoucherKey => "voucher key",
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

/// The first bytes of HMAC-SHA256 over the joined `parts`, as many as `out` holds, at most 32.
pub(crate) fn hmac_sha256(key: &Secret, parts: &[&[u8]], out: &mut [u8]) {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    out.copy_from_slice(&mac.finalize().as_bytes()[..out.len()]);
}

fn hkdf_sha256(salt: &[u8], key: &[u8], info: &[u8], out: &mut [u8]) {
    let (mut extracted, expander) = Hkdf::<Sha256>::extract(Some(salt), key);
    extracted.as_mut_slice().zeroize();
    expander
        .expand(info, out)
        .expect("no key of this crate is longer than 255 hashes");
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const LABELS: [Label; 11] = [
        Label::ConnectionKey,
        Label::ApplicationKey,
        Label::EndToEndConnectionKey,
        Label::ObjectPsk,
        Label::VoucherKey,
        Label::AssociationPsk,
        Label::TagKey,
        Label::HintKey,
        Label::NetworkKey,
        Label::OneM2mRootKey,
        Label::OneM2mConnectionKey,
    ];

    fn info(label: Label, fields: &[Vec<u8>]) -> Info {
        fields
            .iter()
            .fold(Info::new(label), |info, field| info.field(field))
    }

    // The encoding's inverse: that it exists is what makes the encoding injective.
    fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut fields = Vec::new();
        while let [length, rest @ ..] = bytes {
            let (field, rest) = rest.split_at(usize::from(*length));
            fields.push(field.to_vec());
            bytes = rest;
        }
        fields
    }

    #[test]
    fn labels_differ() {
        for (i, a) in LABELS.iter().enumerate() {
            for b in &LABELS[i + 1..] {
                assert_ne!(a.text(), b.text());
            }
        }
    }

    #[test]
    fn hkdf_gives_the_vectors_of_rfc_5869() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/rfc5869.json")).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let bytes = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
            let expected = bytes("okm");
            let mut out = std::vec![0; expected.len()];
            hkdf_sha256(&bytes("salt"), &bytes("ikm"), &bytes("info"), &mut out);
            assert_eq!(out, expected, "case {}", case["name"]);
        }
    }

    #[test]
    fn moving_a_byte_across_a_border_of_fields_changes_the_info() {
        let one = info(Label::TagKey, &[b"ab".to_vec(), b"c".to_vec()]);
        let other = info(Label::TagKey, &[b"a".to_vec(), b"bc".to_vec()]);
        assert_ne!(one.0, other.0);
    }

    proptest! {
        #[test]
        fn an_info_can_be_taken_apart_into_its_label_and_fields(
            label in 0..LABELS.len(),
            fields in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..=255), 0..8),
        ) {
            let encoded = info(LABELS[label], &fields);
            let mut parts = split(&encoded.0);
            prop_assert_eq!(parts.remove(0), LABELS[label].text().as_bytes());
            prop_assert_eq!(parts, fields);
        }
    }
}
