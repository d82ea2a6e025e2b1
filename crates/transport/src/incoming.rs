use core::fmt;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_stream::Stream;

use crate::{Error, Keyring, SecureStream, accept};

/// After a failure to accept (too many open files, mostly), nothing is accepted for so long.
const PAUSE: Duration = Duration::from_millis(100);

/// Associations that peers make, for tonic
/// ([`serve_with_incoming`](tonic::transport::Server::serve_with_incoming)) or a loop of one's own.
///
/// Handshakes run in tasks of their own, so many at once and so long each: who connects and stalls keeps nobody
/// waiting. When more than half of the places are taken, those who come get less time, in proportion to what is free,
/// so that stalling takes the more effort the fuller it is. Who fails is dropped without a word; only the log knows.
///
/// ```no_run
/// # async fn example(keyring: refpoint_transport::Keyring) -> std::io::Result<()> {
/// use refpoint_transport::Incoming;
/// use tokio_stream::StreamExt as _;
///
/// let listener = tokio::net::TcpListener::bind("[::]:7777").await?;
/// let mut incoming = Incoming::new(listener, keyring);
/// while let Some(stream) = incoming.try_next().await? {
///     println!("{} is there", stream.association().peer().entity);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Incoming {
    listener: TcpListener,
    keyring: Keyring,
    handshakes: JoinSet<Result<SecureStream<TcpStream>, ()>>,
    most: usize,
    limit: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// At most 512 handshakes at once, of at most ten seconds.
    #[must_use]
    pub fn new(listener: TcpListener, keyring: Keyring) -> Self {
        Self {
            listener,
            keyring,
            handshakes: JoinSet::new(),
            most: 512,
            limit: Duration::from_secs(10),
            pause: None,
        }
    }

    /// At most this many handshakes at once; at least one.
    #[must_use]
    pub const fn with_handshakes(mut self, most: usize) -> Self {
        self.most = if most == 0 { 1 } else { most };
        self
    }

    /// Gives a handshake this much time.
    #[must_use]
    pub const fn with_time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The time of a handshake that begins now.
    fn time(&self) -> Duration {
        let free = self.most.saturating_sub(self.handshakes.len());
        if 2 * free >= self.most {
            return self.limit;
        }
        let share = u32::try_from(32 * free / self.most).unwrap_or(0).max(1);
        self.limit * share / 16
    }

    fn begin(&mut self, io: TcpStream, address: SocketAddr) {
        let (keyring, limit) = (self.keyring.clone(), self.time());
        self.handshakes.spawn(async move {
            let handshake = async {
                io.set_nodelay(true)?;
                accept(io, &keyring).await
            };
            let made = timeout(limit, handshake).await;
            match made.unwrap_or(Err(Error::Timeout(limit))) {
                Ok(stream) => {
                    let (peer, resumed) = (stream.association().peer(), stream.association().was_resumed());
                    tracing::debug!(%address, peer = %peer.entity, point = %peer.point, resumed, "association accepted");
                    Ok(stream)
                }
                Err(error) => {
                    tracing::debug!(%address, %error, "handshake refused");
                    Err(())
                }
            }
        });
    }

    /// Begins handshakes while there are places and peers.
    fn poll_accept(&mut self, cx: &mut Context<'_>) {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() {
                return;
            }
            self.pause = None;
        }
        while self.handshakes.len() < self.most {
            match self.listener.poll_accept(cx) {
                Poll::Ready(Ok((io, address))) => self.begin(io, address),
                Poll::Ready(Err(error)) if is_the_peers(&error) => {}
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "cannot accept connections for a while");
                    let pause = self.pause.insert(Box::pin(sleep(PAUSE)));
                    if pause.as_mut().poll(cx).is_pending() {
                        return;
                    }
                }
                Poll::Pending => return,
            }
        }
    }
}

/// Whether a connection failed rather than the listener.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

impl Stream for Incoming {
    type Item = io::Result<SecureStream<TcpStream>>;

    /// Never ends, and yields no error.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            this.poll_accept(cx);
            match this.handshakes.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Ok(stream)))) => return Poll::Ready(Some(Ok(stream))),
                // A place is free again.
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", &self.listener)
            .field("handshakes", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}
