//! The gateway that the Python peer talks to: refpoint's end point and layer X over a UDP socket.
//!
//! It prints the address at which it listens, and ends when its standard input does. What is asked
//! of it is in the target of a request:
//!
//! | target | what it does |
//! |---|---|
//! | `/id-mn/state` | says how many requests it executed, its epochs, an exported key, the peer's last answer |
//! | `/id-mn/notify` | answers, then sends a request of its own |
//! | `/id-mn/renew` | answers, then asks for a refresh |
//! | `/id-mn/move` | answers, then moves the renewal window to 60 to 90 s from then |
//! | `/id-mn/call` | answers, then initiates an association in the other direction |
//! | `/id-mn/close` | answers, then closes |
//!
//! With `--streams` it listens on TCP instead: see [`streams`].
//!
//! With `--end-to-end` it is an end point of section 18 instead, and the Python peer connects to it: see
//! [`correspondent`].

mod correspondent;
mod errands;
mod keyring;
mod streams;

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read as _};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::Context as _;
use clap::Parser;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use refpoint_association::{AssociationId, Config, Endpoint, Event, Now, Outbox};
use refpoint_keys::UtcTime;

use crate::errands::Errands;

/// The gateway that the Python peer talks to.
#[derive(Parser)]
struct Arguments {
    /// Keys and ids of both sides
    credentials: PathBuf,
    /// Ask every initiator for a cookie
    #[arg(long)]
    loaded: bool,
    /// How many handshakes to make a second; who comes above that gets a slot
    #[arg(long)]
    per_second: Option<u32>,
    /// Listen on TCP, not UDP
    #[arg(long)]
    streams: bool,
    /// Correspond end to end
    #[arg(long)]
    end_to_end: bool,
}

/// What the end point told while it was called.
struct Told<'a> {
    socket: &'a UdpSocket,
    received: Vec<(AssociationId, Vec<u8>)>,
    established: Vec<AssociationId>,
}

impl Outbox for Told<'_> {
    fn transmit(&mut self, to: SocketAddr, packet: &[u8]) {
        // Lost is lost: both ends repeat.
        let _ = self.socket.send_to(packet, to);
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Received { id, data } => self.received.push((id, data.to_vec())),
            Event::Established { id, .. } => self.established.push(id),
            other => eprintln!("{other:?}"),
        }
    }
}

struct Clock(Instant);

impl Clock {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn now(&self) -> Now {
        let utc = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let utc = utc.map_or(0, |since| since.as_secs());
        Now::new(self.0.elapsed(), UtcTime::from_secs(utc))
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.end_to_end {
        return correspond(&arguments.credentials);
    }
    if arguments.streams {
        return streams::run(&arguments.credentials);
    }
    let (local, credentials) = keyring::read(&arguments.credentials)?;
    let rate = arguments.per_second.or(arguments.loaded.then_some(0));
    let config = rate.map_or_else(Config::default, |rate| {
        Config::default().with_handshakes_per_second(rate)
    });
    let socket = UdpSocket::bind(("127.0.0.1", 0)).context("cannot bind a socket")?;
    println!("{}", socket.local_addr()?);
    end_with_the_input();
    let errands = Errands::new(local.entity().clone(), &credentials)?;
    let endpoint = Endpoint::new(config, local, credentials, &mut UnwrapErr(SysRng));
    serve(&socket, endpoint, errands)
}

/// Whoever started this is gone when the input ends.
fn end_with_the_input() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

/// An end point for each connection.
fn correspond(credentials: &Path) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot bind a socket")?;
    println!("{}", listener.local_addr()?);
    end_with_the_input();
    for stream in listener.incoming() {
        let (stream, credentials) = (stream?, credentials.to_owned());
        std::thread::spawn(move || {
            if let Err(error) = correspondent::serve(&credentials, &stream) {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

fn serve(socket: &UdpSocket, mut endpoint: Endpoint, mut errands: Errands) -> anyhow::Result<()> {
    let (clock, mut buffer) = (Clock::new(), [0; 2048]);
    loop {
        let now = clock.now();
        let wait = endpoint
            .next_timeout()
            .map_or(Duration::from_secs(1), |at| {
                at.saturating_sub(now.monotonic)
            });
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let arrived = match socket.recv_from(&mut buffer) {
            Ok((len, from)) => Some((len, from)),
            Err(error) if is_timeout(error.kind()) => None,
            Err(error) => return Err(error).context("cannot receive"),
        };
        let mut told = Told {
            socket,
            received: Vec::new(),
            established: Vec::new(),
        };
        let (now, rng) = (clock.now(), &mut UnwrapErr(SysRng));
        match arrived {
            Some((len, from)) => endpoint.receive(now, rng, from, &mut buffer[..len], &mut told),
            None => endpoint.handle_timeout(now, rng, &mut told),
        }
        for id in core::mem::take(&mut told.established) {
            errands.established(&mut endpoint, now, id, &mut told)?;
        }
        for (id, data) in core::mem::take(&mut told.received) {
            errands.received(&mut endpoint, now, id, data, &mut told)?;
        }
    }
}

/// Linux reports an earlier packet's ICMP error on the socket; a timeout is one, too.
const fn is_timeout(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused
    )
}
