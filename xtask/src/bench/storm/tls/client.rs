//! The devices, in waves.

use core::{cell::RefCell, net::SocketAddr};
use std::{
    io::{Read as _, Write as _},
    os::fd::AsRawFd as _,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use refpoint_primitive::ExchangeId;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, ServerName},
    version::TLS13,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    runtime::Builder,
    task::LocalSet,
};

use crate::{
    live::{Message, address},
    machine,
    peer::certificates::Authority,
};

/// All devices: one certificate, but each with a ticket of its own.
pub(super) struct Clients {
    config: Arc<ClientConfig>,
    devices: u32,
}

/// What it took for each device to connect and to have one message acknowledged.
#[derive(Default)]
pub(super) struct Round {
    pub(super) resumed: u32,
    /// Of TLS alone.
    pub(super) bytes: u64,
    /// Of TCP, until its answer came.
    pub(super) packets: u64,
    pub(super) returns: Vec<Instant>,
}

impl Clients {
    pub(super) fn new(authority: &Authority, name: &str, devices: u32) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone())?;
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        let (certificate, key) = authority.issue(name)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate.der().clone()], key)?;
        // Room for all, whatever its buckets are.
        config.resumption = Resumption::in_memory_sessions(16 * devices as usize);
        let config = Arc::new(config);
        Ok(Self { config, devices })
    }

    /// Lets all devices connect, in waves, and send their message of this number.
    pub(super) fn round(&self, core: SocketAddr, number: u32, wave: u32) -> anyhow::Result<Round> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let round = Rc::new(RefCell::new(Round::default()));
        for first in (0..self.devices).step_by(wave as usize) {
            let devices = first..self.devices.min(first + wave);
            let set = LocalSet::new();
            set.block_on(&runtime, async {
                let visits: Vec<_> = devices
                    .map(|device| {
                        let message = Message { device, number };
                        let (config, round) = (self.config.clone(), round.clone());
                        tokio::task::spawn_local(visit(core, message, config, round))
                    })
                    .collect();
                // They stay until all of the wave are there.
                let mut connections = Vec::with_capacity(visits.len());
                for visit in visits {
                    connections.push(visit.await??);
                }
                anyhow::Ok(())
            })?;
        }
        let mut round = Rc::try_unwrap(round)
            .ok()
            .context("nobody is left")?
            .into_inner();
        round.returns.sort_unstable();
        Ok(round)
    }
}

async fn visit(
    core: SocketAddr,
    message: Message,
    config: Arc<ClientConfig>,
    round: Rc<RefCell<Round>>,
) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    // An address of its own, so that there are ports enough.
    socket.bind((address(message.device), 0).into())?;
    let mut stream = socket.connect(core).await?;
    let name = format!("d{}.gateway.example.com", message.device);
    let mut connection = ClientConnection::new(config, ServerName::try_from(name)?)?;
    let request = message.request(ExchangeId::new(message.number));
    let (mut buffer, mut answer, mut bytes) = ([0; 4096], Vec::new(), 0);
    connection.writer().write_all(&request)?;
    while answer.len() < 8 {
        let mut out = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut out)?;
        }
        bytes += out.len();
        stream.write_all(&out).await?;
        let length = stream.read(&mut buffer).await?;
        ensure!(length > 0, "the server has hung up");
        bytes += length;
        let mut received = &buffer[..length];
        while !received.is_empty() {
            connection.read_tls(&mut received)?;
            let state = connection.process_new_packets()?;
            let mut more = vec![0; state.plaintext_bytes_to_read()];
            connection.reader().read_exact(&mut more)?;
            answer.extend_from_slice(&more);
        }
    }
    let answered = Message::from_answer(&answer).context("no answer")?;
    ensure!(
        answered == (message.number, message.number),
        "another's answer"
    );
    let mut round = round.borrow_mut();
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    round.resumed += u32::from(resumed);
    round.bytes += bytes as u64;
    round.packets += machine::segments(stream.as_raw_fd());
    round.returns.push(Instant::now());
    Ok(stream)
}
