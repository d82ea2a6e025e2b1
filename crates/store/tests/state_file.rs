//! One entity's state: whole or not at all, for one process, for its owner.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use refpoint_store::{Error, StateFile};

fn kept(directory: &std::path::Path) -> Option<Vec<u8>> {
    let mut file = StateFile::open(directory).expect("intact");
    file.take_kept().map(|state| state.to_vec())
}

#[test]
fn what_was_kept_last_is_found_and_what_was_before_is_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("state-of-one");
    assert_eq!(kept(&place), None);
    let file = StateFile::open(&place).expect("it was made");
    file.replace(b"the first state, and a long one")
        .expect("kept");
    // A second name keeps the former file's blocks in sight.
    let former = place.join("former");
    fs::hard_link(file.path(), &former).expect("a link");
    file.replace(b"the second").expect("kept");
    drop(file);
    assert_eq!(kept(&place).as_deref(), Some(&b"the second"[..]));
    let before = fs::read(former).expect("a file");
    assert!(before.iter().all(|byte| *byte == 0), "it can still be read");
}

#[test]
fn a_damaged_state_is_refused_and_stays_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = StateFile::open(directory.path()).expect("it was made");
    file.replace(b"a state").expect("kept");
    let path = file.path().to_owned();
    drop(file);
    let intact = fs::read(&path).expect("a file");
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| *bytes.last_mut().expect("not empty") ^= 1,
        |bytes| bytes[0] ^= 1,
        Vec::clear,
    ];
    for damage in damages {
        let mut bytes = intact.clone();
        damage(&mut bytes);
        fs::write(&path, &bytes).expect("written");
        let refused = StateFile::open(directory.path()).expect_err("taken");
        assert!(matches!(refused, Error::State(_)), "{refused}");
        assert_eq!(fs::read(&path).expect("a file"), bytes);
    }
}

#[test]
fn a_second_process_and_other_readers_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = StateFile::open(directory.path()).expect("it was made");
    file.replace(b"a state").expect("kept");
    let second = StateFile::open(directory.path()).expect_err("taken");
    assert!(matches!(second, Error::InUse(_)), "{second}");
    let path = file.path().to_owned();
    drop(file);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
    let readable = StateFile::open(directory.path()).expect_err("taken");
    assert!(matches!(readable, Error::Readable { .. }), "{readable}");
}
