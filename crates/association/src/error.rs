use thiserror::Error;

/// Why an association could not be made or used.
///
/// Ordered by whose fault it is: the peer's, a refusal received, ours, exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    // The peer's fault.
    /// A packet is malformed.
    #[error(transparent)]
    Wire(#[from] refpoint_wire::Error),
    /// A handshake message, a tag or a record does not authenticate. Says nothing more on purpose.
    #[error(
        "authentication failed: check that both ends hold the same key, ids, profile, suite and reference point"
    )]
    Authentication,
    /// The peer sent something that this state does not allow.
    #[error("unexpected packet in this state")]
    Unexpected,
    /// A stream ended without an authenticated close.
    #[error("stream ended without an authenticated close: data may be missing")]
    Truncated,

    // A refusal received.
    /// No answer came within the handshake time.
    #[error(
        "no answer: the peer is unreachable, or does not know this key, entity, profile or reference point"
    )]
    NoAnswer,
    /// The peer speaks other versions only.
    #[error("the peer speaks other versions of the protocol only")]
    Version,
    /// Whoever issued this handle does not know it (any more).
    #[error("the handle is not redeemed: it is unknown, used, expired or revoked at its issuer")]
    Handle,
    /// The peer closed the association.
    #[error("the peer closed the association: {0:?}")]
    Closed(refpoint_wire::CloseReason),

    // Ours.
    /// No credential fits.
    #[error("no credential for this peer, reference point and profile: add one")]
    NoCredential,
    /// The credential lacks what the profile needs.
    #[error("the credential lacks a {0} that the profile needs")]
    Incomplete(&'static str),
    /// The credential does not allow what was asked for.
    #[error("the credential does not allow this {0}")]
    NotAllowed(&'static str),
    /// The credential's validity does not cover the present, or no clock can tell.
    #[error(
        "the credential is outside its validity, or neither end has a wall clock: renew the key or set the clock"
    )]
    Expired,
    /// No association has this id (any more).
    #[error("no such association: it was closed or never made")]
    NoAssociation,
    /// The association is not confirmed yet: nothing may be sent before the initiator's first record.
    #[error("the association is not confirmed yet: wait for it to be established")]
    NotConfirmed,
    /// The session was closed, or restored from a kept state, which sends nothing (rule E1).
    #[error("this session only receives: make a new one to send")]
    ReceiveOnly,
    /// Kept state is older than what the mailbox knows to be acknowledged (rule E1).
    #[error(
        "the state is older than the mailbox's last acknowledgement: discard it and begin anew"
    )]
    Stale,
    /// The message does not fit.
    #[error("{size} bytes exceed the limit of {limit}: send less at once or use a stream")]
    TooLarge {
        /// What was given.
        size: usize,
        /// What fits.
        limit: usize,
    },
    /// A policy or a key does not make sense.
    #[error("{0} is outside its range")]
    Config(&'static str),
    /// The chosen backend is not compiled in or refused its input.
    #[error("the cryptographic backend failed: {0}")]
    Backend(&'static str),

    // Exhausted.
    /// A limit of time, bytes, messages or sequence numbers is reached.
    #[error("the association has reached its {0} limit: make a new one")]
    Limit(&'static str),
    /// No more state can be held.
    #[error("too many {0}: close some or raise the limit")]
    Full(&'static str),
}
