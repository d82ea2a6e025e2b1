//! Which bytes have to be the same at the egress's HTTP socket and at the ingress's.
//!
//! | part | compared |
//! |---|---|
//! | request line, status line | every byte |
//! | header lines | which there are, in which order, how often; every byte of name and value, not the white space around the value (RFC 9110, 5.5) |
//! | body | every byte, with chunks joined (RFC 9112, 7.1: a coding of one hop) |
//!
//! Left out of the header lines, by name:
//!
//! * what belongs to one connection (RFC 9110, 7.6.1): [`ONE_HOP`] and whatever `Connection` names;
//! * `Host`, which names the next hop and is therefore rewritten by design;
//! * `Content-Length` if either side has chunks instead.

use core::fmt;

use super::message::{Field, Message};
use super::recorder::Exchange;

/// Header fields of one connection, in lower case.
const ONE_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// The first place where two messages differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    part: &'static str,
    egress: String,
    ingress: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: egress has {}, ingress has {}",
            self.part, self.egress, self.ingress
        )
    }
}

/// The first difference between what passed the egress's socket and what passed the ingress's, if any.
pub(super) fn difference(egress: &Exchange, ingress: &Exchange) -> Option<Difference> {
    start(
        &egress.request.start,
        &ingress.request.start,
        "request line",
    )
    .or_else(|| fields(&egress.request, &ingress.request, "request header"))
    .or_else(|| body(&egress.request.body, &ingress.request.body, "request body"))
    .or_else(|| {
        start(
            &egress.response.start,
            &ingress.response.start,
            "status line",
        )
    })
    .or_else(|| fields(&egress.response, &ingress.response, "response header"))
    .or_else(|| {
        body(
            &egress.response.body,
            &ingress.response.body,
            "response body",
        )
    })
}

fn start(egress: &[u8], ingress: &[u8], part: &'static str) -> Option<Difference> {
    (egress != ingress).then(|| Difference {
        part,
        egress: shown(egress),
        ingress: shown(ingress),
    })
}

fn fields(egress: &Message, ingress: &Message, part: &'static str) -> Option<Difference> {
    let chunked = egress.chunked || ingress.chunked;
    let (left, right) = (kept(egress, chunked), kept(ingress, chunked));
    let count = left.len().max(right.len());
    (0..count).find_map(|at| {
        let (left, right) = (left.get(at), right.get(at));
        let same = match (left, right) {
            (Some(left), Some(right)) => {
                left.name_bytes() == right.name_bytes() && left.value() == right.value()
            }
            _ => false,
        };
        let line = |field: Option<&&Field>| {
            field.map_or_else(|| "nothing".to_owned(), |field| shown(&field.line))
        };
        (!same).then(|| Difference {
            part,
            egress: line(left),
            ingress: line(right),
        })
    })
}

/// The header lines that have to be the same.
fn kept(message: &Message, chunked: bool) -> Vec<&Field> {
    let named: Vec<String> = message
        .fields
        .iter()
        .filter(|field| field.name() == "connection")
        .flat_map(|field| field.value().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .collect();
    let left_out = |name: &str| {
        ONE_HOP.contains(&name)
            || name == "host"
            || (chunked && name == "content-length")
            || named.iter().any(|other| other == name)
    };
    message
        .fields
        .iter()
        .filter(|field| !left_out(&field.name()))
        .collect()
}

fn body(egress: &[u8], ingress: &[u8], part: &'static str) -> Option<Difference> {
    if egress == ingress {
        return None;
    }
    let at = egress
        .iter()
        .zip(ingress)
        .take_while(|(left, right)| left == right)
        .count();
    let side = |body: &[u8]| {
        let rest = &body[at.min(body.len())..];
        format!(
            "{} bytes, at byte {at} {}",
            body.len(),
            shown(&rest[..rest.len().min(24)])
        )
    };
    Some(Difference {
        part,
        egress: side(egress),
        ingress: side(ingress),
    })
}

fn shown(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::super::message::Kind;
    use super::*;

    const REQUEST: &str = "POST /cse?lbl=a&lbl=b HTTP/1.1\r\nHost: one\r\nX-M2M-RI: 1\r\nA: x\r\nA: y\r\nConnection: keep-alive, Hop\r\nHop: 1\r\nContent-Length: 3\r\n\r\nabc";
    const RESPONSE: &str = "HTTP/1.1 201 CREATED\r\nServer: a\r\nServer: b\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

    fn exchange(request: &str, response: &str) -> Exchange {
        let message = |text: &str, kind| {
            let parsed = Message::parse(text.as_bytes(), kind, true).expect("a message");
            parsed.expect("a whole message").0
        };
        Exchange {
            request: message(request, Kind::Request),
            response: message(response, Kind::Response),
        }
    }

    fn part(request: &str, response: &str) -> Option<&'static str> {
        let found = difference(&exchange(REQUEST, RESPONSE), &exchange(request, response));
        found.map(|difference| difference.part)
    }

    #[test]
    fn what_one_hop_may_change_is_no_difference() {
        let request = REQUEST
            .replace("Host: one", "Host: two")
            .replace("keep-alive, Hop\r\nHop: 1", "close");
        let response = RESPONSE.replace("Connection: close\r\n", "");
        assert_eq!(part(&request, &response), None);
        assert_eq!(
            part(&REQUEST.replace("X-M2M-RI: 1", "X-M2M-RI:  1 "), RESPONSE),
            None
        );
        let chunked = REQUEST.replace(
            "Content-Length: 3\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        );
        assert_eq!(part(&chunked, RESPONSE), None);
    }

    #[test]
    fn every_other_byte_counts() {
        for (from, to, found) in [
            ("lbl=a&lbl=b", "lbl=b&lbl=a", "request line"),
            ("POST", "PUT", "request line"),
            ("X-M2M-RI: 1", "x-m2m-ri: 1", "request header"),
            ("X-M2M-RI: 1", "X-M2M-RI: 2", "request header"),
            ("A: x\r\nA: y", "A: y\r\nA: x", "request header"),
            ("A: x\r\nA: y", "A: x", "request header"),
            ("A: x\r\nA: y", "A: x\r\nA: y\r\nB: z", "request header"),
            (
                "X-M2M-RI: 1\r\nA: x",
                "A: x\r\nX-M2M-RI: 1",
                "request header",
            ),
            ("abc", "abd", "request body"),
            ("3\r\n\r\nabc", "2\r\n\r\nab", "request header"),
        ] {
            assert_eq!(
                part(&REQUEST.replacen(from, to, 1), RESPONSE),
                Some(found),
                "{from} for {to}"
            );
        }
        for (from, to, found) in [
            ("201", "200", "status line"),
            ("1.1", "1.0", "status line"),
            ("CREATED", "Created", "status line"),
            ("Server: b", "Server: c", "response header"),
            ("Server: a\r\n", "", "response header"),
            ("ok", "OK", "response body"),
        ] {
            assert_eq!(
                part(REQUEST, &RESPONSE.replacen(from, to, 1)),
                Some(found),
                "{from} for {to}"
            );
        }
    }

    #[test]
    fn the_first_differing_byte_of_a_body_is_named() {
        let found = body(b"0123456789", b"01234x", "request body").expect("a difference");
        assert_eq!(found.egress, "10 bytes, at byte 5 \"56789\"");
        assert_eq!(found.ingress, "6 bytes, at byte 5 \"x\"");
    }
}
