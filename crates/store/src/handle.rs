//! What is stored of a resumption handle, and how it changes.

use core::fmt;

use refpoint_association::HandleId;
use refpoint_keys::UtcTime;
use zeroize::Zeroizing;

use crate::Error;

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

/// A change of the table of issued handles.
#[derive(Debug)]
pub enum Change {
    /// A handle was issued.
    Issued {
        /// Its id.
        id: HandleId,
        /// What redeeming it needs.
        entry: Entry,
    },
    /// A handle was redeemed, replaced or revoked, or it expired: it cannot be redeemed any more.
    Gone(HandleId),
}

impl Change {
    /// Which handle changes.
    #[must_use]
    pub const fn id(&self) -> HandleId {
        match self {
            Self::Issued { id, .. } | Self::Gone(id) => *id,
        }
    }
}
