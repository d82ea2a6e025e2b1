//! Carriage of refpoint associations: TCP, UDP and gRPC on tokio.
//!
//! ```text
//!                Keyring: who I am, whom I know                     (shared; a change reaches what is under way)
//!                   │                        │
//!     connect / accept ► SecureStream     Datagrams: X on UDP       (an association each; one for each peer)
//!         │                  │               │
//!     Connector ─┐      ┌─ Incoming          │                      (tonic's connector and acceptor)
//!                ▼      ▼                    │
//!               gRPC: X, Y, Z                │
//!         │                  │               │
//!     Link::connect    Server ► Links        │                      (requests both ways in one association)
//!         └──────────────────┴───────────────┴──► Handler(Association, request) ► response
//! ```
//!
//! Each part is of use without those below it: [`SecureStream`] carries any bytes, [`Connector`] and [`Incoming`] secure
//! any tonic service (`examples/`), [`Link`] and [`Server`] carry the services of X, Y and Z.
//!
//! An [`Association`] is the handle of one: it says who is at the other end, as the handshake proved it, and whether it
//! still holds. Every request comes with it, on every carriage. Whether that peer may say what it says is the layer's to
//! decide (`refpoint-x`, `-y`, `-z`): ask it before anything else.
//!
//! What is deliberately absent: cryptography (`refpoint-association`), who may say what (the layers), oneM2M's HTTP
//! binding and configuration (`refpoint-node`).
//!
//! # Invariants
//!
//! * Nothing is delivered that the peer did not send, in that order, in this association; an end that the peer did not
//!   authenticate is an error.
//! * Every buffer, queue and number of tasks has a bound, every wait a time limit or a way to drop it.
//! * Who connects and stalls, floods or lies costs a place for a while, and nobody else anything.
//! * Nothing here prints or keeps a secret; keys are behind [`Keyring`], wiped by their own types.

mod association;
mod backoff;
mod clock;
mod connector;
mod datagrams;
mod entropy;
mod error;
mod frames;
mod generated;
mod handler;
mod handles;
mod incoming;
mod initiator;
mod keyring;
mod limits;
mod link;
mod links;
mod responder;
mod server;
mod service;
mod stream;

pub use association::Association;
pub use connector::Connector;
pub use datagrams::{
    DatagramError, DatagramLimits, Datagrams, DeviceFile, DeviceStorage, HandleLog, Persistence,
};
pub use error::{Error, association_error};
pub use frames::Frames;
pub use handler::Handler;
pub use incoming::Incoming;
pub use keyring::Keyring;
pub use limits::Limits;
pub use link::Link;
pub use links::Links;
pub use server::Server;
pub use service::{Service, X, Y, Z};
pub use stream::{SecureStream, accept, connect};

/// The generated stubs of the services, for those who want plain tonic over an association.
pub mod stubs {
    pub use crate::generated::{x, y, z};
}
