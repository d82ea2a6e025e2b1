/// What anybody sees of a packet, by sections 4.1 to 4.6 of the wire specification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clear<'a> {
    Record(RecordClear),
    /// A handshake message, and the part of it that no other message may share.
    Handshake {
        kind: u8,
        fresh: &'a [u8],
    },
    Other,
}

/// The clear part of a record on datagrams.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecordClear {
    pub(super) index: (u8, u32),
    /// The low bits of the sequence, and how many they are.
    pub(super) low: u32,
    pub(super) bits: u32,
    pub(super) tag: [u8; 16],
}

const INITIATE: u8 = 1;
const RESPOND: u8 = 2;
const RESUME: u8 = 4;
const RESUMED: u8 = 5;
const LIGHT: u8 = 5;

impl<'a> Clear<'a> {
    /// Reads a packet; `None` when it is none.
    pub(super) fn read(packet: &'a [u8]) -> Option<Self> {
        let first = *packet.first()?;
        if first >= 128 {
            return record(first, packet).map(Self::Record);
        }
        let (kind, index) = (first / 8, usize::from(first % 8));
        let fresh = match kind {
            INITIATE => {
                let lengths = *packet.get(3)?;
                let cookie = if lengths >= 128 { 16 } else { 0 };
                let at = 4 + index + usize::from(lengths % 128) + cookie;
                packet.get(at..at + 32)?
            }
            RESPOND => packet.get(1 + index..1 + index + 32)?,
            RESUME => {
                let cookie = if *packet.get(3)? >= 128 { 16 } else { 0 };
                let (handle, end) = (4 + index, 4 + index + 12);
                if *packet.get(2)? / 32 == LIGHT && cookie == 0 {
                    // A nonce is one only with its handle, which stands before it.
                    packet.get(handle..end + 8)?
                } else {
                    packet.get(end + cookie..end + cookie + 8)?
                }
            }
            // The nonce of `light`, or the beginning of a key.
            RESUMED => packet.get(1 + index..1 + index + 8)?,
            _ => return Some(Self::Other),
        };
        Some(Self::Handshake { kind, fresh })
    }
}

fn record(first: u8, packet: &[u8]) -> Option<RecordClear> {
    let index_len = first / 16 % 4 + 1;
    let sequence_len = if first / 64 % 2 == 1 { 4 } else { 2 };
    let (index, rest) = packet.get(1..)?.split_at_checked(index_len.into())?;
    let (low, sealed) = rest.split_at_checked(sequence_len)?;
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
    };
    Some(RecordClear {
        index: (index_len, number(index)),
        low: number(low),
        bits: 8 * sequence_len as u32,
        tag: *sealed.last_chunk()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_in_all_their_lengths() {
        let tag = [9; 16];
        for (first, head, index, low, bits) in [
            (0x80, &[7, 0, 3][..], (1, 7), 3, 16),
            (0xb1, &[1, 2, 3, 4, 0, 3][..], (4, 0x0102_0304), 3, 16),
            (0xc4, &[7, 0, 1, 0, 0][..], (1, 7), 0x1_0000, 32),
        ] {
            let packet = [&[first], head, &[1, 2, 3], &tag].concat();
            let expected = RecordClear {
                index,
                low,
                bits,
                tag,
            };
            assert_eq!(Clear::read(&packet), Some(Clear::Record(expected)));
            assert_eq!(Clear::read(&packet[..head.len() + 16]), None);
        }
    }

    #[test]
    fn what_is_fresh_in_a_handshake_message_is_found_behind_index_key_id_and_cookie() {
        let body: Vec<_> = (100..180).collect();
        let packet = [&[0x0a, 1, 0, 3, 0, 0, 1, 2, 3], &body[..]].concat();
        let found = |packet: &[u8]| match Clear::read(packet) {
            Some(Clear::Handshake { kind, fresh }) => (kind, fresh.to_vec()),
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&packet), (1, body[..32].to_vec()));
        let cookie = [&[0x0a, 1, 0, 0x83, 0, 0, 1, 2, 3], &[0; 16][..], &body[..]].concat();
        assert_eq!(found(&cookie), (1, body[..32].to_vec()));
        let respond = [&[0x11, 5], &body[..]].concat();
        assert_eq!(found(&respond), (2, body[..32].to_vec()));
        let light = [&[0x21, 1, 0xa9, 12, 5], &body[..]].concat();
        assert_eq!(found(&light), (4, body[..20].to_vec()));
        let fresh = [&[0x21, 1, 0xc9, 12, 5], &body[..]].concat();
        assert_eq!(found(&fresh), (4, body[12..20].to_vec()));
        assert_eq!(Clear::read(&[0x39, 1, 5, 0]), Some(Clear::Other));
        assert_eq!(Clear::read(&[]), None);
    }
}
