//! Fixed layouts: what is signed, bound or kept.

use alloc::vec::Vec;

use refpoint_keys::{UtcTime, Validity};

use crate::Error;

/// Appends `f(x)`: the length of x as 16 bits, big-endian, then x. Ids, targets and heads are far
/// below 65 536 bytes.
pub(crate) fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a validity: two times of 8 bytes, the first 0 when there is no beginning.
pub(crate) fn validity(out: &mut Vec<u8>, validity: &Validity) {
    let start = validity.not_before().map_or(0, UtcTime::as_secs);
    out.extend_from_slice(&start.to_be_bytes());
    out.extend_from_slice(&validity.not_after().as_secs().to_be_bytes());
}

/// A validity of two times since 1970, the first 0 when there is no beginning.
pub(crate) fn read_validity(start: u64, end: u64) -> Result<Validity, Error> {
    let start = (start > 0).then(|| UtcTime::from_secs(start));
    Validity::new(start, UtcTime::from_secs(end)).map_err(Error::Keys)
}

/// Takes fields off the front.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`; `what` is what an error names.
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let split = self.bytes.split_at_checked(len);
        let (taken, rest) = split.ok_or(Error::Malformed(self.what))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let split = self.bytes.split_first_chunk();
        let (taken, rest) = split.ok_or(Error::Malformed(self.what))?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) const fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// Nothing may be left.
    pub(crate) const fn end(self) -> Result<(), Error> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Error::Malformed(self.what))
        }
    }
}
