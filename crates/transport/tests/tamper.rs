//! An attacker on the path of a TCP connection, with real sockets: whatever it does to the bytes, at any place of either
//! direction, what is read is a beginning of what was written, and an end that looks orderly is the true one.

#[path = "support/support.rs"]
mod support;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use refpoint_association::{Modes, Policy, SessionLabel};
use refpoint_transport::{Error, Keyring, accept, connect};
use support::{LOOPBACKS, Secure, Setting, in_time, listen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const UP: &[u8] = b"an ask of the initiator, in one record, ";
const MORE: &[u8] = b"and in another";
const DOWN: &[u8] = b"the answer of the responder";

#[derive(Clone, Copy, Debug)]
enum Attack {
    Flip(u8),
    Drop,
    Duplicate,
    Swap,
    Cut,
}

const ATTACKS: [Attack; 6] = [
    Attack::Flip(0x01),
    Attack::Flip(0x80),
    Attack::Drop,
    Attack::Duplicate,
    Attack::Swap,
    Attack::Cut,
];

/// Forwards, and does this to the byte at `place`. What was in flight goes on, then the connection ends, so that no end
/// waits for bytes that the attack made it expect.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    attack: Option<(Attack, usize)>,
    seen: Arc<AtomicUsize>,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let before = seen.fetch_add(count, Ordering::Relaxed);
        let mut bytes = buffer[..count].to_vec();
        let hit = attack.filter(|(_, place)| (before..before + count).contains(place));
        if let Some((attack, place)) = hit {
            let place = place - before;
            match attack {
                Attack::Flip(bits) => bytes[place] ^= bits,
                Attack::Drop => drop(bytes.remove(place)),
                Attack::Duplicate => bytes.insert(place, bytes[place]),
                Attack::Swap if place + 1 < count => bytes.swap(place, place + 1),
                Attack::Swap => bytes[place] ^= 0x10,
                Attack::Cut => bytes.truncate(place),
            }
        }
        if to.write_all(&bytes).await.is_err() || hit.is_some() {
            return;
        }
    }
}

struct Seen {
    up: usize,
    down: usize,
}

/// What an end has read, and whether the end looked orderly.
type Outcome = (Vec<u8>, bool);

async fn initiate(stream: Result<Secure, Error>) -> Outcome {
    let Ok(mut stream) = stream else {
        return (Vec::new(), false);
    };
    let mut received = vec![0; DOWN.len()];
    let written = async {
        stream.write_all(UP).await?;
        stream.flush().await?;
        stream.write_all(MORE).await?;
        stream.flush().await
    };
    if written.await.is_err() {
        return (Vec::new(), false);
    }
    let mut count = 0;
    while count < DOWN.len() {
        match stream.read(&mut received[count..]).await {
            Ok(0) | Err(_) => break,
            Ok(more) => count += more,
        }
    }
    received.truncate(count);
    let is_whole = count == DOWN.len() && stream.shutdown().await.is_ok();
    (received, is_whole)
}

async fn respond(stream: Result<Secure, Error>) -> Outcome {
    let Ok(mut stream) = stream else {
        return (Vec::new(), false);
    };
    let mut received = Vec::new();
    let mut buffer = [0; 256];
    let mut answered = false;
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return (received, true),
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(_) => return (received, false),
        }
        if !answered && received.len() == UP.len() + MORE.len() {
            answered = true;
            if stream.write_all(DOWN).await.is_err() || stream.flush().await.is_err() {
                return (received, false);
            }
        }
    }
}

struct Stage {
    modes: Modes,
    front: (TcpListener, SocketAddr),
    back: (TcpListener, SocketAddr),
    initiator: (Keyring, refpoint_association::CredentialId),
    responder: Keyring,
}

impl Stage {
    async fn new(modes: Modes) -> Self {
        let week = Duration::from_secs(7 * 24 * 3600);
        let setting = Setting {
            policy: Policy::default().with_resumption(modes, week),
            ..Setting::default()
        };
        Self {
            modes,
            front: listen(LOOPBACKS[0]).await,
            back: listen(LOOPBACKS[0]).await,
            initiator: setting.initiator(),
            responder: setting.responder().0,
        }
    }

    /// Leaves a handle for the next association, if any is wanted.
    async fn prepare(&self) {
        if self.modes != Modes::NONE {
            self.run(None, None).await;
        }
    }

    /// One association through the attacker, which attacks one direction or none.
    async fn run(
        &self,
        up: Option<(Attack, usize)>,
        down: Option<(Attack, usize)>,
    ) -> (Outcome, Outcome, Seen) {
        let seen = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
        let attacker = async {
            let (front, _) = self.front.0.accept().await.expect("accepts");
            let back = TcpStream::connect(self.back.1).await.expect("connects");
            let ((from_a, to_a), (from_b, to_b)) = (front.into_split(), back.into_split());
            // The first direction to end takes the other along.
            tokio::select! {
                () = forward(from_a, to_b, up, seen[0].clone()) => {}
                () = forward(from_b, to_a, down, seen[1].clone()) => {}
            }
        };
        let initiator = async {
            let io = TcpStream::connect(self.front.1).await.expect("connects");
            let (keyring, credential) = &self.initiator;
            initiate(connect(io, keyring, *credential, SessionLabel::default()).await).await
        };
        let responder = async {
            let (io, _) = self.back.0.accept().await.expect("accepts");
            respond(accept(io, &self.responder).await).await
        };
        let ((), at_a, at_b) =
            in_time(async { tokio::join!(attacker, initiator, responder) }).await;
        let seen = Seen {
            up: seen[0].load(Ordering::Relaxed),
            down: seen[1].load(Ordering::Relaxed),
        };
        (at_a, at_b, seen)
    }
}

fn whole() -> Vec<u8> {
    [UP, MORE].concat()
}

#[tokio::test]
async fn without_an_attack_everything_arrives() {
    for modes in [Modes::NONE, Modes::BOTH, Modes::FRESH] {
        let stage = Stage::new(modes).await;
        for _ in 0..3 {
            let (at_a, at_b, _) = stage.run(None, None).await;
            assert_eq!(at_a, (DOWN.to_vec(), true));
            assert_eq!(at_b, (whole(), true));
        }
    }
}

#[tokio::test]
async fn no_attack_on_any_byte_delivers_anything_foreign() {
    let stage = Stage::new(Modes::NONE).await;
    let (_, _, seen) = stage.run(None, None).await;
    attack_all(&stage, &seen).await;
}

#[tokio::test]
async fn no_attack_on_any_byte_of_a_resumption_delivers_anything_foreign() {
    for modes in [Modes::BOTH, Modes::FRESH] {
        let stage = Stage::new(modes).await;
        stage.run(None, None).await;
        let (_, _, seen) = stage.run(None, None).await;
        attack_all(&stage, &seen).await;
    }
}

/// Each attack on each byte of what `seen` counts.
async fn attack_all(stage: &Stage, seen: &Seen) {
    for attack in ATTACKS {
        for place in 0..seen.up {
            stage.prepare().await;
            let (at_a, at_b, _) = stage.run(Some((attack, place)), None).await;
            let what = format!("{attack:?} at {place} of {} upwards", seen.up);
            assert!(whole().starts_with(&at_b.0), "{what}");
            assert!(DOWN.starts_with(&at_a.0), "{what}");
            let is_true_end = at_b.0 == whole() && at_a.0 == DOWN;
            assert!(!at_b.1 || is_true_end, "{what}: looks like an end");
            let is_noticed = !at_b.1 || !matches!(attack, Attack::Flip(_));
            assert!(is_noticed, "{what}: is not noticed");
        }
        for place in 0..seen.down {
            stage.prepare().await;
            let (at_a, at_b, _) = stage.run(None, Some((attack, place))).await;
            let what = format!("{attack:?} at {place} of {} downwards", seen.down);
            assert!(whole().starts_with(&at_b.0), "{what}");
            assert!(DOWN.starts_with(&at_a.0), "{what}");
        }
    }
}
