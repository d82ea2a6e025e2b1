//! What devices send: a reading with a number, in an exchange; and what the core answers.

use refpoint_keys::EntityId;
use refpoint_primitive::ExchangeId;
use refpoint_store::MessageId;

/// A device's reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Message {
    pub(crate) device: u32,
    /// The device's own count.
    pub(crate) number: u32,
}

/// Bytes of a reading.
const CONTENT: usize = 56;

/// For whom the core keeps readings.
pub(crate) const INBOX: &str = "//sp.example.com/id-mn/Cdisplay";

impl Message {
    /// Bytes of a request.
    pub(crate) const REQUEST: usize = 8 + CONTENT;

    /// The request that carries it.
    pub(crate) fn request(self, exchange: ExchangeId) -> Vec<u8> {
        let mut request = Vec::with_capacity(Self::REQUEST);
        request.extend_from_slice(&exchange.number().to_be_bytes());
        request.extend_from_slice(&self.number.to_be_bytes());
        request.extend_from_slice(&self.content());
        request
    }

    /// Reads a request of this device.
    pub(crate) fn from_request(device: u32, request: &[u8]) -> Option<(u32, Self)> {
        let (head, content) = request.split_at_checked(8)?;
        let (exchange, number) = read(head)?;
        let message = Self { device, number };
        (content == message.content()).then_some((exchange, message))
    }

    /// Reads a request of the device that it names itself.
    pub(crate) fn of_anyone(request: &[u8]) -> Option<(u32, Self)> {
        let (device, _) = read(request.get(8..16)?)?;
        Self::from_request(device, request)
    }

    /// The answer: it is kept.
    pub(crate) fn answer(exchange: u32, number: u32) -> [u8; 8] {
        let mut answer = [0; 8];
        answer[..4].copy_from_slice(&exchange.to_be_bytes());
        answer[4..].copy_from_slice(&number.to_be_bytes());
        answer
    }

    /// Reads an answer: exchange and number.
    pub(crate) fn from_answer(answer: &[u8]) -> Option<(u32, u32)> {
        (answer.len() == 8).then(|| read(answer))?
    }

    /// The reading: the same for the same message, and for no other.
    pub(crate) fn content(self) -> [u8; CONTENT] {
        let mut content = [0x5a; CONTENT];
        content[..4].copy_from_slice(&self.device.to_be_bytes());
        content[4..8].copy_from_slice(&self.number.to_be_bytes());
        content
    }

    /// Its sender's name for it.
    pub(crate) fn id(self) -> MessageId {
        let mut id = [0; MessageId::LEN];
        id[..4].copy_from_slice(&self.device.to_be_bytes());
        id[4..8].copy_from_slice(&self.number.to_be_bytes());
        MessageId::new(id)
    }

    /// What a mailbox has, if it is a reading of the device that put it.
    pub(crate) fn from_mailbox(sender: &EntityId, content: &[u8]) -> Option<Self> {
        let (device, number) = read(content.get(..8)?)?;
        let message = Self { device, number };
        let put_by = super::entity(Some(device)).ok()?;
        (content == message.content() && *sender == put_by).then_some(message)
    }
}

fn read(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, second) = bytes.split_at_checked(4)?;
    let read = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
    Some((read(first)?, read(second)?))
}
