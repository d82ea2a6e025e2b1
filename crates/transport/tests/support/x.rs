//! A device and its gateway on UDP, for the tests of X.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::missing_panics_doc,
    reason = "each test binary uses a part of it"
)]

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use refpoint_association::Config;
use refpoint_keys::ReferencePoint;
use refpoint_primitive::{
    Bytes, Header, Headers, HttpRequest, HttpResponse, LedgerLimits, Receipt, RequestId,
    RequestMessage, ResponseMessage, Retransmission,
};
use refpoint_transport::{Association, DatagramLimits, Datagrams, Handler, Keyring};
use refpoint_x::{Identity, Layer, exchange, proto};
use tokio::net::UdpSocket;

use crate::support::{Setting, id, in_time};

pub const DEVICE: &str = "//sp.example.com/id-mn/CSensor1";
pub const GATEWAY: &str = "//sp.example.com/id-mn";

pub fn setting() -> Setting {
    Setting {
        initiator: DEVICE,
        responder: GATEWAY,
        ..Setting::with_point(ReferencePoint::X)
    }
}

pub fn quick() -> DatagramLimits {
    DatagramLimits {
        retransmission: Retransmission {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(60),
            waiting_per_peer: 64,
            ..Retransmission::default()
        },
        patience: Duration::from_secs(30),
        ..DatagramLimits::default()
    }
}

pub fn request(number: usize, body: impl Into<Bytes>) -> proto::ExchangeRequest {
    let headers = Headers::new(vec![
        Header::new("X-M2M-Origin", "CSensor1").expect("valid"),
        Header::new("X-M2M-RI", format!("r{number}")).expect("valid"),
    ]);
    let http = HttpRequest::new("POST", "/cse-mn", headers.expect("valid"), body);
    exchange::request(RequestMessage::Http(http.expect("valid")), None)
}

pub fn respond(body: impl Into<Bytes>) -> proto::ExchangeResponse {
    let response = HttpResponse::new(200, Headers::default(), body).expect("valid");
    exchange::response(ResponseMessage::Http(response))
}

pub fn read(number: usize, response: proto::ExchangeResponse) -> (u16, Vec<u8>) {
    let request_id = RequestId::new(&format!("r{number}")).expect("valid");
    match exchange::read_response(response, &request_id).expect("usable") {
        ResponseMessage::Http(response) => (response.status(), response.body().to_vec()),
        ResponseMessage::Primitive(_) => panic!("HTTP was asked for"),
    }
}

/// What a gateway does: the layer decides, executions are counted, the body comes back.
#[derive(Clone)]
pub struct Echo {
    layer: Arc<Mutex<Layer>>,
    pub executed: Arc<AtomicUsize>,
}

impl Echo {
    pub fn new() -> Self {
        let mut layer = Layer::new(id(GATEWAY), LedgerLimits::default());
        let device = Identity::application(id(DEVICE)).expect("an AE");
        layer.admit(device).expect("the only one");
        Self {
            layer: Arc::new(Mutex::new(layer)),
            executed: Arc::default(),
        }
    }
}

impl Handler<refpoint_transport::X> for Echo {
    async fn handle(
        &self,
        association: Association,
        request: proto::ExchangeRequest,
    ) -> proto::ExchangeResponse {
        let incoming = exchange::read_request(request).expect("readable");
        let mut layer = self.layer.lock().expect("no panic");
        let now = Duration::from_secs(1);
        match layer.receive(now, None, &association.peer(), &incoming) {
            Receipt::Execute(ticket) => {
                self.executed.fetch_add(1, Ordering::Relaxed);
                let RequestMessage::Http(request) = incoming.into_message() else {
                    panic!("HTTP was asked for");
                };
                let response = respond(request.body().clone());
                layer.settle(ticket, exchange::answer(&response));
                response
            }
            Receipt::Repeat(answer) => exchange::read_answer(answer).expect("ours"),
            Receipt::Refuse(failure) => {
                exchange::response(ResponseMessage::refusal(failure, incoming.message()))
            }
            Receipt::Pending => panic!("executions are instant"),
        }
    }
}

pub async fn plain(_: Association, request: proto::ExchangeRequest) -> proto::ExchangeResponse {
    let incoming = exchange::read_request(request).expect("readable");
    let RequestMessage::Http(request) = incoming.into_message() else {
        panic!("HTTP was asked for");
    };
    respond(request.body().clone())
}

pub async fn start(
    keyring: &Keyring,
    at: &str,
    handler: impl Handler<refpoint_transport::X>,
    limits: DatagramLimits,
) -> Datagrams {
    let socket = UdpSocket::bind(at).await.expect("loopback");
    Datagrams::start(socket, keyring, Config::default(), handler, limits).expect("valid limits")
}

/// A device that reaches its gateway, maybe by another address.
pub async fn pair(at: &str, limits: DatagramLimits) -> (Datagrams, Datagrams) {
    let gateway = start(&setting().responder().0, at, Echo::new(), limits).await;
    let device = start(&setting().initiator().0, at, plain, limits).await;
    device.reach(id(GATEWAY), gateway.local_addr()).await;
    (device, gateway)
}

pub async fn associated(datagrams: &Datagrams, peer: &str) -> Association {
    in_time(async {
        loop {
            if let Some(association) = datagrams.association(&id(peer)) {
                return association;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}
