//! Incoming associations: handshakes are bounded, timed, and wait for nobody.

#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use refpoint_association::SessionLabel;
use refpoint_transport::{Incoming, connect};
use support::{LOOPBACKS, Setting, in_time, listen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;

#[tokio::test]
async fn a_stalled_client_keeps_nobody_waiting() {
    let setting = Setting::default();
    for address in LOOPBACKS {
        let (listener, address) = listen(address).await;
        let mut incoming = Incoming::new(listener, setting.responder().0);
        let mut stalled = Vec::new();
        for said in [&b""[..], b"\x00", b"\x00\x40", b"\x00\x40half an Initiate"] {
            let mut io = TcpStream::connect(address).await.expect("connects");
            io.write_all(said).await.expect("writes");
            stalled.push(io);
        }
        let (keyring, credential) = setting.initiator();
        let genuine = async {
            let io = TcpStream::connect(address).await.expect("connects");
            connect(io, &keyring, credential, SessionLabel::default()).await
        };
        let (made, yielded) = in_time(async { tokio::join!(genuine, incoming.next()) }).await;
        made.expect("associates");
        let stream = yielded.expect("goes on").expect("an association");
        assert_eq!(
            stream.association().peer().entity.as_str(),
            support::GATEWAY
        );
    }
}

#[tokio::test]
async fn places_are_freed_by_time() {
    let setting = Setting::default();
    let (listener, address) = listen(LOOPBACKS[0]).await;
    let mut incoming = Incoming::new(listener, setting.responder().0)
        .with_handshakes(2)
        .with_time_limit(Duration::from_millis(50));
    let mut stalled = Vec::new();
    for _ in 0..7 {
        stalled.push(TcpStream::connect(address).await.expect("connects"));
    }
    let (keyring, credential) = setting.initiator();
    let genuine = async {
        let io = TcpStream::connect(address).await.expect("connects");
        connect(io, &keyring, credential, SessionLabel::default()).await
    };
    let (made, yielded) = in_time(async { tokio::join!(genuine, incoming.next()) }).await;
    made.expect("associates");
    yielded.expect("goes on").expect("an association");
    // Whoever stalled was dropped.
    let end = in_time(stalled[0].read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(0) | Err(_)));
}

#[tokio::test]
async fn strangers_are_never_yielded() {
    let setting = Setting::default();
    let (listener, address) = listen(LOOPBACKS[0]).await;
    let mut incoming = Incoming::new(listener, setting.responder().0);
    let strange = Setting {
        key: [8; 32],
        ..setting.clone()
    };
    let clients = async {
        for setting in [&strange, &setting] {
            let (keyring, credential) = setting.initiator();
            let io = TcpStream::connect(address).await.expect("connects");
            let made = connect(io, &keyring, credential, SessionLabel::default()).await;
            assert_eq!(made.is_ok(), setting.key == [7; 32]);
        }
    };
    let ((), first) = in_time(async { tokio::join!(clients, incoming.next()) }).await;
    first.expect("goes on").expect("the one with the key");
}
