//! The HTTP client, byte by byte: what it sends, what answers it takes, when it reuses a connection.

#[path = "support/sockets.rs"]
mod support;

use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use refpoint_node::http::{Client, ClientError, Headers, HttpLimits, Request};
use support::{canned_server, read_until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn client(address: SocketAddr) -> Client {
    let mut limits = HttpLimits::default();
    limits.body = 64;
    limits.answer_time = Duration::from_millis(300);
    limits.body_time = Duration::from_millis(300);
    Client::new(
        format!("http://{address}").parse().expect("an authority"),
        limits,
    )
}

fn request(method: &str, body: &'static str) -> Request {
    let mut headers = Headers::new();
    headers.push("Host", "cse");
    headers.push("X-M2M-RI", "r1");
    headers.push("content-TYPE", "application/json;ty=4");
    Request {
        method: method.into(),
        target: "/~/id-mn/_//a?x=%20&x=+".into(),
        headers,
        body: Bytes::from_static(body.as_bytes()),
    }
}

#[tokio::test]
async fn a_request_is_sent_as_it_is() {
    let (address, server) =
        canned_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"body").await;
    client(address)
        .exchange(&request("POST", "body"))
        .await
        .expect("an answer");
    assert_eq!(
        String::from_utf8(server.await.expect("no panic")).expect("text"),
        "POST /~/id-mn/_//a?x=%20&x=+ HTTP/1.1\r\nHost: cse\r\nX-M2M-RI: r1\r\ncontent-TYPE: application/json;ty=4\r\nContent-Length: 4\r\n\r\nbody"
    );
}

#[tokio::test]
async fn every_way_to_end_a_body_is_understood() {
    for (answer, method, body) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..], "GET", "abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n", "GET", "abc"),
        (b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nabc", "GET", "abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "GET", "abc"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", "HEAD", ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", ""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n\r\n", "GET", ""),
    ] {
        let (address, _server) = canned_server(answer, b"\r\n\r\n").await;
        let response = client(address).exchange(&request(method, "")).await;
        assert_eq!(response.expect("an answer").body, body.as_bytes(), "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn dishonest_answers_are_refused() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
    ] {
        let (address, _server) = canned_server(answer, b"\r\n\r\n").await;
        let refused = client(address)
            .exchange(&request("GET", ""))
            .await
            .expect_err("the answer was taken");
        assert!(
            matches!(refused, ClientError::Answer(_)),
            "{}: {refused}",
            String::from_utf8_lossy(answer)
        );
    }
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let outcome = client(address).exchange(&request("GET", "")).await;
    assert!(matches!(outcome, Err(ClientError::TimedOut)), "{outcome:?}");
    drop(listener);
    let outcome = client(address).exchange(&request("GET", "")).await;
    assert!(
        matches!(outcome, Err(ClientError::Unreachable(_))),
        "{outcome:?}"
    );
}

/// Answers `answers` requests on each connection, then closes it; yields how many connections there were.
async fn server_of(
    connections: usize,
    answers: usize,
) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            for _ in 0..answers {
                read_until(&mut stream, b"\r\n\r\n").await;
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .expect("written");
            }
        }
    });
    (address, task)
}

#[tokio::test]
async fn a_connection_is_reused_and_replaced_when_the_server_closed_it() {
    let (address, server) = server_of(2, 3).await;
    let client = client(address);
    for at in 0..6 {
        // The server closes after the third answer; a POST must not run into that.
        let response = client
            .exchange(&request(if at % 2 == 0 { "GET" } else { "DELETE" }, ""))
            .await;
        assert_eq!(response.expect("an answer").body, &b"ok"[..], "{at}");
    }
    server.await.expect("no panic");
}

#[tokio::test]
async fn what_follows_an_answer_unasked_is_not_taken_for_the_next_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        for answer in [&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"] {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            read_until(&mut stream, b"\r\n\r\n").await;
            stream.write_all(answer).await.expect("written");
            tokio::spawn(async move { read_until(&mut stream, b"never").await });
        }
    });
    let client = client(address);
    assert_eq!(
        client
            .exchange(&request("GET", ""))
            .await
            .expect("an answer")
            .body,
        &b"ok"[..]
    );
    assert_eq!(
        client
            .exchange(&request("GET", ""))
            .await
            .expect("an answer")
            .body,
        &b"good"[..]
    );
}
