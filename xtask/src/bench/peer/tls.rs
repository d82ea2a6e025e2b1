//! rustls: TLS 1.3 with certificates on both sides (P-256, one authority, no intermediates).

use std::sync::Arc;

use anyhow::Context as _;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::WebPkiClientVerifier,
    version::TLS13,
};

use super::certificates::{Authority, CLIENT, SERVER};
use crate::measure::{Sides, Stopwatch};

/// What of rustls's defaults is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Nothing but resumption by the client: post-quantum key exchange, two tickets.
    Default,
    /// X25519 alone and no tickets: the least work, and that which Noise does, too.
    Least,
    /// X25519 alone, and every handshake but the first ones resumes by a ticket, with ECDHE; the
    /// server keeps no sessions.
    Resumed,
}

/// Tickets that a client of rustls keeps of a server.
pub(crate) const TICKETS: usize = 8;

/// Both ends' configurations.
pub(crate) struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(authority: &Authority, name: &str) -> anyhow::Result<Identity> {
    let (certificate, key) = authority.issue(name)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok((vec![certificate.der().clone()], key))
}

impl Tls {
    pub(crate) fn new(flavour: Flavour) -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone())?;
        let roots = Arc::new(roots);
        let mut provider = aws_lc_rs::default_provider();
        if flavour != Flavour::Default {
            provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        }
        let provider: Arc<CryptoProvider> = provider.into();

        let (chain, key) = identity(&authority, SERVER)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        match flavour {
            Flavour::Default => {}
            Flavour::Least => server.send_tls13_tickets = 0,
            Flavour::Resumed => {
                server.ticketer = aws_lc_rs::Ticketer::new()?;
                server.send_tls13_tickets = 1;
            }
        }

        let (chain, key) = identity(&authority, CLIENT)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        client.resumption = match flavour {
            Flavour::Resumed => Resumption::in_memory_sessions(TICKETS),
            Flavour::Default | Flavour::Least => Resumption::disabled(),
        };
        let tls = Self {
            client: client.into(),
            server: server.into(),
        };
        if flavour == Flavour::Resumed {
            // All of them at a time: each client leaves with a ticket.
            tls.handshakes(TICKETS)?;
            let resumed = |server: &ServerConnection| server.handshake_kind();
            let kind = tls.established().as_ref().map(resumed).ok().flatten();
            anyhow::ensure!(kind == Some(HandshakeKind::Resumed), "rustls resumes");
        }
        Ok(tls)
    }

    pub(crate) fn client(&self) -> anyhow::Result<ClientConnection> {
        let name = ServerName::try_from(SERVER)?;
        Ok(ClientConnection::new(self.client.clone(), name)?)
    }

    pub(crate) fn server(&self) -> anyhow::Result<ServerConnection> {
        Ok(ServerConnection::new(self.server.clone())?)
    }

    pub(crate) fn batch(&self, operations: usize) -> Sides {
        self.handshakes(operations).expect("both ends agree")
    }

    fn handshakes(&self, operations: usize) -> anyhow::Result<Sides> {
        let mut watch = Stopwatch::default();
        let mut clients = watch.first(|| {
            let open = |_| {
                let mut client = self.client()?;
                Ok((written(&mut client)?, client))
            };
            (0..operations)
                .map(open)
                .collect::<anyhow::Result<Vec<_>>>()
        })?;
        let mut servers = watch.second(|| {
            let answer = |(hello, _): &(Vec<u8>, _)| {
                let mut server = self.server()?;
                Ok((exchange(&mut server, hello)?, server))
            };
            clients
                .iter()
                .map(answer)
                .collect::<anyhow::Result<Vec<_>>>()
        })?;
        watch.first(|| {
            for ((flight, client), (answer, _)) in clients.iter_mut().zip(&servers) {
                *flight = exchange(client, answer)?;
            }
            anyhow::Ok(())
        })?;
        watch.second(|| {
            for ((flight, _), (tickets, server)) in clients.iter().zip(&mut servers) {
                *tickets = exchange(server, flight)?;
            }
            anyhow::Ok(())
        })?;
        watch.first(|| {
            for ((_, client), (tickets, _)) in clients.iter_mut().zip(&servers) {
                exchange(client, tickets)?;
            }
            anyhow::Ok(())
        })?;
        let done = servers.iter().all(|(_, server)| !server.is_handshaking());
        done.then_some(watch.mean(operations))
            .context("the handshake did not end")
    }

    /// The server's end after a handshake.
    pub(crate) fn established(&self) -> anyhow::Result<ServerConnection> {
        let (mut client, mut server) = (self.client()?, self.server()?);
        let mut forth = written(&mut client)?;
        while !forth.is_empty() {
            let back = exchange(&mut server, &forth)?;
            forth = exchange(&mut client, &back)?;
        }
        Ok(server)
    }

    /// The bytes of a handshake, tickets included.
    pub(crate) fn bytes(&self) -> anyhow::Result<usize> {
        let (mut client, mut server) = (self.client()?, self.server()?);
        let mut sum = 0;
        let mut forth = written(&mut client)?;
        while !forth.is_empty() {
            let back = exchange(&mut server, &forth)?;
            sum += forth.len() + back.len();
            forth = exchange(&mut client, &back)?;
        }
        Ok(sum)
    }
}

fn written<Data>(connection: &mut rustls::ConnectionCommon<Data>) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(2048);
    while connection.wants_write() {
        connection.write_tls(&mut out)?;
    }
    Ok(out)
}

/// Takes what the peer sent and gives what is to be sent back.
fn exchange<Data>(
    connection: &mut rustls::ConnectionCommon<Data>,
    mut received: &[u8],
) -> anyhow::Result<Vec<u8>> {
    while !received.is_empty() {
        connection.read_tls(&mut received)?;
        connection.process_new_packets()?;
    }
    written(connection)
}
