use core::fmt;

use crate::Error;

/// The name by which one end of an association wants to be addressed in packets: 1 to 4 bytes,
/// chosen by that end. A device with a handful of associations takes one byte, a server four.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index {
    // Bytes, not a number: five of them without padding, twice in every association.
    value: [u8; 4],
    len: u8,
}

impl Index {
    /// An index of `len` bytes.
    ///
    /// # Errors
    /// [`Error::Range`] when `len` is not 1 to 4 or `value` does not fit.
    pub const fn new(value: u32, len: u8) -> Result<Self, Error> {
        match len {
            1..=3 if value >> (8 * len) != 0 => Err(Error::Range("index")),
            1..=4 => Ok(Self {
                value: value.to_be_bytes(),
                len,
            }),
            _ => Err(Error::Range("index length")),
        }
    }

    /// The index in `bytes`, big-endian.
    ///
    /// # Errors
    /// [`Error::Range`] unless there are 1 to 4 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() || bytes.len() > 4 {
            return Err(Error::Range("index length"));
        }
        let mut value = [0; 4];
        value[4 - bytes.len()..].copy_from_slice(bytes);
        Ok(Self {
            value,
            len: bytes.len() as u8,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn value(self) -> u32 {
        u32::from_be_bytes(self.value)
    }

    /// Its length on the wire in bytes, 1 to 4.
    #[must_use]
    pub const fn wire_len(self) -> usize {
        self.len as usize
    }

    pub(crate) fn write(self, out: &mut [u8; 4]) -> &[u8] {
        *out = self.value;
        &out[4 - self.wire_len()..]
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Index({:0width$x})",
            self.value(),
            width = 2 * self.wire_len()
        )
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.value(), width = 2 * self.wire_len())
    }
}
