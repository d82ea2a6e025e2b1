//! Targets of `refpoint-wire`: packets, records, stream frames, handshake payloads, control.

use refpoint_keys::Version;
use refpoint_wire::{
    Control, Error, FRAME_HEADER, Frame, InitiatePayload, LogLimit, Packet, Record, RespondPayload,
    ResumeBody, Sequence, TAG_LEN,
};

use crate::Input;

/// What parses encodes to the very bytes it was parsed from.
pub fn wire_packet(data: &[u8]) {
    let again = match Packet::parse(data) {
        Ok(Packet::Initiate(initiate)) => {
            assert_eq!(initiate.header.encode(), initiate.header_bytes);
            let mut again = [initiate.header_bytes, initiate.message].concat();
            if let Some((tagged, tag)) = initiate.tagged {
                assert_eq!(again, tagged, "the tag is over all before it");
                again.extend_from_slice(&tag);
            }
            again
        }
        Ok(Packet::Respond { index, message }) => {
            [&Packet::respond_header(index), message].concat()
        }
        Ok(Packet::Resume(resume)) => {
            assert_eq!(resume.header.encode(), resume.header_bytes);
            match resume.body {
                ResumeBody::Light { nonce, mac } => [resume.header_bytes, &nonce, &mac].concat(),
                ResumeBody::Fresh(message) => [resume.header_bytes, message].concat(),
            }
        }
        Ok(Packet::Resumed {
            index,
            header,
            body,
        }) => {
            assert_eq!(Packet::resumed_header(index), header);
            [header, body].concat()
        }
        Ok(Packet::Retry(retry)) => retry.encode(),
        Ok(Packet::Refuse(refuse)) => refuse.encode(),
        Ok(Packet::Record(record)) => {
            let (low, bits) = record.truncated();
            let sequence = Sequence::new(low.into()).expect("32 bits are below the last sequence");
            let (kind, confirm) = (record.kind(), record.confirm());
            let header = Record::header(kind, record.index(), sequence, bits == 32, confirm);
            assert!(data.len() >= record.header_len() + TAG_LEN);
            [header.as_bytes(), &data[record.header_len()..]].concat()
        }
        Err(Error::Version(version)) => {
            assert!(version != Version::CURRENT.code() && data[1] == version);
            return;
        }
        Err(_) => return,
    };
    assert_eq!(again, data);
}

/// A truncated sequence expands to the nearest one with those low bits.
///
/// Eight bytes of the sequence that is expected next, then a packet.
pub fn wire_record(data: &[u8]) {
    let mut input = Input::new(data);
    let expected = input.number() >> 2;
    let Ok(Packet::Record(record)) = Packet::parse(input.rest()) else {
        return;
    };
    let (low, bits) = record.truncated();
    let window = 1 << bits;
    if let Some(sequence) = record.sequence(expected) {
        let number = sequence.number();
        assert_eq!(number % window, u64::from(low));
        let nearest = number.abs_diff(expected) <= window / 2;
        assert!(
            nearest || number < window,
            "{number} is not the nearest to {expected}"
        );
    }
}

/// A stream cuts into frames that join to the same stream, wherever it was cut before.
pub fn wire_frame(data: &[u8]) {
    let mut stream = data;
    let mut joined = Vec::new();
    while let Ok(Some(length)) = Frame::packet_len(stream) {
        assert!(length > 0);
        let header = Frame::header(length).expect("a length that came from a frame");
        let (start, rest) = stream.split_at(FRAME_HEADER);
        assert_eq!(header, start);
        let Some((packet, rest)) = rest.split_at_checked(length) else {
            break;
        };
        joined.extend_from_slice(&header);
        joined.extend_from_slice(packet);
        if let Ok((kind, boundary, confirm)) = Record::parse_stream_type(packet[0]) {
            assert_eq!(Record::stream_type(kind, boundary, confirm), packet[0]);
        }
        stream = rest;
    }
    assert_eq!([&joined, stream].concat(), data);
}

/// A handshake payload that decodes survives the way back, and its limits are what they say.
///
/// A byte that chooses the payload, then its protobuf bytes.
pub fn wire_payload(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = match input.byte() % 2 {
        0 => InitiatePayload::decode(input.rest()).map(|payload| {
            assert_eq!(
                InitiatePayload::decode(&payload.encode()).as_ref(),
                Ok(&payload)
            );
            payload.limits
        }),
        _ => RespondPayload::decode(input.rest()).map(|payload| {
            assert_eq!(
                RespondPayload::decode(&payload.encode()).as_ref(),
                Ok(&payload)
            );
            payload.limits
        }),
    };
    let Ok(limits) = limits else { return };
    assert!(
        limits
            .epoch_bits
            .is_none_or(|bits| (16..=22).contains(&bits))
    );
    let all = [
        limits.lifetime,
        limits.bytes,
        limits.messages,
        limits.failed_opens,
    ];
    for limit in all.into_iter().flatten() {
        assert!(limit.value() >= 1);
        assert_eq!(LogLimit::at_most(limit.value()).value(), limit.value());
    }
}

/// A control message that decodes survives the way back.
pub fn wire_control(data: &[u8]) {
    if let Ok(control) = Control::decode(data) {
        assert_eq!(Control::decode(&control.encode()), Ok(control));
    }
}
