//! The refpoint node: a sidecar that secures the reference points of an unmodified CSE.
//!
//! A node stands beside a oneM2M CSE or AE and speaks plain HTTP with it, byte for byte. Towards others it speaks
//! through associations. What the CSE believes of a request's originator, the peer's association has proved.
//!
//! ```text
//!           this host                                                          another host
//!  ┌────────────────────────────────┐                               ┌────────────────────────────────┐
//!  │ CSE ── HTTP ──► Egress ──► Carrier ═════ association ═════► layer ──► Inbound ── HTTP ──► CSE │
//!  │ CSE ◄── HTTP ── Inbound ◄── layer ◄═════ the same one ═════ Carrier ◄── Egress ◄── HTTP ── CSE │
//!  └────────────────────────────────┘                               └────────────────────────────────┘
//! ```
//!
//! [`config`] says who the node is and whom it knows, [`key_file`] what proves it, [`Identity`] joins the two for the
//! association core. [`http`] is the CSE's side. [`Associations`] and [`Carrier`] are the seam to what carries
//! requests between nodes, [`Transported`] is what does. [`Node`] runs it all; [`observe`] lists its metrics. [`demo`], [`tap`], [`pcap`] and
//! [`inspect`] show what an eavesdropper gets.
//!
//! [`simulate`] plans for restarts and renewals of a whole fleet, [`report`] draws what it and the demo found.
//!
//! What is deliberately absent: cryptography and identity rules (they lie below, where they can be tested without a
//! socket), TLS on the CSE's side (a node shares the CSE's host), and any oneM2M resource of its own.
//!
//! ```
//! use refpoint_keys::ReferencePoint;
//! use refpoint_node::config::Config;
//!
//! let text = r#"
//! [node]
//! entity = "//sp.example.com/id-mn/CSensor1"
//!
//! [[peer]]
//! entity = "//sp.example.com/id-mn"
//! point = "x"
//! carriage = "udp"
//! address = "192.0.2.1:7000"
//! initiator = "self"
//! profiles = ["psk"]
//! connection_key = "keys/sensor1.connection"
//!
//! [[egress]]
//! listen = "127.0.0.1:8080"
//! peer = "//sp.example.com/id-mn"
//! "#;
//! let config = Config::parse(text, "/etc/refpoint".as_ref())?;
//! assert_eq!(config.egress[0].point, ReferencePoint::X);
//!
//! let error = Config::parse(&text.replace("psk", "none"), "/etc/refpoint".as_ref()).unwrap_err();
//! assert_eq!(error.to_string(), r#"line 11: profiles: unknown word, write "psk", "pinned" or "known""#);
//! # Ok::<(), refpoint_node::config::LineError>(())
//! ```

mod associations;
mod carried;
mod carrier;
mod clock;
pub mod config;
pub mod demo;
mod drain;
mod egress;
pub mod end_to_end;
mod entropy;
pub mod http;
mod identity;
mod inbound;
mod ingress;
pub mod inspect;
pub mod key_file;
mod layers;
mod node;
pub mod observe;
pub mod pcap;
pub mod report;
pub mod simulate;
pub mod tap;
mod utc;

pub use associations::{Associations, Transport, Transported};
pub use carried::{
    refusal, request_from_carried, request_to_carry, response_from_carried, response_to_carry,
};
pub use carrier::Carrier;
pub use drain::{Drain, DrainSignal};
pub use egress::Egress;
pub use identity::{Identity, IdentityError, Known};
pub use inbound::Inbound;
pub use ingress::{BearerError, BearerToken, Ingress};
pub use layers::{Layers, default_policy};
pub use node::Node;
