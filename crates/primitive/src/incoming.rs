//! Requests that have arrived.

use alloc::boxed::Box;
use core::time::Duration;

use crate::proto;
use crate::{
    Echo, Error, Failure, HttpResponse, ReleaseVersion, RequestDigest, RequestId, RequestMessage,
    Response, ResponseMessage,
};

/// A request that has arrived, and how long its sender waits. It knows its digest, so that none is made under a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    message: RequestMessage,
    patience: Option<Duration>,
    digest: RequestDigest,
}

/// A request that has arrived and cannot be read, with the refusal to answer it by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request cannot be read: {error}")]
pub struct Unreadable {
    /// What is wrong with it.
    pub error: Error,
    /// What to answer.
    pub refusal: Box<ResponseMessage>,
}

impl Incoming {
    /// A request whose sender waits this long, or does not say.
    #[must_use]
    pub fn new(message: RequestMessage, patience: Option<Duration>) -> Self {
        let digest = message.digest();
        Self {
            message,
            patience,
            digest,
        }
    }

    /// Reads the generated message; a patience of 0 is none.
    ///
    /// # Errors
    /// [`Unreadable`], with its refusal.
    pub fn from_proto(
        message: Option<proto::RequestMessage>,
        patience_ms: u32,
    ) -> Result<Self, Unreadable> {
        let message = message.unwrap_or_default();
        let refusal = refusal(&message);
        let message = RequestMessage::from_proto(message);
        let message = message.map_err(|error| Unreadable {
            error,
            refusal: Box::new(refusal()),
        })?;
        let patience = (patience_ms > 0).then(|| Duration::from_millis(patience_ms.into()));
        Ok(Self::new(message, patience))
    }

    /// The request.
    #[must_use]
    pub const fn message(&self) -> &RequestMessage {
        &self.message
    }

    /// Takes the request out.
    #[must_use]
    pub fn into_message(self) -> RequestMessage {
        self.message
    }

    /// How long its sender waits.
    #[must_use]
    pub const fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// The hash by which the same request is known again.
    #[must_use]
    pub const fn digest(&self) -> RequestDigest {
        self.digest
    }
}

/// What to answer if the message cannot be read. Its echo is taken now, since reading consumes it.
fn refusal(message: &proto::RequestMessage) -> impl FnOnce() -> ResponseMessage + use<> {
    use proto::request_message::Form;
    let failure = Failure::Malformed;
    let (echo, is_primitive) = match &message.form {
        Some(Form::Http(request)) => {
            let headers = request.headers.iter();
            let pairs = headers.map(|header| (&header.name[..], &header.value[..]));
            (Echo::of_headers(pairs), false)
        }
        Some(Form::Primitive(request)) => {
            let version = request.release_version.as_deref();
            let echo = Echo {
                request_id: RequestId::new(&request.request_id).ok(),
                release_version: version.and_then(|version| ReleaseVersion::new(version).ok()),
            };
            (echo, true)
        }
        None => (Echo::default(), false),
    };
    move || match echo.request_id {
        Some(id) if is_primitive => {
            ResponseMessage::Primitive(Response::refusal(failure, id, echo.release_version))
        }
        _ => ResponseMessage::Http(HttpResponse::refusal(failure, &echo)),
    }
}
