use core::time::Duration;
use std::io::{self, Read};

use super::{ETHERNET, IP, LINUX_SLL, MAX_PACKET, NULL, RAW};

/// Why a capture cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PcapError {
    /// The file does not begin as a capture.
    #[error(
        "not a pcap file: capture with tcpdump -w FILE, or convert pcapng with editcap -F pcap"
    )]
    NotPcap,
    /// The packets begin with a header that is not known here.
    #[error("unknown link type {0}: capture on a loopback or Ethernet interface, or on any")]
    LinkType(u32),
    /// A packet claims to be longer than any packet.
    #[error("packet {number} claims {claimed} bytes: the file is damaged")]
    TooLong {
        /// Which packet, counted from 1.
        number: u64,
        /// What it claims.
        claimed: u32,
    },
    /// The file ends inside a packet.
    #[error("the file ends inside packet {0}")]
    Truncated(u64),
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A captured packet from its IP header on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Which packet of the file, counted from 1.
    pub number: u64,
    /// When it was captured, since the beginning of 1970.
    pub at: Duration,
    /// The IP packet, as far as it was captured; empty if the link carried another protocol.
    pub ip: Vec<u8>,
}

/// Reads a capture, packet by packet: an iterator that ends after its first error.
#[derive(Debug)]
pub struct PcapReader<R> {
    input: R,
    big_endian: bool,
    nanos: bool,
    link: u32,
    number: u64,
    ended: bool,
}

impl<R: Read> PcapReader<R> {
    /// Begins to read `input`.
    ///
    /// # Errors
    ///
    /// When it is not a capture, or of a link that is not known here.
    pub fn new(mut input: R) -> Result<Self, PcapError> {
        let mut header = [0; 24];
        input
            .read_exact(&mut header)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => PcapError::NotPcap,
                _ => PcapError::Io(error),
            })?;
        let (big_endian, nanos) = match header[..4] {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
            _ => return Err(PcapError::NotPcap),
        };
        let mut reader = Self {
            input,
            big_endian,
            nanos,
            link: 0,
            number: 0,
            ended: false,
        };
        // The upper bits tell of frame check sequences.
        reader.link = reader.number([header[20], header[21], header[22], header[23]]) & 0x0fff_ffff;
        if [RAW, ETHERNET, NULL, LINUX_SLL].contains(&reader.link) || IP.contains(&reader.link) {
            Ok(reader)
        } else {
            Err(PcapError::LinkType(reader.link))
        }
    }

    fn packet(&mut self) -> Result<Option<Captured>, PcapError> {
        let mut header = [0; 16];
        let mut have = 0;
        while have < header.len() {
            match self.input.read(&mut header[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(PcapError::Truncated(self.number + 1)),
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(PcapError::Io(error)),
            }
        }
        self.number += 1;
        let field =
            |at: usize| self.number([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (seconds, fraction, claimed) = (field(0), field(4), field(8));
        if claimed as usize > MAX_PACKET {
            return Err(PcapError::TooLong {
                number: self.number,
                claimed,
            });
        }
        let mut frame = Vec::new();
        let read = self
            .input
            .by_ref()
            .take(u64::from(claimed))
            .read_to_end(&mut frame)?;
        if read < claimed as usize {
            return Err(PcapError::Truncated(self.number));
        }
        let nanos = u64::from(fraction) * if self.nanos { 1 } else { 1_000 };
        let at = Duration::from_secs(u64::from(seconds)) + Duration::from_nanos(nanos);
        Ok(Some(Captured {
            number: self.number,
            at,
            ip: strip_link(self.link, frame),
        }))
    }

    fn number(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }
}

impl<R: Read> Iterator for PcapReader<R> {
    type Item = Result<Captured, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let packet = self.packet().transpose();
        self.ended = !matches!(packet, Some(Ok(_)));
        packet
    }
}

/// Removes the link's header; what is not IP becomes empty.
fn strip_link(link: u32, mut frame: Vec<u8>) -> Vec<u8> {
    const VLAN: [u8; 2] = [0x81, 0x00];
    let is_ip = |kind: Option<&[u8]>| matches!(kind, Some([0x08, 0x00] | [0x86, 0xdd]));
    let header = match link {
        ETHERNET if frame.get(12..14) == Some(&VLAN) && is_ip(frame.get(16..18)) => 18,
        ETHERNET if is_ip(frame.get(12..14)) => 14,
        LINUX_SLL if is_ip(frame.get(14..16)) => 16,
        NULL if frame.len() >= 4 => 4,
        ETHERNET | LINUX_SLL | NULL => frame.len(),
        _ => 0,
    };
    frame.drain(..header);
    frame
}
