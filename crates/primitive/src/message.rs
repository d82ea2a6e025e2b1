//! What an association carries: a primitive in one of its two forms.

use core::time::Duration;

use prost::Message as _;
use prost::bytes::Bytes;
use refpoint_keys::{EntityId, UtcTime};
use sha2::{Digest as _, Sha256};

use crate::proto;
use crate::{
    Error, HttpRequest, HttpResponse, LedgerKey, Operation, ReleaseVersion, Request, RequestId,
    ResourceType, Response, ResultCode, Timestamp,
};

/// A request on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestMessage {
    /// Field by field.
    Primitive(Request),
    /// As HTTP.
    Http(HttpRequest),
}

/// What a layer checks, however a request is carried: read off the form itself, so that nothing else can be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked<'a> {
    /// What is asked for.
    pub operation: Operation,
    /// Of what.
    pub to: &'a str,
    /// Who says so.
    pub from: Option<&'a str>,
    /// The request's identifier.
    pub request_id: &'a RequestId,
    /// What a Create makes.
    pub resource_type: Option<ResourceType>,
    /// When the request expires.
    pub expiration: Option<&'a Timestamp>,
    /// The release whose rules it follows.
    pub release_version: Option<&'a ReleaseVersion>,
}

impl<'a> Checked<'a> {
    /// What the ledger knows the request by, when `entity` sent it.
    #[must_use]
    pub const fn ledger_key(&self, entity: &'a EntityId) -> LedgerKey<'a> {
        LedgerKey {
            entity,
            from: self.from,
            request_id: self.request_id,
        }
    }

    /// How long the request is good for, if it says so; an absolute time says nothing to an end without a clock.
    #[must_use]
    pub fn expires_in(&self, utc: Option<UtcTime>) -> Option<Duration> {
        self.expiration?.remaining(utc)
    }
}

impl RequestMessage {
    /// What a layer checks.
    #[must_use]
    pub fn checked(&self) -> Checked<'_> {
        match self {
            Self::Primitive(request) => {
                let parts = request.parts();
                Checked {
                    operation: parts.operation,
                    to: &parts.to,
                    from: parts.from.as_deref(),
                    request_id: &parts.request_id,
                    resource_type: parts.resource_type,
                    expiration: parts.request_expiration.as_ref(),
                    release_version: parts.release_version.as_ref(),
                }
            }
            Self::Http(request) => Checked {
                operation: request.operation(),
                to: request.to(),
                from: request.from(),
                request_id: request.request_id(),
                resource_type: request.resource_type(),
                expiration: request.expiration(),
                release_version: request.release_version(),
            },
        }
    }

    /// The hash by which the same request is known again.
    #[must_use]
    pub fn digest(&self) -> RequestDigest {
        let mut hash = Sha256::new();
        match self {
            Self::Primitive(request) => {
                hash.update([1]);
                hash.update(request.clone().into_proto().encode_to_vec());
            }
            Self::Http(request) => {
                hash.update([2]);
                let mut field = |bytes: &[u8]| {
                    hash.update((bytes.len() as u64).to_be_bytes());
                    hash.update(bytes);
                };
                field(request.method());
                field(request.target());
                field(request.body());
                for header in request.headers().iter() {
                    field(header.name());
                    field(header.value());
                }
            }
        }
        RequestDigest(hash.finalize().into())
    }

    /// Reads the generated message.
    ///
    /// # Errors
    /// [`Error`] that names the field that is to blame.
    pub fn from_proto(message: proto::RequestMessage) -> Result<Self, Error> {
        use proto::request_message::Form;
        match message.form.ok_or(Error::Missing("form"))? {
            Form::Primitive(request) => Request::from_proto(request).map(Self::Primitive),
            Form::Http(request) => HttpRequest::from_proto(request).map(Self::Http),
        }
    }

    /// Makes the generated message.
    #[must_use]
    pub fn into_proto(self) -> proto::RequestMessage {
        use proto::request_message::Form;
        let form = Some(match self {
            Self::Primitive(request) => Form::Primitive(request.into_proto()),
            Self::Http(request) => Form::Http(request.into_proto()),
        });
        proto::RequestMessage { form }
    }

    /// Reads the encoded message.
    ///
    /// # Errors
    /// [`Error`] that names the field that is to blame.
    pub fn decode(bytes: Bytes) -> Result<Self, Error> {
        let message = proto::RequestMessage::decode(bytes).map_err(|_| Error::Encoding)?;
        Self::from_proto(message)
    }

    /// Encodes the message.
    #[must_use]
    pub fn encode(self) -> Bytes {
        self.into_proto().encode_to_vec().into()
    }
}

/// SHA-256 of a request as it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestDigest([u8; 32]);

impl RequestDigest {
    /// The hash of other bytes that stand for a request.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// A response on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseMessage {
    /// Field by field.
    Primitive(Response),
    /// As HTTP.
    Http(HttpResponse),
}

impl ResponseMessage {
    /// The result code; an HTTP response may come without.
    #[must_use]
    pub fn result_code(&self) -> Option<ResultCode> {
        match self {
            Self::Primitive(response) => Some(response.parts().result_code),
            Self::Http(response) => response.result_code(),
        }
    }

    /// The identifier of the request that it answers; an HTTP response may come without.
    #[must_use]
    pub fn request_id(&self) -> Option<&RequestId> {
        match self {
            Self::Primitive(response) => Some(&response.parts().request_id),
            Self::Http(response) => response.request_id(),
        }
    }

    /// Whether it can be the answer to a request of this identifier: it names it, or names none.
    #[must_use]
    pub fn answers(&self, request_id: &RequestId) -> bool {
        self.request_id().is_none_or(|named| named == request_id)
    }

    /// Reads the generated message.
    ///
    /// # Errors
    /// [`Error`] that names the field that is to blame.
    pub fn from_proto(message: proto::ResponseMessage) -> Result<Self, Error> {
        use proto::response_message::Form;
        match message.form.ok_or(Error::Missing("form"))? {
            Form::Primitive(response) => Response::from_proto(response).map(Self::Primitive),
            Form::Http(response) => HttpResponse::from_proto(response).map(Self::Http),
        }
    }

    /// Makes the generated message.
    #[must_use]
    pub fn into_proto(self) -> proto::ResponseMessage {
        use proto::response_message::Form;
        let form = Some(match self {
            Self::Primitive(response) => Form::Primitive(response.into_proto()),
            Self::Http(response) => Form::Http(response.into_proto()),
        });
        proto::ResponseMessage { form }
    }

    /// Reads the encoded message.
    ///
    /// # Errors
    /// [`Error`] that names the field that is to blame.
    pub fn decode(bytes: Bytes) -> Result<Self, Error> {
        let message = proto::ResponseMessage::decode(bytes).map_err(|_| Error::Encoding)?;
        Self::from_proto(message)
    }

    /// Encodes the message.
    #[must_use]
    pub fn encode(self) -> Bytes {
        self.into_proto().encode_to_vec().into()
    }
}
