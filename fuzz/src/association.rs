//! Targets of `refpoint-association`: handshakes of strangers, and streams under attack.

mod endpoint;
mod handshake;
mod party;
mod stream;

pub use endpoint::association_endpoint;
pub use handshake::association_handshake;
pub use stream::association_stream;
