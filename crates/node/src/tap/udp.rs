use core::net::SocketAddr;
use std::collections::HashMap;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::{Capture, loopback_of};

/// The largest datagram.
const DATAGRAM: usize = 65_535;
/// More clients than this are not passed on.
const CLIENTS: usize = 4096;

pub(super) async fn tap(
    server: SocketAddr,
    capture: Arc<Capture>,
) -> std::io::Result<(SocketAddr, impl Future<Output = ()>)> {
    let socket = Arc::new(UdpSocket::bind(loopback_of(server)).await?);
    Ok((socket.local_addr()?, run(socket, server, capture)))
}

async fn run(socket: Arc<UdpSocket>, server: SocketAddr, capture: Arc<Capture>) {
    let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // An error tells of an earlier datagram that did not arrive; the socket goes on.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let towards = match clients.get(&client) {
            Some(towards) => Arc::clone(towards),
            None if clients.len() == CLIENTS => continue,
            None => {
                let Ok(towards) = socket_to(server).await else {
                    continue;
                };
                let towards = Arc::new(towards);
                clients.insert(client, Arc::clone(&towards));
                answers.spawn(pass_back(
                    Arc::clone(&towards),
                    Arc::clone(&socket),
                    client,
                    server,
                    Arc::clone(&capture),
                ));
                towards
            }
        };
        capture.datagram(client, server, &buffer[..length]);
        let _ = towards.send(&buffer[..length]).await;
    }
}

/// A socket of its own for each client, so that the server tells them apart.
async fn socket_to(server: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(loopback_of(server)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

async fn pass_back(
    from_server: Arc<UdpSocket>,
    to_client: Arc<UdpSocket>,
    client: SocketAddr,
    server: SocketAddr,
    capture: Arc<Capture>,
) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Ok(length) = from_server.recv(&mut buffer).await else {
            continue;
        };
        capture.datagram(server, client, &buffer[..length]);
        let _ = to_client.send_to(&buffer[..length], client).await;
    }
}
