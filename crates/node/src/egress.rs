//! HTTP in, association out: what a local AE or CSE sends to a peer.

mod gate;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use refpoint_keys::{EntityId, EntityKind};
use refpoint_primitive::{
    Echo, Failure, HttpResponse, Originator, RequestMessage, ResponseMessage,
};
use tokio::time::timeout;

use crate::carried::{refusal, request_to_carry, response_from_carried};
use crate::carrier::Carrier;
use crate::config::Limits;
use crate::end_to_end::EndToEnd;
use crate::http::{Fault, Handler, Headers, Request, Response};
use gate::Gate;

/// The handler of one egress listener.
#[derive(Debug)]
pub struct Egress<C> {
    carrier: C,
    peer: EntityId,
    /// The CSE to which the relative forms of an originator refer.
    cse: EntityId,
    allowed: RwLock<Vec<EntityId>>,
    gate: Gate,
    limits: Limits,
    end_to_end: Option<Arc<EndToEnd>>,
}

impl<C: Carrier> Egress<C> {
    /// An egress from `local` to `peer`, over `carrier`.
    ///
    /// `allowed` names the originators that may use it; if it is empty, that is left to the peer.
    pub fn new(
        carrier: C,
        local: &EntityId,
        peer: &EntityId,
        allowed: Vec<EntityId>,
        limits: Limits,
    ) -> Self {
        // An AE's stem is relative to its registrar: the peer, if this node is the AE's.
        let cse = if local.kind() == EntityKind::Cse {
            local
        } else {
            peer
        };
        Self {
            carrier,
            peer: peer.clone(),
            cse: cse.clone(),
            allowed: RwLock::new(allowed),
            gate: Gate::new(limits.in_flight, limits.queue),
            limits,
            end_to_end: None,
        }
    }

    /// Has `end` seal and open what is to be sealed end to end.
    #[must_use]
    pub fn with_end_to_end(mut self, end: Option<Arc<EndToEnd>>) -> Self {
        self.end_to_end = end;
        self
    }

    /// Replaces the originators that may use this egress.
    pub fn set_allowed(&self, allowed: Vec<EntityId>) {
        *self.allowed.write().unwrap_or_else(PoisonError::into_inner) = allowed;
    }

    async fn carry(&self, request: &RequestMessage) -> Result<HttpResponse, Failure> {
        self.check_originator(request)?;
        let exchange = async {
            let _place = self.gate.enter().await?;
            match (&self.end_to_end, request) {
                (Some(end), RequestMessage::Http(request)) => {
                    let answer = end.exchange(&self.carrier, request).await?;
                    Ok(ResponseMessage::Http(answer))
                }
                _ => self.carrier.exchange(request.clone()).await,
            }
        };
        let response = timeout(self.limits.exchange_time, exchange)
            .await
            .map_err(|_| Failure::Timeout)??;
        match response {
            ResponseMessage::Http(response) => Ok(response),
            ResponseMessage::Primitive(_) => Err(Failure::UnusableAnswer),
        }
    }

    fn check_originator(&self, request: &RequestMessage) -> Result<(), Failure> {
        let allowed = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        if allowed.is_empty() {
            return Ok(());
        }
        match Originator::read(&request.checked(), &self.cse)? {
            Originator::Entity(entity) if !allowed.contains(&entity) => Err(Failure::Impersonation),
            Originator::Entity(_) | Originator::Newcomer => Ok(()),
        }
    }
}

impl<C: Carrier> Handler for Egress<C> {
    #[tracing::instrument(name = "egress", level = "debug", skip_all, fields(peer = %self.peer))]
    async fn handle(&self, request: Request) -> Response {
        let begun = Instant::now();
        let headers = request.headers.clone();
        let outcome = match request_to_carry(request).map(RequestMessage::Http) {
            Ok(request) => {
                let outcome = self.carry(&request).await;
                outcome.map_err(|failure| {
                    (failure, HttpResponse::refusal(failure, &Echo::of(&request)))
                })
            }
            Err(failure) => {
                metrics::counter!("refpoint_egress_requests_total", "outcome" => "refused")
                    .increment(1);
                tracing::debug!(%failure, "request refused");
                return refusal(failure, &headers);
            }
        };
        metrics::histogram!("refpoint_egress_seconds").record(begun.elapsed().as_secs_f64());
        let (label, response) = match outcome {
            Ok(response) => ("answered", response),
            Err((failure, response)) => {
                tracing::debug!(%failure, "request refused");
                ("refused", response)
            }
        };
        metrics::counter!("refpoint_egress_requests_total", "outcome" => label).increment(1);
        response_from_carried(&response)
    }

    fn refuse(&self, fault: &Fault, headers: Option<&Headers>) -> Response {
        let failure = match fault {
            Fault::BodyTooLarge(_) | Fault::HeadTooLarge(_) => Failure::TooLarge,
            Fault::TimedOut => Failure::Timeout,
            _ => Failure::Malformed,
        };
        let mut response = refusal(failure, headers.unwrap_or(&Headers::new()));
        response.status = fault.status().unwrap_or(response.status);
        response
    }
}
