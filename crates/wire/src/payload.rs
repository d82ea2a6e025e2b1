use alloc::{string::String, vec::Vec};
use core::time::Duration;

use prost::Message;
use refpoint_keys::{EntityId, KeyId};

use crate::{Error, Index, LogLimit, generated as proto};

/// The limits that an end offers in its handshake payload; `None` stands for the default.
/// Both ends enforce the smaller of each pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Hard limit of the association's life, in seconds.
    pub lifetime: Option<LogLimit>,
    /// Limit of payload bytes a direction.
    pub bytes: Option<LogLimit>,
    /// Limit of records a direction.
    pub messages: Option<LogLimit>,
    /// Limit of failed opens an epoch key.
    pub failed_opens: Option<LogLimit>,
    /// Binary logarithm of the records an epoch covers, 16 to 22.
    pub epoch_bits: Option<u8>,
}

impl Limits {
    fn decode(codes: [u32; 4], epoch_bits: u32) -> Result<Self, Error> {
        let limit = |code: u32| match u8::try_from(code) {
            Ok(0) => Ok(None),
            Ok(code) => Ok(Some(LogLimit::from_code(code))),
            Err(_) => Err(Error::Range("limit")),
        };
        let epoch_bits = match epoch_bits {
            0 => None,
            16..=22 => Some(epoch_bits as u8),
            _ => return Err(Error::Range("epoch_bits")),
        };
        let [lifetime, bytes, messages, failed_opens] = codes;
        Ok(Self {
            lifetime: limit(lifetime)?,
            bytes: limit(bytes)?,
            messages: limit(messages)?,
            failed_opens: limit(failed_opens)?,
            epoch_bits,
        })
    }
}

impl Limits {
    /// The limits and the epoch bits as five bytes, 0 for what is default.
    #[must_use]
    pub fn codes(&self) -> [u8; 5] {
        let code = |limit: Option<LogLimit>| limit.map_or(0, LogLimit::code);
        [
            code(self.lifetime),
            code(self.bytes),
            code(self.messages),
            code(self.failed_opens),
            self.epoch_bits.unwrap_or(0),
        ]
    }

    /// Of five bytes.
    ///
    /// # Errors
    /// [`Error::Range`] for epoch bits outside 16 to 22.
    pub fn from_codes(codes: [u8; 5]) -> Result<Self, Error> {
        let [lifetime, bytes, messages, failed_opens, epoch_bits] = codes.map(u32::from);
        Self::decode([lifetime, bytes, messages, failed_opens], epoch_bits)
    }
}

fn code(limit: Option<LogLimit>) -> u32 {
    limit.map_or(0, |limit| limit.code().into())
}

/// Keeps apart associations that one pair of entities wants side by side; at most 7 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionLabel {
    bytes: [u8; 7],
    len: u8,
}

impl SessionLabel {
    /// The label with these bytes; empty is the usual one.
    ///
    /// # Errors
    /// [`Error::Range`] beyond 7 bytes.
    pub fn new(label: &[u8]) -> Result<Self, Error> {
        let mut bytes = [0; 7];
        bytes
            .get_mut(..label.len())
            .ok_or(Error::Range("session"))?
            .copy_from_slice(label);
        Ok(Self {
            bytes,
            len: label.len() as u8,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The payload of Noise message 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitiatePayload {
    /// Who initiates and under which key: `known` only, where nothing in clear says so.
    pub initiator: Option<(EntityId, KeyId)>,
    /// What the initiator offers.
    pub limits: Limits,
    /// Which of several parallel associations this is.
    pub session: SessionLabel,
    /// The initiator has no wall clock.
    pub no_clock: bool,
}

impl InitiatePayload {
    /// Its protobuf bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (initiator, key_id) = match &self.initiator {
            Some((id, key)) => (String::from(id.as_str()), key.as_bytes().to_vec()),
            None => Default::default(),
        };
        proto::InitiatePayload {
            initiator,
            key_id,
            lifetime: code(self.limits.lifetime),
            bytes: code(self.limits.bytes),
            messages: code(self.limits.messages),
            failed_opens: code(self.limits.failed_opens),
            epoch_bits: self.limits.epoch_bits.unwrap_or(0).into(),
            session: self.session.as_bytes().to_vec(),
            no_clock: self.no_clock,
        }
        .encode_to_vec()
    }

    /// Parses it.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let message = proto::InitiatePayload::decode(bytes)
            .map_err(|_| Error::Malformed("initiate payload"))?;
        let initiator = match (message.initiator.as_str(), message.key_id.as_slice()) {
            ("", []) => None,
            (id, key_id) => Some((
                EntityId::parse(id).map_err(|_| Error::Range("initiator"))?,
                KeyId::new(key_id).map_err(|_| Error::Range("key_id"))?,
            )),
        };
        let codes = [
            message.lifetime,
            message.bytes,
            message.messages,
            message.failed_opens,
        ];
        Ok(Self {
            initiator,
            limits: Limits::decode(codes, message.epoch_bits)?,
            session: SessionLabel::new(&message.session)?,
            no_clock: message.no_clock,
        })
    }
}

/// The payload of Noise message 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RespondPayload {
    /// The index by which the responder wants to be addressed; none on streams.
    pub index: Option<Index>,
    /// What the responder offers.
    pub limits: Limits,
    /// The responder has no wall clock: the confirm must grant the remaining time.
    pub no_clock: bool,
    /// For how long the credential still holds: the grant for an initiator without a clock.
    pub remaining: Option<Duration>,
}

impl RespondPayload {
    /// Its protobuf bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut index = Vec::new();
        crate::packet::push_index(&mut index, self.index);
        proto::RespondPayload {
            index,
            lifetime: code(self.limits.lifetime),
            bytes: code(self.limits.bytes),
            messages: code(self.limits.messages),
            failed_opens: code(self.limits.failed_opens),
            epoch_bits: self.limits.epoch_bits.unwrap_or(0).into(),
            no_clock: self.no_clock,
            remaining_seconds: seconds(self.remaining),
        }
        .encode_to_vec()
    }

    /// Parses it.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let message = proto::RespondPayload::decode(bytes)
            .map_err(|_| Error::Malformed("respond payload"))?;
        let index = match message.index.as_slice() {
            [] => None,
            bytes => Some(Index::from_bytes(bytes)?),
        };
        let codes = [
            message.lifetime,
            message.bytes,
            message.messages,
            message.failed_opens,
        ];
        Ok(Self {
            index,
            limits: Limits::decode(codes, message.epoch_bits)?,
            no_clock: message.no_clock,
            remaining: duration(message.remaining_seconds),
        })
    }
}

pub(crate) fn seconds(remaining: Option<Duration>) -> u32 {
    // A grant of less than a second is one of a second: 0 means 'none given' on the wire.
    remaining.map_or(0, |left| {
        u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1)
    })
}

pub(crate) fn duration(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}
