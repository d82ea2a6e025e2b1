//! The version of the association protocol.

use core::fmt;

use crate::Error;

/// A version of the association protocol that this build speaks.
///
/// It enters every [`AssociationPsk`](crate::AssociationPsk), so that no key serves two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u8);

impl Version {
    /// The version that this build initiates with.
    pub const CURRENT: Self = Self(1);

    /// The code on the wire and in derivations.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Version {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        if code == Self::CURRENT.0 {
            Ok(Self(code))
        } else {
            Err(Error::UnknownVersion)
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
