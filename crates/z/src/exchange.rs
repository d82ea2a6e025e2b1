//! The messages of a request and its response.

use prost::Message as _;
use refpoint_primitive::{Bytes, Error, Failure};

use crate::{Request, Response, Unreadable, proto};

/// The message that asks.
#[must_use]
pub fn request(request: Request) -> proto::ExchangeRequest {
    request.into_proto()
}

/// Reads the message that asks.
///
/// # Errors
/// [`Unreadable`], with the refusal to answer.
pub fn read_request(request: proto::ExchangeRequest) -> Result<Request, Unreadable> {
    Request::from_proto(request)
}

/// The message that answers.
#[must_use]
pub fn response(response: Response) -> proto::ExchangeResponse {
    response.into_proto()
}

/// Reads the message that answers `request`.
///
/// # Errors
/// [`Failure::UnusableAnswer`] when it cannot be read, names another request or answers something else.
pub fn read_response(
    response: proto::ExchangeResponse,
    request: &Request,
) -> Result<Response, Failure> {
    Response::from_proto(response, request)
}

/// The answer as [`Layer::settle`](crate::Layer::settle) takes it and
/// [`Receipt::Repeat`](refpoint_primitive::Receipt::Repeat) gives it back; none for one that holds a key, of which no copy
/// is kept: a repeated request for it is executed again.
#[must_use]
pub fn answer(response: &proto::ExchangeResponse) -> Option<Bytes> {
    match response.body {
        Some(proto::exchange_response::Body::Key(_)) => None,
        _ => Some(response.encode_to_vec().into()),
    }
}

/// Reads an answer of [`answer`].
///
/// # Errors
/// [`Error::Encoding`] when it is none.
pub fn read_answer(answer: Bytes) -> Result<proto::ExchangeResponse, Error> {
    proto::ExchangeResponse::decode(answer).map_err(|_| Error::Encoding)
}
