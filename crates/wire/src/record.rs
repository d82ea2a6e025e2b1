use crate::{Error, Index, Sequence, packet::Reader};

/// The bit of a packet's first byte that makes it a record; any other packet, anybody may have sent.
pub const RECORD: u8 = 0x80;
const WIDE: u8 = 0x40;
const BOUNDARY: u8 = 0x08;
const CONFIRM: u8 = 0x04;
const KIND: u8 = 0x03;

/// Bytes of the AEAD tag that ends a record.
pub const TAG_LEN: usize = 16;

/// The longest header of a record on datagrams: type, index of 4, sequence of 4.
pub const MAX_RECORD_HEADER: usize = 9;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// The user's bytes.
    Data,
    /// A [`Control`](crate::Control) message.
    Control,
}

impl RecordKind {
    const fn code(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Control => 1,
        }
    }

    const fn from_byte(byte: u8) -> Result<Self, Error> {
        match byte & KIND {
            0 => Ok(Self::Data),
            1 => Ok(Self::Control),
            _ => Err(Error::Unknown("record kind")),
        }
    }
}

/// The header of a record on datagrams, parsed. The sealed part follows at [`Record::header_len`].
///
/// ```text
/// type(1) | index(1-4) | sequence(2 or 4) | ciphertext | tag(16)
///
/// type: 1 | wide | index length - 1 (2 bits) | boundary | confirm | kind (2 bits)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    kind: RecordKind,
    confirm: bool,
    index: Index,
    wide: bool,
    low: u32,
}

/// The bytes of a record's header: its associated data (rule R3).
#[derive(Clone, Copy, Debug)]
pub struct RecordHeader {
    bytes: [u8; MAX_RECORD_HEADER],
    len: u8,
}

impl RecordHeader {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Record {
    /// The header of a datagram record.
    #[must_use]
    pub fn header(
        kind: RecordKind,
        index: Index,
        sequence: Sequence,
        wide: bool,
        confirm: bool,
    ) -> RecordHeader {
        let mut bytes = [0; MAX_RECORD_HEADER];
        let index_len = index.wire_len();
        bytes[0] = RECORD
            | if wide { WIDE } else { 0 }
            | (index_len as u8 - 1) << 4
            | if confirm { CONFIRM } else { 0 }
            | kind.code();
        // Stores of four bytes each, at whatever place: lengths that are not known when compiling
        // would cost a call of memcpy, as much as all else of a seal. What is behind is cut off.
        let left = index.value() << (8 * (4 - index_len));
        bytes[1..5].copy_from_slice(&left.to_be_bytes());
        let sequence_len = if wide { 4 } else { 2 };
        let low = (sequence.number() as u32) << (8 * (4 - sequence_len));
        bytes[1 + index_len..5 + index_len].copy_from_slice(&low.to_be_bytes());
        let len = 1 + index_len + sequence_len;
        RecordHeader {
            bytes,
            len: len as u8,
        }
    }

    /// The type byte of a stream record; `boundary` says that its sequence is the next multiple
    /// of the epoch's length (rule R2).
    #[must_use]
    pub const fn stream_type(kind: RecordKind, boundary: bool, confirm: bool) -> u8 {
        RECORD
            | if boundary { BOUNDARY } else { 0 }
            | if confirm { CONFIRM } else { 0 }
            | kind.code()
    }

    /// Kind, boundary and confirm of a stream record's type byte.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is no stream record.
    pub fn parse_stream_type(byte: u8) -> Result<(RecordKind, bool, bool), Error> {
        if byte & RECORD == 0 || byte & (WIDE | 0b11 << 4) != 0 {
            return Err(Error::Unknown("packet type"));
        }
        Ok((
            RecordKind::from_byte(byte)?,
            byte & BOUNDARY != 0,
            byte & CONFIRM != 0,
        ))
    }

    pub(crate) fn parse(packet: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(packet);
        let byte = reader.byte("type")?;
        if byte & BOUNDARY != 0 {
            return Err(Error::Unknown("packet type"));
        }
        let kind = RecordKind::from_byte(byte)?;
        let index = Index::from_bytes(reader.take(usize::from(byte >> 4 & 0b11) + 1, "index")?)?;
        let wide = byte & WIDE != 0;
        let low = if wide {
            u32::from_be_bytes(reader.array("sequence")?)
        } else {
            u16::from_be_bytes(reader.array("sequence")?).into()
        };
        if reader.0.len() < TAG_LEN {
            return Err(Error::Truncated("tag"));
        }
        Ok(Self {
            kind,
            confirm: byte & CONFIRM != 0,
            index,
            wide,
            low,
        })
    }

    /// What it carries.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// Whether its sender waits for a first record of the other end (rule H6).
    #[must_use]
    pub const fn confirm(&self) -> bool {
        self.confirm
    }

    /// The receiver's index.
    #[must_use]
    pub const fn index(&self) -> Index {
        self.index
    }

    /// The sequence on the wire: its low bits, and how many.
    #[must_use]
    pub const fn truncated(&self) -> (u32, u32) {
        (self.low, if self.wide { 32 } else { 16 })
    }

    /// Its sequence, given the one that is expected next.
    #[must_use]
    pub const fn sequence(&self, expected: u64) -> Option<Sequence> {
        let (low, bits) = self.truncated();
        Sequence::expand(low, bits, expected)
    }

    /// Where the sealed part begins.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        1 + self.index.wire_len() + if self.wide { 4 } else { 2 }
    }
}

/// The type byte of a letter; the bit that makes sequences wide elsewhere says 'padded'.
pub(crate) const fn letter_type(kind: RecordKind, padded: bool, confirm: bool) -> u8 {
    RECORD
        | if padded { WIDE } else { 0 }
        | 0b11 << 4
        | if confirm { CONFIRM } else { 0 }
        | kind.code()
}

/// Kind, padded and confirm of a letter's type byte.
pub(crate) fn parse_letter_type(byte: u8) -> Result<(RecordKind, bool, bool), Error> {
    if byte & (RECORD | 0b11 << 4 | BOUNDARY) != RECORD | 0b11 << 4 {
        return Err(Error::Unknown("packet type"));
    }
    let kind = RecordKind::from_byte(byte)?;
    Ok((kind, byte & WIDE != 0, byte & CONFIRM != 0))
}
