//! The store follows, in batches, whatever the disk does.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/child.rs"]
mod child;
#[path = "support/entries.rs"]
mod entries;

use core::time::Duration;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use child::{Dice, Working, command, report, task};
use entries::*;
use refpoint_keys::UtcTime;
use refpoint_store::{
    Batching, Change, Claim, Committed, Entry, Error, HandleId, Memory, Redb, RedbOptions,
    Replayed, StandingKeys, Store, WriteBehind,
};

fn open(directory: &Path) -> Redb {
    Redb::open(directory, NOW, &RedbOptions::default()).unwrap()
}

/// Nothing is written before it is asked for.
fn patient() -> Batching {
    Batching::default().with_linger(Duration::from_secs(3600))
}

/// A store that tells of every batch, and commits it only when it is told to.
struct Stepped {
    inner: Memory,
    begun: Sender<usize>,
    go: Receiver<bool>,
}

impl Store for Stepped {
    fn standing_keys(&self) -> &StandingKeys {
        self.inner.standing_keys()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<Committed, Error> {
        let _ = self.begun.send(changes.len());
        match self.go.recv() {
            Ok(true) => self.inner.commit(changes),
            Ok(false) => panic!("as the test wants it"),
            Err(_) => Err(Error::Exhausted),
        }
    }

    fn claim(&mut self, id: HandleId) -> Result<Claim, Error> {
        self.inner.claim(id)
    }

    fn replay(
        &mut self,
        now: UtcTime,
        each: &mut dyn FnMut(HandleId, Entry),
    ) -> Result<Replayed, Error> {
        self.inner.replay(now, each)
    }

    fn expire(&mut self, now: UtcTime) -> Result<(), Error> {
        self.inner.expire(now)
    }
}

fn stepped(batching: Batching) -> (WriteBehind, Receiver<usize>, Sender<bool>) {
    let ((begun, batches), (told, go)) = (channel(), channel());
    let inner = Memory::new().unwrap();
    let store = Stepped { inner, begun, go };
    (WriteBehind::start(store, batching).unwrap(), batches, told)
}

#[test]
fn what_was_flushed_is_in_the_store_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let behind = WriteBehind::start(open(directory.path()), patient()).unwrap();
    for number in 0..10_000 {
        behind.submit(issued(number, later(HOUR))).unwrap();
    }
    behind.submit(gone(1)).unwrap();
    behind.submit(gone(2)).unwrap();
    behind.flush().unwrap();
    let statistics = behind.statistics();
    assert_eq!((statistics.durable, statistics.waiting()), (10_002, 0));
    assert!(statistics.batches <= 4, "{statistics:?}");
    drop(behind);
    let (held, _) = replay(&mut open(directory.path()), NOW);
    assert_eq!(held.len(), 9998);
}

#[test]
fn dropping_it_writes_what_waits() {
    let directory = tempfile::tempdir().unwrap();
    let behind = WriteBehind::start(open(directory.path()), patient()).unwrap();
    behind.submit(issued(1, later(HOUR))).unwrap();
    drop(behind);
    assert_eq!(replay(&mut open(directory.path()), NOW).0.len(), 1);
}

#[test]
fn a_change_becomes_durable_without_a_flush() {
    let batching = Batching::default().with_linger(Duration::from_millis(1));
    let (behind, batches, told) = stepped(batching);
    behind.submit(issued(1, later(HOUR))).unwrap();
    assert_eq!(batches.recv(), Ok(1));
    told.send(true).unwrap();
    behind.flush().unwrap();
}

#[test]
fn a_full_batch_does_not_linger_and_what_came_meanwhile_is_the_next() {
    let (behind, batches, told) = stepped(patient().with_most(3));
    for number in 0..3 {
        behind.submit(issued(number, later(HOUR))).unwrap();
    }
    assert_eq!(batches.recv(), Ok(3));
    for number in 3..8 {
        behind.submit(issued(number, later(HOUR))).unwrap();
    }
    for _ in 0..3 {
        told.send(true).unwrap();
    }
    assert_eq!(batches.recv(), Ok(3));
    behind.flush().unwrap();
    assert_eq!(batches.recv(), Ok(2));
    assert_eq!(behind.statistics().durable, 8);
}

#[test]
fn a_slow_disk_fills_the_queue_and_blocks_nobody() {
    let (behind, batches, told) = stepped(patient().with_most(2).with_capacity(4));
    let issue = |number| behind.submit(issued(number, later(HOUR)));
    issue(0).unwrap();
    issue(1).unwrap();
    assert_eq!(batches.recv(), Ok(2), "and there it hangs");
    issue(2).unwrap();
    issue(3).unwrap();
    let refused = issue(4).unwrap_err();
    assert!(matches!(refused.0, Change::Issued { .. }), "given back");
    for number in 0..4 {
        behind.submit(gone(number)).unwrap();
    }
    behind.submit(gone(1)).unwrap_err();
    assert_eq!(behind.statistics().refused, 2);
    assert_eq!(behind.statistics().waiting(), 8);
    for _ in 0..4 {
        told.send(true).unwrap();
    }
    behind.flush().unwrap();
    issue(5).unwrap();
    told.send(true).unwrap();
    behind.stop().unwrap();
}

#[test]
fn a_store_that_panics_is_an_error_and_no_hang() {
    let (behind, batches, told) = stepped(patient());
    behind.submit(issued(1, later(HOUR))).unwrap();
    told.send(false).unwrap();
    assert!(matches!(behind.flush(), Err(Error::Ended)));
    assert_eq!(batches.recv(), Ok(1));
    behind.submit(issued(2, later(HOUR))).unwrap_err();
    assert!(matches!(behind.stop(), Err(Error::Ended)));
}

#[test]
fn expiry_happens_in_its_turn() {
    let directory = tempfile::tempdir().unwrap();
    let behind = WriteBehind::start(open(directory.path()), patient()).unwrap();
    behind.submit(issued(1, later(1))).unwrap();
    behind.submit(issued(2, later(9 * HOUR))).unwrap();
    behind.expire(later(2 * HOUR));
    behind.stop().unwrap();
    let (held, replayed) = replay(&mut open(directory.path()), NOW);
    assert_eq!((held.len(), replayed.expired), (1, 0));
}

#[test]
fn the_child() {
    let Some((task, directory)) = task() else {
        return; // an ordinary run of the tests: there is nothing to do
    };
    match &task[..] {
        "stream" => {
            let behind = WriteBehind::start(open(&directory), Batching::default()).unwrap();
            for round in 0.. {
                for number in round * 100..(round + 1) * 100 {
                    behind.submit(issued(number, later(HOUR))).unwrap();
                    if number % 2 == 1 {
                        behind.submit(gone(number - 1)).unwrap();
                    }
                }
                if round % 3 == 0 {
                    behind.flush().unwrap();
                    report((round + 1) * 100);
                }
            }
        }
        _ => on_a_full_disk(&directory),
    }
}

/// Writes until the system lets no file grow any more, and then once more when it does.
fn on_a_full_disk(directory: &Path) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let room = |bytes: Option<u64>| {
        let maximum = getrlimit(Resource::Fsize).maximum;
        let limit = Rlimit {
            current: bytes,
            maximum,
        };
        setrlimit(Resource::Fsize, limit).unwrap();
    };
    let behind = WriteBehind::start(open(directory), Batching::default()).unwrap();
    behind.submit(issued(0, later(HOUR))).unwrap();
    behind.flush().unwrap();
    room(Some(256 << 10));
    for number in 1..5000 {
        behind.submit(issued(number, later(HOUR))).unwrap();
    }
    let error = behind.flush().unwrap_err();
    report(error);
    assert!(behind.statistics().problem.is_some());
    assert!(behind.statistics().waiting() > 0);
    room(None);
    behind.flush().unwrap();
    assert_eq!(behind.statistics().problem, None);
    behind.stop().unwrap();
    report("recovered");
}

#[test]
fn a_kill_loses_what_was_not_flushed_and_nothing_else() {
    let mut dice = Dice::new();
    for _ in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Working::start(command(&[], "the_child", "stream", directory.path()));
        let mut flushed: u64 = 0;
        for _ in 0..1 + dice.below(6) {
            flushed = child.next().expect("the child works").parse().unwrap();
        }
        for _ in 0..dice.below(2000) {
            std::thread::yield_now();
        }
        if let Some(last) = child.kill().last() {
            flushed = last.parse().unwrap();
        }
        let (held, replayed) = replay(&mut open(directory.path()), NOW);
        assert_eq!((replayed.expired, replayed.unreadable), (0, 0));
        let holds = |number: u64| {
            held.get(&id(number))
                .map(|(_, found)| assert_eq!(*found, bytes(number)))
        };
        for number in 0..flushed {
            let expected = (number % 2 == 1).then_some(());
            assert_eq!(holds(number), expected, "{number} of {flushed}");
        }
        // Beyond that it ends somewhere: a beginning of what was submitted, in order. A handle
        // whose claim was lost may be redeemed again, under fresh keys.
        let last = (flushed..flushed + 10_000).rfind(|&number| holds(number).is_some());
        for number in (flushed..last.unwrap_or(flushed)).filter(|number| number % 2 == 1) {
            assert!(holds(number).is_some(), "a gap before {last:?} at {number}");
        }
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost_when_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    // The shell ignores the signal that comes with the limit, and so does what it becomes.
    let shell = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"].map(str::to_owned);
    let child = Working::start(command(&shell, "the_child", "full", directory.path()));
    let (reports, succeeded) = child.end();
    assert!(succeeded, "{reports:?}");
    let [error, recovered] = &reports[..] else {
        panic!("{reports:?}");
    };
    assert!(error.contains("not durable yet"), "{error}");
    assert_eq!(recovered, "recovered");
    assert_eq!(replay(&mut open(directory.path()), NOW).0.len(), 5000);
}
