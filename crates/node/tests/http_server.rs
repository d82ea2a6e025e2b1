//! The HTTP server, byte by byte: what it takes, what it refuses, how long it waits.

#[path = "support/sockets.rs"]
mod support;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use refpoint_node::http::{Handler, HttpLimits, Request, Response, Server};
use refpoint_node::{Drain, DrainSignal};
use support::{read_all, read_until, send_and_read_all};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Answers with what it was asked, and counts.
#[derive(Default)]
struct Echo {
    asked: AtomicUsize,
    pause: Duration,
}

impl Handler for Echo {
    async fn handle(&self, request: Request) -> Response {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.pause).await;
        let mut response = Response::new(200);
        response.headers.push("X-M2M-RSC", "2000");
        response.body = format!("{} {} {:?}", request.method, request.target, request.body).into();
        response
    }
}

struct Running {
    address: SocketAddr,
    echo: Arc<Echo>,
    signal: DrainSignal,
    task: JoinHandle<()>,
}

async fn start(limits: HttpLimits, pause: Duration) -> Running {
    let server = Server::bind("127.0.0.1:0".parse().expect("an address"), limits)
        .await
        .expect("a server");
    let (signal, drain) = Drain::new();
    let echo = Arc::new(Echo {
        pause,
        ..Echo::default()
    });
    let address = server.local_addr().expect("an address");
    let task = tokio::spawn(server.run(Arc::clone(&echo), drain));
    Running {
        address,
        echo,
        signal,
        task,
    }
}

fn short() -> HttpLimits {
    let mut limits = HttpLimits::default();
    limits.head = 1024;
    limits.headers = 16;
    limits.body = 1024;
    limits.head_time = Duration::from_millis(200);
    limits.body_time = Duration::from_millis(200);
    limits.idle_time = Duration::from_secs(5);
    limits
}

fn status(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned()
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let server = start(short(), Duration::ZERO).await;
    let bytes = b"GET /~/id-in//a?b=1&b=2 HTTP/1.1\r\nHost: a\r\n\r\nPOST /c HTTP/1.1\r\nhost: a\r\nContent-Length: 3\r\n\r\nxyzDELETE /d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(send_and_read_all(server.address, bytes).await).expect("text");
    let expected = "HTTP/1.1 200 OK\r\nX-M2M-RSC: 2000\r\nContent-Length: 27\r\n\r\nGET /~/id-in//a?b=1&b=2 b\"\"\
        HTTP/1.1 200 OK\r\nX-M2M-RSC: 2000\r\nContent-Length: 14\r\n\r\nPOST /c b\"xyz\"\
        HTTP/1.1 200 OK\r\nConnection: close\r\nX-M2M-RSC: 2000\r\nContent-Length: 13\r\n\r\nDELETE /d b\"\"";
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn smuggled_requests_never_reach_the_handler() {
    let server = start(short(), Duration::ZERO).await;
    for head in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Content-Length: 6\r\nContent-Length: 0",
        "Content-Length: 0\r\nContent-Length: 0",
        "Content-Length: 0,0",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding : chunked",
        "X: a\r\n Transfer-Encoding: chunked",
        "X: a\r\n\tb",
        "X: a\nTransfer-Encoding: chunked",
        "X: a\rTransfer-Encoding: chunked",
        "Host: b",
        "X: \0",
    ] {
        let text = format!(
            "POST /a HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let answer = send_and_read_all(server.address, text.as_bytes()).await;
        assert!(
            matches!(status(&answer).as_str(), "400" | "501"),
            "{head:?}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(server.echo.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_status() {
    let server = start(short(), Duration::ZERO).await;
    let long_head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1024));
    let many_headers = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(16));
    let long_body = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n{}",
        "a".repeat(1025)
    );
    let huge =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned();
    let chunks = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "200\r\n".to_owned() + &"a".repeat(512) + "\r\n201\r\n"
    );
    for (text, expected) in [
        (long_head, "431"),
        (many_headers, "431"),
        (long_body, "413"),
        (huge, "413"),
        (chunks, "413"),
    ] {
        let answer = send_and_read_all(server.address, text.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{}", &text[..40]);
    }
    assert_eq!(server.echo.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_slow_sender_is_cut_off_in_the_head_and_in_the_body() {
    let server = start(short(), Duration::ZERO).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHo"[..],
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        let mut stream = TcpStream::connect(server.address)
            .await
            .expect("a connection");
        stream.write_all(bytes).await.expect("written");
        let drip = async {
            // A byte now and then does not buy more time.
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if stream.write_all(b"x").await.is_err() {
                    break;
                }
                let mut seen = [0; 32];
                if matches!(stream.try_read(&mut seen), Ok(count) if count >= 12) {
                    return status(&seen);
                }
            }
            String::new()
        };
        let answered = tokio::time::timeout(Duration::from_secs(5), drip)
            .await
            .expect("the sender was put up with");
        assert_eq!(answered, "408");
    }
    assert_eq!(server.echo.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_sender_that_waits_for_continue_is_told_to() {
    let server = start(short(), Duration::ZERO).await;
    let mut stream = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    stream
        .write_all(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        )
        .await
        .expect("written");
    assert_eq!(
        read_until(&mut stream, b"\r\n\r\n").await,
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    stream.write_all(b"ok").await.expect("written");
    assert!(
        read_until(&mut stream, b"\"ok\"")
            .await
            .starts_with(b"HTTP/1.1 200")
    );
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let server = start(short(), Duration::ZERO).await;
    let answer = send_and_read_all(
        server.address,
        b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(
        answer,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nX-M2M-RSC: 2000\r\n\r\n"
    );
}

#[tokio::test]
async fn a_drain_answers_what_is_under_way_and_takes_nothing_new() {
    let server = start(short(), Duration::from_millis(300)).await;
    let mut idle = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let mut busy = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    busy.write_all(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("written");
    while server.echo.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.signal.begin();
    let answer = String::from_utf8(read_all(&mut busy).await).expect("text");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"),
        "{answer}"
    );
    assert!(read_all(&mut idle).await.is_empty());
    tokio::time::timeout(support::PATIENCE, server.task)
        .await
        .expect("the drain did not end")
        .expect("no panic");
    assert!(TcpStream::connect(server.address).await.is_err());
}
