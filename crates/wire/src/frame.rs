use crate::Error;

/// Bytes of the length before each packet on a stream.
pub const FRAME_HEADER: usize = 2;

/// The longest packet on a stream: what two length bytes can say.
pub const MAX_FRAME: usize = u16::MAX as usize;

/// One packet on a stream: a big-endian 16-bit length, then that many bytes, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame;

impl Frame {
    /// The length prefix of a packet of `len` bytes.
    ///
    /// # Errors
    /// [`Error::Range`] when it is empty or too long.
    pub fn header(len: usize) -> Result<[u8; FRAME_HEADER], Error> {
        match u16::try_from(len) {
            Ok(len) if len > 0 => Ok(len.to_be_bytes()),
            _ => Err(Error::Range("frame length")),
        }
    }

    /// How long the packet behind this prefix is; `None` while the prefix is incomplete.
    ///
    /// # Errors
    /// [`Error::Range`] for an empty packet.
    pub fn packet_len(buffered: &[u8]) -> Result<Option<usize>, Error> {
        match buffered.first_chunk() {
            None => Ok(None),
            Some([0, 0]) => Err(Error::Range("frame length")),
            Some(prefix) => Ok(Some(u16::from_be_bytes(*prefix).into())),
        }
    }
}
