//! A mailbox whose process is killed in the middle of puts and acknowledgements.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/child.rs"]
mod child;
#[path = "support/messages.rs"]
mod messages;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use child::{Dice, Working, command, report, task};
use messages::*;
use refpoint_store::{Mailbox, MailboxOptions, Quota, RedbMailbox};

const SENDERS: u64 = 4;

fn open(directory: &Path) -> RedbMailbox {
    let quota = Quota::default()
        .with_receiver(u64::MAX, u64::MAX)
        .with_remembered(u64::MAX);
    RedbMailbox::open(directory, &MailboxOptions::default().with_quota(quota)).unwrap()
}

#[test]
fn the_child() {
    let Some((_, directory)) = task() else {
        return; // an ordinary run of the tests: there is nothing to do
    };
    let mailbox = &open(&directory);
    report("open");
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            scope.spawn(move || {
                for number in 0.. {
                    let position = mailbox.put(NOW, message(1, sender, number)).unwrap();
                    report(format!("put {sender} {number} {}", position.number()));
                }
            });
        }
        scope.spawn(move || {
            let mut after = START;
            loop {
                let waiting = mailbox.fetch(NOW, &entity(1), after, 7, ALL.1).unwrap();
                if let Some(last) = waiting.last() {
                    after = last.position;
                    mailbox.acknowledge(&entity(1), after).unwrap();
                    report(format!("have {}", after.number()));
                }
            }
        });
    });
}

/// What the child said before it was killed.
#[derive(Default)]
struct Said {
    /// Position → sender, number.
    put: BTreeMap<u64, (u64, u64)>,
    acknowledged: u64,
}

impl Said {
    fn note(&mut self, line: &str) {
        let mut words = line.split(' ');
        let what = words.next().unwrap();
        let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
        match (what, &numbers[..]) {
            ("put", &[sender, number, position]) => {
                let before = self.put.insert(position, (sender, number));
                assert_eq!(before, None, "one position for two messages");
            }
            ("have", &[up_to]) => self.acknowledged = self.acknowledged.max(up_to),
            _ => assert_eq!(what, "open"),
        }
    }
}

#[test]
fn nothing_that_was_put_is_lost_and_nothing_acknowledged_comes_back() {
    let mut dice = Dice::new();
    for _ in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Working::start(command(&[], "the_child", "mailbox", directory.path()));
        let mut said = Said::default();
        for _ in 0..1 + dice.below(150) {
            said.note(&child.next().expect("the child works"));
        }
        for _ in 0..dice.below(1000) {
            std::thread::yield_now();
        }
        child.kill().iter().for_each(|line| said.note(line));

        let mailbox = open(directory.path());
        let waiting = mailbox.fetch(NOW, &entity(1), START, ALL.0, ALL.1).unwrap();
        let positions: Vec<_> = waiting
            .iter()
            .map(|message| message.position.number())
            .collect();
        let Some((&first, &last)) = positions.first().zip(positions.last()) else {
            // All was acknowledged, said or not.
            let put = said.put.len() as u64;
            assert!(
                put <= said.acknowledged + 7,
                "{put} of {}",
                said.acknowledged
            );
            continue;
        };
        assert!(
            first > said.acknowledged,
            "{first} was acknowledged and came back"
        );
        assert!(
            first <= said.acknowledged + 8,
            "one acknowledgement was under way at most"
        );
        assert_eq!(
            positions,
            (first..=last).collect::<Vec<_>>(),
            "a gap, or out of order"
        );
        for (&position, &(sender, number)) in &said.put {
            assert!(
                position <= last,
                "put {position} is lost: the last is {last}"
            );
            let message = message(1, sender, number);
            if position >= first {
                assert_eq!(waiting[(position - first) as usize].bytes, message.bytes);
            }
            // The sender does not know whether it arrived, and puts it again.
            assert_eq!(mailbox.put(NOW, message).unwrap().number(), position);
        }
        let again = mailbox.fetch(NOW, &entity(1), START, ALL.0, ALL.1).unwrap();
        assert_eq!(again, waiting, "delivered twice");
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().mode() & 0o777;
            assert_eq!(mode, 0o600);
        }
    }
}
