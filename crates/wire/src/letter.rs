use crate::{Error, Index, RecordKind, Sequence, TAG_LEN, packet::Reader, record};

/// The header of a record that travels as a letter: kept by others for hours, in any order.
///
/// ```text
/// type(1) | index(4) | sequence(5) | ciphertext | tag(16)
///
/// type: 1 | padded | 1 | 1 | 0 | confirm | kind (2 bits)
/// ```
///
/// The sequence is whole, so that a letter says where it belongs whatever was lost before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterHeader {
    /// What it carries.
    pub kind: RecordKind,
    /// Whether the content is padded.
    pub padded: bool,
    /// Whether its sender waits for a first record of the other end (rule H6).
    pub confirm: bool,
    /// The receiver's index, of 4 bytes.
    pub index: Index,
    /// Its sequence, at most [`LetterHeader::LAST`].
    pub sequence: Sequence,
}

impl LetterHeader {
    /// Bytes of a header.
    pub const LEN: usize = 10;
    /// Bytes that a letter has more than its content.
    pub const OVERHEAD: usize = Self::LEN + TAG_LEN;
    /// The last sequence that five bytes hold.
    pub const LAST: u64 = (1 << 40) - 1;
    const INDEX: usize = 4;

    /// The header's bytes.
    ///
    /// # Errors
    /// [`Error::Range`] when the index has not 4 bytes or the sequence is beyond the last.
    pub fn encode(&self) -> Result<[u8; Self::LEN], Error> {
        if self.index.wire_len() != Self::INDEX {
            return Err(Error::Range("index"));
        }
        if self.sequence.number() > Self::LAST {
            return Err(Error::Range("sequence"));
        }
        let mut bytes = [0; Self::LEN];
        let sequence = self.sequence.number().to_be_bytes();
        bytes[0] = record::letter_type(self.kind, self.padded, self.confirm);
        bytes[1..5].copy_from_slice(&self.index.value().to_be_bytes());
        bytes[5..].copy_from_slice(&sequence[3..]);
        Ok(bytes)
    }

    /// Reads the header of a letter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(letter: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(letter);
        let (kind, padded, confirm) = record::parse_letter_type(reader.byte("type")?)?;
        let index = Index::from_bytes(reader.take(Self::INDEX, "index")?)?;
        let [a, b, c, d, e] = reader.array("sequence")?;
        let sequence = Sequence::new(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))?;
        if reader.0.len() < TAG_LEN {
            return Err(Error::Truncated("tag"));
        }
        Ok(Self {
            kind,
            padded,
            confirm,
            index,
            sequence,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_parses_encodes_to_the_same_bytes(
            mut letter in proptest::collection::vec(any::<u8>(), 0..48),
        ) {
            if let Some(first) = letter.first_mut() {
                *first |= 0b1011_0000;
            }
            if let Ok(header) = LetterHeader::parse(&letter) {
                prop_assert_eq!(&header.encode().expect("it came so")[..], &letter[..LetterHeader::LEN]);
            }
        }

        #[test]
        fn a_header_comes_back_as_it_went(
            (control, padded, confirm) in any::<(bool, bool, bool)>(),
            index in any::<u32>(),
            sequence in 0..=LetterHeader::LAST,
        ) {
            let header = LetterHeader {
                kind: if control { RecordKind::Control } else { RecordKind::Data },
                padded,
                confirm,
                index: Index::new(index, 4).expect("four bytes"),
                sequence: Sequence::new(sequence).expect("in range"),
            };
            let letter = [&header.encode().expect("in range")[..], &[0; TAG_LEN]].concat();
            prop_assert_eq!(LetterHeader::parse(&letter), Ok(header));
        }
    }
}
