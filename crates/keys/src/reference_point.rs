//! Where an association lies in the M2M system.

use core::fmt;

use crate::Error;

/// The reference point that an association protects (oneM2M TS-0001, 5.2.2).
///
/// The code is one byte on the wire (three bits of it) and in every derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ReferencePoint {
    /// Application entity to service node (Mca).
    X = 1,
    /// Service node to service node of one provider (Mcc).
    Y = 2,
    /// Service node to service node of another provider (Mcc′).
    YPrime = 3,
    /// Service node to underlying network (Mcn).
    Z = 4,
    /// Between two end points, across the others.
    EndToEnd = 5,
}

impl ReferencePoint {
    /// Every reference point, in the order of the codes.
    pub const ALL: [Self; 5] = [Self::X, Self::Y, Self::YPrime, Self::Z, Self::EndToEnd];

    /// The code on the wire and in derivations.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for ReferencePoint {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        match code {
            1 => Ok(Self::X),
            2 => Ok(Self::Y),
            3 => Ok(Self::YPrime),
            4 => Ok(Self::Z),
            5 => Ok(Self::EndToEnd),
            _ => Err(Error::UnknownReferencePoint),
        }
    }
}

impl fmt::Display for ReferencePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X => "X",
            Self::Y => "Y",
            Self::YPrime => "Y'",
            Self::Z => "Z",
            Self::EndToEnd => "end to end",
        })
    }
}
