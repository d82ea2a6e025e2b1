//! Targets of `refpoint-association`: handshakes of strangers, records, end points, streams, and
//! resumption on both carriages, under attack.

mod endpoint;
mod handshake;
mod party;
mod record;
mod resumption;
mod stream;
mod stream_resumption;

pub use endpoint::association_endpoint;
pub use handshake::association_handshake;
pub use record::association_record;
pub use resumption::{association_resumption, association_stored};
pub use stream::association_stream;
pub use stream_resumption::association_stream_resumption;
