//! The key file: everything secret of a store that must not lie in its database.
//!
//! ```text
//! "refpoint store keys 1\n"
//! store id (16) ‖ generation (8) ‖ tag key (32) ‖ cookie key (32) ‖ slot key (32)
//! count (4) ‖ count × ( end of bucket (4) ‖ bucket key (32) )       in order of the ends
//! SHA-256 of all that
//! ```
//!
//! Numbers are big-endian, ends are minutes since 1970. The checksum finds accidents, not attackers: who can write this file can
//! read it.

mod replace;

use refpoint_keys::UtcTime;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub(crate) use replace::{Slot, read, refuse_readable, sync_directory};

use crate::bucket::{Bucket, BucketKey, BucketKeys};
use crate::secret::{Secret, random};
use crate::{Error, Generation, KeyFileProblem, StandingKey, StandingKeys};

const MAGIC: &[u8] = b"refpoint store keys 1\n";
const FIXED: usize = MAGIC.len() + 16 + 8 + 3 * 32 + 4;
const BUCKET: usize = 4 + 32;
const CHECKSUM: usize = 32;

/// No key file is longer.
pub(crate) const LONGEST: usize = FIXED + BucketKeys::MOST * BUCKET + CHECKSUM;

/// What a key file holds.
#[derive(Debug)]
pub(crate) struct KeyFile {
    /// Which store this is; the database says so, too.
    pub(crate) store: [u8; 16],
    pub(crate) standing: StandingKeys,
    pub(crate) buckets: BucketKeys,
}

impl KeyFile {
    /// The keys of a new store.
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut store = [0; 16];
        random(&mut store)?;
        Ok(Self {
            store,
            standing: StandingKeys::generate()?,
            buckets: BucketKeys::default(),
        })
    }

    /// The file's bytes, wiped when dropped.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let count = self.buckets.0.len();
        // Room for everything, so that no secret is moved and left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + count * BUCKET + CHECKSUM));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.store);
        bytes.extend_from_slice(&self.standing.generation.number().to_be_bytes());
        for key in [
            &self.standing.tag,
            &self.standing.cookie,
            &self.standing.slot,
        ] {
            bytes.extend_from_slice(key.expose_bytes());
        }
        let count = u32::try_from(count).expect("there are few buckets");
        bytes.extend_from_slice(&count.to_be_bytes());
        for (bucket, key) in &self.buckets.0 {
            bytes.extend_from_slice(&bucket.0.to_be_bytes());
            bytes.extend_from_slice(key.0.bytes());
        }
        let checksum = Sha256::digest(&*bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// Reads the file's bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, KeyFileProblem> {
        let left = bytes.strip_prefix(MAGIC).ok_or(KeyFileProblem::Foreign)?;
        let (body, checksum) = bytes
            .split_last_chunk::<CHECKSUM>()
            .ok_or(KeyFileProblem::Length)?;
        let mut left = Fields(left);
        let store = *left.take()?;
        let generation = Generation(u64::from_be_bytes(*left.take()?));
        let [tag, cookie, slot] = [left.take()?, left.take()?, left.take()?];
        let count = u32::from_be_bytes(*left.take()?) as usize;
        if count > BucketKeys::MOST || bytes.len() != FIXED + count * BUCKET + CHECKSUM {
            return Err(KeyFileProblem::Length);
        }
        if Sha256::digest(body).as_slice() != checksum {
            return Err(KeyFileProblem::Checksum);
        }
        let mut buckets = BucketKeys::default();
        for _ in 0..count {
            let bucket = Bucket(u32::from_be_bytes(*left.take()?));
            let last = buckets.0.last_key_value();
            if bucket.0 > Bucket::LAST || last.is_some_and(|(last, _)| *last >= bucket) {
                return Err(KeyFileProblem::Order);
            }
            let key = BucketKey(Secret::copy_from(left.take()?));
            buckets.0.insert(bucket, key);
        }
        Ok(Self {
            store,
            standing: StandingKeys {
                tag: StandingKey::copy_from(tag),
                cookie: StandingKey::copy_from(cookie),
                slot: StandingKey::copy_from(slot),
                generation,
            },
            buckets,
        })
    }
}

/// What can be told of a key file without telling a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFileSummary {
    /// Which start of the store it was written for.
    pub generation: Generation,
    /// How many bucket keys it holds.
    pub buckets: usize,
    /// When the last of them will be destroyed.
    pub last: Option<UtcTime>,
}

impl KeyFileSummary {
    /// Reads the bytes of a key file.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyFileProblem> {
        let file = KeyFile::decode(bytes)?;
        let last = file.buckets.0.last_key_value();
        Ok(Self {
            generation: file.standing.generation,
            buckets: file.buckets.0.len(),
            last: last.map(|(bucket, _)| bucket.end()),
        })
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], KeyFileProblem> {
        let (field, left) = self.0.split_first_chunk().ok_or(KeyFileProblem::Length)?;
        self.0 = left;
        Ok(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> KeyFile {
        let mut file = KeyFile::generate().unwrap();
        file.buckets.add([120, 60].map(Bucket).into_iter()).unwrap();
        file
    }

    #[test]
    fn what_was_written_is_read() {
        let file = sample();
        let bytes = file.encode();
        let again = KeyFile::decode(&bytes).unwrap();
        assert_eq!(again.encode(), bytes);
        let summary = KeyFileSummary::read(&bytes).unwrap();
        assert_eq!((summary.buckets, summary.generation), (2, Generation(1)));
        assert_eq!(summary.last, Some(UtcTime::from_secs(7200)));
        let debug = format!("{:?} {:?}", file.standing, file.buckets);
        assert!(!debug.contains('['), "bytes of keys: {debug}");
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_found() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert!(KeyFile::decode(&bytes[..length]).is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(KeyFile::decode(&flipped).is_err(), "{at}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(
            KeyFile::decode(&longer).unwrap_err(),
            KeyFileProblem::Length
        );
    }
}
