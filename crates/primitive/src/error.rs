//! What can be wrong with a primitive.

/// Why a primitive was not taken: the field that is to blame, in the words of its specification, and what it should hold.
///
/// Whoever sent it is answered by [`Failure::Malformed`](crate::Failure::Malformed); this is for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no protobuf message of this type.
    #[error("not a protobuf message of this type: encode it as proto/ says")]
    Encoding,
    /// A field that the message needs is absent.
    #[error("field {0} is absent: set it")]
    Missing(&'static str),
    /// A field that must not be there, is.
    #[error("field {0} does not belong here: leave it out")]
    Unexpected(&'static str),
    /// A field that may occur once, occurs again.
    #[error("field {0} occurs more than once: send it once")]
    Repeated(&'static str),
    /// A field holds what it cannot hold.
    #[error("field {field} is not valid: {expected}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A field is longer than is taken.
    #[error("field {field} is too long: at most {limit}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The most bytes or elements that are taken.
        limit: usize,
    },
}

impl Error {
    pub(crate) const fn invalid(field: &'static str, expected: &'static str) -> Self {
        Self::Invalid { field, expected }
    }

    pub(crate) const fn within(
        length: usize,
        limit: usize,
        field: &'static str,
    ) -> Result<(), Self> {
        if length > limit {
            return Err(Self::TooLong { field, limit });
        }
        Ok(())
    }
}
