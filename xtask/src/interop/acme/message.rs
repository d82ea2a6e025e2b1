//! HTTP/1.1 messages, kept as the bytes that were on the connection.

use std::io::{ErrorKind, Read};

use anyhow::{Context as _, bail};

/// The largest head that is waited for.
const HEAD: usize = 64 * 1024;

/// Which kind of message is read, since they end differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request: without a length it has no body.
    Request,
    /// A response to anything but HEAD: without a length it goes on until the connection ends.
    Response,
}

/// One line of a head, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// The line as it was.
    pub(super) line: Vec<u8>,
    /// How long the name is.
    name: usize,
}

impl Field {
    /// The name in lower case.
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(self.name_bytes()).to_ascii_lowercase()
    }

    /// The name as it was.
    pub(super) fn name_bytes(&self) -> &[u8] {
        &self.line[..self.name]
    }

    /// The value without the white space around it.
    pub(super) fn value(&self) -> &[u8] {
        self.line[self.name + 1..].trim_ascii()
    }
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The request line or status line, without its line end.
    pub(super) start: Vec<u8>,
    /// The lines of the head, in their order.
    pub(super) fields: Vec<Field>,
    /// The body, with chunks joined.
    pub(super) body: Vec<u8>,
    /// Whether the body came in chunks.
    pub(super) chunked: bool,
}

impl Message {
    /// Takes a message from the front of `bytes` and says how long it was there; nothing while it is incomplete.
    ///
    /// `ended` says that no more bytes will follow. Interim (1xx) responses are passed over.
    pub(super) fn parse(
        bytes: &[u8],
        kind: Kind,
        ended: bool,
    ) -> anyhow::Result<Option<(Self, usize)>> {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            let Some((mut message, head)) = Self::parse_head(rest)? else {
                return Ok(None);
            };
            let body = &rest[head..];
            if kind == Kind::Response && message.start.get(9) == Some(&b'1') {
                passed += head;
                continue;
            }
            let taken = if message
                .text("transfer-encoding")
                .is_some_and(|coding| coding == "chunked")
            {
                message.chunked = true;
                match chunks(body)? {
                    Some((joined, taken)) => {
                        message.body = joined;
                        taken
                    }
                    None => return Ok(None),
                }
            } else {
                let length = match message.text("content-length") {
                    Some(length) => length.parse().context("content-length is not a number")?,
                    None if kind == Kind::Request || message.has_no_body() => 0,
                    None if ended => body.len(),
                    None => return Ok(None),
                };
                let Some(body) = body.get(..length) else {
                    return Ok(None);
                };
                message.body = body.to_vec();
                length
            };
            return Ok(Some((message, passed + head + taken)));
        }
    }

    fn parse_head(bytes: &[u8]) -> anyhow::Result<Option<(Self, usize)>> {
        let Some(end) = bytes
            .windows(4)
            .take(HEAD)
            .position(|window| window == b"\r\n\r\n")
        else {
            anyhow::ensure!(bytes.len() < HEAD, "no end of a head within {HEAD} bytes");
            return Ok(None);
        };
        let mut lines = bytes[..end]
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let start = lines.next().unwrap_or_default().to_vec();
        let fields = lines.map(|line| {
            let name = line
                .iter()
                .position(|byte| *byte == b':')
                .context("a line of a head has no colon")?;
            Ok(Field {
                line: line.to_vec(),
                name,
            })
        });
        let fields = fields.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Some((
            Self {
                start,
                fields,
                body: Vec::new(),
                chunked: false,
            },
            end + 4,
        )))
    }

    /// Reads one message from a connection; nothing if it ends before a message begins.
    pub(super) fn read(from: &mut impl Read, kind: Kind) -> anyhow::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if bytes.is_empty() && error.kind() == ErrorKind::ConnectionReset => {
                    return Ok(None);
                }
                read => read.context("the connection failed inside a message")?,
            };
            bytes.extend_from_slice(&buffer[..count]);
            if let Some((message, length)) = Self::parse(&bytes, kind, count == 0)? {
                anyhow::ensure!(
                    length == bytes.len(),
                    "{} bytes follow a message unasked",
                    bytes.len() - length
                );
                return Ok(Some(message));
            }
            if count == 0 {
                if bytes.is_empty() {
                    return Ok(None);
                }
                bail!(
                    "the connection ended inside a message, after {} bytes",
                    bytes.len()
                );
            }
        }
    }

    /// The value of the first field with this name, which is given in lower case.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let field = self.fields.iter().find(|field| field.name() == name)?;
        Some(String::from_utf8_lossy(field.value()).into_owned())
    }

    /// The status of a response.
    pub(super) fn status(&self) -> Option<u16> {
        String::from_utf8_lossy(&self.start)
            .split(' ')
            .nth(1)?
            .parse()
            .ok()
    }

    /// The target of a request.
    pub(super) fn target(&self) -> String {
        String::from_utf8_lossy(&self.start)
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    }

    fn has_no_body(&self) -> bool {
        matches!(self.status(), Some(204 | 304))
    }
}

/// Joins chunks and says how many bytes they took; nothing while they are incomplete.
fn chunks(mut bytes: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let all = bytes.len();
    let mut joined = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
        if line.is_empty() {
            // The empty line after the last chunk and the trailers.
            return Ok(Some((joined, all - bytes.len() + 2)));
        }
        let digits = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(digits, 16) else {
            bail!("a chunk's size is not a number: {line}")
        };
        bytes = &bytes[end + 2..];
        if size > 0 {
            let Some(chunk) = bytes.get(..size + 2) else {
                return Ok(None);
            };
            joined.extend_from_slice(&chunk[..size]);
            bytes = &bytes[size + 2..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str, kind: Kind, ended: bool) -> Option<(Message, usize)> {
        Message::parse(text.as_bytes(), kind, ended).expect("a message")
    }

    #[test]
    fn a_message_is_incomplete_until_its_last_byte() {
        let text =
            "POST /~/id-in/cse-in HTTP/1.1\r\nX-M2M-RI:  r 1 \r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..text.len() {
            assert_eq!(whole(&text[..end], Kind::Request, false), None, "{end}");
        }
        let (message, length) =
            whole(&format!("{text}GET"), Kind::Request, false).expect("complete");
        assert_eq!(length, text.len());
        assert_eq!(
            (message.text("x-m2m-ri").as_deref(), &message.body[..]),
            (Some("r 1"), &b"abc"[..])
        );
        assert_eq!(message.target(), "/~/id-in/cse-in");
        assert_eq!(message.fields[0].line, b"X-M2M-RI:  r 1 ");
    }

    #[test]
    fn a_response_ends_with_its_length_its_chunks_or_its_connection() {
        let close = "HTTP/1.1 200 OK\r\n\r\nabc";
        assert_eq!(whole(close, Kind::Response, false), None);
        assert_eq!(
            whole(close, Kind::Response, true).expect("complete").0.body,
            b"abc"
        );
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n";
        for end in 0..chunked.len() {
            assert_eq!(whole(&chunked[..end], Kind::Response, false), None, "{end}");
        }
        let (message, length) =
            whole(&format!("{chunked}HTTP"), Kind::Response, false).expect("complete");
        assert_eq!(
            (&message.body[..], length, message.chunked),
            (&b"abc"[..], chunked.len(), true)
        );
        let empty = "HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(
            whole(empty, Kind::Response, false).expect("complete").1,
            empty.len()
        );
    }

    #[test]
    fn interim_responses_are_passed_over() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 CREATED\r\nContent-Length: 0\r\n\r\n";
        let (message, length) = whole(text, Kind::Response, false).expect("complete");
        assert_eq!((message.status(), length), (Some(201), text.len()));
    }
}
