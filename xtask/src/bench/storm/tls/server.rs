//! The server: one thread for all connections, a mailbox, and a ticket key that is kept.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    path::Path,
    sync::Arc,
    time::Instant,
};

use ::aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use anyhow::{Context as _, anyhow};
use rand_core::Rng as _;
use refpoint_keys::{EntityId, UtcTime};
use refpoint_store::{Mailbox as _, Message as Put, RedbMailbox};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection,
    crypto::aws_lc_rs,
    server::{ProducesTickets, WebPkiClientVerifier},
    version::TLS13,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::oneshot,
};

use super::issued;
use crate::live::{INBOX, Message, Options, entity, open_mailbox, utc};

/// The argument that makes this program the server.
pub(crate) const SERVER_COMMAND: &str = "tls-core";

const TICKETS_FILE: &str = "tickets";

/// Serves until it is killed.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::read(arguments)?;
    let start = Instant::now();
    let config = Arc::new(config(&options.directory)?);
    let mailbox = Arc::new(open_mailbox(&options)?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(options.address).await?;
        let ready = json!({
            "took": start.elapsed().as_secs_f64(),
            "port": listener.local_addr()?.port(),
        });
        println!("{ready}");
        io::stdout().flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (config, mailbox) = (config.clone(), mailbox.clone());
            tokio::spawn(async move {
                // Who breaks off finds out by itself.
                let _ = serve(stream, config, &mailbox).await;
            });
        }
    })
}

fn config(directory: &Path) -> anyhow::Result<ServerConfig> {
    let (root, certificate, key) = issued(directory)?;
    let mut roots = RootCertStore::empty();
    roots.add(root)?;
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let provider = Arc::new(provider);
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)?;
    config.ticketer = Arc::new(Tickets::of(directory)?);
    config.send_tls13_tickets = 1;
    Ok(config)
}

async fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    mailbox: &RedbMailbox,
) -> anyhow::Result<()> {
    let mut connection = ServerConnection::new(config)?;
    let (mut buffer, mut plain) = ([0; 4096], Vec::new());
    loop {
        let mut out = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut out)?;
        }
        stream.write_all(&out).await?;
        let mut received = match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => &buffer[..length],
        };
        while !received.is_empty() {
            connection.read_tls(&mut received)?;
            let state = connection.process_new_packets()?;
            let mut more = vec![0; state.plaintext_bytes_to_read()];
            connection.reader().read_exact(&mut more)?;
            plain.extend_from_slice(&more);
        }
        while let Some(request) = plain.get(..Message::REQUEST).map(<[u8]>::to_vec) {
            plain.drain(..Message::REQUEST);
            let answer = keep(&request, mailbox).await?;
            connection.writer().write_all(&answer)?;
        }
    }
}

/// Puts a reading into the mailbox; the answer once it is there. All devices have one certificate,
/// so the reading itself says whose it is.
async fn keep(request: &[u8], mailbox: &RedbMailbox) -> anyhow::Result<[u8; 8]> {
    let (exchange, message) = Message::of_anyone(request).context("no reading")?;
    let put = Put {
        receiver: EntityId::parse(INBOX)?,
        sender: entity(Some(message.device))?,
        id: message.id(),
        expiry: UtcTime::from_secs(4_000_000_000),
        bytes: message.content().to_vec(),
    };
    let (done, stored) = oneshot::channel();
    let tell = move |outcome: Result<_, _>| {
        // Whoever asked may have gone.
        let _ = done.send(outcome.is_ok());
    };
    mailbox.put_then(utc(), put, Box::new(tell));
    let stored = stored.await?;
    stored
        .then(|| Message::answer(exchange, message.number))
        .context("it was not stored")
}

/// Tickets that a server which has restarted can still read.
struct Tickets(LessSafeKey);

impl Tickets {
    fn of(directory: &Path) -> anyhow::Result<Self> {
        let file = directory.join(TICKETS_FILE);
        if !file.exists() {
            let mut key = [0; 32];
            crate::pair::rng().fill_bytes(&mut key);
            fs::write(&file, key)?;
        }
        let key = UnboundKey::new(&AES_256_GCM, &fs::read(&file)?);
        Ok(Self(LessSafeKey::new(key.map_err(|_| anyhow!("no key"))?)))
    }
}

impl core::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Tickets(..)")
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        12 * 3600
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        crate::pair::rng().fill_bytes(&mut nonce);
        let mut sealed = plain.to_vec();
        let once = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(once, Aad::empty(), &mut sealed)
            .ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.split_first_chunk()?;
        let mut sealed = sealed.to_vec();
        let once = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(once, Aad::empty(), &mut sealed).ok()?;
        Some(opened.to_vec())
    }
}
