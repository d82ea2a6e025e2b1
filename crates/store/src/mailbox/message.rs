use core::fmt;

use refpoint_keys::{EntityId, UtcTime};
use sha2::{Digest, Sha256};

/// By which a sender names a message, so that it can put it again when it does not know whether it
/// arrived: 16 bytes that it uses for nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; Self::LEN]);

impl MessageId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// The id with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({:032x})", u128::from_be_bytes(self.0))
    }
}

/// A message's place among those for its receiver: 1, 2, 3, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before the first message.
    pub const START: Self = Self(0);

    /// The position of this number, as a receiver has kept it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A message to be put into a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who is to have it.
    pub receiver: EntityId,
    /// Who put it: the entity behind the association by which it came.
    pub sender: EntityId,
    /// The sender's name for it.
    pub id: MessageId,
    /// When it is worth nothing any more.
    pub expiry: UtcTime,
    /// What is sealed for the receiver.
    pub bytes: Vec<u8>,
}

impl Message {
    /// Tells whether a second put is the same.
    pub(super) fn digest(&self) -> [u8; 32] {
        let expiry = self.expiry.as_secs().to_be_bytes();
        let hash = Sha256::new().chain_update(expiry);
        hash.chain_update(&self.bytes).finalize().into()
    }
}

/// A message that waits for its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place; to acknowledge it acknowledges all before it.
    pub position: Position,
    /// Who put it.
    pub sender: EntityId,
    /// The sender's name for it.
    pub id: MessageId,
    /// When it is worth nothing any more.
    pub expiry: UtcTime,
    /// What is sealed for the receiver.
    pub bytes: Vec<u8>,
}
