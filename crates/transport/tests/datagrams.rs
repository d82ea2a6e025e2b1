//! X on UDP: requests both ways, once each, however the path behaves.

#[path = "support/support.rs"]
mod support;
#[path = "support/x.rs"]
mod x;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use refpoint_association::{CloseReason, Config};
use refpoint_primitive::{Failure, Retransmission};
use refpoint_transport::{Association, DatagramError, DatagramLimits, Datagrams, Handler};
use refpoint_x::proto;
use support::{id, in_time};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use x::{
    DEVICE, Echo, GATEWAY, associated, pair, plain, quick, read, request, respond, setting, start,
};

#[tokio::test]
async fn requests_go_both_ways_over_ipv4_and_ipv6() {
    for at in support::LOOPBACKS {
        let (device, gateway) = pair(at, DatagramLimits::default()).await;
        let answer = in_time(device.exchange(&id(GATEWAY), request(1, "up"))).await;
        assert_eq!(read(1, answer.expect("is answered")), (200, b"up".to_vec()));
        let answer = in_time(gateway.exchange(&id(DEVICE), request(2, "down"))).await;
        assert_eq!(
            read(2, answer.expect("is answered")),
            (200, b"down".to_vec())
        );
        assert_eq!(gateway.peers(), [id(DEVICE)]);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_limit_and_the_way_out() {
    let (device, gateway) = pair("127.0.0.1:0", DatagramLimits::default()).await;
    let refused = device
        .exchange(&id(GATEWAY), request(1, vec![0; 1200]))
        .await;
    let refused = refused.expect_err("too large");
    assert!(matches!(
        refused,
        DatagramError::TooLarge {
            size: 1201..,
            limit: 1200
        }
    ));
    let text = refused.to_string();
    assert!(text.contains("1200") && text.contains("stream"), "{text}");
    assert_eq!(refused.failure(), Failure::TooLarge);
    // The largest that fits, arrives; its echo, with less around it, fits too.
    let size = |body: usize| match refpoint_x::Datagram::request(
        refpoint_primitive::ExchangeId::new(1),
        proto::ExchangeRequest {
            patience_ms: 9000,
            ..request(2, vec![0; body])
        },
        0,
    ) {
        Err(refpoint_x::Error::TooLarge { size, .. }) => size,
        other => panic!("{other:?}"),
    };
    let body = 1000 + (1200 - 25) - size(1000);
    let answer = in_time(device.exchange(&id(GATEWAY), request(2, vec![7; body]))).await;
    assert_eq!(read(2, answer.expect("fits")), (200, vec![7; body]));
    drop(gateway);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_a_refusal() {
    let keyrings = (setting().initiator().0, setting().responder().0);
    let answer = |_: Association, _: proto::ExchangeRequest| async { respond(vec![0; 1200]) };
    let limits = DatagramLimits::default();
    let gateway = start(&keyrings.1, "127.0.0.1:0", answer, limits).await;
    let device = start(&keyrings.0, "127.0.0.1:0", plain, limits).await;
    device.reach(id(GATEWAY), gateway.local_addr()).await;
    let answer = in_time(device.exchange(&id(GATEWAY), request(1, ""))).await;
    let (status, body) = read(1, answer.expect("is answered"));
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&body).contains("too large"));
}

/// Forwards between who sends to it and `to`; loses, repeats and reorders three in ten each.
async fn bad_path(to: SocketAddr, seed: u64) -> (SocketAddr, AbortHandle) {
    let front = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let back = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    back.connect(to).await.expect("loopback");
    let address = front.local_addr().expect("bound");
    let forwarding = tokio::spawn(async move {
        let mut state = seed;
        let mut chance = move |percent: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 100 < percent
        };
        let mut client = None;
        let mut held: [Option<Vec<u8>>; 2] = [None, None];
        let (mut a, mut b) = ([0; 2048], [0; 2048]);
        loop {
            let (direction, packet) = tokio::select! {
                Ok((count, from)) = front.recv_from(&mut a) => {
                    client = Some(from);
                    (0, a[..count].to_vec())
                }
                Ok(count) = back.recv(&mut b) => (1, b[..count].to_vec()),
            };
            if chance(30) {
                continue;
            }
            let mut batch = vec![packet];
            if chance(30) {
                batch.push(batch[0].clone());
            }
            if chance(30) && held[direction].is_none() {
                held[direction] = batch.pop();
            } else if let Some(late) = held[direction].take() {
                batch.push(late);
            }
            for packet in batch {
                let _ = match (direction, client) {
                    (0, _) => back.send(&packet).await,
                    (_, Some(client)) => front.send_to(&packet, client).await,
                    _ => Ok(0),
                };
            }
        }
    });
    (address, forwarding.abort_handle())
}

#[tokio::test]
async fn on_a_bad_path_every_request_is_executed_once_and_answered() {
    let echo = Echo::new();
    let gateway = start(
        &setting().responder().0,
        "127.0.0.1:0",
        echo.clone(),
        quick(),
    )
    .await;
    let device = start(&setting().initiator().0, "127.0.0.1:0", plain, quick()).await;
    let seed = 20;
    println!("seed {seed}");
    let (path, forwarding) = bad_path(gateway.local_addr(), seed).await;
    device.reach(id(GATEWAY), path).await;
    let mut asked = JoinSet::new();
    for number in 0..60 {
        let device = device.clone();
        asked.spawn(async move {
            let answer = device
                .exchange(&id(GATEWAY), request(number, number.to_string()))
                .await;
            let answer = read(number, answer.expect("is answered"));
            assert_eq!(answer, (200, number.to_string().into_bytes()));
        });
    }
    in_time(async {
        while asked
            .join_next()
            .await
            .transpose()
            .expect("no panic")
            .is_some()
        {}
    })
    .await;
    assert_eq!(echo.executed.load(Ordering::Relaxed), 60);
    let mut asked = JoinSet::new();
    for number in 100..110 {
        let gateway = gateway.clone();
        asked.spawn(async move {
            let answer = gateway.exchange(&id(DEVICE), request(number, "back")).await;
            assert_eq!(read(number, answer.expect("is answered")).1, b"back");
        });
    }
    in_time(async {
        while asked
            .join_next()
            .await
            .transpose()
            .expect("no panic")
            .is_some()
        {}
    })
    .await;
    forwarding.abort();
}

#[tokio::test]
async fn a_peer_that_lost_its_state_is_soon_talking_again() {
    // Nothing is repeated in time: what brings the answer is the refusal of a record that nobody knows.
    let limits = DatagramLimits {
        retransmission: Retransmission {
            first: Duration::from_secs(300),
            ..Retransmission::default()
        },
        patience: Duration::from_secs(300),
        ..DatagramLimits::default()
    };
    let keyring = setting().responder().0;
    let first = tokio::runtime::Runtime::new().expect("another runtime");
    let gateway = first.spawn({
        let keyring = keyring.clone();
        async move { start(&keyring, "127.0.0.1:0", plain, limits).await }
    });
    let gateway = gateway.await.expect("runs");
    let device = start(&setting().initiator().0, "127.0.0.1:0", plain, limits).await;
    device.reach(id(GATEWAY), gateway.local_addr()).await;
    in_time(device.exchange(&id(GATEWAY), request(1, "before")))
        .await
        .expect("is answered");
    let lost = associated(&device, GATEWAY).await;
    // It ends without a word.
    let at = gateway.local_addr().to_string();
    first.shutdown_background();
    let socket = in_time(async {
        loop {
            match UdpSocket::bind(&at).await {
                Ok(socket) => break socket,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let again = Datagrams::start(socket, &keyring, Config::default(), plain, limits);
    let again = again.expect("valid limits");
    let answer = in_time(device.exchange(&id(GATEWAY), request(2, "after"))).await;
    assert_eq!(read(2, answer.expect("is answered")).1, b"after");
    assert!(
        device.association(&id(GATEWAY)) == Some(lost),
        "the handle stays"
    );
    assert_eq!(again.peers(), [id(DEVICE)]);
}

/// Answers when it is let go; counts.
#[derive(Clone)]
struct Slow {
    open: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

impl Handler<refpoint_transport::X> for Slow {
    async fn handle(&self, _: Association, _: proto::ExchangeRequest) -> proto::ExchangeResponse {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.acquire().await.expect("never closed").forget();
        respond("slow")
    }
}

#[tokio::test]
async fn a_slow_answer_is_pending_and_executed_once() {
    let slow = Slow {
        open: Arc::new(Semaphore::new(0)),
        begun: Arc::default(),
    };
    let gateway = start(
        &setting().responder().0,
        "127.0.0.1:0",
        slow.clone(),
        quick(),
    )
    .await;
    let device = start(&setting().initiator().0, "127.0.0.1:0", plain, quick()).await;
    device.reach(id(GATEWAY), gateway.local_addr()).await;
    let asking = device.clone();
    let asked = tokio::spawn(async move { asking.exchange(&id(GATEWAY), request(1, "")).await });
    // The first, the request, is one record; some repetitions follow.
    in_time(async {
        while gateway.statistics().await.opened < 6 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(slow.begun.load(Ordering::Relaxed), 1);
    slow.open.add_permits(1);
    let answer = in_time(asked).await.expect("runs").expect("is answered");
    assert_eq!(read(1, answer).1, b"slow");
}

#[tokio::test]
async fn nobody_there_and_nobody_known_are_told_apart() {
    let device = start(&setting().initiator().0, "127.0.0.1:0", plain, quick()).await;
    let unknown = device.exchange(&id(GATEWAY), request(1, "")).await;
    assert_eq!(unknown, Err(Failure::NoAssociation.into()));
    // A socket that never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    device
        .reach(id(GATEWAY), silent.local_addr().expect("bound"))
        .await;
    let patience = Duration::from_millis(100);
    let unanswered = device
        .exchange_within(patience, &id(GATEWAY), request(1, ""))
        .await;
    assert_eq!(unanswered, Err(Failure::Timeout.into()));
}

#[tokio::test]
async fn a_request_outlives_attempts_that_nobody_answers_and_says_so_when_its_time_is_over() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let at = silent.local_addr().expect("bound");
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let config = Config::default().with_handshake_timeout(Duration::from_millis(100));
    let keyring = setting().initiator().0;
    let device = Datagrams::start(socket, &keyring, config, plain, quick()).expect("valid limits");
    device.reach(id(GATEWAY), at).await;
    let patience = Duration::from_secs(1);
    let unanswered = device
        .exchange_within(patience, &id(GATEWAY), request(1, ""))
        .await;
    assert_eq!(unanswered, Err(Failure::PeerUnreachable.into()));

    let asking = device.clone();
    let asked =
        tokio::spawn(async move { asking.exchange(&id(GATEWAY), request(2, "late")).await });
    // More than one attempt.
    tokio::time::sleep(Duration::from_millis(700)).await;
    drop(silent);
    let keyring = setting().responder().0;
    let _gateway = start(&keyring, &at.to_string(), Echo::new(), quick()).await;
    let answer = in_time(asked).await.expect("no panic");
    assert_eq!(read(2, answer.expect("is answered")).1, b"late");
}

#[tokio::test]
async fn a_revocation_ends_the_association_and_a_reload_brings_it_back() {
    let (keyring, credential) = setting().responder();
    let gateway = start(&keyring, "127.0.0.1:0", Echo::new(), quick()).await;
    let device = start(&setting().initiator().0, "127.0.0.1:0", plain, quick()).await;
    device.reach(id(GATEWAY), gateway.local_addr()).await;
    let at_gateway = associated(&gateway, DEVICE).await;
    let at_device = associated(&device, GATEWAY).await;
    assert_eq!(at_gateway.authenticated().entity(), &id(DEVICE));
    keyring.update(|_, credentials| credentials.remove(credential));
    in_time(async { tokio::join!(at_gateway.closed(), at_device.closed()) }).await;
    assert!(gateway.association(&id(DEVICE)).is_none());
    let again = setting().credential(GATEWAY, DEVICE);
    keyring
        .update(|_, credentials| credentials.insert(again))
        .expect("its place is free");
    let answer = in_time(async {
        loop {
            if let Ok(answer) = device.exchange(&id(GATEWAY), request(1, "again")).await {
                break answer;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(read(1, answer.await).1, b"again");
}

#[tokio::test]
async fn a_renewal_keeps_the_handle_and_closing_it_ends_the_association() {
    let (device, gateway) = pair("127.0.0.1:0", quick()).await;
    let at_device = associated(&device, GATEWAY).await;
    in_time(device.exchange(&id(GATEWAY), request(1, "")))
        .await
        .expect("is answered");
    let at_gateway = associated(&gateway, DEVICE).await;
    let before = gateway.statistics().await.answered;
    device.renew(id(GATEWAY)).await;
    in_time(async {
        while gateway.statistics().await.answered == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    in_time(device.exchange(&id(GATEWAY), request(2, "")))
        .await
        .expect("is answered");
    assert!(device.association(&id(GATEWAY)) == Some(at_device.clone()));
    assert!(gateway.association(&id(DEVICE)) == Some(at_gateway.clone()));
    at_gateway.close(CloseReason::Done);
    in_time(async { tokio::join!(at_gateway.closed(), at_device.closed()) }).await;
}

#[tokio::test]
async fn dropping_the_last_handle_says_good_bye() {
    let (device, gateway) = pair("127.0.0.1:0", quick()).await;
    let at_gateway = associated(&gateway, DEVICE).await;
    let at_device = associated(&device, GATEWAY).await;
    drop(device);
    in_time(async { tokio::join!(at_gateway.closed(), at_device.closed()) }).await;
}
