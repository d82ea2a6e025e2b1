//! What is answered on Z.

use refpoint_primitive::{Error, Failure, RequestId, ResponseMessage, ResultCode};

use crate::proto;
use crate::{Ask, DeliveredKey, LocationResponse, Request, TransferResponse, TriggerReport};

/// The response to a request.
#[derive(Debug)]
pub struct Response {
    request_id: RequestId,
    result_code: ResultCode,
    reply: Option<Reply>,
}

/// What is answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// To a primitive.
    Primitive(ResponseMessage),
    /// To a trigger: its reference, and what became of it so far.
    Trigger(TriggerReport),
    /// To a location request.
    Location(LocationResponse),
    /// To a transfer request.
    Transfer(TransferResponse),
    /// To a key request.
    Key(DeliveredKey),
}

impl Response {
    /// The request was served, and this is the answer.
    ///
    /// # Errors
    /// [`Error`] that names `body` when the request asked for something else.
    pub fn new(request: &Request, reply: Reply) -> Result<Self, Error> {
        let response = Self {
            request_id: request.id().clone(),
            result_code: ResultCode::OK,
            reply: Some(reply),
        };
        response.check(request)?;
        Ok(response)
    }

    /// The request was served, and its result code says all there is to say.
    ///
    /// # Errors
    /// [`Error`] that names `body` when the request asked for more.
    pub fn done(request: &Request) -> Result<Self, Error> {
        let request_id = request.id().clone();
        let response = Self {
            request_id,
            result_code: ResultCode::OK,
            reply: None,
        };
        response.check(request)?;
        Ok(response)
    }

    /// Reads the generated message that answers `request`.
    ///
    /// # Errors
    /// [`Failure::UnusableAnswer`] when it cannot be read, names another request or answers something else.
    pub fn from_proto(
        response: proto::ExchangeResponse,
        request: &Request,
    ) -> Result<Self, Failure> {
        Self::read(response, request).map_err(|_| Failure::UnusableAnswer)
    }

    fn read(response: proto::ExchangeResponse, request: &Request) -> Result<Self, Error> {
        if response.result_code <= 0 {
            return Err(Error::Missing("result_code"));
        }
        let response = Self {
            request_id: RequestId::new(&response.request_id)?,
            result_code: ResultCode::new(response.result_code),
            reply: response.body.map(Reply::from_proto).transpose()?,
        };
        response.check(request)?;
        Ok(response)
    }

    /// Makes the generated message.
    #[must_use]
    pub fn into_proto(self) -> proto::ExchangeResponse {
        proto::ExchangeResponse {
            request_id: self.request_id.as_str().into(),
            result_code: self.result_code.number(),
            body: self.reply.map(Reply::into_proto),
        }
    }

    /// The result code.
    #[must_use]
    pub const fn result_code(&self) -> ResultCode {
        self.result_code
    }

    /// What is answered.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// Takes out what is answered.
    #[must_use]
    pub fn into_reply(self) -> Option<Reply> {
        self.reply
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        if self.request_id != *request.id() {
            return Err(Error::Invalid {
                field: "request_id",
                expected: "repeat the request's",
            });
        }
        let is_refusal = !self.result_code.is_success();
        let fits = match (request.ask(), &self.reply) {
            (Ask::Primitive(_), Some(Reply::Primitive(message))) => message.answers(request.id()),
            (Ask::Trigger(_), Some(Reply::Trigger(_)))
            | (Ask::Location(_), Some(Reply::Location(_)))
            | (Ask::Transfer(_), Some(Reply::Transfer(_))) => true,
            (Ask::Key(asked), Some(Reply::Key(key))) => asked.name() == key.name(),
            (
                Ask::TriggerReport(_)
                | Ask::LocationReport(_)
                | Ask::TransferSelection(_)
                | Ask::KeyNotice(_),
                None,
            ) => true,
            (_, None) => is_refusal,
            (_, Some(_)) => false,
        };
        if fits {
            Ok(())
        } else {
            Err(Error::Invalid {
                field: "body",
                expected: "answer what was asked",
            })
        }
    }
}

impl Reply {
    fn from_proto(body: proto::exchange_response::Body) -> Result<Self, Error> {
        use proto::exchange_response::Body;
        Ok(match body {
            Body::Primitive(message) => Self::Primitive(ResponseMessage::from_proto(message)?),
            Body::Trigger(response) => Self::Trigger(TriggerReport::from_proto(
                &response.reference,
                response.status,
            )?),
            Body::Location(response) => Self::Location(LocationResponse::from_proto(response)?),
            Body::Transfer(response) => Self::Transfer(TransferResponse::from_proto(response)?),
            Body::Key(response) => Self::Key(DeliveredKey::from_proto(&response)?),
        })
    }

    fn into_proto(self) -> proto::exchange_response::Body {
        use proto::exchange_response::Body;
        match self {
            Self::Primitive(message) => Body::Primitive(message.into_proto()),
            Self::Trigger(report) => {
                let (reference, status) = report.into_proto();
                Body::Trigger(proto::TriggerResponse { reference, status })
            }
            Self::Location(response) => Body::Location(response.into_proto()),
            Self::Transfer(response) => Body::Transfer(response.into_proto()),
            Self::Key(key) => Body::Key(key.into_proto()),
        }
    }
}
