//! What is asked on Z.

use alloc::boxed::Box;
use core::time::Duration;

use prost::Message as _;
use refpoint_primitive::{Error, Failure, RequestDigest, RequestId, RequestMessage, ResultCode};

use crate::proto;
use crate::{
    KeyNotice, KeyRequest, LocationReport, LocationRequest, TransferRequest, TransferSelection,
    TriggerReport, TriggerRequest,
};

/// A request: what is asked, under which identifier, and how long its sender waits. It names no originator: that is the
/// authenticated peer. It knows its digest, so that none is made under a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    id: RequestId,
    ask: Ask,
    patience: Option<Duration>,
    digest: RequestDigest,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// Either way: a oneM2M primitive, for networks that expose resources.
    Primitive(RequestMessage),
    /// To the network: deliver, replace or recall a trigger.
    Trigger(TriggerRequest),
    /// From the network: what became of a trigger.
    TriggerReport(TriggerReport),
    /// To the network: where is a device?
    Location(LocationRequest),
    /// From the network: there it was.
    LocationReport(LocationReport),
    /// To the network: when may bulk data be moved?
    Transfer(TransferRequest),
    /// To the network: this offer is taken.
    TransferSelection(TransferSelection),
    /// To the network: the key that a device has made with it, please.
    Key(KeyRequest),
    /// From the network: a key is withdrawn, or should be renewed.
    KeyNotice(KeyNotice),
}

/// Which end of Z may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    Either,
    Node,
    Network,
}

impl Ask {
    pub(crate) const fn asker(&self) -> Asker {
        match self {
            Self::Primitive(_) => Asker::Either,
            Self::Trigger(_)
            | Self::Location(_)
            | Self::Transfer(_)
            | Self::TransferSelection(_)
            | Self::Key(_) => Asker::Node,
            Self::TriggerReport(_) | Self::LocationReport(_) | Self::KeyNotice(_) => Asker::Network,
        }
    }

    fn from_proto(body: proto::exchange_request::Body) -> Result<Self, Error> {
        use proto::exchange_request::Body;
        Ok(match body {
            Body::Primitive(message) => Self::Primitive(RequestMessage::from_proto(message)?),
            Body::Trigger(trigger) => Self::Trigger(TriggerRequest::from_proto(trigger)?),
            Body::TriggerReport(report) => {
                Self::TriggerReport(TriggerReport::from_proto(&report.reference, report.status)?)
            }
            Body::Location(request) => Self::Location(LocationRequest::from_proto(request)?),
            Body::LocationReport(report) => {
                Self::LocationReport(LocationReport::from_proto(report)?)
            }
            Body::Transfer(request) => Self::Transfer(TransferRequest::from_proto(request)?),
            Body::TransferSelection(selection) => {
                Self::TransferSelection(TransferSelection::from_proto(&selection)?)
            }
            Body::Key(request) => Self::Key(KeyRequest::from_proto(&request)?),
            Body::KeyNotice(notice) => Self::KeyNotice(KeyNotice::from_proto(&notice)?),
        })
    }

    fn into_proto(self) -> proto::exchange_request::Body {
        use proto::exchange_request::Body;
        match self {
            Self::Primitive(message) => Body::Primitive(message.into_proto()),
            Self::Trigger(request) => Body::Trigger(request.into_proto()),
            Self::TriggerReport(report) => {
                let (reference, status) = report.into_proto();
                Body::TriggerReport(proto::TriggerReport { reference, status })
            }
            Self::Location(request) => Body::Location(request.into_proto()),
            Self::LocationReport(report) => Body::LocationReport(report.into_proto()),
            Self::Transfer(request) => Body::Transfer(request.into_proto()),
            Self::TransferSelection(selection) => Body::TransferSelection(selection.into_proto()),
            Self::Key(request) => Body::Key(request.into_proto()),
            Self::KeyNotice(notice) => Body::KeyNotice(notice.into_proto()),
        }
    }
}

/// A request that has arrived and cannot be read, with the refusal to answer it by.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the request cannot be read: {error}")]
pub struct Unreadable {
    /// What is wrong with it.
    pub error: Error,
    /// What to answer.
    pub refusal: Box<proto::ExchangeResponse>,
}

impl Request {
    /// A request whose sender waits this long, or does not say.
    ///
    /// # Errors
    /// [`Error`] that names `request_id` when a primitive has another one.
    pub fn new(id: RequestId, ask: Ask, patience: Option<Duration>) -> Result<Self, Error> {
        if let Ask::Primitive(message) = &ask
            && *message.checked().request_id != id
        {
            return Err(Error::Invalid {
                field: "request_id",
                expected: "repeat the primitive's own",
            });
        }
        let message = encoded(&id, ask.clone(), None);
        let digest = RequestDigest::of(&message.encode_to_vec());
        Ok(Self {
            id,
            ask,
            patience,
            digest,
        })
    }

    /// Reads the generated message.
    ///
    /// # Errors
    /// [`Unreadable`], with its refusal.
    pub fn from_proto(message: proto::ExchangeRequest) -> Result<Self, Unreadable> {
        let id = RequestId::new(&message.request_id);
        let echo = id.as_ref().map_or("", RequestId::as_str).into();
        let patience = Some(Duration::from_millis(message.patience_ms.into()));
        let patience = patience.filter(|patience| !patience.is_zero());
        let body = message.body.ok_or(Error::Missing("body"));
        let ask = body.and_then(Ask::from_proto);
        id.and_then(|id| Self::new(id, ask?, patience))
            .map_err(|error| Unreadable {
                error,
                refusal: Box::new(refusal(echo, Failure::Malformed)),
            })
    }

    /// Makes the generated message.
    #[must_use]
    pub fn into_proto(self) -> proto::ExchangeRequest {
        encoded(&self.id, self.ask, self.patience)
    }

    /// The message that refuses this request.
    #[must_use]
    pub fn refusal(&self, failure: Failure) -> proto::ExchangeResponse {
        refusal(self.id.as_str().into(), failure)
    }

    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> &RequestId {
        &self.id
    }

    /// What is asked.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        &self.ask
    }

    /// Takes out what is asked.
    #[must_use]
    pub fn into_ask(self) -> Ask {
        self.ask
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

fn encoded(id: &RequestId, ask: Ask, patience: Option<Duration>) -> proto::ExchangeRequest {
    let patience = patience.map_or(0, |patience| patience.as_millis());
    proto::ExchangeRequest {
        request_id: id.as_str().into(),
        patience_ms: u32::try_from(patience).unwrap_or(u32::MAX),
        body: Some(ask.into_proto()),
    }
}

fn refusal(request_id: alloc::string::String, failure: Failure) -> proto::ExchangeResponse {
    let result_code = ResultCode::number(failure.result_code());
    proto::ExchangeResponse {
        request_id,
        result_code,
        body: None,
    }
}
