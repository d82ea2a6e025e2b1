//! The association core.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod authenticated;
mod backend;
mod bucket;
mod contexts;
mod cookie;
mod credential;
mod endpoint;
mod epoch;
mod error;
mod handshake;
mod lifetime;
mod negotiation;
mod policy;
mod prologue;
mod receiver;
mod schedule;
mod scrub;
mod sender;
mod static_key;
mod stream;
mod time;
mod window;

pub use authenticated::Authenticated;
pub use backend::Backend;
pub use credential::{Credential, CredentialId, Credentials, Local};
pub use endpoint::{AssociationId, AttemptId, Config, Endpoint, Event, Outbox, Statistics};
pub use error::Error;
pub use policy::Policy;
pub use refpoint_wire::{Carriage, CloseReason, SessionLabel, Suite, Terms};
pub use static_key::{PublicKey, StaticKey};
pub use stream::{MAX_STREAM_PAYLOAD, Opened, StreamInitiator, StreamResponder, StreamSession};
pub use time::Now;
