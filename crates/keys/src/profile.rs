//! How two entities authenticate each other.

use core::fmt;

use crate::Error;

/// The handshake that an association is made with.
///
/// Each profile is one Noise pattern, in which the pre-shared key is an
/// [`AssociationPsk`](crate::AssociationPsk).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Profile {
    /// `NNpsk0`: a service-layer key alone, for constrained devices.
    Psk = 1,
    /// `KKpsk2`: both static keys are known beforehand.
    Pinned = 2,
    /// `IKpsk2`: the initiator knows the responder's static key and stays hidden itself.
    Known = 3,
    /// `XXpsk3`: static keys are exchanged, for enrolment on streams.
    FirstContact = 4,
}

impl Profile {
    /// Every profile, in the order of the codes.
    pub const ALL: [Self; 4] = [Self::Psk, Self::Pinned, Self::Known, Self::FirstContact];

    /// The code on the wire and in derivations.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for Profile {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        match code {
            1 => Ok(Self::Psk),
            2 => Ok(Self::Pinned),
            3 => Ok(Self::Known),
            4 => Ok(Self::FirstContact),
            _ => Err(Error::UnknownProfile),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psk => "psk",
            Self::Pinned => "pinned",
            Self::Known => "known",
            Self::FirstContact => "first-contact",
        })
    }
}
