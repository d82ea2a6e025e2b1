//! From the egress's socket to the ingress's: the bytes of requests and responses, and the refusals between them.

#[path = "support/sockets.rs"]
mod support;

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use refpoint_keys::EntityId;
use refpoint_node::config::Limits;
use refpoint_node::http::{HttpLimits, Server};
use refpoint_node::{BearerToken, Carrier, Drain, DrainSignal, Egress, Ingress};
use refpoint_primitive::{Failure, RequestMessage, ResponseMessage};
use support::{canned_server, send_and_read_all};

/// In place of an association: encodes, carries, decodes.
struct Loop(Ingress);

impl Carrier for Loop {
    async fn exchange(&self, request: RequestMessage) -> Result<ResponseMessage, Failure> {
        let opened = RequestMessage::decode(request.encode()).map_err(|_| Failure::Malformed)?;
        let response = self.0.serve(&opened).await?;
        ResponseMessage::decode(response.encode()).map_err(|_| Failure::UnusableAnswer)
    }
}

/// An association that never answers, or cannot be made.
struct Broken(Option<Failure>);

impl Carrier for Broken {
    async fn exchange(&self, _: RequestMessage) -> Result<ResponseMessage, Failure> {
        match self.0 {
            Some(failure) => Err(failure),
            None => core::future::pending().await,
        }
    }
}

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("an id")
}

async fn egress(
    carrier: impl Carrier,
    allowed: &[&str],
    limits: Limits,
) -> (SocketAddr, DrainSignal) {
    let server = Server::bind(
        "127.0.0.1:0".parse().expect("an address"),
        limits.http.clone(),
    )
    .await
    .expect("a server");
    let address = server.local_addr().expect("an address");
    let (signal, drain) = Drain::new();
    let allowed = allowed.iter().map(|text| id(text)).collect();
    let (local, peer) = (id("//sp.example.com/id-mn"), id("//sp.example.com/id-in"));
    tokio::spawn(server.run(
        Arc::new(Egress::new(carrier, &local, &peer, allowed, limits)),
        drain,
    ));
    (address, signal)
}

/// The pair of egress and ingress in front of a CSE at `cse`.
async fn pair(cse: SocketAddr, bearer: Option<&str>) -> (SocketAddr, DrainSignal) {
    let bearer = bearer.map(|token| BearerToken::new(token).expect("a token"));
    let authority = format!("http://{cse}").parse().expect("an authority");
    egress(
        Loop(Ingress::new(authority, bearer, HttpLimits::default())),
        &[],
        Limits::default(),
    )
    .await
}

/// As ACME writes them (Python's requests): the case of names, their order, and the place of Content-Length count.
const REQUEST: &str = "POST /~/id-in/cse-in/_//x?rcn=1&lbl=a&lbl=b&q=%2Fa+b HTTP/1.1\r\nHost: 127.0.0.1:1\r\nUser-Agent: ACME 2026.5.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: application/json\r\nConnection: close\r\nContent-Type: application/json;ty=16\r\nX-M2M-Origin: /id-mn\r\nX-M2M-RI: 8140593\r\nx-m2m-rvi: 4\r\nX-M2M-OT: 20261123T080000,123456\r\nX-Unknown:  two  words \r\nContent-Length: 24\r\n\r\n{\"m2m:csr\": {\"a\":\t\"\u{e9}\"}}";
const RECEIVED: &str = "POST /~/id-in/cse-in/_//x?rcn=1&lbl=a&lbl=b&q=%2Fa+b HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ACME 2026.5.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: application/json\r\nContent-Type: application/json;ty=16\r\nX-M2M-Origin: /id-mn\r\nX-M2M-RI: 8140593\r\nx-m2m-rvi: 4\r\nX-M2M-OT: 20261123T080000,123456\r\nX-Unknown: two  words\r\nContent-Length: 24\r\n\r\n{\"m2m:csr\": {\"a\":\t\"\u{e9}\"}}";

#[tokio::test]
async fn a_request_and_its_response_arrive_byte_for_byte() {
    let answer = b"HTTP/1.1 201 CREATED\r\nServer: ACME\r\nDate: Mon, 23 Nov 2026 08:00:00 GMT\r\nX-M2M-RSC: 2001\r\nX-M2M-RI: 8140593\r\nContent-Location: /id-in/csr1\r\nContent-Type: application/json\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{ }";
    let (cse, received) = canned_server(answer, b"\"\xc3\xa9\"}}").await;
    let (address, _running) = pair(cse, None).await;
    let response = send_and_read_all(address, REQUEST.as_bytes()).await;
    assert_eq!(
        String::from_utf8(received.await.expect("no panic")).expect("text"),
        RECEIVED.replace("{host}", &cse.to_string())
    );
    assert_eq!(
        String::from_utf8(response).expect("text"),
        "HTTP/1.1 201 CREATED\r\nConnection: close\r\nServer: ACME\r\nDate: Mon, 23 Nov 2026 08:00:00 GMT\r\nX-M2M-RSC: 2001\r\nX-M2M-RI: 8140593\r\nContent-Location: /id-in/csr1\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{ }"
    );
}

#[tokio::test]
async fn what_belongs_to_a_connection_and_a_peers_authorization_are_not_passed_on() {
    let (cse, received) = canned_server(b"HTTP/1.1 200 OK\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nX-M2M-RSC: 2000\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"\r\n\r\n").await;
    let (address, _running) = pair(cse, Some("token")).await;
    let request = "GET /cse HTTP/1.1\r\nHost: a\r\nX-M2M-RI: 1\r\nauthorization: Bearer stolen\r\nConnection: close, X-Private\r\nX-Private: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nX-M2M-Origin: CA\r\n\r\n";
    let response = send_and_read_all(address, request.as_bytes()).await;
    assert_eq!(
        String::from_utf8(received.await.expect("no panic")).expect("text"),
        format!(
            "GET /cse HTTP/1.1\r\nHost: {cse}\r\nX-M2M-RI: 1\r\nauthorization: Bearer token\r\nX-M2M-Origin: CA\r\n\r\n"
        )
    );
    assert_eq!(
        String::from_utf8(response).expect("text"),
        "HTTP/1.1 200 OK\r\nConnection: close\r\nX-M2M-RSC: 2000\r\nContent-Length: 3\r\n\r\nabc"
    );
}

#[tokio::test]
async fn without_a_token_of_its_own_the_node_passes_authorization_on() {
    let (cse, received) =
        canned_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\r\n\r\n").await;
    let (address, _running) = pair(cse, None).await;
    send_and_read_all(address, b"GET /cse HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Basic eA==\r\nX-M2M-RI: 1\r\n\r\n").await;
    let received = String::from_utf8(received.await.expect("no panic")).expect("text");
    assert!(
        received.contains("\r\nAuthorization: Basic eA==\r\n"),
        "{received}"
    );
}

/// The status line and the value of a header of an answer.
fn parts(answer: &[u8], name: &str) -> (String, Option<String>) {
    let text = String::from_utf8_lossy(answer).into_owned();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    (text.get(9..12).unwrap_or_default().to_owned(), value)
}

const ASK: &[u8] = b"GET /cse HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-M2M-Origin: /id-mn/CSensor1\r\nX-M2M-RI: r9\r\nX-M2M-RVI: 3\r\n\r\n";

#[tokio::test]
async fn a_failure_is_answered_as_onem2m_does() {
    for (failure, status, code) in [
        (Failure::NoAssociation, "403", "4107"),
        (Failure::PeerUnreachable, "404", "5103"),
        (Failure::Timeout, "504", "4008"),
        (Failure::QueueFull, "500", "5000"),
    ] {
        let (address, _running) = egress(Broken(Some(failure)), &[], Limits::default()).await;
        let answer = send_and_read_all(address, ASK).await;
        assert_eq!(
            parts(&answer, "X-M2M-RSC"),
            (status.to_owned(), Some(code.to_owned())),
            "{failure}"
        );
        assert_eq!(
            parts(&answer, "X-M2M-RI").1.as_deref(),
            Some("r9"),
            "{failure}"
        );
        assert_eq!(
            parts(&answer, "X-M2M-RVI").1.as_deref(),
            Some("3"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_given_up_in_time() {
    let mut limits = Limits::default();
    limits.exchange_time = Duration::from_millis(100);
    let (address, _running) = egress(Broken(None), &[], limits).await;
    let answer = send_and_read_all(address, ASK).await;
    assert_eq!(parts(&answer, "X-M2M-RSC").1.as_deref(), Some("4008"));
}

#[tokio::test]
async fn a_request_beyond_the_queue_is_refused_at_once() {
    let mut limits = Limits::default();
    (limits.in_flight, limits.queue, limits.exchange_time) = (1, 1, Duration::from_millis(300));
    let (address, _running) = egress(Broken(None), &[], limits).await;
    let asked: Vec<_> = (0..4)
        .map(|_| tokio::spawn(send_and_read_all(address, ASK)))
        .collect();
    let mut codes = Vec::new();
    for answer in asked {
        codes.push(
            parts(&answer.await.expect("no panic"), "X-M2M-RSC")
                .1
                .unwrap_or_default(),
        );
    }
    codes.sort();
    assert_eq!(codes, ["4008", "4008", "5000", "5000"]);
}

#[tokio::test]
async fn an_originator_that_the_listener_does_not_allow_is_refused() {
    for (origin, code) in [
        ("/id-mn/CSensor1", "4107"),
        ("//sp.example.com/id-mn/CSensor1", "4107"),
        ("CSensor1", "4107"),
        ("CAdmin", "4106"),
        ("/id-mn", "4106"),
        ("/id-other/CSensor1", "4106"),
    ] {
        let (address, _running) = egress(
            Broken(Some(Failure::NoAssociation)),
            &["//sp.example.com/id-mn/CSensor1"],
            Limits::default(),
        )
        .await;
        let ask = format!(
            "GET /cse HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-M2M-Origin: {origin}\r\nX-M2M-RI: 1\r\n\r\n"
        );
        let answer = send_and_read_all(address, ask.as_bytes()).await;
        assert_eq!(
            parts(&answer, "X-M2M-RSC").1.as_deref(),
            Some(code),
            "{origin}"
        );
    }
}

#[tokio::test]
async fn a_request_with_two_meanings_is_refused_and_never_carried() {
    for headers in [
        "X-M2M-Origin: CA\r\nX-M2M-Origin: CB\r\nX-M2M-RI: 1",
        "X-M2M-Origin: CA\r\nX_M2M_Origin: CB\r\nX-M2M-RI: 1",
        "X-M2M-Origin: CA\r\nX-M2M-RI: 1\r\nx-m2m-ri: 2",
        "X-M2M-Origin: CA",
        "X-M2M-Origin: CA\r\nX-M2M-RI: 1\r\nContent-Type: a/b;ty=2;ty=4",
    ] {
        let (address, _running) =
            egress(Broken(Some(Failure::NoAssociation)), &[], Limits::default()).await;
        let ask = format!(
            "POST /cse HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n\r\n"
        );
        let answer = send_and_read_all(address, ask.as_bytes()).await;
        assert_eq!(
            parts(&answer, "X-M2M-RSC"),
            ("400".to_owned(), Some("4000".to_owned())),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_as_onem2m_does() {
    let mut limits = Limits::default();
    limits.http.body = 1024;
    let (address, _running) = egress(Broken(None), &[], limits).await;
    let ask = format!(
        "POST /cse HTTP/1.1\r\nHost: a\r\nX-M2M-RI: r9\r\nContent-Length: 2000\r\n\r\n{}",
        "x".repeat(2000)
    );
    let answer = send_and_read_all(address, ask.as_bytes()).await;
    assert_eq!(
        parts(&answer, "X-M2M-RSC"),
        ("413".to_owned(), Some("4102".to_owned()))
    );
}

#[tokio::test]
async fn an_answer_to_another_request_is_not_passed_on() {
    let (cse, _received) = canned_server(
        b"HTTP/1.1 200 OK\r\nX-M2M-RSC: 2000\r\nX-M2M-RI: other\r\nContent-Length: 0\r\n\r\n",
        b"\r\n\r\n",
    )
    .await;
    let (address, _running) = pair(cse, None).await;
    let answer = send_and_read_all(address, ASK).await;
    assert_eq!(parts(&answer, "X-M2M-RSC").1.as_deref(), Some("5000"));
    assert_eq!(parts(&answer, "X-M2M-RI").1.as_deref(), Some("r9"));
}

#[tokio::test]
async fn a_megabyte_passes_unchanged() {
    const END: &[u8] = b"here it ends";
    static ANSWER: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let mut body: Vec<u8> = (0..(1 << 20) - END.len())
        .map(|at| (at * 31 % 251) as u8)
        .collect();
    body.extend_from_slice(END);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = ANSWER.get_or_init(|| [head.as_bytes(), &body].concat());
    let (cse, received) = canned_server(answer, END).await;
    let (address, _running) = pair(cse, None).await;
    let head = format!(
        "PUT /cse HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-M2M-RI: 1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let response = send_and_read_all(address, &[head.as_bytes(), &body].concat()).await;
    assert!(response.ends_with(&body));
    assert!(received.await.expect("no panic").ends_with(&body));
}
