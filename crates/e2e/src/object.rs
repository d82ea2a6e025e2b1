//! The layout of a sealed object, and what is bound to it.
//!
//! ```text
//! object  = head ‖ Noise message
//! head    = type (1) ‖ lp(key id) (Kpsk0 only) ‖ number (1 to 4) ‖ expiry (4)
//! type    = 001 p s d nn    p: 1 in X, s: suite − 1, d: padded, nn: bytes of the number − 1
//!
//! prologue = "refpoint/1 object" ‖ f(head) ‖ f(sender; empty in X) ‖ f(receiver) ‖ f(target) ‖ f(group)
//! payload  = Kpsk0: padded content      X: lp(sender) ‖ padded content
//! ```

use alloc::vec::Vec;

use refpoint_association::Suite;
use refpoint_keys::{EntityId, KeyId, UtcTime};

use crate::{Error, Target, layout};

const LABEL: &[u8] = b"refpoint/1 object";
const VERSION: u8 = 0b001 << 5;
const X: u8 = 1 << 4;
const AES: u8 = 1 << 3;
const PADDED: u8 = 1 << 2;
const LENGTH: u8 = 0b11;

/// What of a sealed object everybody can read: sizes, the key's name, and the expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The application key that both share (`Kpsk0`), or none (`X`).
    pub key_id: Option<KeyId>,
    /// Cipher and hash: those of the pre-key.
    pub suite: Suite,
    /// Whether the content is padded.
    pub padded: bool,
    /// The receiver's pre-key; 0 is its static key.
    pub number: u32,
    /// When the receiver takes it no longer: a count of seconds since 1970 that fits 32 bits.
    pub expires: UtcTime,
}

impl Head {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let expires = u32::try_from(self.expires.as_secs()).map_err(|_| Error::Config("expiry"))?;
        let number = self.number.to_be_bytes();
        // At least one byte, and no more than it takes.
        let first = (self.number.leading_zeros() as usize / 8).min(3);
        let number = &number[first..];
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut out = Vec::with_capacity(1 + 33 + 4 + 4);
        out.push(
            VERSION
                | flag(self.key_id.is_none(), X)
                | flag(self.suite == Suite::AesGcm, AES)
                | flag(self.padded, PADDED)
                | (number.len() as u8 - 1),
        );
        if let Some(id) = &self.key_id {
            out.push(id.as_bytes().len() as u8);
            out.extend_from_slice(id.as_bytes());
        }
        out.extend_from_slice(number);
        out.extend_from_slice(&expires.to_be_bytes());
        Ok(out)
    }

    /// Reads the head of `object`; also its bytes, and the Noise message after it.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there is none.
    pub fn parse(object: &[u8]) -> Result<(Self, &[u8], &[u8]), Error> {
        const WHAT: &str = "sealed object";
        let mut reader = layout::Reader::new(object, WHAT);
        let byte = reader.byte()?;
        if byte & 0b111 << 5 != VERSION {
            return Err(Error::Malformed(WHAT));
        }
        let key_id = if byte & X == 0 {
            let len = reader.byte()?;
            let bytes = reader.take(len.into())?;
            Some(KeyId::new(bytes).map_err(|_| Error::Malformed(WHAT))?)
        } else {
            None
        };
        let bytes = reader.take(usize::from(byte & LENGTH) + 1)?;
        if bytes.len() > 1 && bytes[0] == 0 {
            return Err(Error::Malformed(WHAT));
        }
        let number = bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte));
        let head = Self {
            key_id,
            suite: if byte & AES == 0 {
                Suite::ChaChaPoly
            } else {
                Suite::AesGcm
            },
            padded: byte & PADDED != 0,
            number,
            expires: UtcTime::from_secs(reader.u32()?.into()),
        };
        let message = reader.rest();
        Ok((head, &object[..object.len() - message.len()], message))
    }
}

/// What both ends of an object must agree on.
pub(crate) struct Bound<'a> {
    pub(crate) head: &'a [u8],
    /// None in X, where it is inside.
    pub(crate) sender: Option<&'a EntityId>,
    pub(crate) receiver: &'a EntityId,
    pub(crate) target: &'a Target,
    /// The digest of the group's ciphertext, if it is a part of one.
    pub(crate) group: Option<&'a [u8; 32]>,
}

impl Bound<'_> {
    pub(crate) fn prologue(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LABEL.len() + 10 + 48 + 3 * 255 + 32);
        out.extend_from_slice(LABEL);
        let sender = self.sender.map_or(&[][..], |id| id.as_str().as_bytes());
        layout::field(&mut out, self.head);
        layout::field(&mut out, sender);
        layout::field(&mut out, self.receiver.as_str().as_bytes());
        layout::field(&mut out, self.target.as_str().as_bytes());
        layout::field(&mut out, self.group.map_or(&[], |digest| &digest[..]));
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_head_comes_back_as_it_went(
            key_id in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..=32)),
            aes in any::<bool>(),
            padded in any::<bool>(),
            number in any::<u32>(),
            shift in 0..32,
            expires in any::<u32>(),
        ) {
            let head = Head {
                key_id: key_id.map(|id| KeyId::new(&id).expect("1 to 32 bytes")),
                suite: if aes { Suite::AesGcm } else { Suite::ChaChaPoly },
                padded,
                number: number >> shift,
                expires: UtcTime::from_secs(expires.into()),
            };
            let mut object = head.encode().expect("in range");
            let len = object.len();
            object.extend_from_slice(b"message");
            let (parsed, bytes, message) = Head::parse(&object).expect("well-formed");
            prop_assert_eq!(parsed, head);
            prop_assert_eq!(bytes, &object[..len]);
            prop_assert_eq!(message, b"message");
        }

        #[test]
        fn what_parses_encodes_to_the_same_bytes(
            mut object in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Some(first) = object.first_mut() {
                *first = *first & 0x1f | VERSION;
            }
            if let Ok((head, bytes, _)) = Head::parse(&object) {
                prop_assert_eq!(head.encode().expect("in range"), bytes);
            }
        }
    }

    #[test]
    fn an_expiry_beyond_32_bits_is_refused() {
        let head = Head {
            key_id: None,
            suite: Suite::ChaChaPoly,
            padded: false,
            number: 1,
            expires: UtcTime::from_secs(1 << 32),
        };
        assert_eq!(head.encode(), Err(Error::Config("expiry")));
    }
}
