use core::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Capture, loopback_of};
use crate::pcap::TcpFlow;

pub(super) async fn tap(
    server: SocketAddr,
    capture: Arc<Capture>,
) -> std::io::Result<(SocketAddr, impl Future<Output = ()>)> {
    let listener = TcpListener::bind(loopback_of(server)).await?;
    Ok((listener.local_addr()?, run(listener, server, capture)))
}

async fn run(listener: TcpListener, server: SocketAddr, capture: Arc<Capture>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => if let Ok((stream, client)) = accepted {
                connections.spawn(connection(stream, client, server, Arc::clone(&capture)));
            },
        }
    }
}

async fn connection(
    client: TcpStream,
    client_address: SocketAddr,
    server_address: SocketAddr,
    capture: Arc<Capture>,
) {
    let Ok(server) = TcpStream::connect(server_address).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let flow = TcpFlow::new(client_address, server_address);
    capture.opened(&flow);
    let flow = Mutex::new(flow);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pass_on(from_client, to_server, &flow, true, &capture),
        pass_on(from_server, to_client, &flow, false, &capture),
    );
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    flow: &Mutex<TcpFlow>,
    by_client: bool,
    capture: &Capture,
) {
    let mut search = capture.search();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await
        && length > 0
    {
        // Seen before it is passed on: when the receiver has it, it is counted.
        capture.data(flow, by_client, &buffer[..length], &mut search);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    capture.closed(flow, by_client);
    let _ = to.shutdown().await;
}
