//! Time buckets: entries that expire at about the same time are sealed under one key, which is
//! destroyed when the last of them has expired (S4).
//!
//! ```text
//! sealed = XChaCha20-Poly1305(bucket key, random nonce, AAD = label ‖ store ‖ place ‖ id, entry)
//! ```

use core::time::Duration;
use std::collections::BTreeMap;

use chacha20poly1305::aead::{AeadInOut, inout::InOutBuf};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use refpoint_keys::UtcTime;
use zeroize::Zeroize;

use crate::Error;
use crate::secret::Secret;

/// How long the expiries lie apart of entries that share a key: the granularity of forward secrecy
/// at rest.
///
/// A redeemed handle's secret can be had from a copy of the key file and the database until its
/// bucket ends: at most the rest of its lifetime and one bucket length later. Shorter buckets mean
/// more keys, of which a store has at most 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketLength(u32);

impl BucketLength {
    /// A minute.
    pub const SHORTEST: Duration = Duration::from_secs(60);
    /// A week.
    pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Buckets of whole minutes.
    ///
    /// # Errors
    ///
    /// [`Error::BucketLength`] unless it lies between [`BucketLength::SHORTEST`] and
    /// [`BucketLength::LONGEST`].
    pub fn new(length: Duration) -> Result<Self, Error> {
        let whole = length.subsec_nanos() == 0 && length.as_secs().is_multiple_of(60);
        if length < Self::SHORTEST || length > Self::LONGEST || !whole {
            return Err(Error::BucketLength);
        }
        let minutes = u32::try_from(length.as_secs() / 60).map_err(|_| Error::BucketLength)?;
        Ok(Self(minutes))
    }

    /// The bucket of what expires at `expiry`; what expires after the year 2480 has the last one.
    pub(crate) fn bucket(self, expiry: UtcTime) -> Bucket {
        let length = u64::from(self.0);
        let end = (expiry.as_secs() / 60 / length + 1).saturating_mul(length);
        Bucket(u32::try_from(end).unwrap_or(u32::MAX).min(Bucket::LAST))
    }
}

impl Default for BucketLength {
    /// An hour.
    fn default() -> Self {
        Self(60)
    }
}

/// A bucket, named by its end in minutes since 1970, so that the length may be configured anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bucket(pub(crate) u32);

impl Bucket {
    /// Bits of the greatest number.
    pub(crate) const BITS: u32 = 28;
    pub(crate) const LAST: u32 = (1 << Self::BITS) - 1;

    pub(crate) fn end(self) -> UtcTime {
        UtcTime::from_secs(u64::from(self.0) * 60)
    }

    /// Whether everything in it has expired.
    pub(crate) fn is_over(self, now: UtcTime) -> bool {
        self.end() <= now
    }
}

/// The live buckets and their keys.
#[derive(Debug, Default)]
pub(crate) struct BucketKeys(pub(crate) BTreeMap<Bucket, BucketKey>);

impl BucketKeys {
    /// There are at most as many: a key file stays small enough to be replaced as a whole.
    pub(crate) const MOST: usize = 4096;

    /// Adds keys for those of `buckets` that have none; whether any was added.
    ///
    /// Beyond [`BucketKeys::MOST`] buckets stay without a key.
    pub(crate) fn add(&mut self, buckets: impl Iterator<Item = Bucket>) -> Result<bool, Error> {
        let before = self.0.len();
        for bucket in buckets {
            if self.0.len() < Self::MOST && !self.0.contains_key(&bucket) {
                self.0.insert(bucket, BucketKey(Secret::generate()?));
            }
        }
        Ok(self.0.len() > before)
    }

    pub(crate) fn key(&self, bucket: Bucket) -> Option<&BucketKey> {
        self.0.get(&bucket)
    }

    /// Drops the keys of buckets that are over; whether there were any.
    pub(crate) fn drop_over(&mut self, now: UtcTime) -> bool {
        let before = self.0.len();
        self.0.retain(|bucket, _| !bucket.is_over(now));
        self.0.len() < before
    }
}

/// Seals the entries of one bucket.
#[derive(Debug)]
pub(crate) struct BucketKey(pub(crate) Secret);

impl BucketKey {
    pub(crate) const NONCE: usize = 24;
    pub(crate) const TAG: usize = 16;

    /// Encrypts `data` where it is.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; Self::NONCE],
        aad: &[u8],
        data: &mut [u8],
    ) -> [u8; Self::TAG] {
        XChaCha20Poly1305::new(self.0.bytes().into())
            .encrypt_inout_detached(nonce.into(), aad, InOutBuf::from(data))
            .expect("an entry is shorter than what the cipher can seal")
            .into()
    }

    /// Decrypts `data` where it is; what does not authenticate is wiped.
    pub(crate) fn open(
        &self,
        nonce: &[u8; Self::NONCE],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; Self::TAG],
    ) -> bool {
        let opened = XChaCha20Poly1305::new(self.0.bytes().into()).decrypt_inout_detached(
            nonce.into(),
            aad,
            InOutBuf::from(&mut *data),
            tag.into(),
        );
        if opened.is_err() {
            data.zeroize();
        }
        opened.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_after_everything_in_it_has_expired() {
        let length = BucketLength::default();
        for expiry in [0, 1, 3599, 3600, 3601, 1_800_000_123] {
            let bucket = length.bucket(UtcTime::from_secs(expiry));
            let end = bucket.end().as_secs();
            assert!(end > expiry && end <= expiry + 3600);
            assert!(!bucket.is_over(UtcTime::from_secs(expiry)));
            assert!(bucket.is_over(UtcTime::from_secs(expiry + 3600)));
        }
        let last = length.bucket(UtcTime::from_secs(u64::MAX));
        assert_eq!(last, Bucket(Bucket::LAST));
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        for seconds in [0, 59, 61, 7 * 24 * 3600 + 60, u64::MAX] {
            assert!(BucketLength::new(Duration::from_secs(seconds)).is_err());
        }
        assert!(BucketLength::new(Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn keys_are_added_once_up_to_the_limit_and_dropped_when_over() {
        let mut keys = BucketKeys::default();
        let most = BucketKeys::MOST as u32;
        let many = || (1..=most + 5).map(Bucket);
        assert!(keys.add(many()).unwrap());
        assert_eq!(keys.0.len(), BucketKeys::MOST);
        assert!(!keys.add(many()).unwrap());
        assert!(keys.key(Bucket(most + 1)).is_none());
        assert!(keys.drop_over(Bucket(4000).end()));
        assert_eq!(keys.0.len(), BucketKeys::MOST - 4000);
        assert!(!keys.drop_over(Bucket(4000).end()));
    }

    #[test]
    fn only_the_same_key_nonce_and_data_open() {
        let key = BucketKey(Secret::copy_from(&[1; 32]));
        let mut data = *b"an entry";
        let tag = key.seal(&[2; 24], b"aad", &mut data);
        let open = |key: &BucketKey, nonce: u8, aad: &[u8], mut data: [u8; 8], tag| {
            let opened = key.open(&[nonce; 24], aad, &mut data, &tag);
            assert_eq!(data, if opened { *b"an entry" } else { [0; 8] });
            opened
        };
        assert!(open(&key, 2, b"aad", data, tag));
        assert!(!open(&key, 3, b"aad", data, tag));
        assert!(!open(&key, 2, b"add", data, tag));
        assert!(!open(&key, 2, b"aad", [0; 8], tag));
        let other = BucketKey(Secret::copy_from(&[3; 32]));
        assert!(!open(&other, 2, b"aad", data, tag));
    }
}
