//! Targets of `refpoint-association`: handshakes of strangers, and streams under attack.

mod handshake;
mod party;
mod stream;

pub use handshake::association_handshake;
pub use stream::association_stream;
