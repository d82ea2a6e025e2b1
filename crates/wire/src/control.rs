use alloc::vec::Vec;
use core::time::Duration;

use prost::Message;

use crate::{
    Error, Grant, generated as proto,
    payload::{duration, seconds},
};

/// Why an association is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Not stated, or stated by a later version.
    Unspecified,
    /// The user is done.
    Done,
    /// A limit was reached.
    Limit,
    /// A newer association took its place.
    Replaced,
    /// The credential was removed.
    Revoked,
    /// The local policy forbids what the handshake offered.
    Policy,
}

/// The content of a record of kind control. The empty one confirms, answers, keeps alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// The sender closes.
    pub close: Option<CloseReason>,
    /// The grant of remaining time for a peer without a clock.
    pub remaining: Option<Duration>,
    /// To be echoed from the address under test.
    pub challenge: Option<[u8; 8]>,
    /// The echo.
    pub response: Option<[u8; 8]>,
    /// An Initiate packet for the successor of this association.
    pub refresh: Option<Vec<u8>>,
    /// The Respond packet that answers it.
    pub refreshed: Option<Vec<u8>>,
    /// The responder asks for a refresh at once.
    pub renew_now: bool,
    /// The last record of this direction, on streams: the refreshed association follows.
    pub switched: bool,
    /// What the responder hands out for the time after this association.
    pub grant: Option<Grant>,
}

impl Control {
    /// Its protobuf bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::CloseReason as Code;
        let reason = |reason| match reason {
            CloseReason::Unspecified => Code::Unspecified,
            CloseReason::Done => Code::Done,
            CloseReason::Limit => Code::Limit,
            CloseReason::Replaced => Code::Replaced,
            CloseReason::Revoked => Code::Revoked,
            CloseReason::Policy => Code::Policy,
        };
        proto::Control {
            close: self.close.map(|why| proto::Close {
                reason: reason(why).into(),
            }),
            remaining_seconds: seconds(self.remaining),
            challenge: self.challenge.map_or_else(Vec::new, |bytes| bytes.to_vec()),
            response: self.response.map_or_else(Vec::new, |bytes| bytes.to_vec()),
            refresh: self.refresh.clone().unwrap_or_default(),
            refreshed: self.refreshed.clone().unwrap_or_default(),
            renew_now: self.renew_now,
            switched: self.switched,
            grant: self.grant.map(Grant::to_proto),
        }
        .encode_to_vec()
    }

    /// Parses it.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        use proto::CloseReason as Code;
        let message = proto::Control::decode(bytes).map_err(|_| Error::Malformed("control"))?;
        let token = |bytes: &[u8], field| match bytes {
            [] => Ok(None),
            _ => <[u8; 8]>::try_from(bytes)
                .map(Some)
                .map_err(|_| Error::Range(field)),
        };
        let packet = |bytes: Vec<u8>| (!bytes.is_empty()).then_some(bytes);
        let reason = |close: proto::Close| match Code::try_from(close.reason) {
            Ok(Code::Done) => CloseReason::Done,
            Ok(Code::Limit) => CloseReason::Limit,
            Ok(Code::Replaced) => CloseReason::Replaced,
            Ok(Code::Revoked) => CloseReason::Revoked,
            Ok(Code::Policy) => CloseReason::Policy,
            Ok(Code::Unspecified) | Err(_) => CloseReason::Unspecified,
        };
        Ok(Self {
            close: message.close.map(reason),
            remaining: duration(message.remaining_seconds),
            challenge: token(&message.challenge, "challenge")?,
            response: token(&message.response, "response")?,
            refresh: packet(message.refresh),
            refreshed: packet(message.refreshed),
            renew_now: message.renew_now,
            switched: message.switched,
            grant: message.grant.as_ref().map(Grant::from_proto).transpose()?,
        })
    }
}
