//! Targets of `refpoint-node`: its files, its HTTP, and captures.

use std::path::Path;

use refpoint_node::config::Config;
use refpoint_node::http::{Framing, HttpLimits, Request, parse_request_head, parse_response_head};
use refpoint_node::inspect::{Format, inspect};
use refpoint_node::key_file::KeyFile;
use refpoint_node::{request_from_carried, request_to_carry, response_from_carried};
use refpoint_primitive::{Bytes, RequestMessage, ResponseMessage};

use crate::Input;

/// A configuration is taken, or refused with the line that is to blame.
pub fn node_config(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    match Config::parse(text, Path::new("etc")) {
        Ok(config) => {
            assert_eq!(Config::parse(text, Path::new("etc")).as_ref(), Ok(&config));
            for peer in &config.peers {
                assert_eq!(
                    config.peer(&peer.entity, peer.point),
                    Some(peer),
                    "one of each"
                );
                assert_ne!(peer.entity, config.entity, "itself");
                assert!(!peer.profiles.is_empty());
            }
        }
        Err(error) => {
            assert!((1..=text.lines().count().max(1) + 1).contains(&error.line));
            let shown = error.to_string();
            assert!(
                !shown.contains('\n') && !error.problem.is_empty(),
                "{shown:?}"
            );
        }
    }
}

/// A key file that parses is written as one that parses to the same, and errors repeat no secret.
pub fn node_key_file(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    match KeyFile::parse(text) {
        Ok(file) => {
            let written = file.to_text();
            let again = KeyFile::parse(&written).expect("what was written can be read");
            assert_eq!(*again.to_text(), *written);
            assert!(
                !format!("{file:?}").contains("[7, 7"),
                "a key in a debug output"
            );
        }
        Err(error) => {
            let shown = error.to_string();
            let words = text.split(|c: char| !c.is_ascii_hexdigit());
            let secrets = words.filter(|word| word.len() >= 32);
            assert!(
                secrets.into_iter().all(|secret| !shown.contains(secret)),
                "{shown}"
            );
        }
    }
}

/// HTTP that came in from a client or over an association goes out as one message, with the same
/// meaning to the next reader.
///
/// A byte that chooses: a head and a body as bytes, or an encoded message of an association.
pub fn node_http(data: &[u8]) {
    let limits = HttpLimits::default();
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => {
            let bytes = input.rest();
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                return;
            };
            let (head, body) = bytes.split_at(end + 4);
            let Ok(head) = parse_request_head(head, &limits) else {
                return;
            };
            let body = match head.framing {
                Framing::Length(length) => &body[..length.min(body.len())],
                Framing::Chunked => body,
                Framing::UntilClose => panic!("a request has an end"),
            };
            let request = Request {
                method: head.method,
                target: head.target,
                headers: head.headers,
                body: Bytes::copy_from_slice(body),
            };
            let Ok(carried) = request_to_carry(request.clone()) else {
                return;
            };
            assert_eq!(&carried.target()[..], request.target.as_bytes());
            assert_eq!(carried.body(), &request.body);
            let message = RequestMessage::Http(carried);
            assert_eq!(
                RequestMessage::decode(message.clone().encode()),
                Ok(message.clone())
            );
            check_written(&message, &limits);
        }
        1 => {
            let message = RequestMessage::decode(Bytes::copy_from_slice(input.rest()));
            if let Ok(message) = message {
                check_written(&message, &limits);
            }
        }
        _ => {
            let message = ResponseMessage::decode(Bytes::copy_from_slice(input.rest()));
            let Ok(ResponseMessage::Http(carried)) = message else {
                return;
            };
            let response = response_from_carried(&carried);
            let Ok(written) = response.encode("GET", false) else {
                return;
            };
            let end = written.windows(4).position(|window| window == b"\r\n\r\n");
            let (head, body) = written.split_at(end.expect("a head has an end") + 4);
            let head = parse_response_head(head, "GET", &limits);
            let head = head.expect("what is written can be read");
            assert_eq!(head.status, carried.status());
            assert_eq!(
                head.framing,
                Framing::Length(body.len()),
                "another end of the body"
            );
        }
    }
}

/// The next reader finds one message, which ends where it ends.
fn check_written(message: &RequestMessage, limits: &HttpLimits) {
    let RequestMessage::Http(carried) = message else {
        return;
    };
    let Ok(request) = request_from_carried(carried) else {
        return;
    };
    let mut request = request;
    // The next hop's name; the node writes its own.
    request.headers.set("Host", "cse");
    let Ok(written) = request.encode() else {
        return;
    };
    let end = written.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = written.split_at(end.expect("a head has an end") + 4);
    let head = parse_request_head(head, limits);
    let head = match head {
        Ok(head) => head,
        // The limits of who reads are not those of who writes.
        Err(fault) => {
            assert!(fault.status() != Some(400), "{fault:?}");
            return;
        }
    };
    assert_eq!(
        head.framing,
        Framing::Length(body.len()),
        "another end of the body"
    );
    assert_eq!(
        (&head.method, &head.target),
        (&request.method, &request.target)
    );
    assert_eq!(
        head.headers.text("x-m2m-origin").unwrap_or_default(),
        carried.from().unwrap_or_default()
    );
}

/// Any bytes can be inspected: what is written is one JSON object a line.
pub fn node_capture(data: &[u8]) {
    let mut out = Vec::new();
    let count = inspect(data, Format::Json, &mut out);
    let text = String::from_utf8(out).expect("JSON is UTF-8");
    for line in text.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
    if let Ok(count) = count {
        assert!(count >= text.lines().count() as u64);
    }
    let mut out = Vec::new();
    let lines = inspect(data, Format::Text, &mut out);
    assert_eq!(lines.is_ok(), count.is_ok());
    let printable = |byte: &u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~');
    assert!(out.iter().all(printable), "a terminal would obey");
}
