//! What a decoder refuses: whatever it took besides the one encoding of a packet, an attacker could
//! use to make two of one, or to reach what only another packet may.

use refpoint_keys::{KeyId, Profile, ReferencePoint};
use refpoint_wire::{
    Cookie, Error, Index, Initiate, InitiateHeader, InitiatePayload, Packet, PacketHash,
    RETRY_MAC_LEN, Record, RecordKind, Refuse, Retry, Sequence, Suite, TAG_LEN, Terms,
};

fn index() -> Index {
    Index::new(0x0102, 2).expect("it fits")
}

fn initiate(profile: Profile, key_id: Option<KeyId>) -> Vec<u8> {
    let terms = Terms {
        profile,
        suite: Suite::ChaChaPoly,
        point: ReferencePoint::Y,
    };
    let header = InitiateHeader {
        terms,
        index: Some(index()),
        key_id,
        cookie: None,
    };
    let mut packet = header.encode();
    packet.extend_from_slice(&[7; 64]);
    packet
}

fn key_id() -> Option<KeyId> {
    Some(KeyId::new(b"k001").expect("short"))
}

#[test]
fn nothing_may_follow_a_retry_or_a_refuse() {
    let retry = Retry {
        index: Some(index()),
        echo: PacketHash([1; 8]),
        cookie: Cookie([2; 16]),
        slot: 0,
        mac: [3; RETRY_MAC_LEN],
    };
    let refuse = Refuse::NoAssociation {
        index: index(),
        issuer: 1,
    };
    for whole in [retry.encode(), refuse.encode()] {
        assert!(Packet::parse(&whole).is_ok());
        let longer = [&whole[..], &[0]].concat();
        assert!(Packet::parse(&longer).is_err());
        assert!(Packet::parse(&whole[..whole.len() - 1]).is_err());
    }
    // The versions that are spoken name no index.
    let mut named = Refuse::version(PacketHash([1; 8])).encode();
    named[0] |= 1;
    assert!(Packet::parse(&named).is_err());
}

#[test]
fn an_initiate_of_another_version_is_none() {
    let mut packet = initiate(Profile::Psk, key_id());
    assert!(matches!(Packet::parse(&packet), Ok(Packet::Initiate(_))));
    packet[1] += 1;
    let refused = Packet::parse(&packet).map(drop);
    assert_eq!(refused, Err(Error::Version(packet[1])));
}

#[test]
fn a_key_id_stands_where_the_profile_shows_it_and_nowhere_else() {
    let parsed = |profile, key_id| {
        let packet = initiate(profile, key_id);
        let parsed = Packet::parse(&packet);
        matches!(parsed, Ok(Packet::Initiate(Initiate { .. })))
    };
    for profile in [Profile::Psk, Profile::Pinned] {
        assert!(parsed(profile, key_id()));
        assert!(!parsed(profile, None), "{profile:?}");
    }
    assert!(parsed(Profile::Known, None));
    assert!(!parsed(Profile::Known, key_id()));
}

#[test]
fn an_index_has_at_most_four_bytes() {
    for length in 5..8 {
        let mut packet = vec![7; 64];
        packet[0] = 2 << 3 | length;
        assert!(Packet::parse(&packet).is_err(), "{length}");
    }
}

#[test]
fn a_record_has_room_for_its_tag_and_no_bit_of_streams() {
    let sequence = Sequence::new(5).expect("small");
    let header = Record::header(RecordKind::Data, index(), sequence, true, false);
    let mut record = [header.as_bytes(), &[0; TAG_LEN]].concat();
    assert!(matches!(Packet::parse(&record), Ok(Packet::Record(_))));
    assert!(Packet::parse(&record[..record.len() - 1]).is_err());
    record[0] |= 0x08;
    assert!(Packet::parse(&record).is_err(), "the boundary bit");
    record[0] = record[0] & !0x08 | 0x02;
    assert!(Packet::parse(&record).is_err(), "an unknown kind");
}

#[test]
fn a_record_on_a_stream_has_no_bit_of_datagrams() {
    let byte = Record::stream_type(RecordKind::Control, true, true);
    let parsed = Record::parse_stream_type(byte);
    assert_eq!(parsed, Ok((RecordKind::Control, true, true)));
    for bit in [0x40, 0x20, 0x10] {
        assert!(Record::parse_stream_type(byte | bit).is_err(), "{bit:x}");
    }
    assert!(Record::parse_stream_type(byte & 0x7f).is_err());
}

#[test]
fn limits_of_a_payload_are_in_their_range() {
    let field = |number: u8, value: &[u8]| [&[number << 3], value].concat();
    assert!(InitiatePayload::decode(&field(7, &[16])).is_ok());
    for bits in [1, 15, 23, 64] {
        assert!(
            InitiatePayload::decode(&field(7, &[bits])).is_err(),
            "{bits}"
        );
    }
    for number in 3..=6 {
        assert!(InitiatePayload::decode(&field(number, &[0xff, 1])).is_ok());
        let above = InitiatePayload::decode(&field(number, &[0x80, 2]));
        assert!(above.is_err(), "256 in field {number}");
    }
}
