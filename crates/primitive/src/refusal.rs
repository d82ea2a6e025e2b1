//! Refusals: responses that an end makes itself, because the request went no further.

use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;

use prost::bytes::Bytes;

use crate::{
    Content, Failure, Header, Headers, HttpResponse, MediaType, ReleaseVersion, RequestId,
    RequestMessage, Response, ResponseMessage, ResponseParts,
};

/// What a response repeats of its request. From a request that could not be read, as much as could.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Echo {
    /// The request's identifier.
    pub request_id: Option<RequestId>,
    /// The release whose rules it follows.
    pub release_version: Option<ReleaseVersion>,
}

impl Echo {
    /// What a response to this request repeats.
    #[must_use]
    pub fn of(request: &RequestMessage) -> Self {
        let checked = request.checked();
        Self {
            request_id: Some(checked.request_id.clone()),
            release_version: checked.release_version.cloned(),
        }
    }

    /// What a response to a request repeats that has these headers, but could not be read; a repeated one says nothing.
    #[must_use]
    pub fn of_headers<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Self {
        let single = |name: &str| {
            let mut values = headers
                .clone()
                .filter(|header| header.0.eq_ignore_ascii_case(name.as_bytes()));
            let value = values.next().filter(|_| values.next().is_none())?.1;
            core::str::from_utf8(value).ok()
        };
        Self {
            request_id: single("X-M2M-RI").and_then(|text| RequestId::new(text).ok()),
            release_version: single("X-M2M-RVI").and_then(|text| ReleaseVersion::new(text).ok()),
        }
    }
}

impl ResponseMessage {
    /// Refuses a request, in the form in which it was carried.
    #[must_use]
    pub fn refusal(failure: Failure, request: &RequestMessage) -> Self {
        match request {
            RequestMessage::Primitive(_) => {
                let checked = request.checked();
                let id = checked.request_id.clone();
                Self::Primitive(Response::refusal(
                    failure,
                    id,
                    checked.release_version.cloned(),
                ))
            }
            RequestMessage::Http(_) => {
                Self::Http(HttpResponse::refusal(failure, &Echo::of(request)))
            }
        }
    }
}

impl Response {
    /// The response primitive that says so.
    #[must_use]
    pub fn refusal(
        failure: Failure,
        request_id: RequestId,
        release_version: Option<ReleaseVersion>,
    ) -> Self {
        let mut parts = ResponseParts::new(failure.result_code(), request_id);
        parts.release_version = release_version;
        parts.content = Content::new(MediaType::Json, debug_information(failure)).ok();
        primitive(parts)
    }
}

impl HttpResponse {
    /// The HTTP response that says so, with `X-M2M-RSC`, and `X-M2M-RI` and `X-M2M-RVI` repeated.
    #[must_use]
    pub fn refusal(failure: Failure, echo: &Echo) -> Self {
        let code = failure.result_code().to_string();
        let mut headers = vec![
            Header::from_static("X-M2M-RSC", code.into()),
            Header::from_static("Content-Type", Bytes::from_static(b"application/json")),
        ];
        if let Some(id) = &echo.request_id {
            headers.push(Header::from_static("X-M2M-RI", copy(id.as_str())));
        }
        if let Some(version) = &echo.release_version {
            headers.push(Header::from_static("X-M2M-RVI", copy(version.as_str())));
        }
        http(failure, headers)
    }
}

fn primitive(parts: ResponseParts) -> Response {
    Response::new(parts).expect("a refusal has a result code and no offset")
}

fn http(failure: Failure, headers: Vec<Header>) -> HttpResponse {
    let headers = Headers::new(headers).expect("each header occurs once");
    HttpResponse::new(failure.http_status(), headers, debug_information(failure))
        .expect("a refusal has a status and a result code of the table")
}

fn copy(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// TS-0004, m2m:debugInfo. The messages hold nothing that JSON would escape.
fn debug_information(failure: Failure) -> Bytes {
    alloc::format!("{{\"m2m:dbg\":\"{failure}\"}}").into()
}
