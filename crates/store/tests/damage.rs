//! Files that are damaged, cut off or not ours: a clear error, and nothing is changed.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/child.rs"]
mod child;
#[path = "support/entries.rs"]
mod entries;

use std::fs;
use std::path::Path;

use child::Dice;
use entries::*;
use refpoint_store::{Error, Redb, RedbOptions, Store};

const FILES: [&str; 2] = ["handles.redb", "handles.keys"];

fn open(directory: &Path) -> Result<Redb, Error> {
    Redb::open(directory, NOW, &RedbOptions::default())
}

/// A store with 300 entries, closed.
fn store() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap();
    let changes: Vec<_> = (0..300).map(|n| issued(n, later(HOUR))).collect();
    store.commit(&changes).unwrap();
    directory
}

fn contents(directory: &Path) -> Vec<Vec<u8>> {
    FILES
        .map(|name| fs::read(directory.join(name)).unwrap())
        .into()
}

/// Opens the store, which must be refused and left as it is; the reason.
fn refused(directory: &Path) -> Error {
    let before = contents(directory);
    let error = open(directory).expect_err("it should be refused");
    assert!(contents(directory) == before, "changed although {error}");
    error
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    for name in FILES {
        for foreign in [&b""[..], b"x", b"SQLite format 3\0 and more", &[0; 100_000]] {
            let directory = store();
            let path = directory.path().join(name);
            fs::write(&path, foreign).unwrap();
            let error = refused(directory.path());
            let shown = error.to_string();
            assert!(shown.contains(name) && shown.contains("delete"), "{shown}");
        }
    }
}

#[test]
fn a_file_that_was_cut_off_is_refused_and_left_alone() {
    let mut dice = Dice::new();
    for name in FILES {
        for _ in 0..15 {
            let directory = store();
            let path = directory.path().join(name);
            let whole = fs::read(&path).unwrap();
            let length = dice.below(whole.len() as u64) as usize;
            fs::write(&path, &whole[..length]).unwrap();
            println!("{name} cut from {} to {length} bytes", whole.len());
            let shown = refused(directory.path()).to_string();
            assert!(shown.contains("not an intact"), "{shown}");
        }
    }
}

#[test]
fn a_flipped_bit_is_found_or_does_not_matter() {
    let mut dice = Dice::new();
    let expected = {
        let directory = store();
        replay(&mut open(directory.path()).unwrap(), NOW).0
    };
    let mut found = 0;
    for _ in 0..40 {
        let directory = store();
        let path = directory.path().join("handles.redb");
        let mut bytes = fs::read(&path).unwrap();
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
        fs::write(&path, &bytes).unwrap();
        println!("bit flipped in byte {at} of {}", bytes.len());
        match open(directory.path()) {
            // It lay in a page that nothing needs.
            Ok(mut store) => assert!(replay(&mut store, NOW).0 == expected),
            Err(Error::Database { .. }) => {
                found += 1;
                assert!(
                    fs::read(&path).unwrap() == bytes,
                    "changed although damaged"
                );
            }
            Err(error) => panic!("not clear: {error}"),
        }
    }
    assert!(found > 0, "no damage was ever found");
}

#[test]
fn files_of_two_stores_do_not_mix() {
    let (one, other) = (store(), store());
    for name in FILES {
        let mixed = store();
        fs::copy(one.path().join(name), mixed.path().join(name)).unwrap();
        let error = refused(mixed.path());
        assert!(matches!(error, Error::Foreign(_)), "{error}");
        assert!(error.to_string().contains("another store"));
    }
    assert!(open(other.path()).is_ok());
}

#[test]
fn a_missing_key_file_is_named() {
    let directory = store();
    fs::remove_file(directory.path().join("handles.keys")).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::KeysMissing(_)));
    let shown = error.to_string();
    assert!(
        shown.contains("handles.keys") && shown.contains("put it back"),
        "{shown}"
    );
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    for name in FILES {
        let directory = store();
        let path = directory.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = refused(directory.path());
        assert!(
            matches!(error, Error::Readable { mode: 0o644, .. }),
            "{error}"
        );
    }
}

#[test]
fn a_database_that_is_not_a_store_of_handles_is_refused() {
    let directory = store();
    let path = directory.path().join("handles.redb");
    fs::remove_file(&path).unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("something else");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let shown = refused(directory.path()).to_string();
    assert!(shown.contains("not an intact database"), "{shown}");
}
