//! A gateway has all its devices renew, also when it has to tell them twice.

#[path = "support/support.rs"]
mod support;
#[path = "support/x.rs"]
mod x;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use support::{id, in_time};
use tokio::net::UdpSocket;
use tokio::time::sleep;
use x::{DEVICE, Echo, GATEWAY, associated, plain, quick, read, request, setting, start};

const LOOPBACK: &str = "127.0.0.1:0";

/// Passes packets on between whoever sends to it and the gateway; loses so many that the gateway sends.
async fn relay(gateway: SocketAddr, losing: Arc<AtomicUsize>) -> SocketAddr {
    let front = UdpSocket::bind(LOOPBACK).await.expect("loopback");
    let back = UdpSocket::bind(LOOPBACK).await.expect("loopback");
    let at = front.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut up, mut down) = ([0; 2048], [0; 2048]);
        let mut device = None;
        loop {
            tokio::select! {
                Ok((length, from)) = front.recv_from(&mut up) => {
                    device = Some(from);
                    let _ = back.send_to(&up[..length], gateway).await;
                }
                Ok((length, _)) = back.recv_from(&mut down) => {
                    let lost = losing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                    if let (Err(_), Some(device)) = (lost, device) {
                        let _ = front.send_to(&down[..length], device).await;
                    }
                }
            }
        }
    });
    at
}

#[tokio::test]
async fn every_association_is_renewed_in_time_also_when_the_message_is_lost() {
    let gateway = start(&setting().responder().0, LOOPBACK, Echo::new(), quick()).await;
    let losing = Arc::new(AtomicUsize::new(0));
    let relay = relay(gateway.local_addr(), Arc::clone(&losing)).await;
    let device = start(&setting().initiator().0, LOOPBACK, plain, quick()).await;
    let peer = id(GATEWAY);
    device.reach(peer.clone(), relay).await;
    let association = associated(&device, GATEWAY).await;
    associated(&gateway, DEVICE).await;
    // The grant and whatever else belongs to the handshake.
    sleep(Duration::from_millis(200)).await;

    for (lost, renewed) in [(0, 1), (1, 2)] {
        losing.store(lost, Ordering::Relaxed);
        let begun = Instant::now();
        gateway.renew_all(Duration::from_secs(1)).await;
        in_time(async {
            while association.refreshes() < renewed {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let took = begun.elapsed();
        let expected = if lost == 0 { 0..=2 } else { 3..=6 };
        assert!(expected.contains(&took.as_secs()), "{took:?}");
        let answer = in_time(device.exchange(&peer, request(renewed as usize, "x"))).await;
        let answer = answer.expect("answered");
        assert_eq!(read(renewed as usize, answer), (200, b"x".to_vec()));
    }
    // Once is enough: nobody is told again.
    sleep(Duration::from_secs(4)).await;
    assert_eq!(association.refreshes(), 2);
}
