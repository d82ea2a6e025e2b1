//! Planning: what a restart or the renewals of a whole fleet cost, before it happens.
//!
//! Devices, a lossy network and a responder's processors are simulated, in virtual time and from one seed. What
//! decides is not simulated: the responder runs the [`Admission`] and [`RenewalPlan`] of the association core, devices
//! its [`Backoff`] and [`Window::draw`], as in a node. The rivals are what users have today.
//!
//! ```
//! use refpoint_node::simulate::{Storm, Strategy};
//!
//! let storm = Storm::new(10_000, 200)?; // devices, handshakes a second
//! let planned = storm.run(Strategy::Reservations, &mut |_| {});
//! let blind = storm.run(Strategy::Fixed, &mut |_| {});
//! assert!(planned.p99.is_some_and(|seconds| seconds < 1.10 * 10_000.0 / 200.0));
//! assert!(planned.attempts < blind.attempts / 4.0);
//! # Ok::<(), refpoint_association::Error>(())
//! ```
//!
//! What is deliberately absent: cryptography (its cost is a parameter), packets, and the devices' own processors.
//!
//! [`Admission`]: refpoint_association::Admission
//! [`RenewalPlan`]: refpoint_association::RenewalPlan
//! [`Backoff`]: refpoint_association::Backoff
//! [`Window::draw`]: refpoint_association::Window::draw

mod device;
mod network;
mod outcome;
mod page;
mod renewals;
mod responder;
mod storm;
mod strategy;

pub use network::{Costs, Network};
pub use outcome::{Outcome, Peak};
pub use page::{renewals_page, storm_page};
pub use renewals::{RenewalOutcome, RenewalStrategy, Renewals};
pub use storm::Storm;
pub use strategy::Strategy;

/// Nanoseconds in a millisecond: events are timed in nanoseconds, the core in milliseconds.
const MILLI: u64 = 1_000_000;
/// Nanoseconds in a second.
const SECOND: u64 = 1_000 * MILLI;
