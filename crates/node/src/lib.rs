//! The refpoint node: a sidecar that secures the reference points of an unmodified CSE.

mod associations;
mod carried;
mod carrier;
pub mod config;
pub mod demo;
mod drain;
mod egress;
pub mod http;
mod identity;
mod inbound;
mod ingress;
pub mod inspect;
pub mod key_file;
mod node;
pub mod observe;
pub mod pcap;
pub mod tap;
mod utc;

pub use associations::{Associations, Unassociated};
pub use carried::{
    refusal, request_from_carried, request_to_carry, response_from_carried, response_to_carry,
};
pub use carrier::Carrier;
pub use drain::{Drain, DrainSignal};
pub use egress::Egress;
pub use identity::{Identity, IdentityError};
pub use inbound::Inbound;
pub use ingress::{BearerError, BearerToken, Ingress};
pub use node::Node;
