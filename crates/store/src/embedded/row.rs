//! One entry in the database.
//!
//! ```text
//! key    place: end of bucket (28 bits) ‖ number in the bucket (36 bits)
//! value  id (8) ‖ nonce (24) ‖ sealed ‖ tag (16)
//! sealed expiry (8) ‖ entry
//! ```
//!
//! Entries are appended to their bucket, which is cheap in a tree, and vanish with it in one piece.

use refpoint_keys::UtcTime;
use zeroize::Zeroizing;

use super::place::Place;
use crate::bucket::BucketKey;
use crate::{Entry, HandleId};

const LABEL: &[u8] = b"refpoint store 1";
const AAD: usize = LABEL.len() + 16 + 8 + ID;
/// Bytes of a handle's id.
const ID: usize = 8;
const HEAD: usize = ID + BucketKey::NONCE;

fn associated(store: &[u8; 16], place: Place, id: HandleId) -> [u8; AAD] {
    let mut aad = [0; AAD];
    let fields: [&[u8]; 4] = [LABEL, store, &place.code().to_be_bytes(), &id.0];
    let mut at = 0;
    for field in fields {
        aad[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    aad
}

/// Seals an entry under its bucket's key.
pub(super) fn seal(
    store: &[u8; 16],
    key: &BucketKey,
    place: Place,
    (id, entry): (HandleId, &Entry),
    nonce: &[u8; BucketKey::NONCE],
) -> Vec<u8> {
    let bytes = entry.expose_bytes();
    // Room for everything: the secret is encrypted where it is written first.
    let mut row = Vec::with_capacity(HEAD + 8 + bytes.len() + BucketKey::TAG);
    row.extend_from_slice(&id.0);
    row.extend_from_slice(nonce);
    row.extend_from_slice(&entry.expiry().as_secs().to_be_bytes());
    row.extend_from_slice(bytes);
    let aad = associated(store, place, id);
    let tag = key.seal(nonce, &aad, &mut row[HEAD..]);
    row.extend_from_slice(&tag);
    row
}

/// Whose row it is.
pub(super) fn id(row: &[u8]) -> Option<HandleId> {
    row.first_chunk().map(|id| HandleId(*id))
}

/// Opens a row; `None` if it was altered, or sealed under another key.
pub(super) fn open(
    store: &[u8; 16],
    key: &BucketKey,
    place: Place,
    row: &[u8],
) -> Option<(HandleId, Entry)> {
    let (id, left) = row.split_first_chunk()?;
    let (nonce, left) = left.split_first_chunk()?;
    let (sealed, tag) = left.split_last_chunk()?;
    let id = HandleId(*id);
    let mut opened = Zeroizing::new(sealed.to_vec());
    let aad = associated(store, place, id);
    if !key.open(nonce, &aad, &mut opened, tag) {
        return None;
    }
    let (expiry, bytes) = opened.split_first_chunk()?;
    let expiry = UtcTime::from_secs(u64::from_be_bytes(*expiry));
    let entry = Entry::new(expiry, Zeroizing::new(bytes.to_vec())).ok()?;
    Some((id, entry))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bucket::Bucket;
    use crate::secret::Secret;

    proptest! {
        #[test]
        fn only_the_row_itself_opens_at_its_place(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            flipped in any::<prop::sample::Index>(),
            garbage in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let key = BucketKey(Secret::copy_from(&[1; 32]));
            let place = |number| Place::new(Bucket(60), number).unwrap();
            let expiry = UtcTime::from_secs(3599);
            let entry = Entry::new(expiry, Zeroizing::new(bytes.clone())).unwrap();
            let handle = HandleId([2; 8]);
            let mut row = seal(&[3; 16], &key, place(4), (handle, &entry), &[5; 24]);
            prop_assert_eq!(id(&row), Some(handle));
            let (id, opened) = open(&[3; 16], &key, place(4), &row).unwrap();
            prop_assert_eq!((id, opened.expiry()), (handle, expiry));
            prop_assert_eq!(opened.expose_bytes(), &bytes[..]);
            prop_assert!(open(&[3; 16], &key, place(5), &row).is_none());
            prop_assert!(open(&[4; 16], &key, place(4), &row).is_none());
            let at = flipped.index(row.len());
            row[at] ^= 1;
            prop_assert!(open(&[3; 16], &key, place(4), &row).is_none());
            prop_assert!(open(&[3; 16], &key, place(4), &row[..at]).is_none());
            prop_assert!(open(&[3; 16], &key, place(4), &garbage).is_none());
        }
    }
}
