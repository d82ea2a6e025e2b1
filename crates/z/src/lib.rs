//! Z (Mcn): the security layer between service node and underlying network.
//!
//! An association has authenticated the peer; this layer owns what that means for requests: what each end may ask, and as
//! whom ([`Identity`]), that a network reports only about what this node has from it, and that each request is executed
//! once ([`Layer::receive`]). X and Y have the same files and the same verbs.
//!
//! ```text
//!  CSE ── trigger, location, transfer, key ──► NSE
//!      ◄─ trigger report, location report, ─── NSE
//!         key notice
//! ```
//!
//! Besides primitives, Z carries what 3GPP exposes to service nodes: device triggering with its report
//! ([`TriggerRequest`]), location ([`LocationRequest`]), background data transfer ([`TransferRequest`]), and keys from
//! network authentication ([`KeyRequest`], [`KeyRing`]), whose lifetimes clamp the associations made with them.
//!
//! What is deliberately absent: cryptography beyond what `keys` derives, sockets, clocks, and the network's own protocols
//! (Diameter, T8, Naanf): an NSE speaks them on its other side.
//!
//! ```
//! use core::time::Duration;
//! use refpoint_keys::{EntityId, ReferencePoint, Role};
//! use refpoint_primitive::{Failure, LedgerLimits, Peer, Receipt, RequestId};
//! use refpoint_z::{Ask, Identity, Layer, Reference, Request, TriggerReport, TriggerStatus};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let network = EntityId::parse("//op.example.net/nse-scef")?;
//! let mut core = Layer::new(EntityId::parse("//sp.example.com/id-in")?, LedgerLimits::default());
//! core.admit(Identity::network(network.clone())?)?;
//!
//! // A report about a trigger that nobody asked for.
//! let peer = Peer { entity: network, point: ReferencePoint::Z, role: Role::Initiator };
//! let report = TriggerReport { reference: Reference::new("t-1")?, status: TriggerStatus::Delivered };
//! let request = Request::new(RequestId::new("r1")?, Ask::TriggerReport(report), None)?;
//! let receipt = core.receive(Duration::ZERO, None, &peer, &request);
//! assert_eq!(receipt, Receipt::Refuse(Failure::UnknownReference));
//! # Ok(())
//! # }
//! ```
#![no_std]

extern crate alloc;

#[cfg(feature = "std")]
extern crate std;

mod error;
pub mod exchange;
mod expectation;
mod generated;
mod identity;
mod key;
mod key_ring;
mod layer;
mod location;
pub mod policy;
mod reference;
mod request;
mod response;
pub mod serve;
mod transfer;
mod trigger;

pub use error::Error;
pub use identity::Identity;
pub use key::{DeliveredKey, KeyEvent, KeyNotice, KeyRequest, NetworkKeyName};
pub use key_ring::{Import, KeyRing, KeyTask};
pub use layer::Layer;
pub use location::{
    Location, LocationAccuracy, LocationReport, LocationRequest, LocationResponse, Position,
};
pub use reference::{ExternalId, Reference};
pub use request::{Ask, Request, Unreadable};
pub use response::{Reply, Response};
pub use transfer::{
    TimeWindow, TransferOffer, TransferRequest, TransferResponse, TransferSelection,
};
pub use trigger::{Trigger, TriggerPurpose, TriggerReport, TriggerRequest, TriggerStatus};

/// The generated messages of `refpoint.z.v1`, for those who carry them; inside, domain types are used.
pub mod proto {
    pub use crate::generated::*;
}
