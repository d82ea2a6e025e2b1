use hmac::{Hmac, KeyInit, Mac};
use refpoint_wire::{COOKIE_LEN, Cookie};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{Class, SourcePrefix};

const LABEL: &[u8] = b"refpoint/1 slot token";

/// Bytes of the slot's time, of which 2^40 tenths of a second last for 3 000 years.
const TIME_LEN: usize = 5;
const LATEST: u64 = (1 << (8 * TIME_LEN)) - 1;

/// Who a slot was given to (rule T2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSubject<'a> {
    /// The owner of a connection key, by its key id.
    KeyId(&'a [u8]),
    /// The holder of a handle.
    Handle(&'a [u8]),
    /// Whoever receives at a source prefix.
    Prefix(SourcePrefix),
}

/// Makes and checks slot tokens without keeping any state about whom they were given to.
///
/// ```text
/// token = kind (1) ‖ slot (5) ‖ HMAC-SHA-256(key, label ‖ kind ‖ slot ‖ subject)[0..10]
/// ```
///
/// A token takes the place of a cookie in Retry and in the request that follows. It is no proof of
/// its sender's address. Its key is the caller's to keep, so that tokens outlive a restart and are
/// good at each replica; its time is UTC, in tenths of a second, for the same reason.
pub struct SlotTokenKey(Zeroizing<[u8; 32]>);

impl SlotTokenKey {
    /// The key of these bytes, which must be random and secret.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The token for a slot at `time`, in tenths of a second of UTC.
    #[must_use]
    pub fn make(&self, subject: TokenSubject<'_>, class: Class, time: u64) -> Cookie {
        let time = time.min(LATEST).to_be_bytes();
        let mut token = [0; COOKIE_LEN];
        let (kind, rest) = token.split_at_mut(1);
        kind.fill(kind_of(subject, class));
        let (slot, mac) = rest.split_at_mut(TIME_LEN);
        slot.copy_from_slice(&time[time.len() - TIME_LEN..]);
        let full = self.mac(kind_of(subject, class), slot, subject);
        mac.copy_from_slice(&full[..mac.len()]);
        Cookie(token)
    }

    /// The class and the time, in tenths of a second of UTC, of a token that was made for `subject`.
    #[must_use]
    pub fn verify(&self, subject: TokenSubject<'_>, token: &Cookie) -> Option<(Class, u64)> {
        let (_, time) = token.0.split_first()?;
        let mut wide = [0; 8];
        wide.last_chunk_mut::<TIME_LEN>()?
            .copy_from_slice(time.first_chunk::<TIME_LEN>()?);
        let time = u64::from_be_bytes(wide);
        let mut found = None;
        for class in [Class::Normal, Class::Emergency] {
            if bool::from(self.make(subject, class, time).0.ct_eq(&token.0)) {
                found = Some((class, time));
            }
        }
        found
    }

    fn mac(&self, kind: u8, slot: &[u8], subject: TokenSubject<'_>) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(LABEL);
        mac.update(&[kind]);
        mac.update(slot);
        match subject {
            TokenSubject::KeyId(bytes) | TokenSubject::Handle(bytes) => mac.update(bytes),
            TokenSubject::Prefix(prefix) => mac.update(&prefix.to_bytes()),
        }
        mac.finalize().into_bytes().into()
    }
}

impl core::fmt::Debug for SlotTokenKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SlotTokenKey(..)")
    }
}

/// The kind of subject in the low bits, the class above.
const fn kind_of(subject: TokenSubject<'_>, class: Class) -> u8 {
    let subject = match subject {
        TokenSubject::KeyId(_) => 1,
        TokenSubject::Handle(_) => 2,
        TokenSubject::Prefix(_) => 3,
    };
    match class {
        Class::Normal => subject,
        Class::Emergency => subject | 0x10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLOT: u64 = 18_000_000_007;

    fn key() -> SlotTokenKey {
        SlotTokenKey::new([7; 32])
    }

    #[test]
    fn a_token_outlives_a_restart_with_its_key() {
        let token = key().make(TokenSubject::KeyId(b"k1"), Class::Emergency, SLOT);
        let restarted = SlotTokenKey::new([7; 32]);
        let found = restarted.verify(TokenSubject::KeyId(b"k1"), &token);
        assert_eq!(found, Some((Class::Emergency, SLOT)));
        let other = SlotTokenKey::new([8; 32]);
        assert_eq!(other.verify(TokenSubject::KeyId(b"k1"), &token), None);
    }

    #[test]
    fn a_token_is_good_for_its_subject_only() {
        let prefix = SourcePrefix::of([192, 0, 2, 1].into());
        let neighbour = SourcePrefix::of([192, 0, 2, 200].into());
        let stranger = SourcePrefix::of([192, 0, 3, 1].into());
        let subjects = [
            TokenSubject::KeyId(b"12345678"),
            TokenSubject::Handle(b"12345678"),
            TokenSubject::Prefix(prefix),
            TokenSubject::Prefix(stranger),
            TokenSubject::KeyId(b"1234567"),
        ];
        for made in subjects {
            let token = key().make(made, Class::Normal, SLOT);
            for used in subjects {
                assert_eq!(key().verify(used, &token).is_some(), made == used);
            }
        }
        let token = key().make(TokenSubject::Prefix(prefix), Class::Normal, SLOT);
        let near = key().verify(TokenSubject::Prefix(neighbour), &token);
        assert_eq!(near, Some((Class::Normal, SLOT)));
    }

    proptest! {
        #[test]
        fn a_token_with_any_bit_changed_is_none(bit in 0_usize..128, time in 0_u64..=LATEST) {
            let subject = TokenSubject::Handle(b"handle");
            let mut token = key().make(subject, Class::Normal, time);
            prop_assert_eq!(key().verify(subject, &token), Some((Class::Normal, time)));
            token.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(key().verify(subject, &token), None);
        }
    }
}
