use std::collections::HashSet;

use crate::{Change, HandleId, Owner};

/// Leaves out what later changes of the batch undo, so that a handle that is issued and claimed
/// within one batch never reaches the disk.
///
/// To commit what is left has the same effect.
pub(super) fn coalesce(mut changes: Vec<Change>) -> Vec<Change> {
    let mut kept = lasting(&changes).into_iter();
    changes.retain(|_| kept.next().unwrap_or(true));
    changes
}

fn lasting(changes: &[Change]) -> Vec<bool> {
    let mut revoked: HashSet<&Owner> = HashSet::new();
    let mut changed: HashSet<(&Owner, HandleId)> = HashSet::new();
    let mut lasting: Vec<_> = changes
        .iter()
        .rev()
        .map(|change| match change {
            Change::Revoked { owner } => revoked.insert(owner),
            Change::Issued { owner, id, .. } | Change::Claimed { owner, id } => {
                !revoked.contains(owner) && changed.insert((owner, *id))
            }
        })
        .collect();
    lasting.reverse();
    lasting
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use refpoint_keys::UtcTime;
    use zeroize::Zeroizing;

    use super::*;
    use crate::{Entry, Memory, Store};

    fn change() -> impl Strategy<Value = (u8, u8, u8)> {
        (0..6u8, 0..3u8, 0..4u8)
    }

    fn changes(steps: &[(u8, u8, u8)]) -> Vec<Change> {
        let changes = steps.iter().enumerate().map(|(at, &(kind, owner, id))| {
            let (owner, id) = (Owner::new(&[owner]).unwrap(), HandleId::new([id; 8]));
            let entry =
                || Entry::new(UtcTime::from_secs(9), Zeroizing::new(vec![at as u8])).unwrap();
            match kind {
                0..3 => Change::Issued {
                    owner,
                    id,
                    entry: entry(),
                },
                3..5 => Change::Claimed { owner, id },
                _ => Change::Revoked { owner },
            }
        });
        changes.collect()
    }

    fn held(store: &mut Memory) -> Vec<(Vec<u8>, HandleId, Vec<u8>)> {
        let mut held = Vec::new();
        let mut each = |owner: Owner, id, entry: Entry| {
            held.push((owner.as_bytes().to_vec(), id, entry.expose_bytes().to_vec()));
        };
        store.replay(UtcTime::from_secs(0), &mut each).unwrap();
        held.sort();
        held
    }

    proptest! {
        #[test]
        fn what_is_left_has_the_same_effect_and_is_no_longer(
            before in prop::collection::vec(change(), 0..10),
            batch in prop::collection::vec(change(), 0..30),
        ) {
            let (mut all, mut left) = (Memory::new().unwrap(), Memory::new().unwrap());
            for store in [&mut all, &mut left] {
                store.commit(&changes(&before)).unwrap();
            }
            all.commit(&changes(&batch)).unwrap();
            let coalesced = coalesce(changes(&batch));
            prop_assert!(coalesced.len() <= batch.len());
            left.commit(&coalesced).unwrap();
            prop_assert_eq!(held(&mut all), held(&mut left));
        }
    }

    #[test]
    fn a_handle_that_is_issued_and_claimed_at_once_is_not_written() {
        let left = coalesce(changes(&[(0, 1, 1), (3, 1, 1), (0, 1, 2)]));
        assert!(matches!(
            left[..],
            [Change::Claimed { .. }, Change::Issued { .. }]
        ));
        let left = coalesce(changes(&[(0, 1, 1), (0, 2, 1), (5, 1, 0)]));
        assert!(matches!(
            left[..],
            [Change::Issued { .. }, Change::Revoked { .. }]
        ));
    }
}
