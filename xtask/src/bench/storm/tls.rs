//! The same storm with TLS 1.3: sessions that resume by tickets, over TCP, in waves.
//!
//! Open files are limited, so devices come in waves: all of a wave are connected at the same time
//! and then let go. There is no outage either: the server is killed between two rounds, its ticket
//! key and its mailbox lie on the disk, and each device comes once, without retries and backoff.
//! What is compared is the work, and the time that it takes when nobody waits for anything else.

mod client;
mod server;

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use self::client::{Clients, Round};
pub(crate) use self::server::{SERVER_COMMAND, run};
use super::Storm;
use crate::{
    live::{Child, Options, Returning},
    peer::certificates::{Authority, CLIENT},
};

/// Devices that are connected at the same time; each end has a file for each.
const WAVE: u32 = 8_000;

/// Each device knows the server by another name, and so has a ticket of its own.
const SERVER: &str = "*.gateway.example.com";
const ROOT_FILE: &str = "root";
const CERTIFICATE_FILE: &str = "certificate";
const KEY_FILE: &str = "key";

pub(super) fn storm(devices: u32) -> anyhow::Result<Storm> {
    let directory = tempfile::tempdir()?;
    let authority = Authority::new()?;
    issue(&authority, directory.path())?;
    let mut options = Options {
        directory: directory.path().to_owned(),
        address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
        devices,
        returning: Returning::Light,
        capacity: 0,
    };
    let mut arguments = options.arguments();
    arguments[0] = SERVER_COMMAND.into();
    let core = Child::start(&arguments)?;
    let port = core.ready["port"].as_u64().context("a port")?;
    options.address.set_port(u16::try_from(port)?);
    let clients = Clients::new(&authority, CLIENT, devices)?;
    let first = clients.round(SocketAddr::V4(options.address), 0, WAVE)?;
    ensure!(first.resumed == 0, "nobody has a ticket yet");
    core.kill()?;

    let mut arguments = options.arguments();
    arguments[0] = SERVER_COMMAND.into();
    let core = Child::start(&arguments)?;
    let (at_start, started) = (core.usage()?, core.started);
    let ready = core.ready["took"].as_f64().context("a time")?;
    let Round {
        resumed,
        bytes,
        packets,
        returns,
    } = clients.round(SocketAddr::V4(options.address), 1, WAVE)?;
    let (usage, peak) = (core.usage()?, core.peak()?);
    core.kill()?;
    ensure!(resumed == devices, "only {resumed} have resumed");
    super::check::all_kept(&options, 2)?;
    let returns = returns.iter().map(|at| (*at - started).as_secs_f64());
    Ok(Storm {
        ready,
        returns: returns.collect(),
        start_cpu: at_start.cpu,
        cpu: usage.cpu - at_start.cpu,
        first_thread: usage.first - at_start.first,
        bytes,
        packets,
        peak,
    })
}

/// Writes what the server is to have.
fn issue(authority: &Authority, directory: &Path) -> anyhow::Result<()> {
    let (certificate, key) = authority.issue(SERVER)?;
    fs::write(directory.join(ROOT_FILE), authority.0.der())?;
    fs::write(directory.join(CERTIFICATE_FILE), certificate.der())?;
    fs::write(directory.join(KEY_FILE), key.serialize_der())?;
    Ok(())
}

/// Reads it.
fn issued(
    directory: &Path,
) -> anyhow::Result<(
    CertificateDer<'static>,
    CertificateDer<'static>,
    PrivateKeyDer<'static>,
)> {
    let root = fs::read(directory.join(ROOT_FILE))?.into();
    let certificate = fs::read(directory.join(CERTIFICATE_FILE))?.into();
    let key = PrivateKeyDer::Pkcs8(fs::read(directory.join(KEY_FILE))?.into());
    Ok((root, certificate, key))
}
