//! The core as it is shipped: `Datagrams` of `refpoint-transport`, whose handler keeps readings in a
//! mailbox. In a process of its own.

use std::sync::Arc;

use refpoint_association::{Config, Credentials, Local, Statistics};
use refpoint_keys::EntityId;
use refpoint_store::{Mailbox as _, Message as Put, RedbMailbox};
use refpoint_transport::{Association, DatagramLimits, Datagrams, Keyring};
use refpoint_x::proto;
use serde_json::{Value, json};
use tokio::{net::UdpSocket, runtime::Runtime, sync::oneshot};

use super::{
    INBOX, Message, Options,
    core::{EXPIRY, commands, open_mailbox, tell},
    device, entity,
    parties::{number_of, static_key},
    utc, wording,
};

/// The argument that makes this program the shipped core.
pub(crate) const SHIPPED_COMMAND: &str = "shipped-core";

/// Is the core until it is told to stop, or killed.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::read(arguments)?;
    let runtime = Runtime::new()?;
    let datagrams = runtime.block_on(start(&options))?;
    tell(&json!({ "port": datagrams.local_addr().port() }))?;
    for _ in commands()? {
        tell(&report(&runtime.block_on(datagrams.statistics())))?;
    }
    Ok(())
}

async fn start(options: &Options) -> anyhow::Result<Datagrams> {
    let policy = options.returning.policy();
    let mut credentials = Credentials::new();
    for number in 0..options.devices {
        credentials.insert(device(number, true, &policy)?)?;
    }
    let local = Local::new(entity(None)?).with_static_key(static_key()?);
    let keyring = Keyring::new(local, credentials);
    let config = Config::default().with_handshakes_per_second(options.capacity);
    let mailbox = Arc::new(open_mailbox(options)?);
    let inbox = EntityId::parse(INBOX)?;
    let handler = move |association: Association, request: proto::ExchangeRequest| {
        let (mailbox, inbox) = (mailbox.clone(), inbox.clone());
        async move {
            let peer = association.peer().entity;
            let is_kept = match number_of(&peer).and_then(|peer| wording::reading(peer, request)) {
                Some(reading) => keep(&mailbox, inbox, peer, reading).await,
                None => false,
            };
            wording::response(is_kept).unwrap_or_default()
        }
    };
    let socket = UdpSocket::bind(options.address).await?;
    let limits = DatagramLimits::default();
    Ok(Datagrams::start(socket, &keyring, config, handler, limits)?)
}

async fn keep(mailbox: &RedbMailbox, inbox: EntityId, sender: EntityId, reading: Message) -> bool {
    let put = Put {
        receiver: inbox,
        sender,
        id: reading.id(),
        expiry: EXPIRY,
        bytes: reading.content().to_vec(),
    };
    let (done, is_done) = oneshot::channel();
    let tell = move |outcome: Result<_, _>| {
        // Nobody waits any more: then nobody is told.
        let _ = done.send(outcome.is_ok());
    };
    mailbox.put_then(utc(), put, Box::new(tell));
    is_done.await.unwrap_or_default()
}

/// What it has seen. Each packet counts in one place, but for the few that repeat another.
fn report(seen: &Statistics) -> Value {
    let strangers = seen.answered
        + seen.retried
        + seen.malformed
        + seen.unauthenticated
        + seen.limited
        + seen.resumed
        + seen.refused;
    let records = seen.opened + seen.unopened + seen.replayed + seen.unknown;
    json!({
        "strangers": strangers,
        "records": records,
        "opened": seen.opened,
        "answered": seen.answered,
        "retried": seen.retried,
        "unauthenticated": seen.unauthenticated,
        "limited": seen.limited,
        "unknown": seen.unknown,
    })
}
