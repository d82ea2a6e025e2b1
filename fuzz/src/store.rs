//! Targets of `refpoint-store`: its key file and its mailbox.

use std::collections::BTreeMap;

use refpoint_keys::{EntityId, UtcTime};
use refpoint_store::{
    KeyFileProblem, KeyFileSummary, Mailbox, MailboxError, MemoryMailbox, Message, MessageId,
    Position, Quota,
};

use crate::Input;

const MAGIC: &[u8] = b"refpoint store keys 1\n";

/// Where the number of buckets stands.
const COUNT: usize = MAGIC.len() + 16 + 8 + 3 * 32;

/// A key file is taken only as a whole, and what is wrong with another is told without its bytes.
pub fn store_key_file(data: &[u8]) {
    match KeyFileSummary::read(data) {
        Ok(summary) => {
            assert!(data.starts_with(MAGIC));
            assert_eq!(data.len(), COUNT + 4 + summary.buckets * 36 + 32);
            assert_eq!(summary.last.is_some(), summary.buckets > 0);
            for length in 0..data.len() {
                assert!(KeyFileSummary::read(&data[..length]).is_err(), "cut off");
            }
            let mut altered = data.to_vec();
            for at in [COUNT - 1, data.len() / 2, data.len() - 1] {
                altered[at] ^= 1;
                assert!(KeyFileSummary::read(&altered).is_err(), "altered");
                altered[at] ^= 1;
            }
        }
        Err(problem) => {
            let begins = data.starts_with(MAGIC);
            assert_eq!(problem == KeyFileProblem::Foreign, !begins);
        }
    }
}

/// No more messages wait for a receiver.
const MOST: u64 = 4;

/// Whatever is put, acknowledged and waited for: positions grow, what is fetched was put and has
/// been neither acknowledged nor too late, and a repeated put changes nothing.
///
/// An operation is a byte that chooses it and the receiver, and one to four bytes more.
pub fn store_mailbox(data: &[u8]) {
    let mailbox = MemoryMailbox::new(Quota::default().with_receiver(MOST, 64).with_all(6, 100));
    let entity = |number: u8| {
        let id = format!("//sp.example/id-mn/C{number}");
        EntityId::parse(&id).expect("an id")
    };
    let mut input = Input::new(data);
    let mut now = 1_000;
    let mut put: BTreeMap<(u8, u64), Message> = BTreeMap::new();
    let mut acknowledged = [0; 2];
    while !input.is_empty() {
        let choice = input.byte();
        let receiver = choice & 1;
        let time = UtcTime::from_secs(now);
        let last = put.range((receiver, 0)..=(receiver, u64::MAX)).next_back();
        let last = last.map_or(0, |((_, position), _)| *position);
        match choice >> 1 & 3 {
            0 | 1 => {
                let message = Message {
                    receiver: entity(receiver),
                    sender: entity(2 + (choice >> 3 & 1)),
                    id: MessageId::new([input.byte(); 16]),
                    expiry: UtcTime::from_secs(1_000 + u64::from(input.byte())),
                    bytes: input.counted().to_vec(),
                };
                match mailbox.put(time, message.clone()) {
                    Ok(position) if position.number() > last => {
                        assert_eq!(position.number(), last + 1);
                        put.insert((receiver, position.number()), message.clone());
                    }
                    Ok(position) => {
                        assert_eq!(put.get(&(receiver, position.number())), Some(&message));
                    }
                    Err(MailboxError::Expired) => assert!(message.expiry <= time),
                    Err(MailboxError::Store(error)) => panic!("{error}"),
                    Err(_) => continue,
                }
                let again = mailbox.put(time, message.clone());
                assert_eq!(again.is_ok(), message.expiry > time, "put again");
            }
            2 => {
                let up_to = u64::from(input.byte());
                let told = mailbox.acknowledge(&entity(receiver), Position::new(up_to));
                assert_eq!(told.is_ok(), up_to <= last);
                if told.is_ok() {
                    let known = &mut acknowledged[usize::from(receiver)];
                    *known = up_to.max(*known);
                }
            }
            _ => now += u64::from(input.byte()),
        }
        for receiver in [0, 1] {
            let time = UtcTime::from_secs(now);
            let waiting = mailbox.fetch(time, &entity(receiver), Position::START, 100, 1_000);
            let waiting = waiting.expect("memory does not fail");
            assert!(waiting.len() as u64 <= MOST);
            let expected = put.iter().filter(|((to, position), message)| {
                let due = *position > acknowledged[usize::from(receiver)];
                *to == receiver && due && message.expiry > time
            });
            let expected: Vec<_> = expected.map(|((_, at), message)| (*at, message)).collect();
            assert_eq!(waiting.len(), expected.len(), "lost, or there twice");
            for (found, (position, message)) in waiting.iter().zip(expected) {
                assert_eq!(found.position.number(), position);
                assert_eq!(
                    (&found.sender, &found.bytes),
                    (&message.sender, &message.bytes)
                );
            }
        }
    }
}
