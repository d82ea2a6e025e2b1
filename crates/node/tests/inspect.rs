//! `refpoint inspect`: the clear part of each packet, and nothing else.

use core::time::Duration;

use refpoint_keys::{KeyId, Profile, ReferencePoint};
use refpoint_node::inspect::{Format, InspectError, inspect};
use refpoint_node::pcap::{PcapWriter, TcpFlow};
use refpoint_wire::{
    Index, InitiateHeader, Packet, Record, RecordKind, Refuse, Sequence, Suite, Terms,
};

fn capture() -> Vec<u8> {
    let (client, server) = (
        "127.0.0.1:1000".parse().expect("an address"),
        "127.0.0.1:2000".parse().expect("an address"),
    );
    let (mine, theirs) = (
        Index::new(7, 1).expect("an index"),
        Index::new(0xdead_beef, 4).expect("an index"),
    );
    let initiate = InitiateHeader {
        terms: Terms {
            profile: Profile::Psk,
            suite: Suite::ChaChaPoly,
            point: ReferencePoint::X,
        },
        index: Some(mine),
        key_id: Some(KeyId::new(b"mn-i").expect("a key id")),
        cookie: None,
    };
    let record = |sequence, wide, confirm, kind| {
        let header = Record::header(
            kind,
            theirs,
            Sequence::new(sequence).expect("a sequence"),
            wide,
            confirm,
        );
        [header.as_bytes(), &[0; 20]].concat()
    };
    let mut writer = PcapWriter::new(Vec::new()).expect("memory");
    let at = Duration::new(1_795_420_800, 0);
    let mut send = |to_server: bool, payload: &[u8]| {
        let (from, to) = if to_server {
            (client, server)
        } else {
            (server, client)
        };
        writer.udp(at, from, to, payload).expect("written");
    };
    send(true, &[initiate.encode(), vec![0; 48]].concat());
    send(
        false,
        &[Packet::respond_header(Some(mine)), vec![0; 48]].concat(),
    );
    send(true, &record(0, true, true, RecordKind::Data));
    send(true, &record(65_537, false, false, RecordKind::Control));
    let refuse = Refuse::NoAssociation {
        index: theirs,
        issuer: 7,
    };
    send(false, &refuse.encode());
    send(false, b"\x00not ours");
    let flow = TcpFlow::new(client, server);
    writer.tcp_open(at, &flow).expect("written");
    writer.finish().expect("memory")
}

#[test]
fn each_udp_packet_is_a_line_of_text() {
    let mut out = Vec::new();
    assert_eq!(
        inspect(capture().as_slice(), Format::Text, &mut out).expect("inspected"),
        6
    );
    let text = String::from_utf8(out).expect("text");
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            line.split_once("2000  ")
                .or(line.split_once("1000  "))
                .map_or(line, |(_, rest)| rest.trim_start())
        })
        .collect();
    assert_eq!(lines.len(), 7, "{text}");
    for (line, expected) in lines[1..].iter().zip([
        "initiate index 07",
        "respond index 07",
        "record index deadbeef sequence 0 (32 bits) (data, confirm)",
        "record index deadbeef sequence 1 (16 bits) (control)",
        "refuse index deadbeef (no association)",
        "unknown (unknown packet type)",
    ]) {
        assert!(line.contains(expected), "{line:?} has no {expected:?}");
    }
    assert!(lines[1].contains("key id 6d6e2d69"), "{}", lines[1]);
}

#[test]
fn each_udp_packet_is_a_json_object() {
    let mut out = Vec::new();
    inspect(capture().as_slice(), Format::Json, &mut out).expect("inspected");
    let rows: Vec<serde_json::Value> = out
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("json"))
        .collect();
    assert_eq!(rows.len(), 6);
    assert_eq!(
        (rows[2]["type"].as_str(), rows[2]["index"].as_str()),
        (Some("record"), Some("deadbeef"))
    );
    assert_eq!(
        (
            rows[2]["sequence"].as_u64(),
            rows[2]["sequence_bits"].as_u64(),
            rows[2]["size"].as_u64()
        ),
        (Some(0), Some(32), Some(29))
    );
    assert_eq!(rows[0]["from"].as_str(), Some("127.0.0.1:1000"));
    assert!(rows[0].get("sequence").is_none());
}

#[test]
fn a_damaged_capture_is_shown_up_to_the_damage() {
    let file = capture();
    let mut out = Vec::new();
    let outcome = inspect(&file[..200], Format::Text, &mut out);
    assert!(
        matches!(outcome, Err(InspectError::Capture(_))),
        "{outcome:?}"
    );
    assert!(String::from_utf8(out).expect("text").contains("initiate"));
}
