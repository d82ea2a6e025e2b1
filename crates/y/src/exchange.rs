//! The messages of a request and its response.

use core::time::Duration;

use prost::Message as _;
use refpoint_primitive::{
    Bytes, Error, Failure, Incoming, RequestId, RequestMessage, ResponseMessage, Unreadable,
};

use crate::proto;

/// The message that asks; its sender waits for `patience`, or does not say.
#[must_use]
pub fn request(message: RequestMessage, patience: Option<Duration>) -> proto::ExchangeRequest {
    let patience = patience.map_or(0, |patience| patience.as_millis());
    proto::ExchangeRequest {
        request: Some(message.into_proto()),
        patience_ms: u32::try_from(patience).unwrap_or(u32::MAX),
    }
}

/// Reads the message that asks.
///
/// # Errors
/// [`Unreadable`], with the refusal to answer.
pub fn read_request(request: proto::ExchangeRequest) -> Result<Incoming, Unreadable> {
    Incoming::from_proto(request.request, request.patience_ms)
}

/// The message that answers.
#[must_use]
pub fn response(message: ResponseMessage) -> proto::ExchangeResponse {
    proto::ExchangeResponse {
        response: Some(message.into_proto()),
    }
}

/// Reads the message that answers the request `request_id`.
///
/// # Errors
/// [`Failure::UnusableAnswer`] when it cannot be read or names another request.
pub fn read_response(
    response: proto::ExchangeResponse,
    request_id: &RequestId,
) -> Result<ResponseMessage, Failure> {
    response_message(response)
        .ok()
        .filter(|message| message.answers(request_id))
        .ok_or(Failure::UnusableAnswer)
}

pub(crate) fn response_message(
    response: proto::ExchangeResponse,
) -> Result<ResponseMessage, Error> {
    let message = response.response.ok_or(Error::Missing("response"))?;
    ResponseMessage::from_proto(message)
}

/// The answer as [`Layer::settle`](crate::Layer::settle) takes it and
/// [`Receipt::Repeat`](refpoint_primitive::Receipt::Repeat) gives it back.
#[must_use]
pub fn answer(response: &proto::ExchangeResponse) -> Bytes {
    response.encode_to_vec().into()
}

/// Reads an answer of [`answer`].
///
/// # Errors
/// [`Error::Encoding`] when it is none.
pub fn read_answer(answer: Bytes) -> Result<proto::ExchangeResponse, Error> {
    proto::ExchangeResponse::decode(answer).map_err(|_| Error::Encoding)
}
