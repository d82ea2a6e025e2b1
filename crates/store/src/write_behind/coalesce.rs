use std::collections::HashSet;

use crate::{Change, HandleId};

/// Leaves out what later changes of the batch undo, so that a handle that is issued and redeemed
/// within one batch never reaches the disk.
///
/// To commit what is left has the same effect.
pub(super) fn coalesce(mut changes: Vec<Change>) -> Vec<Change> {
    let mut seen: HashSet<HandleId> = HashSet::with_capacity(changes.len());
    changes.reverse();
    changes.retain(|change| seen.insert(change.id()));
    changes.reverse();
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use refpoint_keys::UtcTime;
    use zeroize::Zeroizing;

    use super::*;
    use crate::{Entry, Memory, Store};

    fn changes(steps: &[(bool, u8)]) -> Vec<Change> {
        let changes = steps.iter().enumerate().map(|(at, &(issued, id))| {
            let id = HandleId([id; 8]);
            let entry = Entry::new(UtcTime::from_secs(9), Zeroizing::new(vec![at as u8])).unwrap();
            match issued {
                true => Change::Issued { id, entry },
                false => Change::Gone(id),
            }
        });
        changes.collect()
    }

    fn held(store: &mut Memory) -> Vec<(HandleId, Vec<u8>)> {
        let mut held = Vec::new();
        let mut each = |id, entry: Entry| held.push((id, entry.expose_bytes().to_vec()));
        store.replay(UtcTime::from_secs(0), &mut each).unwrap();
        held.sort();
        held
    }

    proptest! {
        #[test]
        fn what_is_left_has_the_same_effect_and_names_no_handle_twice(
            before in prop::collection::vec((any::<bool>(), 0..6u8), 0..10),
            batch in prop::collection::vec((any::<bool>(), 0..6u8), 0..30),
        ) {
            let (mut all, mut left) = (Memory::new().unwrap(), Memory::new().unwrap());
            for store in [&mut all, &mut left] {
                store.commit(&changes(&before)).unwrap();
            }
            all.commit(&changes(&batch)).unwrap();
            let coalesced = coalesce(changes(&batch));
            let ids: HashSet<_> = coalesced.iter().map(Change::id).collect();
            prop_assert_eq!(ids.len(), coalesced.len());
            left.commit(&coalesced).unwrap();
            prop_assert_eq!(held(&mut all), held(&mut left));
        }
    }

    #[test]
    fn a_handle_that_is_issued_and_redeemed_at_once_is_not_written() {
        let left = coalesce(changes(&[(true, 1), (false, 1), (true, 2)]));
        assert!(matches!(left[..], [Change::Gone(_), Change::Issued { .. }]));
    }
}
