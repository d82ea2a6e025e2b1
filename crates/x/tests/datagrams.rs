//! Requests and responses in datagrams: their size, their loss, their repetition.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use rand_core::Rng as _;
use refpoint_keys::{EntityId, ReferencePoint, Role};
use refpoint_primitive::{
    Bytes, Courier, ExchangeId, Exchanges, Failure, Header, Headers, HttpRequest, HttpResponse,
    LedgerLimits, Peer, Receipt, RequestId, RequestMessage, ResponseMessage, Retransmission,
};
use refpoint_sim::{Chance, Event, Link, Net};
use refpoint_x::{Datagram, DatagramBody, Error, Identity, Layer, exchange};

fn sensor() -> EntityId {
    EntityId::parse("//sp.example.com/id-mn/CSensor1").expect("well formed")
}

fn gateway() -> EntityId {
    EntityId::parse("//sp.example.com/id-mn").expect("well formed")
}

fn request(id: &str, body: Vec<u8>) -> RequestMessage {
    let headers = Headers::new(vec![
        Header::new("X-M2M-Origin", "CSensor1").expect("well formed"),
        Header::new("X-M2M-RI", id.to_owned()).expect("well formed"),
    ]);
    let headers = headers.expect("well formed");
    RequestMessage::Http(HttpRequest::new("POST", "/cse-mn/n", headers, body).expect("well formed"))
}

fn response(id: &RequestId, body: &'static str) -> ResponseMessage {
    let line = Header::new("X-M2M-RI", id.as_str().to_owned()).expect("well formed");
    let headers = Headers::new(vec![line]).expect("well formed");
    ResponseMessage::Http(HttpResponse::new(200, headers, body).expect("well formed"))
}

#[test]
fn a_datagram_comes_back_as_it_was() {
    let message = request("r1", b"21.5".to_vec());
    let asked = exchange::request(message.clone(), Some(Duration::from_secs(9)));
    let bytes = Datagram::request(ExchangeId::new(7), asked, Datagram::DEFAULT_LIMIT);
    let datagram = Datagram::decode(bytes.expect("it fits")).expect("it was encoded");
    assert_eq!(datagram.exchange, ExchangeId::new(7));
    let DatagramBody::Request(Ok(incoming)) = datagram.body else {
        panic!("it is a request")
    };
    assert_eq!(incoming.message(), &message);
    assert_eq!(incoming.patience(), Some(Duration::from_secs(9)));

    let pending = Datagram::decode(Datagram::pending(ExchangeId::new(7)));
    assert!(matches!(
        pending,
        Ok(Datagram {
            body: DatagramBody::Pending,
            ..
        })
    ));
}

#[test]
fn a_message_that_does_not_fit_is_refused_with_its_limit() {
    let asked = exchange::request(request("r1", vec![0; 2000]), None);
    let refused = Datagram::request(ExchangeId::new(1), asked, Datagram::DEFAULT_LIMIT);
    let Err(Error::TooLarge { size, limit: 1200 }) = refused else {
        panic!("{refused:?}")
    };
    assert!(size > 2000);
    let text = refused.expect_err("it is too large").to_string();
    assert!(text.contains("1200") && text.contains("stream"), "{text}");
}

#[test]
fn bytes_that_are_no_datagram_are_refused() {
    for bytes in [&b""[..], b"\xff", b"\x0d\x01\0\0\0"] {
        assert!(
            matches!(Datagram::decode(bytes.to_vec()), Err(Error::Unreadable(_))),
            "{bytes:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_a_datagram_or_refused(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)
    ) {
        if let Ok(Datagram { exchange, body: DatagramBody::Request(Ok(incoming)) }) = Datagram::decode(bytes) {
            let asked = exchange::request(incoming.message().clone(), incoming.patience());
            let again = Datagram::request(exchange, asked, usize::MAX).expect("there is no limit");
            let body = DatagramBody::Request(Ok(incoming));
            proptest::prop_assert_eq!(Datagram::decode(again), Ok(Datagram { exchange, body }));
        }
    }
}

const DEVICE: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);
const CORE: ([u8; 4], u16) = ([192, 0, 2, 2], 4000);

/// Sends what is due, and notes what failed.
struct Sender<'a> {
    net: &'a mut Net,
    failed: usize,
}

impl Courier for Sender<'_> {
    fn repeat(&mut self, _: ExchangeId, _: &EntityId, request: &Bytes) {
        self.net.send(DEVICE.into(), CORE.into(), request);
    }

    fn fail(&mut self, _: ExchangeId, _: &EntityId, _: Failure) {
        self.failed += 1;
    }
}

#[test]
fn under_loss_duplication_and_reordering_every_request_is_executed_once_and_answered() {
    let link = Link::perfect()
        .with_loss(Chance::percent(30))
        .with_duplication(Chance::percent(20))
        .with_delay(Duration::from_millis(20))
        .with_jitter(Duration::from_millis(300));
    let mut net = Net::new(0x5eed, link);
    let mut random = net.entropy("jitter");
    let mut draw = move || random.next_u32();
    let timing = Retransmission {
        waiting_per_peer: 1000,
        ..Retransmission::default()
    };
    let mut exchanges = Exchanges::new(timing, 0);
    let mut names = BTreeMap::new();
    let mut layer = Layer::new(gateway(), LedgerLimits::default());
    layer
        .admit(Identity::application(sensor()).expect("it is an ae"))
        .expect("it belongs here");
    let peer = Peer {
        entity: sensor(),
        point: ReferencePoint::X,
        role: Role::Responder,
    };

    for number in 0..300 {
        let id = RequestId::new(&format!("r{number}")).expect("well formed");
        let asked = exchange::request(request(id.as_str(), b"21.5".to_vec()), None);
        let encode = |exchange| Datagram::request(exchange, asked, 1200).expect("it fits");
        let patience = Duration::from_secs(60);
        let started = exchanges.start(
            net.now(),
            &gateway(),
            id.clone(),
            patience,
            &mut draw,
            encode,
        );
        let (exchange, bytes) = started.expect("there is room");
        names.insert(exchange, id);
        net.send(DEVICE.into(), CORE.into(), &bytes);
    }

    let mut executed = BTreeMap::<RequestId, u32>::new();
    let mut answered = 0;
    let mut failed = 0;
    loop {
        match net.next_event(exchanges.next_timeout()) {
            Event::Arrival(packet) if packet.to == SocketAddr::from(CORE) => {
                let datagram = Datagram::decode(packet.data).expect("it was encoded");
                let DatagramBody::Request(Ok(incoming)) = datagram.body else {
                    panic!("no request")
                };
                let answer = match layer.receive(net.now(), None, &peer, &incoming) {
                    Receipt::Execute(ticket) => {
                        let id = incoming.message().checked().request_id.clone();
                        *executed.entry(id.clone()).or_default() += 1;
                        let response = exchange::response(response(&id, "done"));
                        layer.settle(ticket, exchange::answer(&response));
                        response
                    }
                    Receipt::Repeat(answer) => {
                        exchange::read_answer(answer).expect("it was encoded")
                    }
                    other => panic!("{other:?}"),
                };
                let bytes = Datagram::response(datagram.exchange, answer, 1200).expect("it fits");
                net.send(CORE.into(), DEVICE.into(), &bytes);
            }
            Event::Arrival(packet) => {
                let datagram = Datagram::decode(packet.data).expect("it was encoded");
                let DatagramBody::Response(Ok(response)) = datagram.body else {
                    panic!("no response")
                };
                let is_first =
                    exchanges.answer(&gateway(), datagram.exchange, response.request_id());
                if is_first {
                    assert!(response.answers(&names[&datagram.exchange]));
                    answered += 1;
                }
            }
            Event::Alarm => {
                let now = net.now();
                let mut sender = Sender {
                    net: &mut net,
                    failed: 0,
                };
                exchanges.handle_timeout(now, &mut draw, &mut sender);
                failed += sender.failed;
            }
            Event::Quiet => break,
        }
    }
    assert_eq!((answered, failed), (300, 0));
    assert_eq!(executed.len(), 300);
    assert!(executed.values().all(|times| *times == 1));
}

#[test]
fn a_device_that_lost_its_exchange_numbers_still_gets_its_first_answer() {
    let mut layer = Layer::new(gateway(), LedgerLimits::default());
    layer
        .admit(Identity::application(sensor()).expect("it is an ae"))
        .expect("it belongs here");
    let mut peer = Peer {
        entity: sensor(),
        point: ReferencePoint::X,
        role: Role::Responder,
    };
    let incoming = |exchange| {
        let asked = exchange::request(request("r1", b"on".to_vec()), None);
        let bytes = Datagram::request(ExchangeId::new(exchange), asked, 1200).expect("it fits");
        match Datagram::decode(bytes).expect("it was encoded").body {
            DatagramBody::Request(Ok(incoming)) => incoming,
            other => panic!("{other:?}"),
        }
    };
    let Receipt::Execute(ticket) = layer.receive(Duration::ZERO, None, &peer, &incoming(1)) else {
        panic!("it is new");
    };
    let id = RequestId::new("r1").expect("well formed");
    let answer = exchange::answer(&exchange::response(response(&id, "done")));
    layer.settle(ticket, answer.clone());
    // It has rebooted and made a new association, in which it is the responder.
    peer.role = Role::Initiator;
    let again = layer.receive(Duration::from_secs(200), None, &peer, &incoming(99));
    assert_eq!(again, Receipt::Repeat(answer));
}
