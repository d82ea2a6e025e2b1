use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::Uri;
use hyper_util::rt::TokioIo;
use refpoint_association::{Error as AssociationError, SessionLabel};
use refpoint_keys::{EntityId, ReferencePoint};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::stream::initiate;
use crate::{Association, Error, Keyring, SecureStream, clock, entropy};

/// Makes associations with one peer over TCP, for tonic
/// ([`Endpoint::connect_with_connector`](tonic::transport::Endpoint::connect_with_connector)) or by itself.
///
/// The credential is looked up for each attempt, so that a reloaded key is used from the next connection on. A
/// connection after the first resumes, if both ends' policies allow it; a handle that leads to nothing within a quarter of
/// an attempt's time is followed by a full handshake, in the same attempt. Attempts
/// that fail are followed by a growing, random wait, which all clones share: a channel that reconnects at every request
/// does not press a peer that is down.
///
/// ```no_run
/// # async fn example(keyring: refpoint_transport::Keyring) -> Result<(), Box<dyn std::error::Error>> {
/// use refpoint_keys::{EntityId, ReferencePoint};
/// use refpoint_transport::Connector;
/// use tonic::transport::Endpoint;
///
/// let core = EntityId::parse("//sp.example.com/id-in")?;
/// let connector = Connector::new(keyring, ReferencePoint::Y, core);
/// let channel = Endpoint::from_static("http://core.example.com:7777")
///     .connect_with_connector(connector)
///     .await?;
/// # drop(channel);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connector {
    keyring: Keyring,
    point: ReferencePoint,
    peer: EntityId,
    session: SessionLabel,
    limit: Duration,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    backoff: Backoff,
    latest: Option<Association>,
}

impl Connector {
    /// Attempts of at most ten seconds, with waits of half a second at first and up to a minute.
    #[must_use]
    pub fn new(keyring: Keyring, point: ReferencePoint, peer: EntityId) -> Self {
        let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        let latest = None;
        Self {
            keyring,
            point,
            peer,
            session: SessionLabel::default(),
            limit: Duration::from_secs(10),
            shared: Arc::new(Mutex::new(Shared { backoff, latest })),
        }
    }

    /// Waits up to `first` after one failure, up to twice as long after each further one, but never beyond `longest`.
    #[must_use]
    pub fn with_backoff(self, first: Duration, longest: Duration) -> Self {
        self.shared().backoff = Backoff::new(first, longest);
        self
    }

    /// Gives an attempt this much time, from the first packet to the association.
    #[must_use]
    pub const fn with_time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Labels the associations, where two entities want several side by side.
    #[must_use]
    pub const fn with_session(mut self, session: SessionLabel) -> Self {
        self.session = session;
        self
    }

    /// The association made last.
    #[must_use]
    pub fn association(&self) -> Option<Association> {
        self.shared().latest.clone()
    }

    /// Makes an association with the peer at `host` and `port`, trying each address of the name in turn. After failures,
    /// it waits first.
    ///
    /// # Errors
    /// [`Error::Association`] when there is no credential or the peer does not prove itself, [`Error::Io`] when it cannot
    /// be reached, [`Error::Timeout`].
    pub async fn connect(&self, host: &str, port: u16) -> Result<SecureStream<TcpStream>, Error> {
        let wait = self
            .shared()
            .backoff
            .wait(clock::monotonic(), entropy::draw());
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let attempt = timeout(self.limit, self.attempt(host, port)).await;
        let result = attempt.unwrap_or(Err(Error::Timeout(self.limit)));
        let mut shared = self.shared();
        match &result {
            Ok(stream) => {
                shared.backoff.succeeded(clock::monotonic());
                shared.latest = Some(stream.association().clone());
                let resumed = stream.association().was_resumed();
                tracing::debug!(peer = %self.peer, point = %self.point, host, port, resumed, "association made");
            }
            Err(error) => {
                shared.backoff.failed(clock::monotonic(), entropy::draw());
                tracing::debug!(peer = %self.peer, point = %self.point, host, port, %error, "no association");
            }
        }
        result
    }

    async fn attempt(&self, host: &str, port: u16) -> Result<SecureStream<TcpStream>, Error> {
        let credential = self.keyring.credential(self.point, &self.peer);
        let (credential, _) = credential.ok_or(AssociationError::NoCredential)?;
        let io = self.reach(host, port).await?;
        let place = (credential, self.session);
        let handles = self.keyring.handles();
        let Some(held) = handles.take(place) else {
            return initiate(io, &self.keyring, place, None).await;
        };
        let resuming = initiate(io, &self.keyring, place, Some(&held));
        let error = match timeout(self.limit / 4, resuming).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => Error::Timeout(self.limit / 4),
        };
        // What the peer made of the Resume is not known: on with a full handshake, in another stream.
        tracing::info!(peer = %self.peer, point = %self.point, %error, "not resumed: a full handshake follows");
        let made = match self.reach(host, port).await {
            Ok(io) => initiate(io, &self.keyring, place, None).await,
            Err(error) => Err(error),
        };
        if made.is_err() {
            handles.put_back(place, held);
        }
        made
    }

    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in lookup_host((host, port)).await? {
            match TcpStream::connect(address).await {
                Ok(io) => {
                    io.set_nodelay(true)?;
                    return Ok(io);
                }
                Err(error) => failed = error,
            }
        }
        Err(failed.into())
    }

    pub(crate) const fn peer(&self) -> &EntityId {
        &self.peer
    }

    pub(crate) const fn point(&self) -> ReferencePoint {
        self.point
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Host and port of a target; an IPv6 address comes without its brackets.
pub(crate) fn host_and_port(target: &Uri) -> Result<(&str, u16), Error> {
    let host = target.host().ok_or(Error::Target)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let port = target.port_u16().ok_or(Error::Target)?;
    Ok((bare.unwrap_or(host), port))
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<SecureStream<TcpStream>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let (host, port) = host_and_port(&target)?;
            connector.connect(host, port).await.map(TokioIo::new)
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("peer", &self.peer)
            .field("point", &self.point)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_name_host_and_port() {
        let read = |text: &'static str| {
            let target = Uri::from_static(text);
            host_and_port(&target)
                .map(|(host, port)| format!("{host} {port}"))
                .ok()
        };
        assert_eq!(
            read("http://core.example.com:80").as_deref(),
            Some("core.example.com 80")
        );
        assert_eq!(read("http://[::1]:7777").as_deref(), Some("::1 7777"));
        assert_eq!(read("http://core.example.com"), None);
        assert_eq!(read("/path"), None);
    }
}
