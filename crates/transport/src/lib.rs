//! Carriage of refpoint associations: TCP, UDP and gRPC on tokio.

mod association;
mod clock;
mod entropy;
mod error;
mod frames;
mod generated;
mod keyring;
mod stream;

pub use association::Association;
pub use error::{Error, association_error};
pub use frames::Frames;
pub use keyring::Keyring;
pub use stream::{SecureStream, accept, connect};
