use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::Uri;
use hyper_util::rt::TokioIo;
use refpoint_primitive::Failure;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::connector::host_and_port;
use crate::handler::Shared as SharedHandler;
use crate::limits::{CONNECTION_WINDOW, FRAME_SIZE, STREAM_WINDOW};
use crate::{Association, Connector, Error, Limits, SecureStream, Service};

mod serving;

use serving::Serving;

/// The initiator's end of a link: what its users hold. The driver is a task.
pub(crate) struct Initiating<S: Service> {
    shared: Arc<Shared<S>>,
    driver: AbortHandle,
}

struct Shared<S: Service> {
    state: watch::Sender<State<S>>,
    stop: watch::Sender<bool>,
    announcement: Mutex<Option<S::Announcement>>,
    limits: Limits,
}

enum State<S: Service> {
    Connecting,
    Up(Generation<S>),
    /// The last attempt has failed; another will follow.
    Down(Failure),
    Stopped,
}

/// One association: a link uses one after the other.
struct Generation<S: Service> {
    channel: Channel,
    association: Association,
    /// On the way to the responder, on `Serve`.
    served: mpsc::Sender<S::Served>,
}

impl<S: Service> Initiating<S> {
    pub(crate) fn start(
        connector: Connector,
        target: &Uri,
        handler: SharedHandler<S>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let (host, port) = host_and_port(target)?;
        if !S::serves(connector.point()) {
            return Err(Error::Point(connector.point(), S::NAME));
        }
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State::Connecting),
            stop: watch::Sender::new(false),
            announcement: Mutex::new(None),
            limits,
        });
        let driver = Driver {
            shared: shared.clone(),
            connector,
            target: (host.to_owned(), port),
            endpoint: endpoint(target, &limits),
            handler,
        };
        let driver = tokio::spawn(driver.run()).abort_handle();
        Ok(Self { shared, driver })
    }

    pub(crate) async fn exchange(&self, request: S::Request) -> Result<S::Response, Failure> {
        let channel = self.up(|generation| generation.channel.clone()).await?;
        let exchanged = S::exchange(channel, self.shared.limits.largest, Request::new(request));
        exchanged.await.map_err(|status| {
            tracing::debug!(%status, service = S::NAME, "an exchange failed");
            failure(&status)
        })
    }

    pub(crate) async fn announce(&self, announcement: S::Announcement) -> Result<(), Failure> {
        *self.shared.announcement() = Some(announcement.clone());
        // Otherwise the next association begins with it.
        let served = match &*self.shared.state.borrow() {
            State::Up(generation) => generation.served.clone(),
            _ => return Ok(()),
        };
        let _ = served.send(S::served_announcement(announcement)).await;
        Ok(())
    }

    pub(crate) async fn ready(&self) -> Result<Association, Failure> {
        self.up(|generation| generation.association.clone()).await
    }

    pub(crate) fn association(&self) -> Option<Association> {
        match &*self.shared.state.borrow() {
            State::Up(generation) => Some(generation.association.clone()),
            _ => None,
        }
    }

    pub(crate) fn close(&self) {
        self.shared.stop.send_replace(true);
    }

    /// The present generation; waits for an attempt under way, not for one after a failure.
    async fn up<T>(&self, take: impl Fn(&Generation<S>) -> T) -> Result<T, Failure> {
        let mut state = self.shared.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                State::Up(generation) => return Ok(take(generation)),
                State::Down(failure) => return Err(*failure),
                State::Stopped => return Err(Failure::Stopping),
                State::Connecting => {}
            }
            if state.changed().await.is_err() {
                return Err(Failure::Stopping);
            }
        }
    }
}

impl<S: Service> Drop for Initiating<S> {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl<S: Service> Shared<S> {
    fn announcement(&self) -> std::sync::MutexGuard<'_, Option<S::Announcement>> {
        self.announcement
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the link up.
struct Driver<S: Service> {
    shared: Arc<Shared<S>>,
    connector: Connector,
    target: (String, u16),
    endpoint: Endpoint,
    handler: SharedHandler<S>,
}

impl<S: Service> Driver<S> {
    /// Make an association; serve until it is over (a refresh inside it is none of this driver's business); again.
    async fn run(self) {
        let mut stop = self.shared.stop.subscribe();
        // A task of its own, so that a handler that panics ends no more than the association.
        let mut servings = JoinSet::new();
        loop {
            let established = tokio::select! {
                established = self.establish() => established,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match established {
                Ok((generation, asked)) => {
                    servings.spawn(self.serving(&generation).run(asked, stop.clone()));
                    self.shared.state.send_replace(State::Up(generation));
                    tokio::select! {
                        _ = servings.join_next() => {}
                        _ = stop.wait_for(|stop| *stop) => break,
                    }
                    self.shared.state.send_replace(State::Connecting);
                }
                Err(failure) => {
                    self.shared.state.send_replace(State::Down(failure));
                }
            }
        }
        self.shared.state.send_replace(State::Stopped);
        while servings.join_next().await.is_some() {}
    }

    async fn establish(&self) -> Result<(Generation<S>, Streaming<S::Asked>), Failure> {
        let (host, port) = &self.target;
        let stream = self.connector.connect(host, *port).await;
        let stream = stream.map_err(|error| match error {
            Error::Association(_) => Failure::NoAssociation,
            _ => Failure::PeerUnreachable,
        })?;
        let association = stream.association().clone();
        let channel = channel(&self.endpoint, stream);
        let limits = &self.shared.limits;
        let (served, serving) = mpsc::channel(limits.in_flight + 1);
        let first = match self.shared.announcement().clone() {
            Some(announcement) => S::served_announcement(announcement),
            None => S::ready(),
        };
        // There is room for it.
        let _ = served.try_send(first);
        let opening = S::serve(
            channel.clone(),
            limits.largest,
            ReceiverStream::new(serving),
        );
        let asked = timeout(limits.patience, opening).await;
        let asked = asked.map_err(|_| Failure::Timeout)?.map_err(|status| {
            tracing::warn!(%status, peer = %self.connector.peer(), service = S::NAME, "the peer does not serve");
            failure(&status)
        })?;
        tracing::info!(peer = %self.connector.peer(), service = S::NAME, "link up");
        let generation = Generation {
            channel,
            association,
            served,
        };
        Ok((generation, asked))
    }

    fn serving(&self, generation: &Generation<S>) -> Serving<S> {
        Serving {
            handler: self.handler.clone(),
            association: generation.association.clone(),
            served: generation.served.clone(),
            limits: self.shared.limits,
        }
    }
}

fn endpoint(target: &Uri, limits: &Limits) -> Endpoint {
    let endpoint = Endpoint::from(target.clone())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_SIZE);
    match limits.keepalive {
        None => endpoint,
        Some(interval) => endpoint
            .http2_keep_alive_interval(interval)
            .keep_alive_timeout(interval / 3)
            .keep_alive_while_idle(true),
    }
}

/// A channel over this one connection: when it breaks, the driver makes the next.
fn channel(endpoint: &Endpoint, stream: SecureStream<TcpStream>) -> Channel {
    let mut stream = Some(TokioIo::new(stream));
    let once = tower::service_fn(move |_: Uri| {
        let stream = stream.take();
        core::future::ready(stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    endpoint.connect_with_connector_lazy(once)
}

/// What the asker is told.
fn failure(status: &Status) -> Failure {
    match status.code() {
        Code::OutOfRange => Failure::TooLarge,
        Code::ResourceExhausted => Failure::QueueFull,
        Code::PermissionDenied | Code::Unimplemented => Failure::Forbidden,
        Code::Unauthenticated => Failure::NoAssociation,
        Code::DeadlineExceeded => Failure::Timeout,
        Code::Internal | Code::DataLoss => Failure::UnusableAnswer,
        _ => Failure::PeerUnreachable,
    }
}
