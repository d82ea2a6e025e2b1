use thiserror::Error;

/// Why bytes are not a packet, a frame or a message. Always the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end inside the named field.
    #[error("truncated {0}")]
    Truncated(&'static str),
    /// The named field has a value that is not defined.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// The version is not spoken here.
    #[error("version {0} is not spoken here")]
    Version(u8),
    /// The named field is outside its range.
    #[error("{0} is outside its range")]
    Range(&'static str),
    /// The named protobuf message does not decode.
    #[error("malformed {0}")]
    Malformed(&'static str),
}
