//! What peers ask over associations, on its way through the layers to the local CSE.

use core::marker::PhantomData;
use core::time::Duration;
use std::sync::Arc;

use refpoint_keys::ReferencePoint;
use refpoint_primitive::{Failure, Peer, Receipt, Ticket};
use refpoint_transport::{Association, Handler};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::point::Point;
use crate::drain::Drain;
use crate::inbound::Inbound;
use crate::layers::Layers;

/// How often a repeated request looks whether the first one has been answered.
const LOOK: Duration = Duration::from_millis(20);

/// Answers the requests of one service.
#[derive(Debug)]
pub(super) struct Answering<S> {
    shared: Arc<Shared>,
    points: Vec<ReferencePoint>,
    service: PhantomData<fn() -> S>,
}

/// What all requests need, whichever way they come.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) layers: Layers,
    pub(super) inbound: Arc<Inbound>,
    pub(super) patience: Duration,
    pub(super) begun: Instant,
    pub(super) drain: Drain,
    /// A place is taken by every request under way.
    pub(super) under_way: Semaphore,
}

/// The places in [`Shared::under_way`]: more than the carriage ever lets in, so that none waits for one.
pub(super) const UNDER_WAY: usize = 1 << 20;

impl<S: Point> Answering<S> {
    /// Answers over associations that were made for one of `points`.
    pub(super) fn new(shared: &Arc<Shared>, points: &[ReferencePoint]) -> Self {
        Self {
            shared: Arc::clone(shared),
            points: points.to_vec(),
            service: PhantomData,
        }
    }

    /// What the layer decides. A request that is being executed already waits for the first one's answer.
    async fn receive(&self, peer: &Peer, arrived: &S::Arrived) -> Receipt {
        if !self.points.contains(&peer.point) {
            return Receipt::Refuse(Failure::Forbidden);
        }
        let patience = S::patience(arrived).unwrap_or(self.shared.patience);
        let until = Instant::now() + patience.min(self.shared.patience);
        loop {
            let now = self.shared.begun.elapsed();
            match S::receive(&self.shared.layers, now, peer, arrived) {
                Receipt::Pending if Instant::now() < until => sleep(LOOK).await,
                Receipt::Pending => return Receipt::Refuse(Failure::Timeout),
                receipt => return receipt,
            }
        }
    }

    async fn execute(&self, peer: &Peer, ticket: Ticket, arrived: &S::Arrived) -> S::Response {
        let layers = &self.shared.layers;
        let Some(request) = S::primitive(arrived) else {
            S::abandon(layers, ticket);
            return refused::<S>(peer, arrived, Failure::UnsupportedForm);
        };
        match self.shared.inbound.ask(peer.point, &request).await {
            Ok(response) => {
                let answer = S::respond(arrived, response);
                S::settle(layers, ticket, &answer);
                answer
            }
            Err(failure) => {
                let answer = S::refuse(arrived, failure);
                if may_be_executed(failure) {
                    S::settle(layers, ticket, &answer);
                } else {
                    S::abandon(layers, ticket);
                }
                answer
            }
        }
    }
}

impl<S: Point> Handler<S> for Answering<S> {
    async fn handle(&self, association: Association, request: S::Request) -> S::Response {
        let peer = association.peer();
        let _place = self.shared.under_way.acquire().await;
        let arrived = match S::read(request) {
            Ok(arrived) => arrived,
            Err(refusal) => {
                report(&peer, Failure::Malformed);
                return refusal;
            }
        };
        if self.shared.drain.has_begun() {
            return S::refuse(&arrived, Failure::Stopping);
        }
        match self.receive(&peer, &arrived).await {
            Receipt::Execute(ticket) => self.execute(&peer, ticket, &arrived).await,
            Receipt::Repeat(answer) => {
                S::repeat(answer).unwrap_or_else(|| S::refuse(&arrived, Failure::AnswerGone))
            }
            Receipt::Pending => S::refuse(&arrived, Failure::Timeout),
            Receipt::Refuse(failure) => refused::<S>(&peer, &arrived, failure),
        }
    }

    fn announced(&self, association: &Association, announcement: S::Announcement) {
        let peer = association.peer();
        match S::announced(&self.shared.layers, &peer, &announcement) {
            Ok(()) => tracing::info!(peer = %peer.entity, "announcement taken"),
            Err(failure) => {
                let code = failure.result_code().number();
                tracing::warn!(peer = %peer.entity, code, %failure, "announcement refused");
            }
        }
    }
}

fn refused<S: Point>(peer: &Peer, arrived: &S::Arrived, failure: Failure) -> S::Response {
    report(peer, failure);
    S::refuse(arrived, failure)
}

/// Tells the operator: a peer that asks what it may not is either misconfigured or an attacker.
fn report(peer: &Peer, failure: Failure) {
    let code = failure.result_code().number();
    metrics::counter!("refpoint_refused_total", "point" => peer.point.to_string(), "code" => code.to_string())
        .increment(1);
    tracing::warn!(peer = %peer.entity, point = %peer.point, code, %failure, "request refused");
}

/// Whether the CSE may have done what was asked: then a repetition must not be executed.
fn may_be_executed(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::Timeout | Failure::UnusableAnswer | Failure::TooLarge | Failure::Internal
    )
}
