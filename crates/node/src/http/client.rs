use core::fmt;
use core::mem::MaybeUninit;
use core::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::read_body;
use super::fault::Fault;
use super::head::parse_response_head;
use super::limits::HttpLimits;
use super::message::{InvalidMessage, Request, Response};
use super::wire::Wire;

/// Interim (1xx) answers before the final one that are put up with.
const INTERIM: usize = 8;

/// The host and port of an HTTP server, as they stand in a URL and in `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    text: String,
    host: String,
    port: u16,
}

/// A URL of which no [`Authority`] can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a URL of the form http://host or http://host:port without a path")]
pub struct InvalidAuthority;

impl Authority {
    /// What `Host` says.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Authority {
    type Err = InvalidAuthority;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let text = url.strip_prefix("http://").ok_or(InvalidAuthority)?;
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty()
            || !text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
        {
            return Err(InvalidAuthority);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| InvalidAuthority)?)
            }
            _ => (text, 80),
        };
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or(InvalidAuthority)?,
            None if host.contains([':', '[', ']']) => return Err(InvalidAuthority),
            None => host,
        };
        if host.is_empty() {
            return Err(InvalidAuthority);
        }
        Ok(Self {
            text: text.to_owned(),
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}", self.text)
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's answer could not be taken.
    #[error("the server's answer was not taken: {0}")]
    Answer(Fault),
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The server cannot be reached, or it closed the connection instead of answering.
    #[error("the server is not reachable: {0}")]
    Unreachable(std::io::Error),
    /// The request cannot be written.
    #[error(transparent)]
    Request(#[from] InvalidMessage),
}

/// An HTTP/1.1 client of one server, which keeps its connections for reuse.
#[derive(Debug)]
pub struct Client {
    authority: Authority,
    limits: HttpLimits,
    places: Semaphore,
    idle: Mutex<Vec<(Instant, Wire<TcpStream>)>>,
}

impl Client {
    /// A client of `authority`; it connects when it is first asked.
    pub fn new(authority: Authority, limits: HttpLimits) -> Self {
        Self {
            places: Semaphore::new(limits.connections),
            authority,
            limits,
            idle: Mutex::default(),
        }
    }

    /// The server.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Sends `request` as it is (only `Content-Length` is seen to) and returns the final answer.
    ///
    /// A request is repeated only if nothing of an answer arrived on a connection that had been idle, and the
    /// method is idempotent (RFC 9110, 9.2.2).
    ///
    /// # Errors
    ///
    /// When the request cannot be written or no answer arrives in time.
    pub async fn exchange(&self, request: &Request) -> Result<Response, ClientError> {
        let bytes = request.encode()?;
        let deadline = self.limits.connect_time + self.limits.answer_time;
        let place = timeout(deadline, self.places.acquire()).await;
        let _place = place
            .map_err(|_| ClientError::TimedOut)?
            .map_err(|_| ClientError::TimedOut)?;
        if let Some(wire) = self.idle_connection() {
            match self.attempt(wire, request, &bytes).await {
                Err(Attempt {
                    error: ClientError::Unreachable(_),
                    answered: false,
                }) if is_idempotent(&request.method) => {}
                outcome => return outcome.map_err(|attempt| attempt.error),
            }
        }
        let wire = self.connect().await?;
        self.attempt(wire, request, &bytes)
            .await
            .map_err(|attempt| attempt.error)
    }

    async fn connect(&self) -> Result<Wire<TcpStream>, ClientError> {
        let connecting = TcpStream::connect((self.authority.host.as_str(), self.authority.port));
        let stream = match timeout(self.limits.connect_time, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(ClientError::Unreachable(error)),
            Err(_) => {
                return Err(ClientError::Unreachable(
                    std::io::ErrorKind::TimedOut.into(),
                ));
            }
        };
        stream.set_nodelay(true).map_err(ClientError::Unreachable)?;
        Ok(Wire::new(stream))
    }

    /// The most recently used connection that the server has not closed meanwhile.
    fn idle_connection(&self) -> Option<Wire<TcpStream>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, _)| since.elapsed() < self.limits.idle_time);
        while let Some((_, wire)) = idle.pop() {
            // Asked of the kernel: the runtime may not have heard yet that the server closed.
            let mut probe = [MaybeUninit::uninit()];
            let quiet = SockRef::from(wire.reader()).peek(&mut probe);
            if matches!(quiet, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock) {
                return Some(wire);
            }
        }
        None
    }

    async fn attempt(
        &self,
        mut wire: Wire<TcpStream>,
        request: &Request,
        bytes: &[u8],
    ) -> Result<Response, Attempt> {
        let writing = timeout(self.limits.body_time, wire.reader_mut().write_all(bytes)).await;
        let answered = |error| Attempt {
            error,
            answered: true,
        };
        match writing {
            // A server may answer and close before it has read everything: its answer is looked for all the same.
            Ok(_) => {}
            Err(_) => return Err(answered(ClientError::TimedOut)),
        }
        match timeout(self.limits.answer_time, wire.ready()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                return Err(Attempt {
                    error: ClientError::Unreachable(std::io::ErrorKind::UnexpectedEof.into()),
                    answered: false,
                });
            }
            Ok(Err(Fault::Io(error))) => {
                return Err(Attempt {
                    error: ClientError::Unreachable(error),
                    answered: false,
                });
            }
            Ok(Err(fault)) => return Err(answered(ClientError::Answer(fault))),
            Err(_) => return Err(answered(ClientError::TimedOut)),
        }
        self.answer(wire, request).await.map_err(|fault| {
            answered(match fault {
                Fault::TimedOut => ClientError::TimedOut,
                fault => ClientError::Answer(fault),
            })
        })
    }

    async fn answer(
        &self,
        mut wire: Wire<TcpStream>,
        request: &Request,
    ) -> Result<Response, Fault> {
        for _ in 0..INTERIM {
            let head = wire.head(self.limits.head, self.limits.answer_time).await?;
            let head = parse_response_head(&head, &request.method, &self.limits)?;
            if head.status == 101 {
                return Err(Fault::Malformed("the server switched protocols unasked"));
            }
            if head.status < 200 {
                continue;
            }
            let body = read_body(&mut wire, head.framing, &self.limits).await?;
            // What follows an answer unasked would be taken for the next one.
            if head.keep_alive && wire.is_empty() {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.push((Instant::now(), wire));
            }
            return Ok(Response {
                status: head.status,
                reason: Some(head.reason.into()),
                headers: head.headers,
                body,
            });
        }
        Err(Fault::Malformed("too many interim answers"))
    }
}

struct Attempt {
    error: ClientError,
    /// Whether the server may have acted on the request.
    answered: bool,
}

fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_url_without_a_path() {
        for (url, host, port) in [
            ("http://127.0.0.1:18080", "127.0.0.1", 18080),
            ("http://cse.example.com/", "cse.example.com", 80),
            ("http://[::1]:8080", "::1", 8080),
            ("http://[::1]", "::1", 80),
        ] {
            let authority: Authority = url.parse().expect("an authority");
            assert_eq!(
                (authority.host.as_str(), authority.port),
                (host, port),
                "{url}"
            );
        }
        for url in [
            "https://a",
            "a:80",
            "http://",
            "http://a/b",
            "http://a:b",
            "http://::1:80",
            "http://a@b",
            "http://:80",
        ] {
            assert!(url.parse::<Authority>().is_err(), "{url} was taken");
        }
    }
}
