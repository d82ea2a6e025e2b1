//! X (Mca): the security layer between application entity and service node.
//!
//! An association has authenticated the peer; this layer owns what that means for requests: as whom the peer may speak
//! ([`Identity`]), that nobody else may ([`Layer::admit`]), and that each request is executed once ([`Layer::receive`]).
//! Y and Z have the same files and the same verbs.
//!
//! ```text
//!  AE ── ExchangeRequest ──► association ──► Layer::receive ──► Receipt::Execute ──► CSE
//!     ◄─ ExchangeResponse ── association ◄── Layer::settle ◄──────────────────────── CSE
//! ```
//!
//! On streams the messages of [`exchange`] and [`serve`] travel by gRPC; on UDP a [`Datagram`] is the content of a record,
//! and [`Exchanges`](refpoint_primitive::Exchanges) repeats what is lost.
//!
//! What is deliberately absent: cryptography, sockets, clocks, access rights (the CSE's), the AE's registration (likewise).
//!
//! ```
//! use core::time::Duration;
//! use refpoint_keys::{EntityId, ReferencePoint, Role};
//! use refpoint_primitive::{
//!     Failure, Header, Headers, HttpRequest, Incoming, LedgerLimits, Peer, Receipt, RequestMessage,
//! };
//! use refpoint_x::{Identity, Layer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sensor = EntityId::parse("//sp.example.com/id-mn/CSensor1")?;
//! let mut gateway = Layer::new(EntityId::parse("//sp.example.com/id-mn")?, LedgerLimits::default());
//! gateway.admit(Identity::application(sensor.clone())?)?;
//!
//! let peer = Peer { entity: sensor, point: ReferencePoint::X, role: Role::Responder };
//! let get_as = |from: &'static str| -> Result<_, refpoint_primitive::Error> {
//!     let headers = Headers::new(vec![
//!         Header::new("X-M2M-Origin", from)?,
//!         Header::new("X-M2M-RI", "r1")?,
//!     ])?;
//!     let request = HttpRequest::new("GET", "/cse-mn/ae1", headers, "")?;
//!     Ok(Incoming::new(RequestMessage::Http(request), None))
//! };
//! let now = Duration::ZERO;
//! let honest = gateway.receive(now, None, &peer, &get_as("CSensor1")?);
//! assert!(matches!(honest, Receipt::Execute(_)));
//! let dishonest = gateway.receive(now, None, &peer, &get_as("CAdmin")?);
//! assert_eq!(dishonest, Receipt::Refuse(Failure::Impersonation));
//! # Ok(())
//! # }
//! ```
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod datagram;
mod error;
pub mod exchange;
mod generated;
mod identity;
mod layer;
pub mod policy;
pub mod serve;

pub use datagram::{Datagram, DatagramBody};
pub use error::Error;
pub use identity::Identity;
pub use layer::Layer;

/// The generated messages of `refpoint.x.v1`, for those who carry them; inside, domain types are used.
pub mod proto {
    pub use crate::generated::*;
}
