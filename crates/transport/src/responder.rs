use core::fmt;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::{Context, Poll};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refpoint_association::CloseReason;
use refpoint_primitive::{ExchangeId, Failure};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Request, Status, Streaming};

use crate::handler::Shared;
use crate::links::Links;
use crate::service::FromInitiator;
use crate::{Association, Limits, Link, Service};

/// The service as the association's responder offers it.
pub struct Responder<S: Service> {
    handler: Shared<S>,
    links: Links<S>,
    limits: Limits,
}

impl<S: Service> Responder<S> {
    pub(crate) const fn new(handler: Shared<S>, links: Links<S>, limits: Limits) -> Self {
        Self {
            handler,
            links,
            limits,
        }
    }

    /// `Exchange`: the handler answers.
    pub(crate) async fn answer(&self, request: Request<S::Request>) -> Result<S::Response, Status> {
        let association = originator::<S, _>(&request)?;
        let places = association.places(self.limits.in_flight).clone();
        let Ok(place) = places.try_acquire_owned() else {
            return Err(Status::resource_exhausted(
                "too many requests are under way",
            ));
        };
        let handled = self
            .handler
            .clone()
            .handle(association, request.into_inner());
        // In a task of its own: it goes on if the asker gives up.
        let handled = tokio::spawn(async move {
            let _place = place;
            handled.await
        });
        handled.await.map_err(|error| {
            tracing::error!(%error, service = S::NAME, "a handler failed");
            Status::internal("the handler failed")
        })
    }

    /// `Serve`: the initiator is ready to be asked.
    pub(crate) fn open(&self, request: Request<Streaming<S::Served>>) -> Result<Asking<S>, Status> {
        let association = originator::<S, _>(&request)?;
        let (ask, asked) = mpsc::channel(self.limits.in_flight);
        let responding = Responding::new(association.clone(), ask);
        let link = Link::responding(responding.clone(), self.limits);
        let held = self.links.hold(link).ok_or_else(|| {
            Status::already_exists("the association is served already, or this end stops")
        })?;
        let handler = self.handler.clone();
        let mut served = request.into_inner();
        tokio::spawn(async move {
            let _held = held;
            while !responding.is_done() {
                let message = tokio::select! {
                    message = served.message() => message,
                    () = association.closed() => break,
                    () = responding.changed() => continue,
                };
                match message {
                    Ok(Some(message)) => responding.take(message, &handler),
                    Ok(None) => break,
                    Err(status) => {
                        tracing::debug!(%status, service = S::NAME, "the peer is not ready any more");
                        break;
                    }
                }
            }
            responding.fail();
        });
        Ok(Asking(asked))
    }
}

/// The association over which a request came, if it may carry this service.
#[allow(clippy::result_large_err, reason = "tonic's")]
fn originator<S: Service, T>(request: &Request<T>) -> Result<Association, Status> {
    let association = request.extensions().get::<Association>();
    let association = association
        .filter(|association| !association.is_closed())
        .ok_or_else(|| Status::unauthenticated("there is no association"))?;
    if !S::serves(association.peer().point) {
        return Err(Status::permission_denied(
            "the association was made for another reference point",
        ));
    }
    Ok(association.clone())
}

/// The requests of a responder on their way to the initiator.
#[derive(Debug)]
pub struct Asking<S: Service>(mpsc::Receiver<S::Asked>);

impl<S: Service> Stream for Asking<S> {
    type Item = Result<S::Asked, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|asked| asked.map(Ok))
    }
}

/// The responder's end of a link.
pub(crate) struct Responding<S: Service>(Arc<Inner<S>>);

struct Inner<S: Service> {
    association: Association,
    /// `None` once the link has ended: then the stream ends, too.
    ask: Mutex<Option<mpsc::Sender<S::Asked>>>,
    waiting: Mutex<HashMap<u32, oneshot::Sender<S::Response>>>,
    next: AtomicU32,
    is_stopping: AtomicBool,
    /// A reason to look whether all is done.
    changed: Notify,
}

impl<S: Service> Responding<S> {
    fn new(association: Association, ask: mpsc::Sender<S::Asked>) -> Self {
        Self(Arc::new(Inner {
            association,
            ask: Mutex::new(Some(ask)),
            waiting: Mutex::default(),
            next: AtomicU32::new(1),
            is_stopping: AtomicBool::new(false),
            changed: Notify::new(),
        }))
    }

    pub(crate) async fn exchange(&self, request: S::Request) -> Result<S::Response, Failure> {
        if self.0.is_stopping.load(Ordering::Relaxed) {
            return Err(Failure::Stopping);
        }
        let ask = self.ask().clone().ok_or(Failure::PeerUnreachable)?;
        let (answer, answered) = oneshot::channel();
        let waiting = self.wait(answer)?;
        let exchange = ExchangeId::new(waiting.number);
        ask.try_send(S::ask(exchange, request))
            .map_err(|error| match error {
                TrySendError::Full(_) => Failure::QueueFull,
                TrySendError::Closed(_) => Failure::PeerUnreachable,
            })?;
        drop(ask);
        // Only the link's end lets go of it unanswered.
        answered.await.map_err(|_| Failure::PeerUnreachable)
    }

    pub(crate) async fn announce(&self, announcement: S::Announcement) -> Result<(), Failure> {
        let ask = self.ask().clone().ok_or(Failure::PeerUnreachable)?;
        let sent = ask.send(S::asked_announcement(announcement)).await;
        sent.map_err(|_| Failure::PeerUnreachable)
    }

    pub(crate) fn ready(&self) -> Result<Association, Failure> {
        let association = &self.0.association;
        if self.ask().is_none() || association.is_closed() {
            return Err(Failure::PeerUnreachable);
        }
        Ok(association.clone())
    }

    pub(crate) fn close(&self) {
        self.fail();
        self.0.association.close(CloseReason::Done);
    }

    /// No more requests are sent and none is answered.
    pub(crate) fn fail(&self) {
        self.ask().take();
        self.waiting().clear();
        self.0.changed.notify_one();
    }

    /// No more requests are sent; those under way may still be answered.
    pub(crate) fn stop(&self) {
        self.0.is_stopping.store(true, Ordering::Relaxed);
        self.0.changed.notify_one();
    }

    async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn is_done(&self) -> bool {
        let is_stopping = self.0.is_stopping.load(Ordering::Relaxed);
        self.ask().is_none() || is_stopping && self.waiting().is_empty()
    }

    pub(crate) fn association(&self) -> &Association {
        &self.0.association
    }

    /// What the initiator says.
    fn take(&self, message: S::Served, handler: &Shared<S>) {
        match S::read_served(message) {
            FromInitiator::Ready => {}
            FromInitiator::Announcement(announcement) => {
                handler.announced(&self.0.association, announcement);
            }
            FromInitiator::Answer(exchange, response) => {
                // An unknown number: its asker has given up.
                if let Some(answer) = self.waiting().remove(&exchange.number()) {
                    let _ = answer.send(response);
                }
            }
        }
    }

    fn wait(&self, answer: oneshot::Sender<S::Response>) -> Result<Waiting<'_, S>, Failure> {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        // Each number is used once on a stream; 0 is none.
        if number == 0 || number == u32::MAX {
            self.fail();
            return Err(Failure::PeerUnreachable);
        }
        self.waiting().insert(number, answer);
        let waiting = Waiting { link: self, number };
        // Between the look at `ask` and here, the link may have ended.
        if self.ask().is_none() {
            return Err(Failure::PeerUnreachable);
        }
        Ok(waiting)
    }

    fn ask(&self) -> MutexGuard<'_, Option<mpsc::Sender<S::Asked>>> {
        self.0.ask.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u32, oneshot::Sender<S::Response>>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An asker; who gives up is forgotten.
struct Waiting<'a, S: Service> {
    link: &'a Responding<S>,
    number: u32,
}

impl<S: Service> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        self.link.waiting().remove(&self.number);
        if self.link.0.is_stopping.load(Ordering::Relaxed) {
            self.link.0.changed.notify_one();
        }
    }
}

impl<S: Service> Clone for Responding<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Service> fmt::Debug for Responder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("service", &S::NAME)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}
