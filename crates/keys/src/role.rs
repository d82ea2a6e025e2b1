//! Which end began.

use crate::Error;

/// The part an entity plays in one association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Sent the first message.
    Initiator = 1,
    /// Answered it.
    Responder = 2,
}

impl Role {
    /// The other end's role.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }

    /// The code in stored and derived data.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for Role {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        match code {
            1 => Ok(Self::Initiator),
            2 => Ok(Self::Responder),
            _ => Err(Error::UnknownRole),
        }
    }
}
