//! One entry in the database.
//!
//! ```text
//! key    owner tag (8) ‖ id (8)                        owner tag = HMAC-SHA256(owner key, owner)[0..8]
//! value  bucket (8) ‖ nonce (24) ‖ sealed ‖ tag (16)
//! sealed expiry (8) ‖ length of owner (2) ‖ owner ‖ entry
//! ```
//!
//! An owner's handles lie side by side, and no owner is named. Two owners with one tag (2^-64 for a
//! pair) would be revoked together: the cost is a full handshake.

use hmac::{Hmac, KeyInit, Mac};
use refpoint_keys::UtcTime;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::bucket::{Bucket, BucketKey};
use crate::{Entry, HandleId, KeyFile, Owner};

const LABEL: &[u8] = b"refpoint store 1";
const HEAD: usize = 8 + BucketKey::NONCE;

/// Under which an entry is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowKey(pub(crate) u128);

impl RowKey {
    pub(crate) fn new(tag: u64, id: HandleId) -> Self {
        Self(u128::from(tag) << 64 | u128::from(u64::from_be_bytes(*id.as_bytes())))
    }

    /// The first and the last key that an owner's handles can have.
    pub(crate) fn all(tag: u64) -> (Self, Self) {
        let (first, last) = (HandleId::new([0; 8]), HandleId::new([0xff; 8]));
        (Self::new(tag, first), Self::new(tag, last))
    }

    fn id(self) -> HandleId {
        HandleId::new((self.0 as u64).to_be_bytes())
    }

    fn tag(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

/// By which the database knows an owner.
pub(crate) fn owner_tag(keys: &KeyFile, owner: &Owner) -> u64 {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(keys.owner.bytes()).expect("HMAC takes keys of any length");
    mac.update(owner.as_bytes());
    let tag = mac.finalize().into_bytes();
    u64::from_be_bytes(*tag.first_chunk().expect("32 bytes hold 8"))
}

fn associated(store: &[u8; 16], bucket: Bucket, key: RowKey) -> [u8; LABEL.len() + 16 + 8 + 16] {
    let mut aad = [0; LABEL.len() + 16 + 8 + 16];
    let fields: [&[u8]; 4] = [LABEL, store, &bucket.0.to_be_bytes(), &key.0.to_be_bytes()];
    let mut at = 0;
    for field in fields {
        aad[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    aad
}

/// Seals an entry under its bucket's key.
pub(crate) fn seal(
    keys: &KeyFile,
    (bucket, bucket_key): (Bucket, &BucketKey),
    key: RowKey,
    (owner, entry): (&Owner, &Entry),
    nonce: &[u8; BucketKey::NONCE],
) -> Vec<u8> {
    let (owner, bytes) = (owner.as_bytes(), entry.expose_bytes());
    // Room for everything: the secret is encrypted where it is written first.
    let length = HEAD + 8 + 2 + owner.len() + bytes.len() + BucketKey::TAG;
    let mut row = Vec::with_capacity(length);
    row.extend_from_slice(&bucket.0.to_be_bytes());
    row.extend_from_slice(nonce);
    row.extend_from_slice(&entry.expiry().as_secs().to_be_bytes());
    let owner_length = u16::try_from(owner.len()).expect("an owner is short");
    row.extend_from_slice(&owner_length.to_be_bytes());
    row.extend_from_slice(owner);
    row.extend_from_slice(bytes);
    let aad = associated(&keys.store, bucket, key);
    let tag = bucket_key.seal(nonce, &aad, &mut row[HEAD..]);
    row.extend_from_slice(&tag);
    row
}

/// The bucket of a row.
pub(crate) fn bucket(row: &[u8]) -> Option<Bucket> {
    row.first_chunk()
        .map(|end| Bucket(u64::from_be_bytes(*end)))
}

/// Opens a row; `None` if it was altered, or sealed under another key.
pub(crate) fn open(
    keys: &KeyFile,
    bucket_key: &BucketKey,
    key: RowKey,
    row: &[u8],
) -> Option<(Owner, HandleId, Entry)> {
    let bucket = bucket(row)?;
    let (nonce, sealed) = row.get(8..)?.split_first_chunk()?;
    let (sealed, tag) = sealed.split_last_chunk()?;
    let mut opened = Zeroizing::new(sealed.to_vec());
    let aad = associated(&keys.store, bucket, key);
    if !bucket_key.open(nonce, &aad, &mut opened, tag) {
        return None;
    }
    let (expiry, rest) = opened.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (owner, bytes) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let owner = Owner::new(owner).ok()?;
    let expiry = UtcTime::from_secs(u64::from_be_bytes(*expiry));
    let entry = Entry::new(expiry, Zeroizing::new(bytes.to_vec())).ok()?;
    (owner_tag(keys, &owner) == key.tag()).then(|| (owner, key.id(), entry))
}
