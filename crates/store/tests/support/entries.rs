//! Entries to store, and what a store holds.
#![allow(dead_code, reason = "no test needs all of it")]

use std::collections::BTreeMap;

use refpoint_keys::UtcTime;
use refpoint_store::{Change, Entry, HandleId, Replayed, Store};
use zeroize::Zeroizing;

/// When these tests take place.
pub(crate) const NOW: UtcTime = UtcTime::from_secs(1_800_000_000);
pub(crate) const HOUR: u64 = 3600;

pub(crate) fn later(seconds: u64) -> UtcTime {
    UtcTime::from_secs(NOW.as_secs() + seconds)
}

pub(crate) fn id(number: u64) -> HandleId {
    // Spread, as ids of real handles are.
    HandleId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
}

/// 120 bytes that tell which entry they are.
pub(crate) fn bytes(number: u64) -> Vec<u8> {
    (0..15_u64)
        .flat_map(|index| (number ^ (index << 56) ^ 0x5eed_0fa5_ec2e_7000).to_be_bytes())
        .collect()
}

pub(crate) fn issued(number: u64, expiry: UtcTime) -> Change {
    let entry = Entry::new(expiry, Zeroizing::new(bytes(number))).unwrap();
    Change::Issued {
        id: id(number),
        entry,
    }
}

pub(crate) fn gone(number: u64) -> Change {
    Change::Gone(id(number))
}

/// What a store holds: expiry and bytes.
pub(crate) type Held = BTreeMap<HandleId, (u64, Vec<u8>)>;

pub(crate) fn replay(store: &mut dyn Store, now: UtcTime) -> (Held, Replayed) {
    let mut held = Held::new();
    let replayed = store
        .replay(now, &mut |id, entry| {
            let value = (entry.expiry().as_secs(), entry.expose_bytes().to_vec());
            assert!(held.insert(id, value).is_none(), "one handle twice");
        })
        .unwrap();
    assert_eq!(replayed.entries, held.len());
    (held, replayed)
}

/// Does to the model what a store should do.
pub(crate) fn apply(held: &mut Held, change: &Change) {
    match change {
        Change::Issued { id, entry } => {
            let value = (entry.expiry().as_secs(), entry.expose_bytes().to_vec());
            held.insert(*id, value);
        }
        Change::Gone(id) => drop(held.remove(id)),
    }
}
