//! An entity that sends oneM2M requests over HTTP.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::io::Write as _;
use std::net::TcpStream;

use anyhow::Context as _;
use serde_json::Value;

use super::message::{Kind, Message};

/// Longer than ACME waits for its peers (10 s).
const PATIENCE: Duration = Duration::from_secs(15);

/// A request before it has an originator and an id.
#[derive(Debug, Clone)]
pub(super) struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunked: bool,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    message: Message,
}

/// Who sends, and where to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Originator {
    id: &'static str,
    to: SocketAddr,
}

impl Request {
    pub(super) fn retrieve(target: &str) -> Self {
        Self {
            method: "GET",
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            chunked: false,
        }
    }

    pub(super) fn delete(target: &str) -> Self {
        Self {
            method: "DELETE",
            ..Self::retrieve(target)
        }
    }

    pub(super) fn create(target: &str, ty: u8, body: impl Into<Vec<u8>>) -> Self {
        let request = Self {
            method: "POST",
            body: body.into(),
            ..Self::retrieve(target)
        };
        request.with("Content-Type", &format!("application/json;ty={ty}"))
    }

    pub(super) fn update(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = Self {
            method: "PUT",
            body: body.into(),
            ..Self::retrieve(target)
        };
        request.with("Content-Type", "application/json")
    }

    /// Adds a header line, or replaces `Content-Type`.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if name == "Content-Type" {
            self.headers.retain(|(other, _)| other != name);
        }
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends the body in chunks.
    pub(super) fn in_chunks(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// The bytes of the body.
    pub(super) fn body_length(&self) -> usize {
        self.body.len()
    }

    /// The request target.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// What it asks, in short.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    fn encode(&self, originator: &Originator) -> Vec<u8> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut out = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: identity\r\nUser-Agent: refpoint-interop\r\n\
             X-M2M-Origin: {}\r\nX-M2M-RI: {}-{id}\r\nX-M2M-RVI: 4\r\n",
            self.method,
            self.target,
            originator.to,
            originator.id,
            std::process::id(),
        );
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut out = out.into_bytes();
        if self.chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.chunks(10_000) {
                out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                out.extend_from_slice(chunk);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n\r\n");
            return out;
        }
        if matches!(self.method, "POST" | "PUT") {
            out.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

impl Originator {
    pub(super) fn new(id: &'static str, to: SocketAddr) -> Self {
        Self { id, to }
    }

    /// Who it is, or claims to be.
    pub(super) fn id(&self) -> &'static str {
        self.id
    }

    /// Sends `request` and waits for the answer.
    pub(super) fn ask(&self, request: &Request) -> anyhow::Result<Answer> {
        self.exchange(request)
            .with_context(|| format!("{} as {}", request.shown(), self.id))
    }

    fn exchange(&self, request: &Request) -> anyhow::Result<Answer> {
        let mut stream = TcpStream::connect(self.to).context("cannot connect")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream
            .write_all(&request.encode(self))
            .context("cannot send")?;
        let message = Message::read(&mut stream, Kind::Response)?
            .context("the connection ended without an answer")?;
        Ok(Answer { message })
    }

    /// Sends `request` and fails unless the answer has this result code.
    pub(super) fn expect(&self, request: &Request, code: u16) -> anyhow::Result<Answer> {
        let answer = self.ask(request)?;
        let start = String::from_utf8_lossy(&answer.message.start).into_owned();
        anyhow::ensure!(
            answer.code() == Some(code),
            "{} as {}: expected {code}, got {} ({start}) {}",
            request.shown(),
            self.id,
            answer
                .code()
                .map_or_else(|| "no result code".to_owned(), |code| code.to_string()),
            answer.excerpt(),
        );
        Ok(answer)
    }
}

impl Answer {
    /// oneM2M's response status code.
    pub(super) fn code(&self) -> Option<u16> {
        self.message.text("x-m2m-rsc")?.parse().ok()
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.message.body
    }

    /// A text member of the JSON body, by pointer (RFC 6901).
    pub(super) fn text(&self, pointer: &str) -> anyhow::Result<String> {
        let value: Value = serde_json::from_slice(self.body()).context("the answer is not JSON")?;
        match value.pointer(pointer) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Ok(other.to_string()),
            None => anyhow::bail!("the answer has no {pointer}: {}", self.excerpt()),
        }
    }

    fn excerpt(&self) -> String {
        self.body()[..self.body().len().min(200)]
            .escape_ascii()
            .to_string()
    }
}
