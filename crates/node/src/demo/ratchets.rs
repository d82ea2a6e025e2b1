//! How often the keys of a link were ratcheted, as an eavesdropper can count it: the key of each epoch is another, and
//! where an epoch begins stands in clear.

use core::net::SocketAddr;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;
use refpoint_wire::{Frame, Packet, Record, Sequence};

use crate::pcap::{PcapReader, Transport, dissect};

/// Epochs span at least so many bits of the sequence (rule R2), and a ratchet skips to the next one.
const EPOCH_BITS: u32 = 16;

/// Counts the ratchets in the capture at `path`, in both directions.
pub(super) fn count(path: &Path) -> anyhow::Result<u64> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let (mut datagrams, mut streams) = (Datagrams::default(), HashMap::new());
    let mut count = 0;
    for packet in PcapReader::new(BufReader::new(file))? {
        let packet = packet?;
        let Some(ip) = dissect(&packet.ip) else {
            continue;
        };
        count += match ip.transport {
            Transport::Udp => datagrams.saw(ip.from, ip.payload),
            Transport::Tcp => {
                let stream: &mut Vec<u8> = streams.entry((ip.from, ip.to)).or_default();
                stream.extend_from_slice(ip.payload);
                boundaries(stream)
            }
        };
    }
    Ok(count)
}

/// The last sequence of each direction of each association.
#[derive(Default)]
struct Datagrams(HashMap<(SocketAddr, u32), u64>);

impl Datagrams {
    fn saw(&mut self, from: SocketAddr, payload: &[u8]) -> u64 {
        let Ok(Packet::Record(record)) = Packet::parse(payload) else {
            return 0;
        };
        let last = self.0.entry((from, record.index().value())).or_default();
        let Some(sequence) = record.sequence(*last).map(Sequence::number) else {
            return 0;
        };
        let is_next = sequence >> EPOCH_BITS > *last >> EPOCH_BITS;
        *last = sequence.max(*last);
        u64::from(is_next)
    }
}

/// Takes whole frames off a stream; counts the records that say that their epoch begins with them.
fn boundaries(stream: &mut Vec<u8>) -> u64 {
    let mut count = 0;
    let mut rest = stream.as_slice();
    while let Ok(Some(length)) = Frame::packet_len(rest) {
        let Some((frame, after)) = rest.split_at_checked(refpoint_wire::FRAME_HEADER + length)
        else {
            break;
        };
        let kind = frame.get(refpoint_wire::FRAME_HEADER).copied();
        let kind = kind.map(Record::parse_stream_type);
        count += u64::from(matches!(kind, Some(Ok((_, true, _)))));
        rest = after;
    }
    let taken = stream.len() - rest.len();
    stream.drain(..taken);
    count
}
