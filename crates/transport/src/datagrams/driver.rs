use core::future::ready;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prost::Message as _;
use refpoint_association::{
    AssociationId, AttemptId, Authenticated, CloseReason, Config, Credential, CredentialId,
    Credentials, Endpoint, Error, HeldHandle, ReservedSlot, SessionLabel, StoredHandle,
};
use refpoint_keys::{EntityId, ReferencePoint};
use refpoint_primitive::{Bytes, ExchangeId, Failure, ResponseMessage};
use refpoint_wire::RECORD as RECORD_BIT;
use refpoint_x::proto::{self, datagram::Body};
use refpoint_x::{Datagram, exchange};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::asking::{Asking, Due};
use super::outgoing::{Happened, Outgoing};
use super::peers::Peers;
use super::persistence::{DeviceStorage, HandleLog, Persistence};
use super::renewing::Renewing;
use super::sieve::Sieve;
use super::socket::Socket;
use super::strangers::{Lane, Strangers};
use super::{Command, DatagramLimits, RECORD, Up, lock};
use crate::handler::Shared;
use crate::{Association, Keyring, X, clock, entropy};

mod credentials;

/// So many packets are taken from the socket before anything else gets its turn.
const BATCH: usize = 512;

/// A request that was repeated this often without any sign of its peer makes the association suspect (rule H8).
const SUSPICIOUS: u32 = 2;

/// Owns the end point; everything that happens passes through [`Driver::run`].
pub(super) struct Driver {
    socket: Socket,
    endpoint: Endpoint,
    keyring: Keyring,
    /// The keyring's credentials and their names in the end point.
    credentials: HashMap<CredentialId, (Arc<Credential>, CredentialId)>,
    peers: Peers,
    up: Up,
    asking: Asking,
    handler: Shared<X>,
    executing: HashSet<(EntityId, ExchangeId)>,
    executed: (mpsc::Sender<Executed>, mpsc::Receiver<Executed>),
    closing: (
        mpsc::UnboundedSender<Association>,
        mpsc::UnboundedReceiver<Association>,
    ),
    outgoing: Outgoing,
    /// Of one packet that is received.
    buffer: Vec<u8>,
    strangers: Strangers,
    sieve: Sieve,
    limits: DatagramLimits,
    log: Option<Box<dyn HandleLog>>,
    device: Option<Box<dyn DeviceStorage>>,
    /// What an earlier process left and no credential here fits yet.
    left: (Vec<StoredHandle>, Vec<HeldHandle>),
    renewing: Renewing,
    slots: Vec<ReservedSlot>,
}

/// The answer to a peer's request.
struct Executed {
    peer: EntityId,
    exchange: ExchangeId,
    /// None when the handler has failed: then its asker repeats the request.
    datagram: Option<Bytes>,
}

impl Driver {
    pub(super) fn new(
        socket: Socket,
        keyring: &Keyring,
        config: Config,
        handler: Shared<X>,
        (limits, persistence): (DatagramLimits, Persistence),
        up: Up,
    ) -> Self {
        let mut local = keyring.read(|local, _| local.clone());
        let (mut held, mut slots) = (Vec::new(), Vec::new());
        if let Some(device) = &persistence.device {
            let kept = device.slots().into_iter();
            slots.extend(kept.filter_map(|bytes| ReservedSlot::from_bytes(&bytes).ok()));
            local = local.with_boot_counter(device.boot());
            let kept = device.held().into_iter();
            held.extend(kept.filter_map(|bytes| HeldHandle::from_bytes(clock::now(), &bytes).ok()));
        }
        let rng = &mut entropy::system();
        let mut endpoint = Endpoint::new(config, local, Credentials::new(), rng);
        if let Some(keys) = &persistence.keys {
            endpoint = endpoint.with_responder_keys(keys);
        }
        Self {
            socket,
            endpoint,
            log: persistence.log,
            device: persistence.device,
            left: (persistence.issued, held),
            slots,
            keyring: keyring.clone(),
            credentials: HashMap::new(),
            peers: Peers::default(),
            up,
            asking: Asking::new(limits.retransmission, limits.largest),
            handler,
            executing: HashSet::new(),
            executed: mpsc::channel(limits.executing.max(1)),
            closing: mpsc::unbounded_channel(),
            outgoing: Outgoing::default(),
            buffer: vec![0; 65_536],
            strangers: Strangers::new(limits.strangers),
            sieve: Sieve::default(),
            limits,
            renewing: Renewing::default(),
        }
    }

    /// Wait for something; let the end point deal with it; deal with what that gave; send.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut changes = self.keyring.changes();
        self.take_credentials();
        loop {
            let timer = sleep_until(self.wake_up());
            tokio::select! {
                () = self.socket.readable() => {}
                () = self.socket.writable(), if self.outgoing.is_waiting() => {}
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                Some(executed) = self.executed.1.recv() => self.answer(executed),
                Some(association) = self.closing.1.recv() => self.close(&association),
                _ = changes.changed() => self.take_credentials(),
                () = ready(()), if !self.strangers.is_empty() => {}
                () = timer => {}
            }
            // Whatever it was: packets are read before a stranger is served.
            self.receive();
            self.receive_strangers();
            self.handle_timeouts();
            self.handle_events();
            self.outgoing.send(&self.socket);
            if !self.strangers.is_empty() {
                // However many come: those who execute requests have their turn, too.
                yield_now().await;
            }
        }
        self.stop();
    }

    fn wake_up(&self) -> Instant {
        let timeouts = [
            self.endpoint.next_timeout(),
            self.asking.next_timeout(),
            self.peers.next_timeout(),
            self.renewing.next_timeout(),
            self.sieve.next_timeout(),
            // Rounded up below, to a millisecond.
            (!self.socket.is_watched()).then_some(Duration::ZERO),
        ];
        let next = timeouts.into_iter().flatten().min();
        let wait = next.map(|next| next.saturating_sub(clock::monotonic()));
        // Rounded up: timers have milliseconds, and too early is once more.
        let wait = wait.unwrap_or(Duration::from_secs(3600)) + Duration::from_millis(1);
        Instant::now() + wait.min(Duration::from_secs(3600))
    }

    /// Records are dealt with at once, what anybody may have sent when they are through.
    fn receive(&mut self) {
        let now = clock::monotonic();
        let mut buffer = core::mem::take(&mut self.buffer);
        for _ in 0..BATCH {
            let Ok((length, from)) = self.socket.try_recv_from(&mut buffer) else {
                break;
            };
            let packet = &mut buffer[..length];
            if packet.first().is_some_and(|first| first & RECORD_BIT != 0) {
                self.deal_with(from, packet);
            } else {
                self.strangers.push(now, from, packet);
            }
        }
        self.buffer = buffer;
    }

    fn receive_strangers(&mut self) {
        let now = clock::monotonic();
        for lane in Lane::ALL {
            let limited = self.endpoint.statistics().limited;
            for _ in 0..lane.turn() {
                let Some((from, mut packet)) = self.strangers.pop(lane, now) else {
                    break;
                };
                self.deal_with(from, &mut packet);
            }
            if lane == Lane::Hidden {
                // More than strangers may have: of these, no more need to come.
                let limited = self.endpoint.statistics().limited - limited;
                self.strangers.were_limited(lane, limited);
            }
        }
        self.sieve
            .adjust(now, self.strangers.counts(), &self.socket.options());
        self.socket.watch(!self.sieve.is_flooded());
    }

    fn deal_with(&mut self, from: SocketAddr, packet: &mut [u8]) {
        let (now, rng) = (clock::now(), &mut entropy::system());
        self.endpoint
            .receive(now, rng, from, packet, &mut self.outgoing);
        self.handle_events();
    }

    fn handle_timeouts(&mut self) {
        let now = clock::now();
        if let (Some(log), Some(utc)) = (&mut self.log, now.utc) {
            log.tell(utc);
        }
        if self
            .endpoint
            .next_timeout()
            .is_some_and(|due| due <= now.monotonic)
        {
            let rng = &mut entropy::system();
            self.endpoint.handle_timeout(now, rng, &mut self.outgoing);
        }
        if self
            .asking
            .next_timeout()
            .is_some_and(|due| due <= now.monotonic)
        {
            for due in self.asking.handle_timeout(now.monotonic) {
                self.repeat(&due);
            }
        }
        for peer in self.peers.due(now.monotonic) {
            self.connect(&peer);
        }
        let (peers, endpoint, out) = (&self.peers, &mut self.endpoint, &mut self.outgoing);
        self.renewing.handle_timeout(now, peers, endpoint, out);
    }

    fn handle_events(&mut self) {
        while let Some(happened) = self.outgoing.next_event() {
            match happened {
                Happened::Established(id, peer) => self.established(id, peer),
                Happened::Received(id, content) => self.received(id, content),
                Happened::Replaced(old, new) => self.peers.replace(old, new),
                Happened::Closed(id, error) => self.closed(id, error),
                Happened::Failed(attempt, error) => self.failed(attempt, error),
                Happened::Held(held) => {
                    if let Some(Err(error)) = self.device.as_mut().map(|device| device.save(&held))
                    {
                        tracing::warn!(%error, "a handle was not kept: after a loss of power a full handshake follows");
                    }
                }
                Happened::Handles(change) => {
                    if let Some(log) = &mut self.log {
                        log.write(change);
                    }
                }
                Happened::NotResumed(attempt, error) => {
                    if let Some(peer) = self.peers.of_attempt(attempt) {
                        tracing::info!(%peer, reason = %error, "not resumed: a full handshake follows");
                    }
                }
                Happened::Deferred(attempt, until, slot) => {
                    let reserved = slot.and_then(|slot| Some(self.device.as_mut()?.reserve(&slot)));
                    if let Some(Err(error)) = reserved {
                        tracing::warn!(%error, "a slot was not kept: after a loss of power another is asked for");
                    }
                    let wait = until.saturating_sub(clock::monotonic());
                    if let Some(peer) = self.peers.of_attempt(attempt) {
                        tracing::info!(%peer, ?wait, "the peer is busy and has given a slot");
                    }
                }
            }
        }
    }

    fn established(&mut self, id: AssociationId, peer: Authenticated) {
        let entity = peer.entity().clone();
        tracing::debug!(peer = %entity, "association established");
        self.peers.establish(&entity, id, clock::monotonic());
        let mut up = lock(&self.up);
        match up
            .get(&entity)
            .filter(|association| !association.is_closed())
        {
            Some(association) => association.succeed(peer),
            None => {
                let association = Association::of_datagrams(peer, self.closing.0.clone());
                self.keyring.list(&association);
                up.insert(entity.clone(), association);
            }
        }
        drop(up);
        // What waited for an association, or got no answer over the one before.
        for datagram in self.asking.is_answered(&entity) {
            self.send(&entity, &datagram);
        }
    }

    fn received(&mut self, id: AssociationId, content: Bytes) {
        let owner = self.peers.owner(id).cloned();
        // One that was replaced still receives for a while.
        let owner = owner.or_else(|| Some(self.endpoint.peer(id)?.entity().clone()));
        let Some(peer) = owner else { return };
        let now = clock::monotonic();
        self.peers.hear(&peer, now);
        let Ok(proto::Datagram {
            exchange_id,
            body: Some(body),
        }) = proto::Datagram::decode(content)
        else {
            tracing::debug!(%peer, "a record holds no datagram of X");
            return;
        };
        let exchange = ExchangeId::new(exchange_id);
        match body {
            Body::Request(request) => self.execute(peer, exchange, request),
            Body::Response(response) => self.asking.answer(&peer, exchange, response),
            Body::Pending(_) => self.asking.pending(now, &peer, exchange),
        }
    }

    fn execute(&mut self, peer: EntityId, exchange: ExchangeId, request: proto::ExchangeRequest) {
        if self.executing.contains(&(peer.clone(), exchange)) {
            self.send(&peer, &Datagram::pending(exchange));
            return;
        }
        let Some(association) = lock(&self.up).get(&peer).cloned() else {
            return;
        };
        if self.executing.len() >= self.limits.executing {
            tracing::debug!(%peer, "too many requests are executed: one is dropped");
            return;
        }
        self.executing.insert((peer.clone(), exchange));
        let handled = self.handler.clone().handle(association, request.clone());
        let (executed, room) = (self.executed.0.clone(), self.limits.largest - RECORD);
        tokio::spawn(async move {
            // In a task of its own, so that a panic is an answer that never comes, and nothing else.
            let response = tokio::spawn(handled).await;
            let datagram = response
                .ok()
                .map(|response| fitting(exchange, &request, response, room));
            let _ = executed
                .send(Executed {
                    peer,
                    exchange,
                    datagram,
                })
                .await;
        });
    }

    fn answer(&mut self, executed: Executed) {
        let Executed {
            peer,
            exchange,
            datagram,
        } = executed;
        if let Some(datagram) = datagram {
            self.send(&peer, &datagram);
        }
        self.executing.remove(&(peer, exchange));
    }

    fn closed(&mut self, id: AssociationId, error: Error) {
        let Some(peer) = self.peers.end(id) else {
            return;
        };
        tracing::debug!(%peer, %error, "association ended");
        self.gone(&peer);
    }

    /// A peer has no association any more.
    fn gone(&mut self, peer: &EntityId) {
        if let Some(association) = lock(&self.up).remove(peer) {
            association.mark_closed();
        }
        // Who is not to be reached may come back by itself, within the patience of those who wait.
        self.peers.lost(peer, clock::monotonic(), false);
    }

    fn failed(&mut self, attempt: AttemptId, error: Error) {
        let Some(peer) = self.peers.of_attempt(attempt).cloned() else {
            return;
        };
        tracing::debug!(%peer, %error, "no association");
        self.peers.lost(&peer, clock::monotonic(), true);
        match error {
            _ if self.association(&peer).is_some() => {}
            // The next attempt may be answered while its asker still waits.
            Error::NoAnswer => self.asking.has_no_answer(&peer),
            _ => self.asking.fail_all(&peer, told(error)),
        }
    }

    fn association(&self, peer: &EntityId) -> Option<AssociationId> {
        self.peers.find(peer)?.association()
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Ask(ask) => {
                let (peer, now) = (ask.peer.clone(), clock::monotonic());
                if self.peers.find(&peer).is_none() {
                    let _ = ask.answer.send(Err(Failure::NoAssociation));
                    return;
                }
                if let Some(datagram) = self.asking.begin(now, *ask) {
                    self.send(&peer, &datagram);
                }
            }
            Command::Reach(peer, at) => self.peers.reach(&peer, at),
            Command::Forget(peer) => {
                if let Some(id) = self.peers.forget(&peer) {
                    let (now, out) = (clock::now(), &mut self.outgoing);
                    let _ = self.endpoint.close(now, id, CloseReason::Done, out);
                    self.closed(id, Error::NoAssociation);
                }
                self.asking.fail_all(&peer, Failure::NoAssociation);
            }
            Command::Renew(peer) => {
                if let Some(id) = self.association(&peer) {
                    let rng = &mut entropy::system();
                    let _ = self
                        .endpoint
                        .renew(clock::now(), rng, id, &mut self.outgoing);
                }
            }
            Command::RenewAll(within) => {
                let (peers, endpoint) = (&self.peers, &mut self.endpoint);
                let (now, out) = (clock::now(), &mut self.outgoing);
                self.renewing.start(now, within, peers, endpoint, out);
            }
            Command::Statistics(answer) => {
                let mut statistics = self.endpoint.statistics();
                let dropped = self.strangers.counts().map(|lane| lane.dropped);
                statistics.limited += dropped.iter().sum::<u64>();
                let _ = answer.send(statistics);
            }
        }
    }

    /// Starts a handshake with a peer that is to be reached.
    fn connect(&mut self, peer: &EntityId) {
        let now = clock::now();
        let named = self.keyring.credential(ReferencePoint::X, peer);
        let named = named.and_then(|(id, _)| Some(self.credentials.get(&id)?.1));
        let Some(at) = self.peers.way(peer) else {
            return;
        };
        let (rng, label) = (&mut entropy::system(), SessionLabel::default());
        let out = &mut self.outgoing;
        let started = named
            .ok_or(Error::NoCredential)
            .and_then(|credential| self.endpoint.connect(now, rng, at, credential, label, out));
        match started {
            Ok(attempt) => self.peers.attempt(peer, attempt),
            Err(error) => {
                tracing::debug!(%peer, %error, "no association");
                self.peers.lost(peer, now.monotonic, true);
                self.asking.fail_all(peer, told(error));
            }
        }
    }

    /// Sends a record, if there is an association; what is lost here is repeated by its asker.
    fn send(&mut self, peer: &EntityId, datagram: &[u8]) {
        let Some(id) = self.association(peer) else {
            return;
        };
        if let Err(error) = self
            .endpoint
            .send(clock::now(), id, datagram, &mut self.outgoing)
        {
            tracing::debug!(%peer, %error, "a record was not sent");
        }
    }

    fn repeat(&mut self, due: &Due) {
        self.send(&due.peer, &due.datagram);
        let Some(place) = self.peers.find(&due.peer) else {
            return;
        };
        if due.repeats >= SUSPICIOUS
            && place.heard() < due.since
            && let Some(id) = place.association()
        {
            let rng = &mut entropy::system();
            let _ = self
                .endpoint
                .suspect(clock::now(), rng, id, &mut self.outgoing);
        }
    }

    fn close(&mut self, association: &Association) {
        let peer = association.peer().entity;
        let Some(id) = self.association(&peer) else {
            return;
        };
        if lock(&self.up).get(&peer) == Some(association) {
            let reason = association.ending().unwrap_or(CloseReason::Done);
            let (now, out) = (clock::now(), &mut self.outgoing);
            let _ = self.endpoint.close(now, id, reason, out);
            self.closed(id, Error::NoAssociation);
        }
    }

    fn stop(&mut self) {
        for id in self.peers.associations() {
            let (now, out) = (clock::now(), &mut self.outgoing);
            let _ = self.endpoint.close(now, id, CloseReason::Done, out);
            self.closed(id, Error::NoAssociation);
        }
        self.outgoing.send(&self.socket);
    }
}

/// What waiting askers are told of an association that could not be made.
const fn told(error: Error) -> Failure {
    match error {
        Error::Full(_) => Failure::QueueFull,
        _ => Failure::NoAssociation,
    }
}

/// The datagram that answers, or says that the answer does not fit.
fn fitting(
    exchange: ExchangeId,
    request: &proto::ExchangeRequest,
    response: proto::ExchangeResponse,
    room: usize,
) -> Bytes {
    Datagram::response(exchange, response, room).unwrap_or_else(|error| {
        tracing::debug!(%error, "an answer does not fit");
        let refusal = match exchange::read_request(request.clone()) {
            Ok(incoming) => ResponseMessage::refusal(Failure::TooLarge, incoming.message()),
            Err(unreadable) => *unreadable.refusal,
        };
        Datagram::response(exchange, exchange::response(refusal), room).unwrap_or_default()
    })
}
