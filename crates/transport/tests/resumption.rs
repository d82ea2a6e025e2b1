//! Streams that are resumed over real sockets: who connects again redeems a handle.

#[path = "support/log.rs"]
mod log;
#[path = "support/support.rs"]
mod support;

use core::net::SocketAddr;
use core::time::Duration;

use http::Uri;
use log::Log;
use refpoint_association::{CloseReason, Grants, IssuedHandles, Modes, Policy, SessionLabel};
use refpoint_transport::stubs::y::y_service_client::YServiceClient;
use refpoint_transport::{
    Association, Connector, DeviceFile, Error, Incoming, Keyring, Limits, Link, Persistence,
    Server, Y, accept, connect,
};
use refpoint_y::proto;
use support::{CORE, GATEWAY, LOOPBACKS, Secure, Setting, id, in_time, listen, tcp_pair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn setting(modes: Modes) -> Setting {
    Setting {
        policy: Policy::default().with_resumption(modes, WEEK),
        ..Setting::default()
    }
}

async fn answer(_: Association, _: proto::ExchangeRequest) -> proto::ExchangeResponse {
    proto::ExchangeResponse::default()
}

/// A core that serves Y.
async fn serve(core: &Keyring) -> SocketAddr {
    let (listener, address) = listen(LOOPBACKS[0]).await;
    let server = Server::<Y>::new(answer, Limits::default());
    let incoming = Incoming::new(listener, core.clone());
    tokio::spawn(server.serve(incoming, core::future::pending()));
    address
}

fn connector(gateway: Keyring) -> Connector {
    Connector::new(gateway, Setting::default().point, id(CORE))
        .with_backoff(Duration::from_millis(5), Duration::from_millis(20))
}

fn uri(address: SocketAddr) -> Uri {
    format!("http://{address}").parse().expect("a URI")
}

/// One byte each way, so that both ends have read what the other had to say.
async fn greet(a: &mut Secure, b: &mut Secure) {
    send(a, b).await;
    send(b, a).await;
}

async fn send(from: &mut Secure, to: &mut Secure) {
    from.write_all(b"x").await.expect("writes");
    from.flush().await.expect("flushes");
    assert_eq!(to.read_u8().await.expect("reads"), b'x');
}

/// A stream between the two, over new sockets.
async fn stream(
    gateway: &(Keyring, refpoint_association::CredentialId),
    core: &Keyring,
) -> [Secure; 2] {
    let (a, b) = tcp_pair(LOOPBACKS[0]).await;
    let made = tokio::join!(
        connect(a, &gateway.0, gateway.1, SessionLabel::default()),
        accept(b, core),
    );
    let (mut a, mut b) = (made.0.expect("associates"), made.1.expect("associates"));
    greet(&mut a, &mut b).await;
    [a, b]
}

fn resumed(ends: &[Secure; 2]) -> bool {
    let [a, b] = ends.each_ref().map(|end| end.association().was_resumed());
    assert_eq!(a, b, "both ends see the same");
    a
}

#[tokio::test]
async fn a_tonic_channel_that_reconnects_resumes() {
    for modes in [Modes::BOTH, Modes::FRESH] {
        let setting = setting(modes);
        let core = setting.responder().0;
        let connector = connector(setting.initiator().0);
        let endpoint = Endpoint::from(uri(serve(&core).await));
        let channel = in_time(endpoint.connect_with_connector(connector.clone())).await;
        let mut client = YServiceClient::new(channel.expect("connects"));
        let mut last: Option<Association> = None;
        for turn in 0..4 {
            in_time(async {
                // The first request after an end may meet it.
                while client
                    .exchange(proto::ExchangeRequest::default())
                    .await
                    .is_err()
                    || connector.association() == last
                {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            let association = connector.association().expect("made");
            assert_eq!(association.was_resumed(), turn > 0, "{modes:?} {turn}");
            assert_eq!(core.grants(|grants| grants.issued().len()), 1);
            last = Some(association);
            core.close(CloseReason::Done);
        }
    }
}

#[tokio::test]
async fn a_link_that_reconnects_resumes_and_is_asked_both_ways() {
    let setting = setting(Modes::FRESH);
    let core = setting.responder().0;
    let address = serve(&core).await;
    let connector = connector(setting.initiator().0);
    let link = Link::<Y>::connect(connector, &uri(address), answer, Limits::default());
    let link = link.expect("a target");
    let mut last: Option<Association> = None;
    for turn in 0..3 {
        let association = in_time(async {
            loop {
                match link.ready().await {
                    Ok(association) if Some(&association) != last.as_ref() => break association,
                    _ => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        let answered = in_time(link.exchange(proto::ExchangeRequest::default())).await;
        answered.expect("is answered");
        assert_eq!(association.was_resumed(), turn > 0);
        core.close(CloseReason::Done);
        last = Some(association);
    }
}

#[tokio::test]
async fn a_handle_that_the_core_has_lost_is_followed_by_a_full_handshake_in_the_same_connection() {
    let setting = setting(Modes::FRESH);
    let gateway = setting.initiator();
    let core = setting.responder().0;
    assert!(!resumed(&stream(&gateway, &core).await));
    assert!(resumed(&stream(&gateway, &core).await));
    // Another process, that knows nothing; each `stream` is one connection.
    let core = setting.responder().0;
    assert!(!resumed(&stream(&gateway, &core).await));
    assert!(resumed(&stream(&gateway, &core).await));
}

#[tokio::test]
async fn a_refreshed_stream_leaves_a_new_handle() {
    // Refreshed after a second at the latest; without more in what is resumed later.
    let policy = setting(Modes::FRESH).policy;
    let policy = policy.with_lifetime(Duration::from_secs(2)).expect("valid");
    let setting = Setting {
        policy: policy.with_minimum_lifetime(Duration::from_secs(1)),
        ..Setting::default()
    };
    let log = Log::default();
    let core = setting.responder().0.with_persistence(log.persistence());
    let gateway = setting.initiator();
    let issued = || -> Vec<_> { log.0.lock().expect("no panic").keys().copied().collect() };
    let [mut a, mut b] = stream(&gateway, &core).await;
    let before = issued();
    in_time(async {
        while a.association().refreshes() == 0 || b.association().refreshes() == 0 {
            greet(&mut a, &mut b).await;
        }
    })
    .await;
    greet(&mut a, &mut b).await;
    let after = issued();
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after, "a new one in place of the older");
    assert!(resumed(&stream(&gateway, &core).await));
}

#[tokio::test]
async fn a_core_that_does_nothing_with_a_resume_gets_a_full_handshake_in_another_connection() {
    // It ends the stream, or says nothing at all.
    for is_silent in [false, true] {
        let setting = setting(Modes::FRESH);
        let (gateway, _) = setting.initiator();
        let core = setting.responder().0;
        let (listener, address) = listen(LOOPBACKS[0]).await;
        let connector = connector(gateway).with_time_limit(Duration::from_secs(4));
        let (host, port) = (address.ip().to_string(), address.port());
        made(&connector, &host, port, &listener, &core).await;
        let served = async {
            let (mut first, _) = listener.accept().await.expect("accepts");
            let kind = first.read_u8().await.and(Ok(()));
            kind.expect("a frame");
            let kept = is_silent.then_some(first);
            let (second, _) = listener.accept().await.expect("accepts");
            let mut second = accept(second, &core).await.expect("associates");
            let _ = second.read_u8().await;
            kept
        };
        let connected = async {
            let mut stream = connector.connect(&host, port).await.expect("associates");
            assert!(!stream.association().was_resumed());
            stream.write_all(b"x").await.expect("writes");
            stream.flush().await.expect("flushes");
        };
        in_time(async { tokio::join!(served, connected) }).await;
    }
}

/// An association by a connector, and what its core grants, taken in.
async fn made(
    connector: &Connector,
    host: &str,
    port: u16,
    listener: &TcpListener,
    core: &Keyring,
) -> bool {
    let served = async {
        let (io, _) = listener.accept().await.expect("accepts");
        accept(io, core).await
    };
    let both = async { tokio::join!(connector.connect(host, port), served) };
    let (a, b): (Result<Secure, Error>, _) = in_time(both).await;
    let (mut a, mut b) = (a.expect("associates"), b.expect("associates"));
    greet(&mut a, &mut b).await;
    resumed(&[a, b])
}

#[tokio::test]
async fn a_core_that_is_away_costs_no_handle() {
    let setting = setting(Modes::FRESH);
    let (gateway, _) = setting.initiator();
    let core = setting.responder().0;
    let (listener, address) = listen(LOOPBACKS[0]).await;
    let connector = connector(gateway);
    let (host, port) = (address.ip().to_string(), address.port());
    assert!(!made(&connector, &host, port, &listener, &core).await);
    drop(listener);
    assert!(connector.connect(&host, port).await.is_err());
    let listener = TcpListener::bind(address).await.expect("it was free");
    // It comes back half: it takes connections, and drops them.
    let served = async {
        for _ in 0..2 {
            drop(listener.accept().await.expect("accepts"));
        }
    };
    let (failed, ()) = tokio::join!(connector.connect(&host, port), served);
    assert!(failed.is_err());
    assert!(
        made(&connector, &host, port, &listener, &core).await,
        "it was kept"
    );
}

#[tokio::test]
async fn two_streams_at_once_redeem_one_handle_once() {
    let setting = setting(Modes::FRESH);
    let (gateway, core) = (setting.initiator(), setting.responder().0);
    stream(&gateway, &core).await;
    let [one, other] = in_time(async {
        let (one, other) = tokio::join!(stream(&gateway, &core), stream(&gateway, &core));
        [one, other]
    })
    .await;
    assert!(resumed(&one) != resumed(&other), "one of them");
}

#[tokio::test]
async fn a_revocation_ends_the_handles_of_its_credential() {
    let setting = setting(Modes::FRESH);
    let gateway = setting.initiator();
    let (core, of_gateway) = setting.responder();
    stream(&gateway, &core).await;
    assert_eq!(core.grants(|grants| grants.issued().len()), 1);
    core.update(|_, credentials| credentials.remove(of_gateway));
    assert_eq!(core.grants(|grants| grants.issued().len()), 0);
    let (a, b) = tcp_pair(LOOPBACKS[0]).await;
    let (at_gateway, at_core) = tokio::join!(
        connect(a, &gateway.0, gateway.1, SessionLabel::default()),
        accept(b, &core),
    );
    assert!(at_gateway.is_err() && at_core.is_err());
    // The gateway's own: with the credential goes what was held by it.
    let again = core.update(|_, credentials| credentials.insert(setting.credential(CORE, GATEWAY)));
    again.expect("its key id is free");
    stream(&gateway, &core).await;
    let inserted = gateway.0.update(|_, credentials| {
        credentials.remove(gateway.1);
        credentials.insert(setting.credential(GATEWAY, CORE))
    });
    let gateway = (gateway.0, inserted.expect("its key id is free"));
    assert!(!resumed(&stream(&gateway, &core).await));
}

#[tokio::test]
async fn a_core_that_grants_nothing_is_never_asked_to_resume() {
    let setting = setting(Modes::FRESH);
    let (gateway, core) = (setting.initiator(), setting.responder().0);
    core.grants(|grants| {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        *grants = Grants::new(IssuedHandles::new(0, &mut rng));
    });
    for _ in 0..2 {
        assert!(!resumed(&stream(&gateway, &core).await));
    }
}

#[tokio::test]
async fn both_ends_resume_after_a_restart_by_what_they_have_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    for modes in [Modes::BOTH, Modes::FRESH] {
        let (setting, log) = (setting(modes), Log::default());
        let file = folder.path().join(format!("{modes:?}"));
        for start in 0..4 {
            // All that there is of either is made anew.
            let core = setting.responder().0.with_persistence(log.persistence());
            let (gateway, credential) = setting.initiator();
            let device = DeviceFile::open(&file).expect("its own file");
            let gateway = gateway.with_persistence(Persistence::default().with_device(device));
            let ends = stream(&(gateway, credential), &core).await;
            assert_eq!(resumed(&ends), start > 0, "{modes:?} {start}");
            assert_eq!(log.0.lock().expect("no panic").len(), 1);
        }
    }
}
