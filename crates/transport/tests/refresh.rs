//! Refreshes inside streams over real sockets: what runs over them does not notice.

#[path = "support/support.rs"]
mod support;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use http::Uri;
use refpoint_association::{CloseReason, Error, Policy};
use refpoint_transport::stubs::y::{y_service_client, y_service_server};
use refpoint_transport::{
    Association, Connector, Incoming, Keyring, Limits, Link, Server, Y, association_error, connect,
};
use refpoint_y::proto;
use support::{CORE, GATEWAY, LOOPBACKS, Setting, id, in_time, listen, secure_pair, tcp_pair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status, Streaming};

/// Refreshed after half a second at the latest.
fn restless() -> Setting {
    let policy = Policy::default().with_lifetime(Duration::from_secs(1));
    let policy = policy.expect("valid");
    Setting {
        policy: policy.with_minimum_lifetime(Duration::from_secs(1)),
        ..Setting::default()
    }
}

fn with_messages(messages: u64) -> Setting {
    let policy = Policy::default().with_messages(messages);
    Setting {
        policy: policy.expect("valid"),
        ..Setting::default()
    }
}

/// An ordinary tonic service: it answers each message of a stream by one that has its number, and
/// says on every message who has asked.
struct Counting {
    calls: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<Option<Association>>>,
}

type Answers = core::pin::Pin<Box<dyn Stream<Item = Result<proto::ServeResponse, Status>> + Send>>;

#[tonic::async_trait]
impl y_service_server::YService for Counting {
    type ServeStream = Answers;

    async fn exchange(
        &self,
        _: Request<proto::ExchangeRequest>,
    ) -> Result<Response<proto::ExchangeResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn serve(
        &self,
        request: Request<Streaming<proto::ServeRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let association = request.extensions().get::<Association>().cloned();
        *self.seen.lock().expect("no panic") = association;
        let answers = request.into_inner().map(|message| {
            message.map(|message| proto::ServeResponse {
                exchange_id: message.exchange_id,
                ..proto::ServeResponse::default()
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

#[tokio::test]
async fn a_tonic_client_in_a_long_streaming_call_notices_no_refresh() {
    let setting = restless();
    let (listener, address) = listen(LOOPBACKS[0]).await;
    let (calls, seen) = (Arc::<AtomicUsize>::default(), Arc::default());
    let service = Counting {
        calls: calls.clone(),
        seen: Arc::clone(&seen),
    };
    let (core, _) = setting.responder();
    let incoming = Incoming::new(listener, core.clone());
    let service = y_service_server::YServiceServer::new(service);
    let server = tokio::spawn(async move {
        let server = tonic::transport::Server::builder();
        server.serve_with_incoming(service, incoming).await
    });

    let (gateway, _) = setting.initiator();
    let connector = Connector::new(gateway, setting.point, id(CORE));
    let target: Uri = format!("http://{address}").parse().expect("a URI");
    let endpoint = Endpoint::from(target);
    let channel = in_time(endpoint.connect_with_connector(connector.clone())).await;
    let channel = channel.expect("connects");
    let association = connector.association().expect("made");
    let (send, receive) = tokio::sync::mpsc::channel(1);
    let mut client = y_service_client::YServiceClient::new(channel);
    let answers = client.serve(ReceiverStream::new(receive)).await;
    let mut answers = answers.expect("is served").into_inner();
    let mut number = 0;
    in_time(async {
        while association.refreshes() < 5 {
            number += 1;
            let message = proto::ServeRequest {
                exchange_id: number,
                ..proto::ServeRequest::default()
            };
            send.send(message).await.expect("the call lives");
            let answer = answers.message().await.expect("no error");
            assert_eq!(answer.expect("no end").exchange_id, number);
        }
    })
    .await;
    println!(
        "{number} messages over {} refreshes",
        association.refreshes()
    );
    assert_eq!(calls.load(Ordering::Relaxed), 1, "one call");
    assert_eq!(core.associations(), 1, "one connection");
    assert!(connector.association().as_ref() == Some(&association));
    let seen: Option<Association> = seen.lock().expect("no panic").clone();
    let at_core = seen.expect("was called");
    // The handle in the extensions was captured once, and shows it all the same.
    assert!(at_core.refreshes() >= 4 && !at_core.is_closed());
    server.abort();
}

#[tokio::test]
async fn a_link_asks_both_ways_through_refreshes_in_one_association() {
    let setting = restless();
    let answer =
        |_: Association, _: proto::ExchangeRequest| async { proto::ExchangeResponse::default() };
    let (listener, address) = listen(LOOPBACKS[0]).await;
    let (core, _) = setting.responder();
    let server = Server::<Y>::new(answer, Limits::default());
    let links = server.links();
    let incoming = Incoming::new(listener, core.clone());
    tokio::spawn(server.serve(incoming, core::future::pending()));
    let (gateway, _) = setting.initiator();
    let connector = Connector::new(gateway, setting.point, id(CORE));
    let target = format!("http://{address}").parse().expect("a URI");
    let there = Link::<Y>::connect(connector, &target, answer, Limits::default());
    let there = there.expect("a target");
    let first = there.ready().await.expect("up");
    let mut asked = 0_u32;
    in_time(async {
        while first.refreshes() < 4 {
            let up = there.exchange(proto::ExchangeRequest::default()).await;
            up.expect("no request is lost");
            if let Some(back) = links.find(&id(GATEWAY)) {
                let down = back.exchange(proto::ExchangeRequest::default()).await;
                down.expect("nor here");
                asked += 1;
            }
        }
    })
    .await;
    assert!(asked > 0);
    assert!(there.association().as_ref() == Some(&first), "no reconnect");
    assert_eq!(core.associations(), 1);
    // On demand too, from either end.
    let before = first.refreshes();
    in_time(async {
        while first.refreshes() == before {
            links.find(&id(GATEWAY)).expect("is there").renew();
            there.renew();
            let up = there.exchange(proto::ExchangeRequest::default()).await;
            up.expect("no request is lost");
        }
    })
    .await;
}

#[tokio::test]
async fn megabytes_go_both_ways_under_a_limit_of_a_few_records() {
    // Each association carries 56 records of data a direction, and then waits for the next.
    let (a, b) = secure_pair(&with_messages(64)).await;
    let handles = [a.association().clone(), b.association().clone()];
    let data: Vec<u8> = (0..4 << 20).map(|i: u32| (i % 251) as u8).collect();
    let exchange = |stream: support::Secure, data: Vec<u8>| async move {
        let (mut read, mut write) = tokio::io::split(stream);
        let mut received = vec![0; data.len()];
        let sends = async {
            for chunk in data.chunks(5_003) {
                write.write_all(chunk).await.expect("writes");
            }
            write.flush().await.expect("flushes");
        };
        let receives = async {
            read.read_exact(&mut received).await.expect("reads");
        };
        tokio::join!(sends, receives);
        assert!(received == data, "every byte once and in order");
        read.unsplit(write)
    };
    let both = async {
        tokio::join!(
            tokio::spawn(exchange(a, data.clone())),
            tokio::spawn(exchange(b, data.clone())),
        )
    };
    let (a, b) = in_time(both).await;
    let (_a, _b) = (a.expect("no panic"), b.expect("no panic"));
    for handle in handles {
        println!("{} refreshes", handle.refreshes());
        assert!(handle.refreshes() >= 5, "{}", handle.refreshes());
    }
}

#[tokio::test]
async fn an_end_that_only_writes_gets_its_refreshes_too() {
    for writes in [0, 1] {
        let (a, b) = secure_pair(&with_messages(64)).await;
        let mut ends = [Some(a), Some(b)];
        let mut writer = ends[writes].take().expect("is there");
        let mut reader = ends[1 - writes].take().expect("is there");
        let handle = writer.association().clone();
        let writing = tokio::spawn(async move {
            for _ in 0..300 {
                writer.write_all(&[7; 16_000]).await.expect("writes");
            }
            writer.shutdown().await.expect("shuts down");
        });
        let mut received = Vec::new();
        in_time(reader.read_to_end(&mut received))
            .await
            .expect("ends in order");
        in_time(writing).await.expect("no panic");
        assert_eq!(received.len(), 300 * 16_000);
        assert!(handle.refreshes() >= 3, "{}", handle.refreshes());
    }
}

#[tokio::test]
async fn a_rotated_key_comes_into_use_inside_the_stream_and_is_what_a_revocation_ends() {
    let old = restless();
    let new = Setting {
        key: [9; 32],
        key_id: b"k2".to_vec(),
        ..old.clone()
    };
    let (gateway, first) = old.initiator();
    let (core, first_at_core) = old.responder();
    let (a, b) = tcp_pair(LOOPBACKS[0]).await;
    let (a, b) = tokio::join!(
        connect(a, &gateway, first, Default::default()),
        refpoint_transport::accept(b, &core),
    );
    let (mut a, mut b) = (a.expect("associates"), b.expect("associates"));
    let add = |keyring: &Keyring, credential| {
        let added = keyring.update(|_, credentials| credentials.insert(credential));
        added.expect("another key id")
    };
    let second_at_core = add(&core, new.credential(CORE, GATEWAY));
    add(&gateway, new.credential(GATEWAY, CORE));
    let handles = [a.association().clone(), b.association().clone()];
    let is_new = |handle: &Association| handle.authenticated().key_id().as_bytes() == b"k2";
    // Whoever reads keeps the stream.
    let reading = tokio::spawn(async move {
        let (mut x, mut y) = ([0; 1], [0; 1]);
        let ended = tokio::join!(a.read(&mut x), b.read(&mut y));
        (ended, a, b)
    });
    in_time(async {
        while !handles.iter().all(is_new) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The old key is not needed any more; the new one is.
    gateway.update(|_, credentials| credentials.remove(first));
    core.update(|_, credentials| credentials.remove(first_at_core));
    assert!(!handles[0].is_closed() && !handles[1].is_closed());
    core.update(|_, credentials| credentials.remove(second_at_core));
    let ((at_a, at_b), ..) = in_time(reading).await.expect("no panic");
    let revoked = at_b.expect_err("is revoked");
    assert_eq!(
        association_error(&revoked),
        Some(Error::Closed(CloseReason::Revoked))
    );
    assert_eq!(at_a.expect("an authenticated end"), 0);
}
