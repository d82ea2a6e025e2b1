//! Targets of `refpoint-association`: handshakes of strangers, records, end points and streams under
//! attack.

mod endpoint;
mod handshake;
mod party;
mod record;
mod stream;

pub use endpoint::association_endpoint;
pub use handshake::association_handshake;
pub use record::association_record;
pub use stream::association_stream;
