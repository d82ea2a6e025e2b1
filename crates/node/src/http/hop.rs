use super::header::Headers;

/// RFC 9110, 7.6.1: what belongs to one connection, besides the headers that `Connection` names.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Answered by this node, which has the whole body before it passes the request on.
    "expect",
];

/// Headers that `Connection` must not be able to remove: a sender that lists them there would have the next hop
/// judge another message than the one it was given.
const NEVER_NAMED: [&str; 4] = ["host", "content-length", "content-type", "authorization"];

/// Removes the headers that belong to one connection only, those that `Connection` names among them.
///
/// oneM2M's own (`X-M2M-…`), `Host` and the framing headers stay even if `Connection` names them.
pub fn strip_hop_by_hop(headers: &mut Headers) {
    let named: Vec<String> = headers
        .all("connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .filter(|name| !name.starts_with("x-m2m-") && !NEVER_NAMED.contains(&name.as_str()))
        .collect();
    headers.retain(|header| {
        let name = header.name.to_ascii_lowercase();
        !HOP_BY_HOP.contains(&name.as_str()) && !named.contains(&name)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_named_by_connection_go_and_onem2m_s_stay() {
        let mut headers = Headers::new();
        for (name, value) in [
            ("Connection", "close, X-Private , X-M2M-Origin"),
            ("X-Private", "1"),
            ("X-M2M-Origin", "CSensor1"),
            ("Keep-Alive", "timeout=5"),
            ("TE", "trailers"),
            ("Accept", "*/*"),
        ] {
            headers.push(name, value);
        }
        strip_hop_by_hop(&mut headers);
        let names: Vec<_> = headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(names, ["X-M2M-Origin", "Accept"]);
    }
}
