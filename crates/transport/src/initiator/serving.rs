use std::sync::Arc;

use prost::Message as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tonic::Streaming;

use crate::handler::Shared;
use crate::service::FromResponder;
use crate::{Association, Limits, Service};

/// Answers what the responder asks over one association.
pub(super) struct Serving<S: Service> {
    pub(super) handler: Shared<S>,
    pub(super) association: Association,
    pub(super) served: mpsc::Sender<S::Served>,
    pub(super) limits: Limits,
}

impl<S: Service> Serving<S> {
    /// Until the responder or the association ends, or the link stops.
    pub(super) async fn run(self, mut asked: Streaming<S::Asked>, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(self.limits.in_flight));
        loop {
            // No place, no next request: it waits at the responder, and its asker is told when too many do.
            let Ok(place) = places.clone().acquire_owned().await else {
                break;
            };
            let message = tokio::select! {
                message = asked.message() => message,
                () = self.association.closed() => break,
                // Gone: the link is.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match message.map(|message| message.map(S::read_asked)) {
                Ok(Some(Some(FromResponder::Request(exchange, request)))) => {
                    let handled = self
                        .handler
                        .clone()
                        .handle(self.association.clone(), request);
                    let (served, largest) = (self.served.clone(), self.limits.largest);
                    tokio::spawn(async move {
                        let _place = place;
                        let response = handled.await;
                        let answer = S::answer(exchange, fitting::<S>(response, largest));
                        // Nobody is there to hear it: then it is not sent.
                        let _ = served.send(answer).await;
                    });
                }
                Ok(Some(Some(FromResponder::Announcement(announcement)))) => {
                    self.handler.announced(&self.association, announcement);
                }
                Ok(Some(None)) => {
                    tracing::debug!(service = S::NAME, "the peer asks without a number")
                }
                Ok(None) => break,
                Err(status) => {
                    tracing::debug!(%status, service = S::NAME, "the peer does not ask any more");
                    break;
                }
            }
        }
        let all = u32::try_from(self.limits.in_flight).unwrap_or(u32::MAX);
        let _ = timeout(self.limits.patience, places.acquire_many(all)).await;
    }
}

/// An answer that the peer takes; the empty one, which it reports as unusable, in the place of one that is too large.
fn fitting<S: Service>(response: S::Response, largest: usize) -> S::Response {
    // The number and the tags around it take less than this.
    const AROUND: usize = 32;
    let size = response.encoded_len();
    if size.saturating_add(AROUND) <= largest {
        return response;
    }
    tracing::warn!(
        size,
        largest,
        service = S::NAME,
        "an answer is too large to be sent"
    );
    S::Response::default()
}
