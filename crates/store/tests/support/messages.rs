//! Messages to put.
#![allow(dead_code, reason = "no test needs all of it")]

use refpoint_keys::{EntityId, UtcTime};
use refpoint_store::{Message, MessageId, Position};

pub(crate) const NOW: UtcTime = UtcTime::from_secs(1_800_000_000);
pub(crate) const START: Position = Position::START;
/// No bound on what is fetched.
pub(crate) const ALL: (usize, usize) = (usize::MAX, usize::MAX);

pub(crate) fn later(seconds: u64) -> UtcTime {
    UtcTime::from_secs(NOW.as_secs() + seconds)
}

pub(crate) fn entity(number: u64) -> EntityId {
    EntityId::parse(&format!("//sp.example/id-mn/C{number}")).unwrap()
}

pub(crate) fn message_id(number: u64) -> MessageId {
    MessageId::new(u128::from(number).to_be_bytes())
}

/// A message for an hour whose bytes tell which it is.
pub(crate) fn message(receiver: u64, sender: u64, number: u64) -> Message {
    Message {
        receiver: entity(receiver),
        sender: entity(sender),
        id: message_id(number),
        expiry: later(3600),
        bytes: format!("message {number} from {sender} to {receiver}").into_bytes(),
    }
}
