//! What is stored of a resumption handle, and how it changes.

use core::fmt;

use refpoint_keys::UtcTime;
use zeroize::Zeroizing;

use crate::Error;

/// By which an initiator names what it wants to resume: the first eight bytes of a handle, which
/// the key schedule makes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId([u8; Self::LEN]);

impl HandleId {
    /// Length in bytes.
    pub const LEN: usize = 8;

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

impl fmt::Debug for HandleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandleId({:016x})", u64::from_be_bytes(self.0))
    }
}

/// Whose handle it is: bytes that mean something to who issues handles, and nothing here.
///
/// Equal bytes are the same owner: [`Change::Revoked`] takes all of an owner's handles.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Owner(Box<[u8]>);

impl Owner {
    /// An owner's bytes are at most as many.
    pub const MAX: usize = 1024;

    /// The owner with these bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] beyond [`Owner::MAX`].
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.len() {
            0..=Self::MAX => Ok(Self(bytes.into())),
            size => Err(Error::TooLong {
                what: "owner",
                size,
                most: Self::MAX,
            }),
        }
    }

    /// The owner's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({})", self.0.escape_ascii())
    }
}

/// What a responder must remember of a handle that it issued: the secret and what it checks
/// before it redeems it (S5), serialised by the association.
///
/// The bytes are wiped when the entry is dropped and leave by [`Entry::expose_bytes`] only.
pub struct Entry {
    expiry: UtcTime,
    bytes: Zeroizing<Vec<u8>>,
}

impl Entry {
    /// An entry's bytes are at most as many; an association's are about 120.
    pub const MAX: usize = 4096;

    /// An entry that is worth nothing from `expiry` on.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] beyond [`Entry::MAX`].
    pub fn new(expiry: UtcTime, bytes: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        match bytes.len() {
            0..=Self::MAX => Ok(Self { expiry, bytes }),
            size => Err(Error::TooLong {
                what: "entry",
                size,
                most: Self::MAX,
            }),
        }
    }

    /// From when on the handle cannot be redeemed.
    #[must_use]
    pub const fn expiry(&self) -> UtcTime {
        self.expiry
    }

    /// The serialised entry, secret included: for the association, and for the store that seals
    /// it.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self {
            expiry: self.expiry,
            bytes: self.bytes.clone(),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.expiry.as_secs();
        write!(f, "Entry {{ expiry: {seconds}, bytes: .. }}")
    }
}

/// A change of the table of issued handles. Changes of one owner are stored in their order.
#[derive(Debug)]
pub enum Change {
    /// A handle was issued.
    Issued {
        /// Whose it is.
        owner: Owner,
        /// Its id.
        id: HandleId,
        /// What redeeming it needs.
        entry: Entry,
    },
    /// A handle was redeemed, or one of them expired: it cannot be redeemed any more.
    ///
    /// The owner is named, so that a store can keep an owner's handles side by side: to claim the
    /// old and to issue the new one then touches one page, not two.
    Claimed {
        /// Whose it was.
        owner: Owner,
        /// Its id.
        id: HandleId,
    },
    /// All handles that the owner has so far are void: a full handshake confirmed (S5), or the
    /// entity was revoked. Those issued later are not.
    Revoked {
        /// Whose they were.
        owner: Owner,
    },
}

impl Change {
    /// Whose handles change.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        match self {
            Self::Issued { owner, .. } | Self::Claimed { owner, .. } | Self::Revoked { owner } => {
                owner
            }
        }
    }
}
