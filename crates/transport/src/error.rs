use std::io;

use core::time::Duration;

use refpoint_keys::ReferencePoint;
use thiserror::Error;

/// Why an association could not be made, or carries nothing any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The association says why.
    #[error(transparent)]
    Association(#[from] refpoint_association::Error),
    /// The connection below it failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The handshake took too long.
    #[error("no association within {0:?}: the peer is unreachable, overloaded or does not answer")]
    Timeout(Duration),
    /// The target names no host and port.
    #[error("the target has no host and port: write it as http://HOST:PORT")]
    Target,
    /// The reference point has another service.
    #[error("{1} does not serve {0}: use the service of the reference point")]
    Point(ReferencePoint, &'static str),
}

impl Error {
    /// What the association says, if it is the association that failed.
    #[must_use]
    pub fn association(&self) -> Option<refpoint_association::Error> {
        match self {
            Self::Association(error) => Some(*error),
            Self::Io(error) => association_error(error),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Association(error) => stream_error(error),
            Error::Io(error) => error,
            Error::Timeout(_) => Self::new(io::ErrorKind::TimedOut, error),
            Error::Target | Error::Point(..) => Self::new(io::ErrorKind::InvalidInput, error),
        }
    }
}

/// What the association said, in an error of a [`SecureStream`](crate::SecureStream).
///
/// ```
/// # use std::io;
/// use refpoint_transport::association_error;
///
/// fn is_truncated(error: &io::Error) -> bool {
///     association_error(error) == Some(refpoint_association::Error::Truncated)
/// }
/// # assert!(!is_truncated(&io::ErrorKind::UnexpectedEof.into()));
/// ```
#[must_use]
pub fn association_error(error: &io::Error) -> Option<refpoint_association::Error> {
    error.get_ref()?.downcast_ref().copied()
}

/// An association's error as one of a stream: its source is the association's.
pub(crate) fn stream_error(error: refpoint_association::Error) -> io::Error {
    use refpoint_association::Error as Association;
    let kind = match error {
        Association::Truncated => io::ErrorKind::UnexpectedEof,
        Association::Wire(_)
        | Association::Authentication
        | Association::Unexpected
        | Association::TooLarge { .. } => io::ErrorKind::InvalidData,
        Association::NoAnswer => io::ErrorKind::TimedOut,
        Association::Closed(_) | Association::NoAssociation => io::ErrorKind::BrokenPipe,
        Association::Limit(_) => io::ErrorKind::ConnectionAborted,
        Association::NoCredential
        | Association::Incomplete(_)
        | Association::NotAllowed(_)
        | Association::Expired
        | Association::Version => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
