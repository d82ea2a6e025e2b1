//! Y (Mcc, Mcc′): the security layer between service nodes.
//!
//! An association has authenticated the peer; this layer owns what that means for requests: as whom the peer may speak
//! ([`Identity`]), that nobody else may ([`Layer::admit`], [`Layer::announce`]), and that each request is executed once
//! ([`Layer::receive`]). X and Z have the same files and the same verbs.
//!
//! ```text
//!                    core of another provider
//!                             │ Y′: its own domain, absolute ids
//!                           core ───────────── registrar: anyone but my subtree
//!                           │  │ Y
//!                     gateway  gateway ──────── registree: itself, its AEs, what it
//!                        │                      announced and was allowed to
//!                     gateway
//! ```
//!
//! What is deliberately absent: cryptography, sockets, clocks, access rights and routing (the CSE's), and what is sealed end
//! to end: it is content, and passes untouched.
//!
//! ```
//! use core::time::Duration;
//! use refpoint_keys::{EntityId, ReferencePoint, Role};
//! use refpoint_primitive::{
//!     Failure, Header, Headers, HttpRequest, Incoming, LedgerLimits, Peer, Receipt, RequestMessage,
//! };
//! use refpoint_y::{Identity, Layer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = EntityId::parse("//sp.example.com/id-mn")?;
//! let mut core = Layer::new(EntityId::parse("//sp.example.com/id-in")?, LedgerLimits::default());
//! core.admit(Identity::registree(gateway.clone())?)?;
//!
//! let peer = Peer { entity: gateway, point: ReferencePoint::Y, role: Role::Responder };
//! let get_as = |from: &'static str| -> Result<_, refpoint_primitive::Error> {
//!     let headers = Headers::new(vec![
//!         Header::new("X-M2M-Origin", from)?,
//!         Header::new("X-M2M-RI", "r1")?,
//!     ])?;
//!     let request = HttpRequest::new("GET", "/~/id-in/cse-in", headers, "")?;
//!     Ok(Incoming::new(RequestMessage::Http(request), None))
//! };
//! let now = Duration::ZERO;
//! let transit = core.receive(now, None, &peer, &get_as("/id-mn/CSensor1")?);
//! assert!(matches!(transit, Receipt::Execute(_)));
//! let dishonest = core.receive(now, None, &peer, &get_as("/id-other/CSensor1")?);
//! assert_eq!(dishonest, Receipt::Refuse(Failure::Impersonation));
//! # Ok(())
//! # }
//! ```
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod announcement;
mod error;
pub mod exchange;
mod generated;
mod identity;
mod layer;
pub mod policy;
pub mod serve;

pub use announcement::Announcement;
pub use error::Error;
pub use identity::Identity;
pub use layer::Layer;

/// The generated messages of `refpoint.y.v1`, for those who carry them; inside, domain types are used.
pub mod proto {
    pub use crate::generated::*;
}
