use bytes::Bytes;

use super::header::{Headers, is_token};

/// A message that cannot be written without changing its shape, so that it is not written at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message cannot be written as HTTP: {0}")]
pub struct InvalidMessage(pub &'static str);

/// A request as it is carried: nothing in it is normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, as written.
    pub method: String,
    /// The request target (path and query), as written.
    pub target: String,
    /// The header lines.
    pub headers: Headers,
    /// The body, with chunks joined.
    pub body: Bytes,
}

impl Request {
    /// The bytes of this request on a connection.
    ///
    /// `Content-Length` is written in its place with the body's true length (0 where the sender wrote that), and added
    /// at the end if it is missing and the request has a body, or a method that oneM2M gives a body.
    ///
    /// # Errors
    ///
    /// When a part holds bytes that would end its line or field early.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidMessage> {
        if self.method.is_empty() || !self.method.bytes().all(is_token) {
            return Err(InvalidMessage("the method is not a token"));
        }
        if !self.target.starts_with('/') || !self.target.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(InvalidMessage(
                "the target is not a path of visible ASCII characters",
            ));
        }
        let mut out = Vec::with_capacity(256 + self.body.len());
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let with_length = !self.body.is_empty()
            || self.headers.first("content-length").is_some()
            || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        let length = self.body.len().to_string();
        write_headers(
            &mut out,
            &self.headers,
            with_length.then_some(length.as_str()),
        )?;
        out.extend_from_slice(&self.body);
        Ok(out)
    }
}

/// A response as it is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase, as written; without one, that of RFC 9110 is.
    pub reason: Option<Bytes>,
    /// The header lines.
    pub headers: Headers,
    /// The body, with chunks joined.
    pub body: Bytes,
}

impl Response {
    /// A response without headers or body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            reason: None,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// The bytes of this response to a request with `method` on a connection that then closes, or not.
    ///
    /// An answer to HEAD and a 304 have no body but keep the `Content-Length` that the server stated; a 1xx or
    /// 204 has neither.
    ///
    /// # Errors
    ///
    /// When a part holds bytes that would end its line or field early, or the status is not one of a final answer.
    pub fn encode(&self, method: &str, close: bool) -> Result<Vec<u8>, InvalidMessage> {
        if !(200..=999).contains(&self.status) {
            return Err(InvalidMessage("the status is not that of a final answer"));
        }
        let reason = match &self.reason {
            Some(written) if written.iter().all(is_text) => &written[..],
            Some(_) => return Err(InvalidMessage("the reason phrase is not text")),
            None => reason(self.status).as_bytes(),
        };
        let mut out = Vec::with_capacity(256 + self.body.len());
        out.extend_from_slice(format!("HTTP/1.1 {} ", self.status).as_bytes());
        out.extend_from_slice(reason);
        out.extend_from_slice(b"\r\n");
        if close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        let length = self.body.len().to_string();
        if self.status == 204 {
            let mut headers = self.headers.clone();
            headers.retain(|header| !header.is("content-length"));
            write_headers(&mut out, &headers, None)?;
        } else if method == "HEAD" || self.status == 304 {
            write_stated_length(&mut out, &self.headers)?;
        } else {
            write_headers(&mut out, &self.headers, Some(&length))?;
            out.extend_from_slice(&self.body);
        }
        Ok(out)
    }
}

/// Writes the headers and the empty line. A `length` replaces every `Content-Length` by one in its place.
fn write_headers(
    out: &mut Vec<u8>,
    headers: &Headers,
    mut length: Option<&str>,
) -> Result<(), InvalidMessage> {
    for header in headers {
        if header.is("transfer-encoding") {
            continue;
        }
        if header.is("content-length") {
            if let Some(length) = length.take() {
                write_line(out, &header.name, length.as_bytes());
            }
            continue;
        }
        if !header.is_writable() {
            return Err(InvalidMessage("a header is not writable"));
        }
        write_line(out, &header.name, &header.value);
    }
    if let Some(length) = length {
        write_line(out, "Content-Length", length.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// As [`write_headers`], for answers without a body whose `Content-Length` describes one that is not sent.
fn write_stated_length(out: &mut Vec<u8>, headers: &Headers) -> Result<(), InvalidMessage> {
    let stated = headers
        .text("content-length")
        .filter(|text| {
            !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit())
        })
        .map(str::to_owned);
    write_headers(out, headers, stated.as_deref())
}

fn write_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A byte that does not end its line.
fn is_text(byte: &u8) -> bool {
    *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)
}

/// The reason phrase of an answer that is this node's own; it carries no meaning, so that only the common ones are
/// spelled.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Request {
        let mut headers = Headers::new();
        headers.push("Host", "cse");
        headers.push("content-Length", "7");
        headers.push("X-M2M-RI", "1");
        Request {
            method: "POST".into(),
            target: target.into(),
            headers,
            body: Bytes::from_static(b"body"),
        }
    }

    #[test]
    fn content_length_keeps_its_place_and_states_the_truth() {
        let bytes = request("/~/id-in/cse-in?a=1&a=2")
            .encode()
            .expect("a request");
        assert_eq!(
            bytes,
            b"POST /~/id-in/cse-in?a=1&a=2 HTTP/1.1\r\nHost: cse\r\ncontent-Length: 4\r\nX-M2M-RI: 1\r\n\r\nbody"
        );
    }

    #[test]
    fn a_request_without_body_has_a_length_only_if_its_sender_wrote_one() {
        let mut request = request("/~/id-in/cse-in/id-mn");
        (request.method, request.body) = ("DELETE".into(), Bytes::new());
        let text = |request: &Request| {
            String::from_utf8(request.encode().expect("a request")).expect("text")
        };
        assert!(text(&request).contains("\r\ncontent-Length: 0\r\n"));
        request
            .headers
            .retain(|header| !header.is("content-length"));
        assert!(!text(&request).to_lowercase().contains("content-length"));
    }

    #[test]
    fn a_target_that_would_end_its_line_is_not_written() {
        for target in [
            "/a HTTP/1.1\r\nX: y",
            "/a b",
            "a",
            "",
            "/\u{e9}",
            "http://cse/a",
        ] {
            assert!(request(target).encode().is_err(), "{target:?} was written");
        }
    }

    #[test]
    fn an_answer_to_head_keeps_the_stated_length_without_a_body() {
        let mut response = Response::new(200);
        response.headers.push("Content-Length", "123");
        let bytes = response.encode("HEAD", false).expect("a response");
        assert_eq!(bytes, b"HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n");
    }

    #[test]
    fn a_204_has_neither_body_nor_length() {
        let mut response = Response::new(204);
        response.headers.push("Content-Length", "0");
        response.body = Bytes::from_static(b"stray");
        assert_eq!(
            response.encode("DELETE", false).expect("a response"),
            b"HTTP/1.1 204 No Content\r\n\r\n"
        );
    }
}
