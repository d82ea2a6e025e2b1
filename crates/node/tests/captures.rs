//! Captures: what is written is read, by tcpdump's rules, and a damaged file is an error and nothing worse.

use core::net::SocketAddr;
use core::time::Duration;

use refpoint_node::pcap::{PcapError, PcapReader, PcapWriter, TcpFlow, Transport, dissect};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn capture() -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new()).expect("memory");
    let at = Duration::new(1_795_420_800, 123_456_000);
    writer
        .udp(
            at,
            address("127.0.0.1:1000"),
            address("127.0.0.1:2000"),
            b"datagram",
        )
        .expect("written");
    writer
        .udp(at, address("[::1]:1000"), address("[::1]:2000"), b"")
        .expect("written");
    let mut flow = TcpFlow::new(address("127.0.0.1:3000"), address("127.0.0.1:4000"));
    writer.tcp_open(at, &flow).expect("written");
    writer
        .tcp_data(at, &mut flow, true, &[7; 100_000])
        .expect("written");
    writer
        .tcp_data(at, &mut flow, false, b"answer")
        .expect("written");
    writer.tcp_close(at, &mut flow, true).expect("written");
    writer.finish().expect("memory")
}

#[test]
fn what_is_written_is_read() {
    let file = capture();
    let packets: Vec<_> = PcapReader::new(file.as_slice())
        .expect("a capture")
        .map(|packet| packet.expect("a packet"))
        .collect();
    assert_eq!(packets.len(), 9);
    assert_eq!(packets[0].at, Duration::new(1_795_420_800, 123_456_000));
    let first = dissect(&packets[0].ip).expect("a datagram");
    assert_eq!(
        (first.from, first.to, first.transport),
        (
            address("127.0.0.1:1000"),
            address("127.0.0.1:2000"),
            Transport::Udp
        )
    );
    assert_eq!(first.payload, b"datagram");
    assert_eq!(
        dissect(&packets[1].ip).expect("a datagram").to,
        address("[::1]:2000")
    );
    let sent: Vec<u8> = packets[5..7]
        .iter()
        .flat_map(|packet| dissect(&packet.ip).expect("a segment").payload.to_vec())
        .collect();
    assert_eq!(sent, [7; 100_000]);
    let answer = dissect(&packets[7].ip).expect("a segment");
    assert_eq!(
        (answer.from, answer.payload),
        (address("127.0.0.1:4000"), &b"answer"[..])
    );
}

#[test]
fn a_file_cut_anywhere_is_read_up_to_there() {
    let file = capture();
    let file = &file[..400];
    for length in 0..file.len() {
        match PcapReader::new(&file[..length]) {
            Err(error) => assert!(
                length < 24 && matches!(error, PcapError::NotPcap),
                "{length}: {error}"
            ),
            Ok(reader) => {
                for packet in reader {
                    assert!(
                        matches!(packet, Ok(_) | Err(PcapError::Truncated(_))),
                        "{length}: {packet:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_packet_that_claims_to_be_huge_costs_nothing() {
    let mut file = capture();
    file[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let outcome: Vec<_> = PcapReader::new(file.as_slice())
        .expect("a capture")
        .collect();
    assert!(
        matches!(
            outcome.as_slice(),
            [Err(PcapError::TooLong {
                number: 1,
                claimed: u32::MAX
            })]
        ),
        "{outcome:?}"
    );
}

#[test]
fn a_flipped_byte_never_panics() {
    let file = capture();
    for at in 0..400 {
        for flip in [1, 0x80, 0xff] {
            let mut file = file[..800].to_vec();
            file[at] ^= flip;
            let Ok(reader) = PcapReader::new(file.as_slice()) else {
                continue;
            };
            for packet in reader.flatten() {
                let _ = dissect(&packet.ip);
            }
        }
    }
}

#[test]
fn a_pcapng_file_is_told_apart() {
    let outcome = PcapReader::new(
        &[
            0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ][..],
    );
    assert!(outcome.expect_err("taken").to_string().contains("editcap"));
}
