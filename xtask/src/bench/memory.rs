//! Live bytes of idle associations: what `malloc` has handed out, to Rust and to C alike.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use anyhow::ensure;
use refpoint_association::{Config, Credentials, Endpoint, Local, Now, Suite};
use refpoint_keys::{EntityId, Profile, ReferencePoint};

use crate::{
    hosts::{Device, Sent},
    machine,
    pair::{Pair, after, rng},
    peer::tls::{Flavour, Tls},
    row::{Row, Target},
};

const ASSOCIATIONS: u32 = 100_000;
const CONNECTIONS: u32 = 2_000;
const SERVER: &str = "//sp.example.com/id-mn";

pub(crate) fn run() -> anyhow::Result<()> {
    let tls = Tls::new(Flavour::Least)?;
    // What the library keeps once, whatever there is of connections.
    drop(tls.established()?);
    let before = machine::heap();
    let mut held = Vec::with_capacity(CONNECTIONS as usize);
    for _ in 0..CONNECTIONS {
        held.push(tls.established()?);
    }
    let bytes = (machine::heap() - before) as f64 / f64::from(CONNECTIONS);
    drop(held);
    let credential = beside("rustls TLS 1.3 mutual, server side, 2000 of them", bytes)?;
    Row::new(
        "its peer's credential, live bytes (of 100 000)",
        credential,
        "B",
    )
    .print();
    Ok(())
}

/// Our own beside a peer's; gives the bytes of a credential.
pub(crate) fn beside(peer: &'static str, bytes: f64) -> anyhow::Result<f64> {
    let (credential, association) = own(0)?;
    let (_, with_handle) = own(ASSOCIATIONS as usize)?;
    Row::new(
        "idle association and its issued handle, live bytes (of 100 000)",
        with_handle,
        "B",
    )
    .print();
    Row::new(
        "idle association, live bytes (of 100 000)",
        association,
        "B",
    )
    .beside(peer, bytes)
    .reaching(Some(Target::AtMost(400.0)))
    .print();
    Ok(credential)
}

fn entity(number: u32) -> String {
    format!("{SERVER}/C{number:06}")
}

fn pair(number: u32) -> anyhow::Result<Pair> {
    let name = entity(number);
    let key_id = number.to_be_bytes();
    let ends = (&*name, SERVER);
    Pair::between(
        ends,
        ReferencePoint::X,
        Profile::Psk,
        Suite::ChaChaPoly,
        key_id,
    )
}

/// Live bytes of a credential, and of an association that is confirmed and has been quiet for
/// 30 seconds and more, at a gateway that has so many, each with a peer of its own. Of expanded
/// keys the gateway keeps no more than two, of handles as many as `handles`.
fn own(handles: usize) -> anyhow::Result<(f64, f64)> {
    let mut config = Config::default().with_associations(ASSOCIATIONS as usize)?;
    config = config.with_contexts(2).with_handles(handles);
    let local = Local::new(EntityId::parse(SERVER)?);
    let mut gateway = Endpoint::new(config, local, Credentials::new(), &mut rng());

    let start = machine::heap();
    for number in 0..ASSOCIATIONS {
        let credentials = pair(number)?.gateway.credentials;
        for (_, credential) in credentials.iter() {
            gateway.insert_credential((**credential).clone())?;
        }
    }
    let before = machine::heap();
    for number in 0..ASSOCIATIONS {
        let address = SocketAddr::new(Ipv4Addr::from(0x0a00_0000 | number).into(), 7000);
        Device::new(pair(number)?.device, address).associate(at(number), &mut gateway)?;
    }
    for second in 1..=31 {
        let now = at(ASSOCIATIONS + 100 * second);
        if gateway
            .next_timeout()
            .is_some_and(|due| due <= now.monotonic)
        {
            gateway.handle_timeout(now, &mut rng(), &mut Sent::default());
        }
    }
    let after = machine::heap();
    ensure!(gateway.len() == ASSOCIATIONS as usize, "some were lost");
    let each = |bytes: usize| bytes as f64 / f64::from(ASSOCIATIONS);
    Ok((each(before - start), each(after - before)))
}

/// When the handshake of this number is made: a hundred a second.
fn at(number: u32) -> Now {
    after(Duration::from_millis(10) * number)
}
