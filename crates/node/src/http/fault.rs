/// Why a message on an HTTP connection could not be taken.
///
/// The order is: the sender's fault, time, then the connection itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The bytes are not a well-formed message; the text says which rule they break.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// A transfer coding other than `chunked`.
    #[error("unsupported transfer coding; use chunked or Content-Length")]
    TransferCoding,
    /// An `Expect` other than `100-continue`.
    #[error("unsupported expectation; only 100-continue is known")]
    Expectation,
    /// The head is longer than the limit.
    #[error("head larger than {0} bytes or with too many headers")]
    HeadTooLarge(usize),
    /// The body is longer than the limit.
    #[error("body larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The message did not arrive in time.
    #[error("message not received in time")]
    TimedOut,
    /// The other side closed the connection inside a message.
    #[error("connection closed inside a message")]
    Truncated,
    /// The connection failed.
    #[error("connection failed: {0}")]
    Io(#[from] std::io::Error),
}

impl Fault {
    /// The HTTP status that tells the sender, or nothing if there is nobody left to tell.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Malformed(_) => Some(400),
            Self::TransferCoding => Some(501),
            Self::Expectation => Some(417),
            Self::HeadTooLarge(_) => Some(431),
            Self::BodyTooLarge(_) => Some(413),
            Self::TimedOut => Some(408),
            Self::Truncated | Self::Io(_) => None,
        }
    }
}
