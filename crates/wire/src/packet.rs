use crate::{
    Error, Index,
    initiate::Initiate,
    record::{RECORD, Record},
    refuse::Refuse,
    resume::Resume,
    retry::Retry,
};

/// The type of a handshake packet: bits 6 to 3 of a type byte whose bit 7 is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketType {
    /// Noise message 1.
    Initiate,
    /// Noise message 2.
    Respond,
    /// Noise message 3.
    Finish,
    /// Resumption: request.
    Resume,
    /// Resumption: answer.
    Resumed,
    /// Come back with this cookie.
    Retry,
    /// An unauthenticated hint that something is not known here.
    Refuse,
}

impl PacketType {
    const fn code(self) -> u8 {
        match self {
            Self::Initiate => 1,
            Self::Respond => 2,
            Self::Finish => 3,
            Self::Resume => 4,
            Self::Resumed => 5,
            Self::Retry => 6,
            Self::Refuse => 7,
        }
    }

    /// The type byte of a packet of this type whose index has `len` bytes, at most 4 (0 on streams).
    #[must_use]
    pub const fn byte(self, len: usize) -> u8 {
        self.code() << 3 | len as u8
    }

    fn from_byte(byte: u8) -> Result<Self, Error> {
        Ok(match byte >> 3 {
            1 => Self::Initiate,
            2 => Self::Respond,
            3 => Self::Finish,
            4 => Self::Resume,
            5 => Self::Resumed,
            6 => Self::Retry,
            7 => Self::Refuse,
            _ => return Err(Error::Unknown("packet type")),
        })
    }
}

/// A packet, parsed as far as it is in clear.
#[derive(Debug)]
pub enum Packet<'a> {
    /// Noise message 1 and its clear header.
    Initiate(Initiate<'a>),
    /// Noise message 2 for the end with this index (none on streams).
    Respond {
        /// The receiver's index.
        index: Option<Index>,
        /// The Noise message.
        message: &'a [u8],
    },
    /// A request to resume an association.
    Resume(Resume<'a>),
    /// The answer to a Resume.
    Resumed {
        /// The receiver's index; none on streams.
        index: Option<Index>,
        /// The clear header's bytes: all before the body.
        header: &'a [u8],
        /// `fresh`: Noise message 2; `light`: the responder's nonce and the sealed grant.
        body: &'a [u8],
    },
    /// A demand to come back, with a cookie.
    Retry(Retry),
    /// An unauthenticated hint.
    Refuse(Refuse<'a>),
    /// A record of an established association, on datagrams.
    Record(Record),
}

impl<'a> Packet<'a> {
    /// Parses one packet (a datagram, or a stream frame's content before the handshake is done).
    ///
    /// # Errors
    /// What is wrong with it; [`Error::Version`] asks for a [`Refuse`] that names the versions.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader(packet);
        let byte = reader.byte("type")?;
        if byte & RECORD != 0 {
            return Record::parse(packet).map(Self::Record);
        }
        let len = usize::from(byte & 0b111);
        match PacketType::from_byte(byte)? {
            PacketType::Initiate => Initiate::parse(packet).map(Self::Initiate),
            PacketType::Respond => Ok(Self::Respond {
                index: reader.index(len)?,
                message: reader.0,
            }),
            PacketType::Retry => Retry::parse(len, reader).map(Self::Retry),
            PacketType::Refuse => Refuse::parse(len, reader).map(Self::Refuse),
            PacketType::Resume => Resume::parse(packet).map(Self::Resume),
            PacketType::Resumed => {
                let index = reader.index(len)?;
                Ok(Self::Resumed {
                    index,
                    header: &packet[..packet.len() - reader.0.len()],
                    body: reader.0,
                })
            }
            PacketType::Finish => Err(Error::Unknown("packet type")),
        }
    }

    /// The clear header of a Respond: what precedes the Noise message.
    #[must_use]
    pub fn respond_header(index: Option<Index>) -> alloc::vec::Vec<u8> {
        answer_header(PacketType::Respond, index)
    }

    /// The clear header of a Resumed.
    #[must_use]
    pub fn resumed_header(index: Option<Index>) -> alloc::vec::Vec<u8> {
        answer_header(PacketType::Resumed, index)
    }
}

/// Room for the answers that there are most of, so that they need not move while they grow.
const ANSWER: usize = 64;

fn answer_header(packet: PacketType, index: Option<Index>) -> alloc::vec::Vec<u8> {
    let mut header = alloc::vec::Vec::with_capacity(ANSWER);
    header.push(packet.byte(index.map_or(0, Index::wire_len)));
    push_index(&mut header, index);
    header
}

pub(crate) fn push_index(out: &mut alloc::vec::Vec<u8>, index: Option<Index>) {
    if let Some(index) = index {
        out.extend_from_slice(index.write(&mut [0; 4]));
    }
}

/// Takes fields off the front of a packet.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, Error> {
        self.take(1, field).map(|bytes| bytes[0])
    }

    pub(crate) fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(Error::Truncated(field))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Error::Truncated(field))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn index(&mut self, len: usize) -> Result<Option<Index>, Error> {
        match len {
            0 => Ok(None),
            1..=4 => Index::from_bytes(self.take(len, "index")?).map(Some),
            _ => Err(Error::Unknown("index length")),
        }
    }
}
