//! What can go wrong between two entities, and how oneM2M says so.

use crate::ResultCode;

/// Why a request is not served.
///
/// The message is what the originator reads in the refusal's content; it tells it what to do, and no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The request cannot be read, or in more than one way.
    #[error("the request cannot be read: send it as TS-0004 and its binding say")]
    Malformed,
    /// The originator is not the authenticated entity, nor one that it may speak for.
    #[error("the originator is not the authenticated entity: send as yourself")]
    Impersonation,
    /// The peer may not ask for this here.
    #[error("the peer may not ask for this on this reference point")]
    Forbidden,
    /// Another holds what the peer claims.
    #[error("another entity holds this id: release it there first")]
    Claimed,
    /// The request refers to something that the peer has no part in, or that is over.
    #[error("the request refers to something unknown: it is over, or was another's")]
    UnknownReference,
    /// The request identifier was used before, for another request.
    #[error("the request identifier was used for another request: use a new one")]
    DuplicateConflict,
    /// The request was executed before, and its response is no longer kept.
    #[error(
        "the request was executed already and its response is gone: read the state and use a new request identifier"
    )]
    AnswerGone,
    /// The message does not fit.
    #[error("the message is too large for this association: send less, or use a stream")]
    TooLarge,
    /// The message has a form that this end does not take.
    #[error("this end does not take the message in this form: send the other one")]
    UnsupportedForm,
    /// The request expired before it was executed.
    #[error("the request expired before it was executed")]
    Expired,
    /// The end-to-end key is unknown or expired.
    #[error("the end-to-end key is unknown or expired: agree on a new one")]
    UnknownKey,
    /// What was sealed end to end does not open here, or was opened before.
    #[error("what was sealed end to end is refused: it was altered, redirected or repeated")]
    NotSealed,

    /// There is no association, and none without it.
    #[error("there is no security association with the peer: it must be made first")]
    NoAssociation,
    /// The peer cannot be reached, or no way leads to the target.
    #[error("the peer cannot be reached: try again later")]
    PeerUnreachable,
    /// The peer did not answer in time.
    #[error("the peer did not answer in time: it may have executed the request")]
    Timeout,
    /// The peer's answer cannot be read, or belongs to another request.
    #[error("the peer's answer cannot be used: it may have executed the request")]
    UnusableAnswer,

    /// Too many requests wait already.
    #[error("too many requests are waiting: try again later")]
    QueueFull,
    /// This end is stopping.
    #[error("this end is stopping: try again later")]
    Stopping,
    /// This end failed.
    #[error("this end failed: see its log")]
    Internal,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 19] = [
        Self::Malformed,
        Self::Impersonation,
        Self::Forbidden,
        Self::Claimed,
        Self::UnknownReference,
        Self::DuplicateConflict,
        Self::AnswerGone,
        Self::TooLarge,
        Self::UnsupportedForm,
        Self::Expired,
        Self::UnknownKey,
        Self::NotSealed,
        Self::NoAssociation,
        Self::PeerUnreachable,
        Self::Timeout,
        Self::UnusableAnswer,
        Self::QueueFull,
        Self::Stopping,
        Self::Internal,
    ];

    /// The result code by which a refusal says so. The HTTP status is that code's ([`ResultCode::http_status`]).
    ///
    /// | failure | result code | HTTP |
    /// |---|---|---|
    /// | malformed | 4000 `BAD_REQUEST` | 400 |
    /// | impersonation | 4106 `ORIGINATOR_NOT_AUTHENTICATED` | 403 |
    /// | forbidden | 4103 `ORIGINATOR_HAS_NO_PRIVILEGE` | 403 |
    /// | claimed | 4117 `ORIGINATOR_HAS_ALREADY_REGISTERED` | 403 |
    /// | unknown reference | 4004 `NOT_FOUND` | 404 |
    /// | duplicate conflict, answer gone | 4105 `CONFLICT` | 409 |
    /// | too large | 4102 `CONTENTS_UNACCEPTABLE` | 400 |
    /// | unsupported form | 4015 `UNSUPPORTED_MEDIA_TYPE` | 415 |
    /// | expired, timeout | 4008 `REQUEST_TIMEOUT` | 504 |
    /// | unknown key | 4112 `ESPRIM_UNKNOWN_KEY_ID` | 403 |
    /// | not sealed | 4115 `ESPRIM_BAD_MAC` | 403 |
    /// | no association | 4107 `SECURITY_ASSOCIATION_REQUIRED` | 403 |
    /// | peer unreachable, stopping | 5103 `TARGET_NOT_REACHABLE` | 404 |
    /// | unusable answer, queue full, internal | 5000 `INTERNAL_SERVER_ERROR` | 500 |
    #[must_use]
    pub const fn result_code(self) -> ResultCode {
        match self {
            Self::Malformed => ResultCode::BAD_REQUEST,
            Self::Impersonation => ResultCode::ORIGINATOR_NOT_AUTHENTICATED,
            Self::Forbidden => ResultCode::ORIGINATOR_HAS_NO_PRIVILEGE,
            Self::Claimed => ResultCode::ORIGINATOR_HAS_ALREADY_REGISTERED,
            Self::UnknownReference => ResultCode::NOT_FOUND,
            Self::DuplicateConflict | Self::AnswerGone => ResultCode::CONFLICT,
            Self::TooLarge => ResultCode::CONTENTS_UNACCEPTABLE,
            Self::UnsupportedForm => ResultCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Expired | Self::Timeout => ResultCode::REQUEST_TIMEOUT,
            Self::UnknownKey => ResultCode::ESPRIM_UNKNOWN_KEY_ID,
            Self::NotSealed => ResultCode::ESPRIM_BAD_MAC,
            Self::NoAssociation => ResultCode::SECURITY_ASSOCIATION_REQUIRED,
            Self::PeerUnreachable | Self::Stopping => ResultCode::TARGET_NOT_REACHABLE,
            Self::UnusableAnswer | Self::QueueFull | Self::Internal => {
                ResultCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The HTTP status of a refusal.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        self.result_code().http_status()
    }
}
