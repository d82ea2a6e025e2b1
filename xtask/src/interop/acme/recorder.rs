//! A relay that keeps what passes.
//!
//! It stands at an HTTP socket and copies bytes both ways without looking at them; only afterwards are the copies read
//! as HTTP. So what it keeps is what was on the socket, whatever the software on either side makes of it.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Context as _;

use super::breakage::Damage;
use super::message::{Kind, Message};

/// A request and its response.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) request: Message,
    pub(super) response: Message,
}

/// A relay at one socket.
#[derive(Debug)]
pub(super) struct Recorder {
    address: SocketAddr,
    relay: Arc<Relay>,
}

#[derive(Debug)]
struct Relay {
    target: SocketAddr,
    damage: AtomicU8,
    stopped: AtomicBool,
    conversations: Mutex<Vec<Arc<Mutex<Conversation>>>>,
}

/// What passed on one connection and has not been taken yet.
#[derive(Debug, Default)]
struct Conversation {
    up: Vec<u8>,
    down: Vec<u8>,
    open: u8,
    down_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Recorder {
    /// Listens on a free port of the loopback interface and relays to `target`.
    pub(super) fn start(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .context("cannot listen on the loopback interface")?;
        let address = listener.local_addr()?;
        let relay = Arc::new(Relay {
            target,
            damage: AtomicU8::new(Damage::None.code()),
            stopped: AtomicBool::new(false),
            conversations: Mutex::default(),
        });
        let shared = Arc::clone(&relay);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A target that refuses looks to the client as if the relay had refused.
                let _ = shared.serve(connection);
            }
        });
        Ok(Self { address, relay })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does to what passes, from the next connection on.
    pub(super) fn damage(&self, damage: Damage) {
        self.relay.damage.store(damage.code(), Ordering::Relaxed);
    }

    /// Takes the exchanges that were completed since the last time, and fails if what passed was not HTTP.
    pub(super) fn take(&self) -> anyhow::Result<Vec<Exchange>> {
        let mut exchanges = Vec::new();
        let mut conversations = lock(&self.relay.conversations);
        let mut open = Vec::new();
        for shared in conversations.drain(..) {
            let mut conversation = lock(&shared);
            while let Some(exchange) = conversation.take()? {
                exchanges.push(exchange);
            }
            if conversation.open > 0 {
                drop(conversation);
                open.push(shared);
            }
        }
        *conversations = open;
        Ok(exchanges)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.relay.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, which then lets go of the port.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Relay {
    fn serve(self: &Arc<Self>, client: TcpStream) -> anyhow::Result<()> {
        let damage = Damage::of(self.damage.load(Ordering::Relaxed));
        if damage == Damage::Cut {
            return Ok(());
        }
        let server = TcpStream::connect(self.target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let conversation = Arc::new(Mutex::new(Conversation {
            open: 2,
            ..Conversation::default()
        }));
        lock(&self.conversations).push(Arc::clone(&conversation));
        let ways = [
            (Way::Up, client.try_clone()?, server.try_clone()?),
            (Way::Down, server, client),
        ];
        for (way, from, to) in ways {
            let conversation = Arc::clone(&conversation);
            thread::spawn(move || copy(way, from, to, &conversation, damage));
        }
        Ok(())
    }
}

/// Copies until one side ends; each piece is kept before it is passed on.
fn copy(
    way: Way,
    mut from: TcpStream,
    mut to: TcpStream,
    conversation: &Mutex<Conversation>,
    damage: Damage,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let piece = &mut buffer[..count];
        lock(conversation).side(way).extend_from_slice(piece);
        damage.alter(piece);
        if to.write_all(piece).is_err() {
            // Whoever sends must learn that nobody reads.
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let mut conversation = lock(conversation);
    conversation.open -= 1;
    conversation.down_ended |= way == Way::Down;
}

impl Conversation {
    fn side(&mut self, way: Way) -> &mut Vec<u8> {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// Takes the oldest exchange if it is complete.
    fn take(&mut self) -> anyhow::Result<Option<Exchange>> {
        if self.down.is_empty() {
            return Ok(None);
        }
        let Some((request, up)) = Message::parse(&self.up, Kind::Request, false)? else {
            return Ok(None);
        };
        let Some((response, down)) = Message::parse(&self.down, Kind::Response, self.down_ended)?
        else {
            return Ok(None);
        };
        self.up.drain(..up);
        self.down.drain(..down);
        Ok(Some(Exchange { request, response }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
