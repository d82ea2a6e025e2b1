//! A virtual clock and a seeded lossy network, for tests and simulations of sans-IO protocols.
//!
//! [`Net`] carries packets between socket addresses. Each direction of each pair is a [`Link`] that
//! loses, duplicates, delays, reorders and corrupts as configured; an [`Adversary`] sees every
//! packet before the link does and may drop, replace and inject. Time passes only in
//! [`Net::next_event`], so a day of virtual time takes as long as the work in it. All chance comes
//! from one seed: the same seed and the same calls give the same packets at the same times, and the
//! seed is printed when a test panics.
//!
//! # Example
//!
//! A sender repeats itself until it is answered, over a network that loses every other packet:
//!
//! ```
//! use core::net::SocketAddr;
//! use core::time::Duration;
//! use refpoint_sim::{Chance, Event, Link, Net};
//!
//! let device = SocketAddr::from(([192, 0, 2, 1], 4000));
//! let core = SocketAddr::from(([192, 0, 2, 2], 4000));
//! let link = Link::perfect().with_loss(Chance::percent(50));
//! let mut net = Net::new(7, link.with_delay(Duration::from_millis(20)));
//!
//! let mut retry_at = Some(Duration::ZERO);
//! let mut answered = false;
//! loop {
//!     match net.next_event(retry_at) {
//!         Event::Arrival(packet) if packet.to == core => {
//!             net.send(core, packet.from, b"pong");
//!         }
//!         Event::Arrival(_) => {
//!             answered = true;
//!             retry_at = None;
//!         }
//!         Event::Alarm => {
//!             net.send(device, core, b"ping");
//!             retry_at = Some(net.now() + Duration::from_secs(1));
//!         }
//!         Event::Quiet => break, // nothing under way and no alarm set
//!     }
//! }
//! assert!(answered);
//! ```
//!
//! For simulations of millions of devices, which have no packets, there is an [`Agenda`] of what is due
//! when. For runs that are too long to look at, a [`Watch`] counts what must never happen.
//!
//! # What is deliberately absent
//!
//! Cryptography, protocols (but for the clear headers that a [`Watch`] reads), real sockets and real
//! time. Streams: a stream's bytes arrive in order
//! or not at all, so there is nothing to simulate but how they are cut.

mod adversary;
mod agenda;
mod chance;
mod entropy;
mod link;
mod net;
mod packet;
mod tally;
mod watch;

pub use adversary::{Adversary, Injector, Verdict};
pub use agenda::Agenda;
pub use chance::Chance;
pub use entropy::Entropy;
pub use link::Link;
pub use net::{Event, Net};
pub use packet::Packet;
pub use tally::Tally;
pub use watch::{Claim, Findings, Fingerprint, Place, Rules, Violation, Watch};
