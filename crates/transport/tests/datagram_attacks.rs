//! An attacker on the path of UDP, with real sockets: what it adds beside genuine packets stops nothing and delivers
//! nothing; what it puts in their place costs a repetition.

#[path = "support/support.rs"]
mod support;
#[path = "support/x.rs"]
mod x;

use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use std::collections::HashSet;

use support::{id, in_time};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use x::{DEVICE, Echo, GATEWAY, plain, quick, read, request, setting, start};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Attack {
    /// Before each genuine packet: it with each byte changed, cut at each length, reflected to its sender, and every
    /// packet that was seen before, in both directions.
    Beside,
    /// In the place of every third packet: it with a byte changed.
    Replace,
}

/// Forwards between who sends to it and `to`.
async fn attacker(to: SocketAddr, attack: Attack) -> (SocketAddr, AbortHandle) {
    let front = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let back = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    back.connect(to).await.expect("loopback");
    let address = front.local_addr().expect("bound");
    let attacking = tokio::spawn(async move {
        let mut client = None;
        let mut seen: Vec<Vec<u8>> = Vec::new();
        let mut known = HashSet::new();
        let (mut a, mut b) = ([0; 2048], [0; 2048]);
        for turn in 0usize.. {
            let (upwards, packet) = tokio::select! {
                Ok((count, from)) = front.recv_from(&mut a) => {
                    client = Some(from);
                    (true, a[..count].to_vec())
                }
                Ok(count) = back.recv(&mut b) => (false, b[..count].to_vec()),
            };
            let Some(client) = client else { continue };
            let send = async |upwards: bool, packet: &[u8]| {
                let _ = match upwards {
                    true => back.send(packet).await,
                    false => front.send_to(packet, client).await,
                };
            };
            if attack == Attack::Replace {
                let mut packet = packet;
                if turn % 3 == 2 {
                    let place = turn % packet.len();
                    packet[place] ^= 0x20;
                }
                send(upwards, &packet).await;
                continue;
            }
            for place in 0..packet.len() {
                let mut forged = packet.clone();
                forged[place] ^= 1 << (place % 8);
                send(upwards, &forged).await;
                send(upwards, &packet[..place]).await;
                // Both ends are on this runtime: they shall keep up, so that the attack is seen, not a full buffer.
                tokio::task::yield_now().await;
            }
            send(!upwards, &packet).await;
            for old in &seen {
                send(upwards, old).await;
                send(!upwards, old).await;
            }
            send(upwards, &packet).await;
            if known.insert(packet.clone()) && seen.len() < 32 {
                seen.push(packet);
            }
        }
    });
    (address, attacking.abort_handle())
}

#[tokio::test]
async fn no_attack_delivers_anything_twice_or_foreign_or_stops_the_exchange() {
    let (gateway_id, device_id) = (id(GATEWAY), id(DEVICE));
    for attack in [Attack::Beside, Attack::Replace] {
        let echo = Echo::new();
        let at = "127.0.0.1:0";
        let gateway = start(&setting().responder().0, at, echo.clone(), quick()).await;
        let device = start(&setting().initiator().0, at, plain, quick()).await;
        let (path, attacking) = attacker(gateway.local_addr(), attack).await;
        device.reach(id(GATEWAY), path).await;
        for number in 0..12 {
            let asked = request(number, format!("up {number}"));
            let up = in_time(device.exchange(&gateway_id, asked)).await;
            let up = read(number, up.expect("is answered"));
            assert_eq!(up, (200, format!("up {number}").into_bytes()), "{attack:?}");
            let asked = request(number, format!("down {number}"));
            let down = in_time(gateway.exchange(&device_id, asked)).await;
            let down = read(number, down.expect("is answered"));
            assert_eq!(
                down,
                (200, format!("down {number}").into_bytes()),
                "{attack:?}"
            );
        }
        assert_eq!(echo.executed.load(Ordering::Relaxed), 12, "{attack:?}");
        let dropped = gateway.statistics().await;
        let noticed = dropped.malformed + dropped.unauthenticated + dropped.unopened;
        assert!(noticed > 0, "{attack:?}: nothing was attacked");
        attacking.abort();
    }
}

#[tokio::test]
async fn what_one_gateway_hears_delivers_nothing_at_another() {
    // Both hold the same keys and hear the same packets; only one of them is answered.
    let echoes = [Echo::new(), Echo::new()];
    let mut gateways = Vec::new();
    for echo in &echoes {
        gateways.push(
            start(
                &setting().responder().0,
                "127.0.0.1:0",
                echo.clone(),
                quick(),
            )
            .await,
        );
    }
    let splitter = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let address = splitter.local_addr().expect("bound");
    let to = [gateways[0].local_addr(), gateways[1].local_addr()];
    let splitting = tokio::spawn(async move {
        let mut client = None;
        let mut packet = [0; 2048];
        loop {
            let Ok((count, from)) = splitter.recv_from(&mut packet).await else {
                continue;
            };
            if to.contains(&from) {
                // Only the first gateway's answers come back.
                if let (Some(client), true) = (client, from == to[0]) {
                    let _ = splitter.send_to(&packet[..count], client).await;
                }
                continue;
            }
            client = Some(from);
            for to in to {
                let _ = splitter.send_to(&packet[..count], to).await;
            }
        }
    });
    let device = start(&setting().initiator().0, "127.0.0.1:0", plain, quick()).await;
    let gateway_id = id(GATEWAY);
    device.reach(gateway_id.clone(), address).await;
    for number in 0..10 {
        let asked = request(number, "one of them");
        let answer = in_time(device.exchange(&gateway_id, asked)).await;
        read(number, answer.expect("is answered"));
    }
    assert_eq!(echoes[0].executed.load(Ordering::Relaxed), 10);
    assert_eq!(echoes[1].executed.load(Ordering::Relaxed), 0);
    splitting.abort();
}
