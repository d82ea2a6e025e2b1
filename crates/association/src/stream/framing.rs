use alloc::vec::Vec;

use refpoint_wire::{Frame, Sequence};

use super::STREAM_HEADROOM;
use crate::Error;

/// Appends a packet behind its length.
pub(super) fn frame(packet: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.extend_from_slice(&Frame::header(packet.len())?);
    out.extend_from_slice(packet);
    Ok(())
}

/// The associated data of a record (rule R3): length, type and, where the type has the boundary
/// bit, the sequence that the record would have without it. So a record that skips to the next
/// epoch opens only after every record of the epoch before.
pub(super) struct Aad {
    bytes: [u8; STREAM_HEADROOM + 8],
    len: usize,
}

impl Aad {
    pub(super) fn new(header: &[u8; STREAM_HEADROOM], skipped: Option<Sequence>) -> Self {
        let mut bytes = [0; STREAM_HEADROOM + 8];
        let (front, back) = bytes.split_at_mut(STREAM_HEADROOM);
        front.copy_from_slice(header);
        let mut len = STREAM_HEADROOM;
        if let Some(skipped) = skipped {
            back.copy_from_slice(&skipped.number().to_be_bytes());
            len += 8;
        }
        Self { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
