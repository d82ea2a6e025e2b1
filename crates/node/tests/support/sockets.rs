//! What the tests over real sockets share: raw bytes in, raw bytes out.
#![allow(dead_code)]

use core::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Nothing in these tests takes as long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Sends `bytes` on a new connection to `address` and reads until the other side closes.
pub(crate) async fn send_and_read_all(address: core::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("written");
    read_all(&mut stream).await
}

/// Reads until the other side closes.
pub(crate) async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = reading.expect("the connection was not closed");
    answer
}

/// Reads until what was read ends with `end`.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    let reading = async {
        while !read.ends_with(end) {
            let mut byte = [0];
            if stream.read(&mut byte).await.expect("read") == 0 {
                break;
            }
            read.push(byte[0]);
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the end did not come");
    read
}

/// A server that answers each connection's first request with `answer` and returns what it read, up to `end`.
pub(crate) async fn canned_server(
    answer: &'static [u8],
    end: &'static [u8],
) -> (core::net::SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let read = read_until(&mut stream, end).await;
        stream.write_all(answer).await.expect("written");
        stream.shutdown().await.expect("closed");
        read
    });
    (address, task)
}
