use core::time::Duration;
use std::collections::HashMap;

use refpoint_keys::EntityId;
use refpoint_primitive::{
    Bytes, Courier, ExchangeId, Exchanges, Failure, ResponseMessage, Retransmission,
};
use refpoint_x::{Datagram, proto};

use super::{Ask, RECORD};
use crate::entropy;

/// What this end asks.
pub(super) struct Asking {
    exchanges: Exchanges,
    waiting: HashMap<ExchangeId, Waiting>,
    room: usize,
}

struct Waiting {
    peer: EntityId,
    datagram: Bytes,
    since: Duration,
    repeats: u32,
    /// What its asker is told when its patience is over.
    failure: Failure,
    answer: tokio::sync::oneshot::Sender<Result<proto::ExchangeResponse, Failure>>,
}

/// A request that is to be sent (again).
pub(super) struct Due {
    pub(super) peer: EntityId,
    pub(super) datagram: Bytes,
    pub(super) since: Duration,
    pub(super) repeats: u32,
}

impl Asking {
    pub(super) fn new(retransmission: Retransmission, largest: usize) -> Self {
        Self {
            exchanges: Exchanges::new(retransmission, entropy::draw()),
            waiting: HashMap::new(),
            room: largest - RECORD,
        }
    }

    /// Begins an exchange; the datagram to send.
    pub(super) fn begin(&mut self, now: Duration, ask: Ask) -> Option<Bytes> {
        let (room, request) = (self.room, ask.request);
        let encode = |exchange| {
            // It was seen to fit before it came here.
            Datagram::request(exchange, request, room).unwrap_or_default()
        };
        let (peer, patience) = (&ask.peer, ask.patience);
        let draw = &mut entropy::draw;
        match self
            .exchanges
            .start(now, peer, ask.request_id, patience, draw, encode)
        {
            Err(failure) => {
                let _ = ask.answer.send(Err(failure));
                None
            }
            Ok((exchange, datagram)) => {
                let waiting = Waiting {
                    peer: ask.peer,
                    datagram: datagram.clone(),
                    since: now,
                    repeats: 0,
                    failure: Failure::Timeout,
                    answer: ask.answer,
                };
                self.waiting.insert(exchange, waiting);
                Some(datagram)
            }
        }
    }

    /// A response of `peer`.
    pub(super) fn answer(
        &mut self,
        peer: &EntityId,
        exchange: ExchangeId,
        response: proto::ExchangeResponse,
    ) {
        let read = response.response.clone().map(ResponseMessage::from_proto);
        let read = read.and_then(Result::ok);
        let request_id = read.as_ref().and_then(ResponseMessage::request_id);
        if self.exchanges.answer(peer, exchange, request_id)
            && let Some(waiting) = self.waiting.remove(&exchange)
        {
            let usable = read.is_some();
            let answer = usable.then_some(response).ok_or(Failure::UnusableAnswer);
            // Nobody waits any more: then it is dropped.
            let _ = waiting.answer.send(answer);
        }
    }

    /// `peer` works on it.
    pub(super) fn pending(&mut self, now: Duration, peer: &EntityId, exchange: ExchangeId) {
        self.exchanges
            .pending(now, peer, exchange, &mut entropy::draw);
    }

    /// Nothing will be sent to `peer`.
    pub(super) fn fail_all(&mut self, peer: &EntityId, failure: Failure) {
        let mut courier = Round {
            waiting: &mut self.waiting,
            due: Vec::new(),
        };
        self.exchanges.fail_all(peer, failure, &mut courier);
    }

    /// What is to be repeated now.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> Vec<Due> {
        // Whoever waits no more needs no repetition.
        let given_up = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.answer.is_closed());
        let given_up: Vec<_> = given_up.map(|(exchange, _)| *exchange).collect();
        for exchange in given_up {
            self.exchanges.cancel(exchange);
            self.waiting.remove(&exchange);
        }
        let mut courier = Round {
            waiting: &mut self.waiting,
            due: Vec::new(),
        };
        self.exchanges
            .handle_timeout(now, &mut entropy::draw, &mut courier);
        courier.due
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.exchanges.next_timeout()
    }

    /// There is a new association with `peer`: every request that waits for it.
    pub(super) fn is_answered(&mut self, peer: &EntityId) -> Vec<Bytes> {
        let of_peer = self.of_peer(peer);
        let datagrams = of_peer.map(|waiting| {
            waiting.failure = Failure::Timeout;
            waiting.datagram.clone()
        });
        datagrams.collect()
    }

    /// Nobody answers where `peer` should be: who waits for it until the end is told.
    pub(super) fn has_no_answer(&mut self, peer: &EntityId) {
        for waiting in self.of_peer(peer) {
            waiting.failure = Failure::PeerUnreachable;
        }
    }

    fn of_peer(&mut self, peer: &EntityId) -> impl Iterator<Item = &mut Waiting> {
        let waiting = self.waiting.values_mut();
        waiting.filter(move |waiting| waiting.peer == *peer)
    }
}

struct Round<'a> {
    waiting: &'a mut HashMap<ExchangeId, Waiting>,
    due: Vec<Due>,
}

impl Courier for Round<'_> {
    fn repeat(&mut self, exchange: ExchangeId, peer: &EntityId, request: &Bytes) {
        if let Some(waiting) = self.waiting.get_mut(&exchange) {
            waiting.repeats += 1;
            self.due.push(Due {
                peer: peer.clone(),
                datagram: request.clone(),
                since: waiting.since,
                repeats: waiting.repeats,
            });
        }
    }

    fn fail(&mut self, exchange: ExchangeId, _: &EntityId, failure: Failure) {
        if let Some(waiting) = self.waiting.remove(&exchange) {
            let failure = match failure {
                Failure::Timeout => waiting.failure,
                other => other,
            };
            let _ = waiting.answer.send(Err(failure));
        }
    }
}
