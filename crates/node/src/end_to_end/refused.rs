use refpoint_primitive::Failure;

/// Why something that should be sealed end to end is not taken, or cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    // The other end point's fault, or that of a node in between.
    /// It does not open, or may not.
    #[error(transparent)]
    EndToEnd(#[from] refpoint_e2e::Error),
    /// Content that nobody has sealed, where it must be.
    #[error("the content is not sealed: a node in between may have put it there")]
    Plain,
    /// What came is not what a resource looks like.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// A pre-key cannot be had.
    #[error("there is no pre-key to seal to: {0}")]
    NoPreKey(&'static str),
    /// The other end has not answered yet.
    #[error("there is no session with the other end yet: it has not answered")]
    NoSession,
    /// The peer did not do what was asked.
    #[error(transparent)]
    Peer(Failure),

    // The AE's, or ours.
    /// The AE's content is in a form that cannot be sealed.
    #[error("this content is not sealed: create a contentInstance in JSON")]
    Form,
    /// The state cannot be kept.
    #[error(transparent)]
    State(#[from] refpoint_store::Error),
    /// A task did not end.
    #[error("the node is stopping")]
    Stopping,
}

impl Refused {
    /// As what a primitive is refused.
    pub(super) const fn failure(&self) -> Failure {
        match self {
            Self::EndToEnd(error) => error.failure(),
            Self::Plain => Failure::NotSealed,
            Self::Unreadable(_) => Failure::Malformed,
            Self::NoPreKey(_) | Self::NoSession => Failure::UnknownKey,
            Self::Peer(failure) => *failure,
            Self::Form => Failure::UnsupportedForm,
            Self::State(_) => Failure::Internal,
            Self::Stopping => Failure::Stopping,
        }
    }
}
