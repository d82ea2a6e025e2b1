//! Entries to store, and what a store holds.
#![allow(dead_code, reason = "no test needs all of it")]

use std::collections::BTreeMap;

use refpoint_keys::UtcTime;
use refpoint_store::{Change, Entry, HandleId, Owner, Replayed, Store};
use zeroize::Zeroizing;

/// When these tests take place.
pub(crate) const NOW: UtcTime = UtcTime::from_secs(1_800_000_000);
pub(crate) const HOUR: u64 = 3600;

pub(crate) fn later(seconds: u64) -> UtcTime {
    UtcTime::from_secs(NOW.as_secs() + seconds)
}

pub(crate) fn owner(number: u64) -> Owner {
    Owner::new(format!("//sp.example/id-mn/C{number}").as_bytes()).unwrap()
}

pub(crate) fn id(number: u64) -> HandleId {
    // Spread, as ids of real handles are.
    HandleId::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
}

/// 120 bytes that tell which entry they are.
pub(crate) fn bytes(number: u64) -> Vec<u8> {
    (0..15_u64)
        .flat_map(|index| (number ^ (index << 56) ^ 0x5eed_0fa5_ec2e_7000).to_be_bytes())
        .collect()
}

pub(crate) fn issued(of: u64, number: u64, expiry: UtcTime) -> Change {
    let entry = Entry::new(expiry, Zeroizing::new(bytes(number))).unwrap();
    Change::Issued {
        owner: owner(of),
        id: id(number),
        entry,
    }
}

pub(crate) fn claimed(of: u64, number: u64) -> Change {
    Change::Claimed {
        owner: owner(of),
        id: id(number),
    }
}

pub(crate) fn revoked(of: u64) -> Change {
    Change::Revoked { owner: owner(of) }
}

/// What a store holds: owner, id, expiry and bytes.
pub(crate) type Held = BTreeMap<(Vec<u8>, HandleId), (u64, Vec<u8>)>;

pub(crate) fn replay(store: &mut dyn Store, now: UtcTime) -> (Held, Replayed) {
    let mut held = Held::new();
    let replayed = store
        .replay(now, &mut |owner, id, entry| {
            let value = (entry.expiry().as_secs(), entry.expose_bytes().to_vec());
            let before = held.insert((owner.as_bytes().to_vec(), id), value);
            assert!(before.is_none(), "one entry twice");
        })
        .unwrap();
    assert_eq!(replayed.entries, held.len());
    (held, replayed)
}

/// Does to the model what a store should do.
pub(crate) fn apply(held: &mut Held, change: &Change) {
    let key = |owner: &Owner, id: &HandleId| (owner.as_bytes().to_vec(), *id);
    match change {
        Change::Issued { owner, id, entry } => {
            let value = (entry.expiry().as_secs(), entry.expose_bytes().to_vec());
            held.insert(key(owner, id), value);
        }
        Change::Claimed { owner, id } => {
            held.remove(&key(owner, id));
        }
        Change::Revoked { owner } => held.retain(|(of, _), _| of != owner.as_bytes()),
    }
}
