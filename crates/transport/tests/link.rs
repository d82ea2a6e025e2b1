//! Links: requests both ways in one association, bounds, reconnection, revocation.

#[path = "support/support.rs"]
mod support;

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use refpoint_keys::ReferencePoint;
use refpoint_primitive::{
    Failure, Header, Headers, HttpRequest, HttpResponse, RequestMessage, ResponseMessage,
};
use refpoint_transport::{
    Association, Connector, Handler, Incoming, Keyring, Limits, Link, Links, Server, X, Y, Z,
};
use refpoint_y::proto;
use support::{CORE, GATEWAY, LOOPBACKS, Setting, id, in_time, listen};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

fn request(body: Vec<u8>) -> proto::ExchangeRequest {
    let headers = Headers::new(vec![
        Header::new("X-M2M-Origin", "CAdmin").expect("valid"),
        Header::new("X-M2M-RI", "r1").expect("valid"),
    ]);
    let http = HttpRequest::new("POST", "/~/id-in/cse", headers.expect("valid"), body);
    refpoint_y::exchange::request(RequestMessage::Http(http.expect("valid")), None)
}

fn body_of(response: proto::ExchangeResponse) -> Vec<u8> {
    let request_id = refpoint_primitive::RequestId::new("r1").expect("valid");
    match refpoint_y::exchange::read_response(response, &request_id).expect("usable") {
        ResponseMessage::Http(response) => response.body().to_vec(),
        ResponseMessage::Primitive(_) => panic!("HTTP was asked for"),
    }
}

fn respond(body: impl Into<refpoint_primitive::Bytes>) -> proto::ExchangeResponse {
    let response = HttpResponse::new(200, Headers::default(), body).expect("valid");
    refpoint_y::exchange::response(ResponseMessage::Http(response))
}

/// Answers with the asking entity, a colon and the body.
async fn echo(
    association: Association,
    request: proto::ExchangeRequest,
) -> proto::ExchangeResponse {
    let peer = association.peer().entity;
    let incoming = refpoint_y::exchange::read_request(request).expect("readable");
    assert!(incoming.patience().is_some());
    match incoming.into_message() {
        RequestMessage::Http(request) => {
            respond([peer.as_str().as_bytes(), b":", &request.body()[..]].concat())
        }
        RequestMessage::Primitive(_) => panic!("HTTP was asked for"),
    }
}

struct Running {
    address: SocketAddr,
    links: Links<Y>,
    keyring: Keyring,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
}

async fn serve(setting: &Setting, at: &str, handler: impl Handler<Y>, limits: Limits) -> Running {
    let (listener, address) = listen(at).await;
    let keyring = setting.responder().0;
    let server = Server::<Y>::new(handler, limits);
    let links = server.links();
    let (stop, stopped) = oneshot::channel();
    let incoming = Incoming::new(listener, keyring.clone());
    let served = tokio::spawn(server.serve(incoming, async {
        let _ = stopped.await;
    }));
    Running {
        address,
        links,
        keyring,
        stop,
        served,
    }
}

fn connector(setting: &Setting) -> Connector {
    Connector::new(setting.initiator().0, setting.point, id(CORE))
        .with_backoff(Duration::from_millis(5), Duration::from_millis(20))
}

fn link(
    setting: &Setting,
    address: SocketAddr,
    handler: impl Handler<Y>,
    limits: Limits,
) -> Link<Y> {
    let target = format!("http://{address}").parse().expect("a URI");
    Link::connect(connector(setting), &target, handler, limits).expect("host and port")
}

/// The responder's link, once it is there.
async fn back(running: &Running) -> Link<Y> {
    loop {
        if let Some(link) = running.links.find(&id(GATEWAY)) {
            return link;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_association_carries_requests_both_ways() {
    let setting = Setting::default();
    for address in LOOPBACKS {
        let running = serve(&setting, address, echo, Limits::default()).await;
        let there = link(&setting, running.address, echo, Limits::default());
        let up = in_time(there.exchange(request(b"up".into())))
            .await
            .expect("is answered");
        assert_eq!(body_of(up), b"//sp.example.com/id-mn:up");
        let back = in_time(back(&running)).await;
        let down = in_time(back.exchange(request(b"down".into())))
            .await
            .expect("is answered");
        assert_eq!(body_of(down), b"//sp.example.com/id-in:down");
        assert_eq!(running.keyring.associations(), 1);
    }
}

#[tokio::test]
async fn a_mebibyte_goes_both_ways() {
    let setting = Setting::default();
    let running = serve(&setting, LOOPBACKS[0], echo, Limits::default()).await;
    let there = link(&setting, running.address, echo, Limits::default());
    let big: Vec<u8> = (0..1 << 20)
        .map(|i: u32| i.to_be_bytes()[2] ^ i.to_be_bytes()[3])
        .collect();
    there.ready().await.expect("up");
    let back = in_time(back(&running)).await;
    let both = async {
        tokio::join!(
            there.exchange(request(big.clone())),
            back.exchange(request(big.clone())),
        )
    };
    let (up, down) = in_time(both).await;
    for (answer, by) in [(up, GATEWAY), (down, CORE)] {
        let expected = [by.as_bytes(), b":", &big].concat();
        assert!(body_of(answer.expect("is answered")) == expected);
    }
}

#[tokio::test]
async fn many_requests_at_once_find_their_own_answers() {
    let setting = Setting::default();
    let limits = Limits {
        in_flight: 50,
        ..Limits::default()
    };
    let running = serve(&setting, LOOPBACKS[0], echo, limits).await;
    let there = link(&setting, running.address, echo, limits);
    there.ready().await.expect("up");
    let back = in_time(back(&running)).await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..100u32 {
        let (link, by) = if number % 2 == 0 {
            (&there, GATEWAY)
        } else {
            (&back, CORE)
        };
        let link = link.clone();
        asked.spawn(async move {
            let body = number.to_string();
            let answer = link
                .exchange(request(body.clone().into()))
                .await
                .expect("is answered");
            assert_eq!(body_of(answer), format!("{by}:{body}").into_bytes());
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
}

/// Says that a request has arrived, and holds it until it is let go.
#[derive(Clone)]
struct Gate {
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            arrived: closed(),
            open: closed(),
        }
    }

    async fn arrivals(&self, count: u32) {
        let arrived = in_time(self.arrived.acquire_many(count)).await;
        arrived.expect("never closed").forget();
    }

    fn let_go(&self, count: usize) {
        self.open.add_permits(count);
    }
}

impl Handler<Y> for Gate {
    async fn handle(&self, _: Association, _: proto::ExchangeRequest) -> proto::ExchangeResponse {
        self.arrived.add_permits(1);
        self.open.acquire().await.expect("never closed").forget();
        respond("")
    }
}

#[tokio::test]
async fn requests_beyond_the_bound_and_beyond_patience_are_told_so() {
    let setting = Setting::default();
    let limits = Limits {
        in_flight: 2,
        ..Limits::default()
    };
    let (gate, gate_back) = (Gate::new(), Gate::new());
    let running = serve(&setting, LOOPBACKS[0], gate.clone(), limits).await;
    let there = link(&setting, running.address, gate_back.clone(), limits);
    there.ready().await.expect("up");
    let back = in_time(back(&running)).await;
    for (link, gate) in [(&there, gate), (&back, gate_back)] {
        let held = [(); 2].map(|()| {
            let link = link.clone();
            tokio::spawn(async move { link.exchange(request(Vec::new())).await })
        });
        gate.arrivals(2).await;
        let refused = link.exchange(request(Vec::new())).await;
        assert_eq!(refused.expect_err("one too many"), Failure::QueueFull);
        gate.let_go(2);
        for held in held {
            in_time(held).await.expect("runs").expect("is answered");
        }
        let patience = Duration::from_millis(20);
        let late = link.exchange_within(patience, request(Vec::new())).await;
        assert_eq!(late.expect_err("is held"), Failure::Timeout);
    }
}

#[tokio::test]
async fn what_is_too_large_is_told_so_on_either_side() {
    let setting = Setting::default();
    let small = Limits {
        largest: 1000,
        ..Limits::default()
    };
    let running = serve(&setting, LOOPBACKS[0], echo, small).await;
    let there = link(&setting, running.address, echo, small);
    let refused = there.exchange(request(vec![0; 1000])).await;
    assert_eq!(refused.expect_err("too large"), Failure::TooLarge);
    let answered = there.exchange(request(vec![0; 900])).await;
    assert!(answered.is_ok(), "it fits with what is around it");
    // The peer's limit is the lower one.
    let liberal = link(&setting, running.address, echo, Limits::default());
    let refused = in_time(liberal.exchange(request(vec![0; 1000]))).await;
    assert_eq!(refused.expect_err("too large"), Failure::TooLarge);
    // The answer is the one that does not fit, at the initiator.
    let back = in_time(back(&running)).await;
    let answered = in_time(back.exchange(request(vec![0; 900]))).await;
    answered.expect("it fits");
}

#[tokio::test]
async fn an_announcement_reaches_the_other_end_and_every_new_association() {
    struct Listening(tokio::sync::mpsc::UnboundedSender<(String, Vec<String>)>);
    impl Handler<Y> for Listening {
        async fn handle(
            &self,
            _: Association,
            _: proto::ExchangeRequest,
        ) -> proto::ExchangeResponse {
            respond("")
        }
        fn announced(&self, association: &Association, announcement: proto::Announcement) {
            let peer = association.peer().entity.to_string();
            self.0.send((peer, announcement.entities)).expect("listens");
        }
    }
    let setting = Setting::default();
    let (heard, mut hearing) = tokio::sync::mpsc::unbounded_channel();
    let running = serve(
        &setting,
        LOOPBACKS[0],
        Listening(heard.clone()),
        Limits::default(),
    )
    .await;
    let there = link(
        &setting,
        running.address,
        Listening(heard),
        Limits::default(),
    );
    let announcement = |entity: &str| proto::Announcement {
        entities: vec![entity.to_owned()],
    };
    there.announce(announcement("//a")).await.expect("is kept");
    let told = (GATEWAY.to_owned(), vec!["//a".to_owned()]);
    assert_eq!(in_time(hearing.recv()).await, Some(told.clone()));
    let back = in_time(back(&running)).await;
    back.announce(announcement("//b")).await.expect("is sent");
    assert_eq!(
        in_time(hearing.recv()).await,
        Some((CORE.to_owned(), vec!["//b".to_owned()]))
    );
    running
        .keyring
        .close(refpoint_association::CloseReason::Done);
    assert_eq!(in_time(hearing.recv()).await, Some(told));
}

#[tokio::test]
async fn a_link_comes_back_after_the_peer_was_gone() {
    let setting = Setting::default();
    let running = serve(&setting, LOOPBACKS[0], echo, Limits::default()).await;
    let there = link(&setting, running.address, echo, Limits::default());
    there
        .exchange(request(b"before".into()))
        .await
        .expect("is answered");
    running.served.abort();
    running
        .keyring
        .close(refpoint_association::CloseReason::Done);
    let first = there.association();
    let gone = in_time(async {
        loop {
            match there
                .exchange_within(Duration::from_secs(5), request(Vec::new()))
                .await
            {
                Ok(_) => tokio::task::yield_now().await,
                Err(failure) => break failure,
            }
        }
    });
    assert_eq!(gone.await, Failure::PeerUnreachable);
    // At the same address, with the same keys.
    let again = serve(
        &setting,
        &running.address.to_string(),
        echo,
        Limits::default(),
    )
    .await;
    let answer = in_time(async {
        loop {
            if let Ok(answer) = there.exchange(request(b"after".into())).await {
                break answer;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(body_of(answer.await), b"//sp.example.com/id-mn:after");
    assert!(there.association() != first);
    drop(again);
}

#[tokio::test]
async fn a_wrong_key_is_no_association_and_a_reload_of_the_right_one_helps() {
    let right = Setting::default();
    let wrong = Setting {
        key: [8; 32],
        ..right.clone()
    };
    let running = serve(&right, LOOPBACKS[0], echo, Limits::default()).await;
    let (keyring, credential) = wrong.initiator();
    let connector = Connector::new(keyring.clone(), right.point, id(CORE))
        .with_backoff(Duration::from_millis(5), Duration::from_millis(20));
    let target = format!("http://{}", running.address)
        .parse()
        .expect("a URI");
    let there = Link::<Y>::connect(connector, &target, echo, Limits::default()).expect("a target");
    let refused = in_time(there.exchange(request(Vec::new()))).await;
    let refused = refused.expect_err("a stranger");
    assert!(matches!(
        refused,
        Failure::NoAssociation | Failure::PeerUnreachable
    ));
    keyring
        .update(|_, credentials| {
            credentials.remove(credential);
            credentials.insert(right.credential(GATEWAY, CORE))
        })
        .expect("its place is free");
    in_time(async {
        while there.exchange(request(Vec::new())).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_revocation_ends_the_link_and_a_new_credential_is_needed() {
    let setting = Setting::default();
    let running = serve(&setting, LOOPBACKS[0], echo, Limits::default()).await;
    let there = link(&setting, running.address, echo, Limits::default());
    let association = there.ready().await.expect("up");
    let back = in_time(back(&running)).await;
    let revoked = running
        .keyring
        .read(|_, credentials| credentials.iter().next().map(|(id, _)| id));
    running
        .keyring
        .update(|_, credentials| credentials.remove(revoked.expect("one")));
    in_time(association.closed()).await;
    assert!(back.exchange(request(Vec::new())).await.is_err());
    in_time(async {
        while there.exchange(request(Vec::new())).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(running.links.find(&id(GATEWAY)).is_none());
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_be_answered() {
    let setting = Setting::default();
    let gate = Gate::new();
    let running = serve(&setting, LOOPBACKS[0], gate.clone(), Limits::default()).await;
    let there = link(&setting, running.address, gate.clone(), Limits::default());
    there.ready().await.expect("up");
    let back = in_time(back(&running)).await;
    let under_way = [there.clone(), back.clone()]
        .map(|link| tokio::spawn(async move { link.exchange(request(Vec::new())).await }));
    gate.arrivals(2).await;
    running.stop.send(()).expect("runs");
    gate.let_go(2);
    for asked in under_way {
        in_time(asked).await.expect("runs").expect("is answered");
    }
    in_time(running.served)
        .await
        .expect("runs")
        .expect("ends in order");
    let refused = back.exchange(request(Vec::new())).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn an_association_of_another_reference_point_carries_nothing() {
    // X's association at a listener of Y: the handshake is honest, the service is not.
    let setting = Setting::with_point(ReferencePoint::X);
    let running = serve(&setting, LOOPBACKS[0], echo, Limits::default()).await;
    let target = format!("http://{}", running.address)
        .parse()
        .expect("a URI");
    let ask = async |association: Association, _: refpoint_x::proto::ExchangeRequest| {
        panic!("nobody asks {association:?}")
    };
    let there = Link::<X>::connect(connector(&setting), &target, ask, Limits::default());
    let refused = in_time(there.expect("a target").ready()).await;
    assert_eq!(refused.expect_err("is refused"), Failure::Forbidden);
    // And this end does not even try.
    let answer = |_: Association, _: refpoint_z::proto::ExchangeRequest| async {
        refpoint_z::proto::ExchangeResponse::default()
    };
    let refused = Link::<Z>::connect(connector(&setting), &target, answer, Limits::default());
    assert!(refused.is_err());
}
