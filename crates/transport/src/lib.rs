//! Carriage of refpoint associations: TCP, UDP and gRPC on tokio.

mod association;
mod backoff;
mod clock;
mod connector;
mod entropy;
mod error;
mod frames;
mod generated;
mod handler;
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
