use core::ops::Range;

use refpoint_association::{Error, MAX_STREAM_PAYLOAD};
use refpoint_wire::{FRAME_HEADER, Frame, TAG_LEN};

/// The most bytes of a record on a stream, without its length.
pub(crate) const LARGEST_RECORD: usize = 1 + MAX_STREAM_PAYLOAD + TAG_LEN;

/// How much is read at once at first, and at most.
const LEAST: usize = 4 * 1024;
const MOST: usize = 64 * 1024;

/// Bytes of a stream on their way to being frames: a length, and a packet of that length.
///
/// One buffer: frames are found, and opened, where they were read. It starts small, grows while reads fill it, and
/// never exceeds 64 KiB. A length that no frame may have is an error as soon as it is seen, whatever follows.
///
/// ```
/// use refpoint_transport::Frames;
///
/// # fn main() -> Result<(), refpoint_association::Error> {
/// let mut frames = Frames::new(1024);
/// let arrived = b"\x00\x03abc\x00";
/// frames.spare()[..arrived.len()].copy_from_slice(arrived);
/// frames.filled(arrived.len());
/// assert_eq!(frames.next()?, Some(&mut b"\x00\x03abc"[..].to_vec()[..]));
/// assert_eq!(frames.next()?, None);
/// assert_eq!(frames.partial(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Frames {
    buffer: Vec<u8>,
    /// What was read and is in no frame yet.
    unread: Range<usize>,
    largest: usize,
    is_eager: bool,
}

impl Frames {
    /// No bytes yet; packets of more than `largest` bytes (at most those of the largest record) are refused.
    #[must_use]
    pub fn new(largest: usize) -> Self {
        Self {
            buffer: Vec::new(),
            unread: 0..0,
            largest: largest.min(LARGEST_RECORD),
            is_eager: false,
        }
    }

    /// From now on, packets of more than `largest` bytes are refused.
    pub(crate) fn limit(&mut self, largest: usize) {
        self.largest = largest.min(LARGEST_RECORD);
    }

    /// Where to put what is read next: never empty. Frames that were taken before are overwritten.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        let needed = match Frame::packet_len(&self.buffer[..self.unread.end]) {
            Ok(Some(len)) => FRAME_HEADER + len.min(self.largest),
            _ => FRAME_HEADER,
        };
        let wanted = if core::mem::take(&mut self.is_eager) {
            (2 * self.buffer.len()).min(MOST)
        } else {
            LEAST
        };
        let size = self.buffer.len().max(needed).max(wanted);
        // Without a call to `next` in between, the buffer may be full of frames.
        let size = if size == self.unread.end {
            size + LEAST
        } else {
            size
        };
        self.buffer.resize(size, 0);
        &mut self.buffer[self.unread.end..]
    }

    /// The first `count` bytes of [`Frames::spare`] were read.
    ///
    /// # Panics
    /// When there was less space.
    pub fn filled(&mut self, count: usize) {
        let end = self.unread.end + count;
        assert!(end <= self.buffer.len(), "no more than there is space for");
        self.unread.end = end;
        self.is_eager = end == self.buffer.len();
    }

    /// The next frame that is there as a whole, its length included.
    ///
    /// # Errors
    /// [`Error::TooLarge`] or [`Error::Wire`] for a length that no frame has; there is no way to go on.
    #[allow(
        clippy::should_implement_trait,
        reason = "it lends, which an iterator cannot"
    )]
    pub fn next(&mut self) -> Result<Option<&mut [u8]>, Error> {
        let Some(range) = self.next_range()? else {
            return Ok(None);
        };
        Ok(Some(&mut self.buffer[range]))
    }

    /// How many bytes wait for the rest of their frame.
    #[must_use]
    pub fn partial(&self) -> usize {
        self.unread.len()
    }

    pub(crate) fn next_range(&mut self) -> Result<Option<Range<usize>>, Error> {
        let unread = &self.buffer[self.unread.clone()];
        let Some(len) = Frame::packet_len(unread)? else {
            return Ok(None);
        };
        if len > self.largest {
            return Err(Error::TooLarge {
                size: len,
                limit: self.largest,
            });
        }
        let len = FRAME_HEADER + len;
        if unread.len() < len {
            return Ok(None);
        }
        let start = self.unread.start;
        self.unread.start += len;
        Ok(Some(start..start + len))
    }

    pub(crate) fn bytes(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.buffer[range]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(frames: &mut Frames, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let spare = frames.spare();
            let count = spare.len().min(bytes.len());
            spare[..count].copy_from_slice(&bytes[..count]);
            frames.filled(count);
            bytes = &bytes[count..];
        }
    }

    #[test]
    fn frames_are_the_same_however_the_bytes_come() {
        let bytes: Vec<u8> = (1..200u8)
            .flat_map(|len| [&[0, len][..], &vec![len; len.into()]].concat())
            .collect();
        for step in [1, 2, 3, 7, 1000, bytes.len()] {
            let mut frames = Frames::new(1024);
            let mut seen = Vec::new();
            for chunk in bytes.chunks(step) {
                feed(&mut frames, chunk);
                while let Some(frame) = frames.next().expect("valid frames") {
                    seen.extend_from_slice(frame);
                }
            }
            assert_eq!(seen, bytes, "in steps of {step}");
            assert_eq!(frames.partial(), 0);
        }
    }

    #[test]
    fn a_length_that_no_frame_has_is_refused_before_its_bytes_come() {
        let mut frames = Frames::new(LARGEST_RECORD);
        feed(&mut frames, &[0xff, 0xff]);
        assert!(matches!(frames.next(), Err(Error::TooLarge { .. })));
        let mut frames = Frames::new(LARGEST_RECORD);
        feed(&mut frames, &[0, 0]);
        assert!(frames.next().is_err());
    }

    #[test]
    fn the_buffer_grows_only_as_far_as_it_should() {
        let mut frames = Frames::new(LARGEST_RECORD);
        for _ in 0..64 {
            let spare = frames.spare();
            let count = spare.len();
            spare.fill(1);
            frames.filled(count);
            while frames.next().expect("frames of 257 bytes").is_some() {}
        }
        assert_eq!(frames.buffer.len(), MOST);
    }
}
