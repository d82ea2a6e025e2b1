//! Between HTTP as it stands on a connection and HTTP as an association carries it.

use refpoint_primitive::{Echo, Failure, Header, Headers, HttpRequest, HttpResponse};

use crate::http;

/// The carried form of a request: without the headers of this connection, checked for a single meaning.
///
/// # Errors
///
/// [`Failure::Malformed`] when a CSE could read it in two ways, or not at all.
pub fn request_to_carry(mut request: http::Request) -> Result<HttpRequest, Failure> {
    http::strip_hop_by_hop(&mut request.headers);
    let headers = headers_to_carry(&request.headers)?;
    HttpRequest::new(request.method, request.target, headers, request.body).map_err(malformed)
}

/// The request that a CSE gets for a carried one.
///
/// # Errors
///
/// [`Failure::Malformed`] when it is not text where HTTP wants text.
pub fn request_from_carried(request: &HttpRequest) -> Result<http::Request, Failure> {
    let text = |bytes: &[u8]| {
        core::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| Failure::Malformed)
    };
    Ok(http::Request {
        method: text(request.method())?,
        target: text(request.target())?,
        headers: headers_from_carried(request.headers()),
        body: request.body().clone(),
    })
}

/// The carried form of a CSE's response.
///
/// # Errors
///
/// [`Failure::UnusableAnswer`] when it could be read in two ways.
pub fn response_to_carry(mut response: http::Response) -> Result<HttpResponse, Failure> {
    http::strip_hop_by_hop(&mut response.headers);
    if matches!(response.status, 204 | 304) {
        // What it says is the length of a body that is not there.
        response
            .headers
            .retain(|header| !header.is("content-length"));
    }
    let unusable = |_| Failure::UnusableAnswer;
    let headers = headers_to_carry(&response.headers).map_err(unusable)?;
    let carried = HttpResponse::new(response.status, headers, response.body);
    let carried = carried.and_then(|carried| match response.reason {
        Some(reason) => carried.with_reason(reason),
        None => Ok(carried),
    });
    carried.map_err(|error| {
        tracing::debug!(%error, "an answer cannot be carried");
        Failure::UnusableAnswer
    })
}

/// The response that the local client gets for a carried one.
pub fn response_from_carried(response: &HttpResponse) -> http::Response {
    http::Response {
        status: response.status(),
        reason: response.reason().cloned(),
        headers: headers_from_carried(response.headers()),
        body: response.body().clone(),
    }
}

/// The refusal of a request with these headers.
pub fn refusal(failure: Failure, headers: &http::Headers) -> http::Response {
    let pairs = headers
        .iter()
        .map(|header| (header.name.as_bytes(), header.value.as_slice()));
    response_from_carried(&HttpResponse::refusal(failure, &Echo::of_headers(pairs)))
}

fn headers_to_carry(headers: &http::Headers) -> Result<Headers, Failure> {
    let headers = headers
        .iter()
        .map(|header| Header::new(header.name.clone(), header.value.clone()));
    Headers::new(headers.collect::<Result<_, _>>().map_err(malformed)?).map_err(malformed)
}

fn headers_from_carried(headers: &Headers) -> http::Headers {
    // A carried name is a token, and so text.
    headers
        .iter()
        .map(|header| {
            http::Header::new(
                String::from_utf8_lossy(header.name()),
                header.value().as_ref(),
            )
        })
        .collect()
}

fn malformed(error: refpoint_primitive::Error) -> Failure {
    tracing::debug!(%error, "a message cannot be carried");
    Failure::Malformed
}
