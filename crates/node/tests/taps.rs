//! Taps pass everything on, see everything, and write what they saw.

#[path = "support/sockets.rs"]
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use refpoint_node::pcap::{PcapReader, Transport, dissect};
use refpoint_node::tap::{Capture, Tap};
use support::{read_all, read_until};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// A file in memory that two can hold.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What was sent in one transport, both directions in the order of the capture.
fn payloads(file: &Shared, transport: Transport) -> Vec<u8> {
    let file = file.0.lock().expect("no panic").clone();
    PcapReader::new(file.as_slice())
        .expect("a capture")
        .flat_map(|packet| {
            let packet = packet.expect("a packet");
            let ip = dissect(&packet.ip).expect("a packet with ports");
            assert_eq!(ip.transport, transport);
            ip.payload.to_vec()
        })
        .collect()
}

#[tokio::test]
async fn a_marker_across_two_segments_is_seen() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let file = Shared::default();
    let capture = Arc::new(Capture::new(b"MARKER", Box::new(file.clone())).expect("a capture"));
    let tap = Tap::tcp(
        server.local_addr().expect("an address"),
        Arc::clone(&capture),
    )
    .await
    .expect("a tap");
    let mut client = TcpStream::connect(tap.address())
        .await
        .expect("a connection");
    client.set_nodelay(true).expect("no delay");
    let (mut accepted, _) = server.accept().await.expect("a connection");

    client.write_all(b"...MAR").await.expect("written");
    assert_eq!(read_until(&mut accepted, b"MAR").await, b"...MAR");
    assert_eq!(capture.found(), 0);
    client.write_all(b"KER...").await.expect("written");
    assert_eq!(read_until(&mut accepted, b"...").await, b"KER...");
    assert_eq!(capture.found(), 1);

    accepted.write_all(b"MARKER").await.expect("written");
    drop(accepted);
    assert_eq!(read_all(&mut client).await, b"MARKER");
    assert_eq!((capture.found(), capture.bytes()), (2, 18));
    capture.finish().expect("written");
    assert_eq!(payloads(&file, Transport::Tcp), b"...MARKER...MARKER");
}

#[tokio::test]
async fn datagrams_are_passed_both_ways_and_kept_apart_by_client() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let server = UdpSocket::bind(host).await.expect("a port");
        let file = Shared::default();
        let capture = Arc::new(Capture::new(b"MARKER", Box::new(file.clone())).expect("a capture"));
        let tap = Tap::udp(
            server.local_addr().expect("an address"),
            Arc::clone(&capture),
        )
        .await
        .expect("a tap");
        let mut buffer = [0; 64];
        let mut clients = Vec::new();
        for text in [&b"one MARKER"[..], b"two"] {
            let client = UdpSocket::bind(host).await.expect("a port");
            client.send_to(text, tap.address()).await.expect("sent");
            let (length, from) = server.recv_from(&mut buffer).await.expect("received");
            assert_eq!(&buffer[..length], text);
            clients.push((client, from));
        }
        for (at, (_, from)) in clients.iter().enumerate() {
            server
                .send_to(&[b'0' + at as u8], *from)
                .await
                .expect("sent");
        }
        for (at, (client, _)) in clients.iter().enumerate() {
            let (length, from) = client.recv_from(&mut buffer).await.expect("received");
            assert_eq!(
                (&buffer[..length], from),
                (&[b'0' + at as u8][..], tap.address())
            );
        }
        assert_eq!((capture.found(), capture.bytes()), (1, 15));
        capture.finish().expect("written");
        assert_eq!(payloads(&file, Transport::Udp).len(), 15);
        assert!(capture.finish().is_err());
    }
}
