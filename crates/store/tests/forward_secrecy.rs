//! S4: deletion is not erasure, so entries are sealed under keys that can be destroyed.
//!
//! The scans read every byte of every file that the store has, as somebody would who took the
//! disk.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/entries.rs"]
mod entries;

use std::fs;
use std::path::Path;

use entries::*;
use redb::{Database, TableDefinition};
use refpoint_keys::UtcTime;
use refpoint_store::{MissingKeys, Redb, RedbOptions, Store};

/// All files below `directory`, in one.
fn disk(directory: &Path) -> Vec<u8> {
    let files = fs::read_dir(directory).unwrap();
    let files = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().concat()
}

fn found(disk: &[u8], what: &[u8]) -> bool {
    disk.windows(what.len()).any(|window| window == what)
}

/// The keys of the buckets, as somebody reads them who has a copy of the key file.
///
/// The offsets are those of the format; that a found key opens entries is checked below.
fn bucket_keys(key_file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let fixed = 22 + 16 + 8 + 3 * 32;
    let (count, buckets) = key_file[fixed..].split_first_chunk::<4>().unwrap();
    let count = u32::from_be_bytes(*count) as usize;
    buckets
        .chunks(36)
        .take(count)
        .map(|bucket| {
            let (end, key) = bucket.split_first_chunk::<4>().unwrap();
            (u64::from(u32::from_be_bytes(*end)) * 60, key.to_vec())
        })
        .collect()
}

/// How many entries of a redb file open under a stolen key file of the same store: both are put
/// where a store looks for them.
fn opened_with(directory: &Path, stolen_keys: &[u8]) -> usize {
    let attacker = tempfile::tempdir().unwrap();
    fs::copy(
        directory.join("handles.redb"),
        attacker.path().join("handles.redb"),
    )
    .unwrap();
    let keys = attacker.path().join("handles.keys");
    fs::write(&keys, stolen_keys).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let mut store = Redb::open(attacker.path(), NOW, &RedbOptions::default()).unwrap();
    replay(&mut store, NOW).0.len()
}

#[test]
fn after_its_bucket_nothing_of_an_entry_can_be_read_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut store = Redb::open(path, NOW, &RedbOptions::default()).unwrap();
    let changes: Vec<_> = (0..50).map(|n| issued(n, later(HOUR))).collect();
    store.commit(&changes).unwrap();
    let later_one = issued(99, later(5 * HOUR));
    store.commit(&[later_one]).unwrap();
    // Half of them are redeemed, half expire.
    let claims: Vec<_> = (0..25).map(gone).collect();
    store.commit(&claims).unwrap();

    let stolen = fs::read(path.join("handles.keys")).unwrap();
    let keys = bucket_keys(&stolen);
    assert_eq!(keys.len(), 2);
    let (first_end, first_key) = &keys[0];
    let before = disk(path);
    assert!(found(&before, first_key), "the scan can find a key");

    store.expire(UtcTime::from_secs(*first_end)).unwrap();
    let after = disk(path);
    assert!(
        !found(&after, first_key),
        "the destroyed key is on the disk"
    );
    assert!(
        found(&after, &keys[1].1),
        "the other bucket's key must stay"
    );
    for number in 0..50 {
        let secret = bytes(number);
        assert!(
            !found(&after, &secret[..32]),
            "entry {number} is on the disk"
        );
    }
    let (held, replayed) = replay(&mut store, NOW);
    assert_eq!((held.len(), replayed.expired), (1, 0), "rows are gone, too");
}

#[test]
fn what_is_deleted_stays_in_the_pages_of_the_database() {
    // The counter-examples, without which the test above would prove nothing.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();

    // Stored in clear and removed, a secret can still be read.
    let database = Database::create(path.join("clear.redb")).unwrap();
    let table = TableDefinition::<u128, &[u8]>::new("handles");
    let redeemed = || (0..200).filter(|number| number % 2 == 0);
    let transaction = database.begin_write().unwrap();
    let mut handles = transaction.open_table(table).unwrap();
    for number in 0..200 {
        let row = &bytes(number)[..];
        handles.insert(u128::from(number), row).unwrap();
    }
    drop(handles);
    transaction.commit().unwrap();
    let transaction = database.begin_write().unwrap();
    let mut handles = transaction.open_table(table).unwrap();
    for number in redeemed() {
        handles.remove(u128::from(number)).unwrap();
    }
    drop(handles);
    transaction.commit().unwrap();
    let disk = disk(path);
    let left = redeemed().filter(|&number| found(&disk, &bytes(number)[..32]));
    assert!(
        left.count() > 0,
        "redb erases what it deletes: bucket keys are not needed"
    );
}

#[test]
fn a_bucket_key_that_was_copied_in_time_opens_what_the_destroyed_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut store = Redb::open(path, NOW, &RedbOptions::default()).unwrap();
    let changes: Vec<_> = (0..20).map(|n| issued(n, later(HOUR))).collect();
    store.commit(&changes).unwrap();
    let stolen = fs::read(path.join("handles.keys")).unwrap();
    // The key is destroyed, and a crash keeps the rows from being removed.
    drop(store);
    let over = later(3 * HOUR);
    let mut store = Redb::open(path, over, &RedbOptions::default()).unwrap();
    let destroyed = fs::read(path.join("handles.keys")).unwrap();
    assert_eq!(replay(&mut store, NOW).1.expired, 20);
    drop(store);
    assert_eq!(
        opened_with(path, &stolen),
        20,
        "this is why the key must go"
    );
    assert_eq!(opened_with(path, &destroyed), 0);
}

#[test]
fn entries_of_another_place_do_not_open() {
    // A row that is moved to another place is not taken for the other's: places and ids are bound.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut store = Redb::open(path, NOW, &RedbOptions::default()).unwrap();
    store
        .commit(&[issued(1, later(HOUR)), issued(2, later(HOUR))])
        .unwrap();
    drop(store);
    let database = Database::open(path.join("handles.redb")).unwrap();
    let table = TableDefinition::<u64, &[u8]>::new("handles");
    let transaction = database.begin_write().unwrap();
    {
        use redb::ReadableTable;
        let mut handles = transaction.open_table(table).unwrap();
        let rows: Vec<_> = handles
            .iter()
            .unwrap()
            .map(|row| row.unwrap())
            .map(|(key, row)| (key.value(), row.value().to_vec()))
            .collect();
        let [(first, first_row), (second, second_row)] = &rows[..] else {
            panic!("two rows");
        };
        handles.insert(first, &second_row[..]).unwrap();
        handles.insert(second, &first_row[..]).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let mut store = Redb::open(path, NOW, &RedbOptions::default()).unwrap();
    let (held, replayed) = replay(&mut store, NOW);
    assert_eq!((held.len(), replayed.unreadable), (0, 2));
}

#[test]
fn without_its_key_file_a_store_starts_empty_only_if_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let volatile = tempfile::tempdir().unwrap();
    let keys = volatile.path().join("keys");
    let options = |missing| RedbOptions::default().with_key_file(keys.clone(), missing);
    let open = |missing| Redb::open(directory.path(), NOW, &options(missing));
    let mut store = open(MissingKeys::StartEmpty).unwrap();
    store.commit(&[issued(1, later(HOUR))]).unwrap();
    drop(store);
    let mut store = open(MissingKeys::StartEmpty).unwrap();
    assert_eq!(replay(&mut store, NOW).0.len(), 1);
    drop(store);

    fs::remove_file(&keys).unwrap();
    let refused = open(MissingKeys::Refuse).unwrap_err().to_string();
    assert!(refused.contains("put it back"), "{refused}");
    let mut store = open(MissingKeys::StartEmpty).unwrap();
    assert_eq!(replay(&mut store, NOW).0.len(), 0);
}
