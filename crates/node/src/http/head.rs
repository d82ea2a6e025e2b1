use super::fault::Fault;
use super::header::{Header, Headers};
use super::limits::HttpLimits;

/// How a body's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes, perhaps none.
    Length(usize),
    /// Chunks.
    Chunked,
    /// The end of the connection (responses only).
    UntilClose,
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, as written.
    pub method: String,
    /// The request target, as written.
    pub target: String,
    /// The header lines.
    pub headers: Headers,
    /// How the body's end is told.
    pub framing: Framing,
    /// Whether the connection may carry another message after this one.
    pub keep_alive: bool,
    /// Whether the sender waits for a `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The reason phrase, as written.
    pub reason: Vec<u8>,
    /// The header lines.
    pub headers: Headers,
    /// How the body's end is told.
    pub framing: Framing,
    /// Whether the connection may carry another message after this one.
    pub keep_alive: bool,
}

/// Parses a request's head: the bytes up to and with the empty line.
///
/// # Errors
///
/// When it is malformed, or says in two ways where its body ends (RFC 9112, 6.1 and 11.2).
pub fn parse_request_head(bytes: &[u8], limits: &HttpLimits) -> Result<RequestHead, Fault> {
    check_line_ends(bytes)?;
    let mut lines = vec![httparse::EMPTY_HEADER; limits.headers];
    let mut parsed = httparse::Request::new(&mut lines);
    complete(parsed.parse(bytes), limits)?;
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Fault::Malformed("the request line is incomplete"));
    };
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::Malformed(
            "the request target must be a path of visible ASCII characters",
        ));
    }
    if method == "CONNECT" {
        return Err(Fault::Malformed("CONNECT is not served"));
    }
    let headers = collect(parsed.headers)?;
    if minor == 1 && headers.all("host").count() != 1 {
        return Err(Fault::Malformed("a request has exactly one Host header"));
    }
    let framing = framing(&headers, minor, limits)?.unwrap_or(Framing::Length(0));
    let expects_continue = match headers.first("expect") {
        None => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => minor == 1,
        Some(_) => return Err(Fault::Expectation),
    };
    Ok(RequestHead {
        keep_alive: keep_alive(&headers, minor),
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        framing,
        expects_continue,
    })
}

/// Parses the head of a response to a request with `method`.
///
/// # Errors
///
/// As [`parse_request_head`].
pub fn parse_response_head(
    bytes: &[u8],
    method: &str,
    limits: &HttpLimits,
) -> Result<ResponseHead, Fault> {
    check_line_ends(bytes)?;
    let mut lines = vec![httparse::EMPTY_HEADER; limits.headers];
    let mut parsed = httparse::Response::new(&mut lines);
    complete(parsed.parse(bytes), limits)?;
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(Fault::Malformed("the status line is incomplete"));
    };
    let headers = collect(parsed.headers)?;
    let stated = framing(&headers, minor, limits);
    let bodiless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
    let framing = if bodiless {
        Framing::Length(0)
    } else {
        stated?.unwrap_or(Framing::UntilClose)
    };
    Ok(ResponseHead {
        status,
        reason: reason(bytes),
        keep_alive: keep_alive(&headers, minor) && framing != Framing::UntilClose,
        headers,
        framing,
    })
}

/// What stands behind the status code: `httparse` gives no phrase that is not ASCII.
fn reason(head: &[u8]) -> Vec<u8> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    parts.nth(2).unwrap_or_default().to_vec()
}

/// `httparse` takes a bare line feed for a line end and some servers do not: whoever disagrees about where a
/// line ends can be made to disagree about where a message ends.
fn check_line_ends(bytes: &[u8]) -> Result<(), Fault> {
    let bare_feed =
        (0..bytes.len()).any(|at| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r'));
    let bare_return =
        (0..bytes.len()).any(|at| bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    if bare_feed || bare_return {
        return Err(Fault::Malformed(
            "lines end with carriage return and line feed",
        ));
    }
    Ok(())
}

fn complete(parsed: httparse::Result<usize>, limits: &HttpLimits) -> Result<(), Fault> {
    match parsed {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Ok(httparse::Status::Partial) => Err(Fault::Truncated),
        Err(httparse::Error::TooManyHeaders) => Err(Fault::HeadTooLarge(limits.head)),
        Err(httparse::Error::HeaderName) => Err(Fault::Malformed(
            "a header name is not a token (or a line is folded)",
        )),
        Err(httparse::Error::HeaderValue) => {
            Err(Fault::Malformed("a header value has a forbidden byte"))
        }
        Err(httparse::Error::Version) => {
            Err(Fault::Malformed("the version is not HTTP/1.0 or HTTP/1.1"))
        }
        Err(httparse::Error::Token | httparse::Error::NewLine | httparse::Error::Status) => {
            Err(Fault::Malformed("the first line is not HTTP"))
        }
    }
}

fn collect(lines: &[httparse::Header<'_>]) -> Result<Headers, Fault> {
    let headers: Headers = lines
        .iter()
        .map(|line| Header::new(line.name, line.value))
        .collect();
    if headers.iter().all(Header::is_writable) {
        Ok(headers)
    } else {
        Err(Fault::Malformed("a header has a forbidden byte"))
    }
}

/// Where the body ends, if the headers say it. Whatever leaves room for two answers is refused.
fn framing(headers: &Headers, minor: u8, limits: &HttpLimits) -> Result<Option<Framing>, Fault> {
    let mut codings = headers.all("transfer-encoding");
    let mut lengths = headers.all("content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Fault::Malformed(
            "both Transfer-Encoding and Content-Length",
        )),
        (Some(coding), None) => {
            if minor == 0 {
                return Err(Fault::Malformed("Transfer-Encoding in HTTP/1.0"));
            }
            if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::TransferCoding);
            }
            Ok(Some(Framing::Chunked))
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(Fault::Malformed("more than one Content-Length"));
            }
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let text = core::str::from_utf8(length).ok().filter(|_| digits);
            let Some(text) = text else {
                return Err(Fault::Malformed("Content-Length is not a number"));
            };
            match text.parse::<usize>() {
                Ok(length) if length <= limits.body => Ok(Some(Framing::Length(length))),
                _ => Err(Fault::BodyTooLarge(limits.body)),
            }
        }
    }
}

fn keep_alive(headers: &Headers, minor: u8) -> bool {
    let mut options = headers
        .all("connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    if minor == 0 {
        options.any(|option| option.eq_ignore_ascii_case(b"keep-alive"))
    } else {
        !options.any(|option| option.eq_ignore_ascii_case(b"close"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<RequestHead, Fault> {
        parse_request_head(text.as_bytes(), &HttpLimits::default())
    }

    #[test]
    fn target_and_header_case_are_kept() {
        let head = request("GET /~/id-mn/_//cse?fu=1&lbl=a&lbl=b%20c HTTP/1.1\r\nhOsT: a\r\nX-M2M-RI:  r 1 \r\n\r\n")
            .expect("a request");
        assert_eq!(head.target, "/~/id-mn/_//cse?fu=1&lbl=a&lbl=b%20c");
        let lines: Vec<_> = head
            .headers
            .iter()
            .map(|h| (h.name.as_str(), h.value.as_slice()))
            .collect();
        assert_eq!(lines, [("hOsT", &b"a"[..]), ("X-M2M-RI", b"r 1")]);
        assert!(head.keep_alive);
    }

    #[test]
    fn two_ways_to_end_a_body_are_refused() {
        for lines in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 4",
            "Content-Length: 4\r\nContent-Length: 4",
            "Content-Length: 4\r\nContent-Length: 5",
            "Content-Length: 4, 4",
            "Content-Length: +4",
            "Content-Length: 0x4",
            "Content-Length:",
            "Content-Length: -1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked, identity",
            "Content-Length : 4",
            "Content-Length: 4\n",
            "X: a\r\n b",
            "X: a\r\n\tContent-Length: 3",
            " X: a",
            "X: a\rb",
            "X: a\0b",
            "Host: other",
        ] {
            let text = format!("POST /cse HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
            assert!(request(&text).is_err(), "{lines:?} was taken");
        }
    }

    #[test]
    fn other_forms_of_target_and_version_are_refused() {
        for line in [
            "GET http://a/b HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "CONNECT a:80 HTTP/1.1",
            "GET /a HTTP/2.0",
            "GET /\u{e9} HTTP/1.1",
        ] {
            assert!(
                request(&format!("{line}\r\nHost: a\r\n\r\n")).is_err(),
                "{line:?} was taken"
            );
        }
    }

    #[test]
    fn a_reason_phrase_is_kept_as_it_was_written() {
        let limits = HttpLimits::default();
        for (line, reason) in [
            ("HTTP/1.1 201 CREATED", "CREATED"),
            ("HTTP/1.1 404 Not  Found ", "Not  Found "),
            ("HTTP/1.1 200 \u{e9}", "\u{e9}"),
            ("HTTP/1.1 200 ", ""),
            ("HTTP/1.1 200", ""),
        ] {
            let text = format!("{line}\r\nContent-Length: 0\r\n\r\n");
            let head = parse_response_head(text.as_bytes(), "GET", &limits).expect("a response");
            assert_eq!(head.reason, reason.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn a_response_without_length_lasts_until_close() {
        let limits = HttpLimits::default();
        let head = parse_response_head(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n", "GET", &limits)
            .expect("a response");
        assert_eq!(
            (head.framing, head.keep_alive),
            (Framing::UntilClose, false)
        );
        for (status, method) in [(200, "HEAD"), (204, "GET"), (304, "GET")] {
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
            let head = parse_response_head(text.as_bytes(), method, &limits).expect("a response");
            assert_eq!(
                (head.framing, head.keep_alive),
                (Framing::Length(0), true),
                "{status} {method}"
            );
        }
    }
}
