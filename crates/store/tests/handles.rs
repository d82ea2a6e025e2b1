//! Both stores against a naive model.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/entries.rs"]
mod entries;

use entries::*;
use proptest::prelude::*;
use refpoint_store::{Change, Claim, Entry, Error, Memory, Redb, RedbOptions, Store};
use zeroize::Zeroizing;

#[derive(Clone, Debug)]
enum Step {
    /// Numbers, and when they expire if they are issued.
    Commit(Vec<(u64, Option<u64>)>),
    Claim(u64),
    Expire(u64),
    Reopen,
}

fn change((number, expiry): (u64, Option<u64>)) -> Change {
    match expiry {
        Some(expiry) => issued(number, later(expiry)),
        None => gone(number),
    }
}

fn step() -> impl Strategy<Value = Step> {
    let change = (0..12u64, prop::option::weighted(0.7, 1..20 * HOUR));
    prop_oneof![
        6 => prop::collection::vec(change, 0..12).prop_map(Step::Commit),
        2 => (0..12u64).prop_map(Step::Claim),
        1 => (1..4 * HOUR).prop_map(Step::Expire),
        1 => Just(Step::Reopen),
    ]
}

fn both<'a>(memory: &'a mut Memory, redb: &'a mut Option<Redb>) -> [&'a mut dyn Store; 2] {
    [memory, redb.as_mut().unwrap()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn memory_and_redb_hold_what_a_map_holds(steps in prop::collection::vec(step(), 1..16)) {
        let directory = tempfile::tempdir().unwrap();
        let open = |now| Redb::open(directory.path(), now, &RedbOptions::default()).unwrap();
        let mut now = NOW;
        let (mut memory, mut redb) = (Memory::new().unwrap(), Some(open(now)));
        let mut model = Held::new();
        for step in steps {
            match step {
                Step::Commit(changes) => {
                    let changes: Vec<_> = changes.into_iter().map(change).collect();
                    changes.iter().for_each(|change| apply(&mut model, change));
                    for store in both(&mut memory, &mut redb) {
                        prop_assert_eq!(store.commit(&changes).unwrap().skipped, 0);
                    }
                }
                Step::Claim(number) => {
                    let key = id(number);
                    // What has expired may be forgotten, or not yet.
                    let live = model.get(&key).is_none_or(|(expiry, _)| *expiry > now.as_secs());
                    let expected = if model.remove(&key).is_some() { Claim::Won } else { Claim::Lost };
                    for store in both(&mut memory, &mut redb) {
                        let claim = store.claim(id(number)).unwrap();
                        prop_assert!(claim == expected || !live);
                        prop_assert_eq!(store.claim(id(number)).unwrap(), Claim::Lost);
                    }
                }
                Step::Expire(seconds) => {
                    now = now.saturating_add(core::time::Duration::from_secs(seconds));
                    for store in both(&mut memory, &mut redb) {
                        store.expire(now).unwrap();
                    }
                }
                Step::Reopen => {
                    drop(redb.take());
                    redb = Some(open(now));
                }
            }
            let mut live = model.clone();
            live.retain(|_, (expiry, _)| *expiry > now.as_secs());
            for store in both(&mut memory, &mut redb) {
                prop_assert_eq!(&replay(store, now).0, &live);
            }
        }
    }
}

#[test]
fn standing_keys_stay_and_every_start_has_a_number_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Redb::open(directory.path(), NOW, &RedbOptions::default()).unwrap();
    let known = |store: &Redb| {
        let keys = store.standing_keys();
        [&keys.tag, &keys.cookie, &keys.slot].map(|key| *key.expose_bytes())
    };
    let first = open();
    let keys = known(&first);
    assert_ne!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    assert_eq!(first.standing_keys().generation.number(), 1);
    drop(first);
    for number in 2..5 {
        let again = open();
        assert_eq!(known(&again), keys);
        assert_eq!(again.standing_keys().generation.number(), number);
    }
}

#[test]
fn a_start_counts_even_if_the_database_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Redb::open(directory.path(), NOW, &RedbOptions::default()).unwrap();
    drop(open());
    std::fs::remove_file(directory.path().join("handles.redb")).unwrap();
    assert_eq!(open().standing_keys().generation.number(), 2);
}

#[test]
fn an_entry_is_not_stored_before_its_key_is_nor_a_key_forgotten_that_could_not_be_destroyed() {
    let directory = tempfile::tempdir().unwrap();
    let open = |now| Redb::open(directory.path(), now, &RedbOptions::default()).unwrap();
    let mut store = open(NOW);
    let keys = directory.path().join("handles.keys");
    let before = std::fs::read(&keys).unwrap();
    // In the way of the key file's next copy.
    let obstacle = directory.path().join("handles.keys.new");
    std::fs::create_dir(&obstacle).unwrap();
    for _ in 0..2 {
        assert!(store.commit(&[issued(1, later(HOUR))]).is_err());
    }
    std::fs::remove_dir(&obstacle).unwrap();
    store.commit(&[issued(2, later(HOUR))]).unwrap();
    let with_key = std::fs::read(&keys).unwrap();
    assert!(with_key.len() > before.len());
    std::fs::create_dir(&obstacle).unwrap();
    assert!(store.expire(later(3 * HOUR)).is_err());
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(std::fs::read(&keys).unwrap(), with_key);
    store.expire(later(3 * HOUR)).unwrap();
    assert_eq!(
        std::fs::read(&keys).unwrap().len(),
        before.len(),
        "destroyed"
    );

    store.commit(&[issued(3, later(9 * HOUR))]).unwrap();
    drop(store);
    assert_eq!(replay(&mut open(NOW), NOW).0.len(), 1);
}

#[test]
fn more_expiries_than_there_are_keys_for_are_skipped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Redb::open(directory.path(), NOW, &RedbOptions::default()).unwrap();
    let changes: Vec<_> = (0..4100)
        .map(|number| issued(number, later(number * HOUR)))
        .collect();
    assert_eq!(store.commit(&changes).unwrap().skipped, 4);
    assert_eq!(replay(&mut store, NOW).0.len(), 4095, "one has expired");
    store.expire(later(10 * HOUR)).unwrap();
    assert_eq!(store.commit(&changes[4096..]).unwrap().skipped, 0);
}

#[test]
fn what_is_too_long_is_refused_before_it_is_stored() {
    let entry = Entry::new(NOW, Zeroizing::new(vec![0; Entry::MAX + 1]));
    assert!(matches!(entry, Err(Error::TooLong { what: "entry", .. })));
    let directory = tempfile::tempdir().unwrap();
    let mut store = Redb::open(directory.path(), NOW, &RedbOptions::default()).unwrap();
    let longest = Change::Issued {
        id: id(1),
        entry: Entry::new(later(1), Zeroizing::new(vec![8; Entry::MAX])).unwrap(),
    };
    store.commit(&[longest]).unwrap();
    let (held, _) = replay(&mut store, NOW);
    assert_eq!(held.into_values().next().unwrap().1, [8; Entry::MAX]);
}

#[test]
fn secrets_are_not_printed() {
    let change = issued(2, NOW);
    let printed = format!("{change:?}");
    assert!(printed.contains("bytes: .."), "{printed}");
}
