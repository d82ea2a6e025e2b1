//! Keys withdrawn, or to be renewed.

use refpoint_keys::NetworkKeySource;
use refpoint_primitive::Error;

use super::{NetworkKeyName, source_from_proto, source_into_proto};
use crate::proto;
use crate::reference::invalid;

/// What the network says about a key that it delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyEvent {
    /// It must not be used any more: associations made with it end now.
    Revoked,
    /// The device should authenticate again before it expires.
    Renew,
}

/// A key is withdrawn, or should be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNotice {
    /// Which authentication made the key.
    pub source: NetworkKeySource,
    /// The network's name of it.
    pub name: NetworkKeyName,
    /// What happened.
    pub event: KeyEvent,
}

impl KeyNotice {
    pub(crate) fn from_proto(notice: &proto::KeyNotice) -> Result<Self, Error> {
        use proto::KeyEvent as Event;
        Ok(Self {
            source: source_from_proto(notice.source)?,
            name: NetworkKeyName::new(&notice.key_id)?,
            event: match Event::try_from(notice.event) {
                Ok(Event::Revoked) => KeyEvent::Revoked,
                Ok(Event::Renew) => KeyEvent::Renew,
                Ok(Event::Unspecified) | Err(_) => return Err(invalid("event", "write 1 or 2")),
            },
        })
    }

    pub(crate) fn into_proto(self) -> proto::KeyNotice {
        use proto::KeyEvent as Event;
        let event = match self.event {
            KeyEvent::Revoked => Event::Revoked,
            KeyEvent::Renew => Event::Renew,
        };
        proto::KeyNotice {
            source: source_into_proto(self.source).into(),
            key_id: self.name.0,
            event: event.into(),
        }
    }
}
