//! Both mailboxes against a naive model, and their promises one by one.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/messages.rs"]
mod messages;

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;

use messages::*;
use proptest::prelude::*;
use refpoint_keys::UtcTime;
use refpoint_store::{
    Error, Mailbox, MailboxError, MailboxOptions, MemoryMailbox, Message, Position, Quota,
    RedbMailbox, Waiting,
};

fn open(directory: &Path, quota: &Quota) -> RedbMailbox {
    let options = MailboxOptions::default().with_quota(quota.clone());
    RedbMailbox::open(directory, &options).unwrap()
}

/// Runs `test` on both kinds.
fn both(quota: &Quota, test: impl Fn(&dyn Mailbox)) {
    test(&MemoryMailbox::new(quota.clone()));
    let directory = tempfile::tempdir().unwrap();
    test(&open(directory.path(), quota));
}

fn fetch(mailbox: &dyn Mailbox, receiver: u64, after: Position) -> Vec<Waiting> {
    mailbox
        .fetch(NOW, &entity(receiver), after, ALL.0, ALL.1)
        .unwrap()
}

fn texts(waiting: &[Waiting]) -> Vec<&str> {
    waiting
        .iter()
        .map(|message| str::from_utf8(&message.bytes).unwrap())
        .collect()
}

#[test]
fn messages_wait_in_order_until_they_are_acknowledged() {
    both(&Quota::default(), |mailbox| {
        for number in 1..=3 {
            let position = mailbox.put(NOW, message(1, 7, number)).unwrap();
            assert_eq!(position.number(), number);
        }
        assert_eq!(mailbox.put(NOW, message(2, 7, 9)).unwrap().number(), 1);
        let waiting = fetch(mailbox, 1, START);
        assert_eq!(texts(&waiting)[2], "message 3 from 7 to 1");
        assert_eq!(waiting[0].sender, entity(7));
        assert_eq!(fetch(mailbox, 1, START), waiting, "to fetch takes nothing");
        assert_eq!(fetch(mailbox, 1, waiting[1].position), waiting[2..]);
        mailbox
            .acknowledge(&entity(1), waiting[1].position)
            .unwrap();
        assert_eq!(fetch(mailbox, 1, START), waiting[2..]);
        mailbox
            .acknowledge(&entity(1), waiting[0].position)
            .unwrap();
        mailbox
            .acknowledge(&entity(1), waiting[2].position)
            .unwrap();
        assert_eq!(fetch(mailbox, 1, START), []);
        assert_eq!(fetch(mailbox, 2, START).len(), 1);
        assert_eq!(
            mailbox.put(NOW, message(1, 7, 4)).unwrap().number(),
            4,
            "never given twice"
        );
    });
}

#[test]
fn the_same_put_again_is_the_same_message_even_after_its_acknowledgement() {
    both(&Quota::default(), |mailbox| {
        let first = mailbox.put(NOW, message(1, 7, 1)).unwrap();
        assert_eq!(mailbox.put(NOW, message(1, 7, 1)).unwrap(), first);
        assert_eq!(fetch(mailbox, 1, START).len(), 1);
        mailbox.acknowledge(&entity(1), first).unwrap();
        assert_eq!(mailbox.put(NOW, message(1, 7, 1)).unwrap(), first);
        assert_eq!(fetch(mailbox, 1, START), [], "delivered twice");

        let mut other = message(1, 7, 1);
        other.bytes.push(b'!');
        assert!(matches!(
            mailbox.put(NOW, other),
            Err(MailboxError::Conflict)
        ));
        let mut other = message(1, 7, 1);
        other.expiry = later(3601);
        assert!(matches!(
            mailbox.put(NOW, other),
            Err(MailboxError::Conflict)
        ));
        // Another sender's ids are its own, and so are those for another receiver.
        assert_eq!(mailbox.put(NOW, message(1, 8, 1)).unwrap().number(), 2);
        assert_eq!(mailbox.put(NOW, message(2, 7, 1)).unwrap().number(), 1);
    });
}

#[test]
fn what_expires_is_neither_taken_nor_delivered_and_frees_its_quota() {
    let quota = Quota::default().with_receiver(2, 1000).with_remembered(2);
    both(&quota, |mailbox| {
        let mut short = message(1, 7, 1);
        short.expiry = later(10);
        assert!(matches!(
            mailbox.put(later(10), short.clone()),
            Err(MailboxError::Expired)
        ));
        mailbox.put(NOW, short.clone()).unwrap();
        mailbox.put(NOW, message(1, 7, 2)).unwrap();
        assert!(matches!(
            mailbox.put(NOW, message(1, 7, 3)),
            Err(MailboxError::ReceiverFull)
        ));
        let left = mailbox
            .fetch(later(10), &entity(1), START, ALL.0, ALL.1)
            .unwrap();
        assert_eq!(texts(&left), ["message 2 from 7 to 1"]);
        assert_eq!(
            mailbox.put(later(10), message(1, 7, 3)).unwrap().number(),
            3
        );
        assert_eq!(
            mailbox.expire(later(3600)).unwrap(),
            2,
            "nobody fetched two"
        );
        assert_eq!(mailbox.expire(later(3600)).unwrap(), 0);
        let mut long = message(1, 7, 4);
        long.expiry = later(31 * 24 * 3600);
        assert!(matches!(
            mailbox.put(NOW, long),
            Err(MailboxError::TooLate(_))
        ));
    });
}

#[test]
fn quotas_hold_by_receiver_and_in_all() {
    let size = message(1, 7, 1).bytes.len() as u64;
    let quota = Quota::default()
        .with_message(30, Duration::from_secs(3600))
        .with_receiver(3, 2 * size + 1)
        .with_all(4, 3 * size)
        .with_receivers(2);
    both(&quota, |mailbox| {
        let mut long = message(1, 7, 0);
        long.bytes = vec![0; 31];
        assert!(matches!(
            mailbox.put(NOW, long),
            Err(MailboxError::TooLong { size: 31, most: 30 })
        ));
        mailbox.put(NOW, message(1, 7, 1)).unwrap();
        let second = mailbox.put(NOW, message(1, 7, 2)).unwrap();
        let third = || mailbox.put(NOW, message(1, 7, 3));
        assert!(matches!(third(), Err(MailboxError::ReceiverFull)), "bytes");
        mailbox.put(NOW, message(2, 7, 1)).unwrap();
        assert!(
            matches!(mailbox.put(NOW, message(2, 7, 2)), Err(MailboxError::Full)),
            "bytes in all"
        );
        mailbox.acknowledge(&entity(1), second).unwrap();
        assert!(
            matches!(mailbox.put(NOW, message(3, 7, 1)), Err(MailboxError::Full)),
            "receivers"
        );
        third().unwrap();
    });
}

#[test]
fn what_is_remembered_is_bounded_too() {
    let quota = Quota::default().with_remembered(3);
    both(&quota, |mailbox| {
        for number in 1..=3 {
            let position = mailbox.put(NOW, message(1, 7, number)).unwrap();
            mailbox.acknowledge(&entity(1), position).unwrap();
        }
        let fourth = mailbox.put(NOW, message(1, 7, 4));
        assert!(matches!(fourth, Err(MailboxError::ReceiverFull)));
    });
}

#[test]
fn what_was_never_given_cannot_be_acknowledged() {
    both(&Quota::default(), |mailbox| {
        let ahead = mailbox.acknowledge(&entity(1), Position::new(1));
        assert!(matches!(ahead, Err(MailboxError::Unknown)));
        mailbox.acknowledge(&entity(1), START).unwrap();
        mailbox.put(NOW, message(1, 7, 1)).unwrap();
        let ahead = mailbox.acknowledge(&entity(1), Position::new(u64::MAX));
        assert!(matches!(ahead, Err(MailboxError::Unknown)));
        assert_eq!(fetch(mailbox, 1, START).len(), 1);
        assert_eq!(fetch(mailbox, 1, Position::new(u64::MAX)).len(), 0);
    });
}

#[test]
fn a_fetch_stops_at_its_bounds_but_never_starves() {
    both(&Quota::default(), |mailbox| {
        for number in 1..=5 {
            mailbox.put(NOW, message(1, 7, number)).unwrap();
        }
        let size = message(1, 7, 1).bytes.len();
        let count = |most, bytes| {
            let fetched = mailbox.fetch(NOW, &entity(1), START, most, bytes);
            fetched.unwrap().len()
        };
        assert_eq!(count(2, ALL.1), 2);
        assert_eq!(count(ALL.0, 3 * size), 3);
        assert_eq!(count(ALL.0, 3 * size - 1), 2);
        assert_eq!(count(ALL.0, 1), 1, "a longer one alone");
        assert_eq!(count(0, ALL.1), 0);
    });
}

#[test]
fn many_threads_put_at_once_and_each_position_is_given_once() {
    both(&Quota::default(), |mailbox| {
        std::thread::scope(|scope| {
            for sender in 0..8 {
                scope.spawn(move || {
                    for number in 0..25 {
                        mailbox.put(NOW, message(1, sender, number)).unwrap();
                    }
                });
            }
        });
        let waiting = fetch(mailbox, 1, START);
        let positions: Vec<_> = waiting
            .iter()
            .map(|message| message.position.number())
            .collect();
        assert_eq!(positions, (1..=200).collect::<Vec<_>>());
    });
}

#[test]
fn a_mailbox_in_use_or_of_another_kind_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mailbox = open(directory.path(), &Quota::default());
    let again = RedbMailbox::open(directory.path(), &MailboxOptions::default());
    assert!(matches!(again, Err(Error::InUse(_))));
    drop(mailbox);
    let path = directory.path().join("mailbox.redb");
    std::fs::write(&path, b"a text that somebody put there").unwrap();
    let refused = RedbMailbox::open(directory.path(), &MailboxOptions::default()).unwrap_err();
    assert!(
        refused.to_string().contains("not an intact database"),
        "{refused}"
    );
    assert_eq!(
        std::fs::read(&path).unwrap(),
        b"a text that somebody put there"
    );
}

/// The naive model: a list of everything ever put.
#[derive(Default)]
struct Model {
    put: Vec<(Message, u64, bool)>,
    last: BTreeMap<u64, u64>,
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        receiver: u64,
        sender: u64,
        number: u64,
        seconds: u64,
        size: usize,
    },
    Acknowledge {
        receiver: u64,
        up_to: u64,
    },
    Expire,
    Wait(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3u64, 0..2u64, 0..6u64, 1..40u64, 0..40usize).prop_map(
            |(receiver, sender, number, seconds, size)| Step::Put { receiver, sender, number, seconds, size }
        ),
        3 => (0..3u64, 0..8u64).prop_map(|(receiver, up_to)| Step::Acknowledge { receiver, up_to }),
        1 => Just(Step::Expire),
        2 => (0..20u64).prop_map(Step::Wait),
        1 => Just(Step::Reopen),
    ]
}

const QUOTA: (u64, u64, u64, u64) = (3, 80, 6, 160);

impl Model {
    /// Forgets nothing: what is live is computed anew each time.
    fn waiting(&self, now: UtcTime, receiver: u64) -> Vec<(u64, Vec<u8>)> {
        let of = self
            .put
            .iter()
            .filter(|(message, ..)| message.receiver == entity(receiver));
        let live = of.filter(|(message, _, gone)| !gone && message.expiry > now);
        live.map(|(message, position, _)| (*position, message.bytes.clone()))
            .collect()
    }

    fn put(&mut self, now: UtcTime, receiver: u64, message: &Message) -> String {
        if message.expiry <= now {
            return "Expired".to_owned();
        }
        let same = |known: &Message| {
            (&known.receiver, &known.sender, known.id)
                == (&message.receiver, &message.sender, message.id)
        };
        let live = |known: &&(Message, u64, bool)| known.0.expiry > now;
        if let Some((known, position, _)) =
            self.put.iter().filter(live).find(|known| same(&known.0))
        {
            return match known == message {
                true => format!("{position}"),
                false => "Conflict".to_owned(),
            };
        }
        let mine = self.waiting(now, receiver);
        let size = |waiting: &[(u64, Vec<u8>)]| {
            waiting.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
        };
        let remembered = self.put.iter().filter(live);
        let remembered = remembered
            .filter(|known| known.0.receiver == message.receiver)
            .count();
        let all: Vec<_> = (0..3)
            .flat_map(|receiver| self.waiting(now, receiver))
            .collect();
        let (messages, bytes, most_remembered, all_bytes) = QUOTA;
        let after = |waiting: &[(u64, Vec<u8>)]| (size(waiting) + message.bytes.len()) as u64;
        if mine.len() as u64 >= messages
            || after(&mine) > bytes
            || remembered as u64 >= most_remembered
        {
            return "ReceiverFull".to_owned();
        }
        if after(&all) > all_bytes {
            return "Full".to_owned();
        }
        let position = self.last.entry(receiver).or_default();
        *position += 1;
        self.put.push((message.clone(), *position, false));
        format!("{position}")
    }

    fn acknowledge(&mut self, receiver: u64, up_to: u64) -> bool {
        let known = up_to <= self.last.get(&receiver).copied().unwrap_or(0);
        for (message, position, gone) in &mut self.put {
            *gone |= known && message.receiver == entity(receiver) && *position <= up_to;
        }
        known
    }
}

fn told(outcome: Result<Position, MailboxError>) -> String {
    match outcome {
        Ok(position) => position.number().to_string(),
        Err(error) => format!("{error:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn mailboxes_do_what_a_list_does(steps in prop::collection::vec(step(), 1..30)) {
        let (messages, bytes, remembered, all_bytes) = QUOTA;
        let quota = Quota::default()
            .with_receiver(messages, bytes)
            .with_remembered(remembered)
            .with_all(u64::MAX, all_bytes);
        let directory = tempfile::tempdir().unwrap();
        let memory = MemoryMailbox::new(quota.clone());
        let mut durable = Some(open(directory.path(), &quota));
        let (mut model, mut now) = (Model::default(), NOW);
        for step in steps {
            let mailboxes: [&dyn Mailbox; 2] = [&memory, durable.as_ref().unwrap()];
            match step {
                Step::Put { receiver, sender, number, seconds, size } => {
                    let message = Message {
                        expiry: later(seconds),
                        bytes: vec![number as u8; size],
                        ..message(receiver, sender, number)
                    };
                    let expected = model.put(now, receiver, &message);
                    for mailbox in mailboxes {
                        prop_assert_eq!(&told(mailbox.put(now, message.clone())), &expected);
                    }
                }
                Step::Acknowledge { receiver, up_to } => {
                    let known = model.acknowledge(receiver, up_to);
                    for mailbox in mailboxes {
                        let outcome = mailbox.acknowledge(&entity(receiver), Position::new(up_to));
                        prop_assert_eq!(outcome.is_ok(), known);
                    }
                }
                Step::Expire => {
                    let counts = mailboxes.map(|mailbox| mailbox.expire(now).unwrap());
                    prop_assert_eq!(counts[0], counts[1]);
                }
                Step::Wait(seconds) => now = now.saturating_add(Duration::from_secs(seconds)),
                Step::Reopen => {
                    drop(durable.take());
                    durable = Some(open(directory.path(), &quota));
                }
            }
            let mailboxes: [&dyn Mailbox; 2] = [&memory, durable.as_ref().unwrap()];
            for (receiver, mailbox) in (0..3).flat_map(|receiver| mailboxes.map(|mailbox| (receiver, mailbox))) {
                let waiting = mailbox.fetch(now, &entity(receiver), START, ALL.0, ALL.1).unwrap();
                let waiting: Vec<_> = waiting
                    .into_iter()
                    .map(|message| (message.position.number(), message.bytes))
                    .collect();
                prop_assert_eq!(waiting, model.waiting(now, receiver));
            }
        }
    }
}
