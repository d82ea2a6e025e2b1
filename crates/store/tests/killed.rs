//! Real processes, killed with SIGKILL in the middle of their work.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/child.rs"]
mod child;
#[path = "support/entries.rs"]
mod entries;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use child::{Dice, Working, command, report, task};
use entries::*;
use refpoint_store::{Change, Redb, RedbOptions, Store};

fn open(directory: &Path) -> Redb {
    Redb::open(directory, NOW, &RedbOptions::default()).unwrap()
}

/// The batch after `done` batches: handles are issued and redeemed, some long after.
fn batch(done: u64) -> Vec<Change> {
    (0..100)
        .map(|index| {
            let number = done * 100 + index;
            match number % 7 {
                3 | 5 => gone(number - 2),
                6 => gone(number.saturating_sub(500) / 7 * 7),
                _ => issued(number, later(1 + number * 97 % (40 * HOUR))),
            }
        })
        .collect()
}

fn state_after(batches: u64) -> Held {
    let mut held = Held::new();
    for done in 0..batches {
        batch(done)
            .iter()
            .for_each(|change| apply(&mut held, change));
    }
    held
}

/// What a child does, step by step; it reports each step when the store has returned.
fn step(store: &mut Redb, task: &str, done: u64) -> bool {
    match task {
        "stream" => store.commit(&batch(done)).map(|_| true).unwrap(),
        // Short, for the sweep: two batches, a destroyed bucket, a batch.
        "sweep" => {
            match done {
                0 => drop(store.commit(&[issued(1, later(HOUR / 2)), issued(2, later(9 * HOUR))])),
                1 => drop(store.commit(&[gone(1), issued(3, later(5 * HOUR))])),
                2 => store.expire(later(3 * HOUR)).unwrap(),
                3 => drop(store.commit(&[gone(3), issued(4, later(6 * HOUR))])),
                _ => return false,
            }
            true
        }
        _ => unreachable!("a task of these tests"),
    }
}

#[test]
fn the_child() {
    let Some((task, directory)) = task() else {
        return; // an ordinary run of the tests: there is nothing to do
    };
    if task == "try" {
        match Redb::open(&directory, NOW, &RedbOptions::default()) {
            Ok(_) => report("opened"),
            Err(error) => report(error),
        }
        return;
    }
    let mut store = open(&directory);
    report(0);
    let mut done = 0;
    while step(&mut store, &task, done) {
        done += 1;
        report(done);
    }
}

#[test]
fn nothing_committed_is_lost_and_no_batch_is_halved() {
    let mut dice = Dice::new();
    for _ in 0..12 {
        let directory = tempfile::tempdir().unwrap();
        let mut done = 0;
        let mut child = Working::start(command(&[], "the_child", "stream", directory.path()));
        for _ in 0..1 + dice.below(30) {
            done = child.next().expect("the child works").parse().unwrap();
        }
        for _ in 0..dice.below(2000) {
            std::thread::yield_now();
        }
        if let Some(last) = child.kill().last() {
            done = last.parse().unwrap();
        }
        let (held, replayed) = replay(&mut open(directory.path()), NOW);
        // What was committed and not reported any more may be there, as a whole.
        assert!(
            held == state_after(done) || held == state_after(done + 1),
            "after {done} batches: {replayed:?}"
        );
        assert_eq!((replayed.expired, replayed.unreadable), (0, 0));
    }
}

#[test]
fn a_store_that_was_killed_keeps_its_keys_and_its_permissions() {
    let directory = tempfile::tempdir().unwrap();
    let before = *open(directory.path()).standing_keys().tag.expose_bytes();
    let mut child = Working::start(command(&[], "the_child", "stream", directory.path()));
    assert_eq!(child.next().as_deref(), Some("0"));
    child.kill();
    let store = open(directory.path());
    assert_eq!(*store.standing_keys().tag.expose_bytes(), before);
    assert_eq!(store.standing_keys().generation.number(), 3);
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let asked = || {
        let child = Working::start(command(&[], "the_child", "try", directory.path()));
        child.end().0.concat()
    };
    let store = open(directory.path());
    let answer = asked();
    assert!(answer.contains("in use by another process"), "{answer}");
    drop(store);
    assert_eq!(asked(), "opened");
}

/// The system calls by which a store changes something that a crash could leave half done.
const CALLS: [&str; 8] = [
    "pwrite64",
    "write",
    "fsync",
    "fdatasync",
    "rename",
    "linkat",
    "unlink",
    "ftruncate",
];

/// A kill at every single such call, by `strace` where there is one.
#[test]
fn a_kill_at_any_system_call_leaves_a_store_that_opens() {
    let traced = std::process::Command::new("strace").arg("-V").output();
    if traced.is_err() {
        println!("skipped: strace, which places the kills, is not on the PATH");
        return;
    }
    let mut reached = BTreeMap::new();
    for call in CALLS {
        for nth in 1.. {
            let Some(done) = killed_at(call, nth) else {
                break;
            };
            *reached.entry(done).or_insert(0) += 1;
        }
    }
    println!("kills after each step: {reached:?}");
    assert!(reached.len() >= 5, "too few moments: {reached:?}");
}

/// Kills a child at its `nth` such call and looks at what it left; the steps that it had
/// reported, or `None` when it came to its end.
fn killed_at(call: &str, nth: u64) -> Option<u64> {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let inject = format!("inject={call}:signal=KILL:when={nth}");
    let trace = format!("trace={call}");
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ];
    let strace = strace.map(str::to_owned);
    let child = Working::start(command(&strace, "the_child", "sweep", &store));
    let (reports, finished) = child.end();
    if finished {
        return None;
    }
    let done = reports.last().map_or(0, |last| last.parse().unwrap());
    let mut store = open(&store);
    let (held, replayed) = replay(&mut store, later(3 * HOUR));
    assert!(
        held == after_sweep(done) || held == after_sweep(done + 1),
        "killed at {call} {nth}, after {done} steps: {replayed:?}"
    );
    assert_eq!(replayed.unreadable, 0, "killed at {call} {nth}");
    store.commit(&[issued(7, later(7 * HOUR))]).unwrap();
    Some(done)
}

/// What is left three hours later of so many steps of the sweep.
fn after_sweep(steps: u64) -> Held {
    let model = [
        vec![issued(1, later(HOUR / 2)), issued(2, later(9 * HOUR))],
        vec![gone(1), issued(3, later(5 * HOUR))],
        vec![],
        vec![gone(3), issued(4, later(6 * HOUR))],
    ];
    let mut held = Held::new();
    for change in model.iter().take(steps as usize).flatten() {
        apply(&mut held, change);
    }
    held.retain(|_, (expiry, _)| *expiry > later(3 * HOUR).as_secs());
    held
}
