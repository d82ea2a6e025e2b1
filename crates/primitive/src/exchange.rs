//! Requests that wait for their responses over a carriage that loses, repeats and reorders.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use core::time::Duration;

use prost::bytes::Bytes;
use refpoint_keys::EntityId;

use crate::{Failure, RequestId};

/// Number of an exchange: chosen by the asking end, the same in all repetitions of a request and in its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(u32);

impl ExchangeId {
    /// The exchange of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a request is sent again, and how many may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retransmission {
    /// The interval before the first repetition; each further one is twice as long.
    pub first: Duration,
    /// The longest interval; also the one at which a request is repeated whose arrival is known.
    pub longest: Duration,
    /// The most requests that wait for one peer.
    pub waiting_per_peer: usize,
    /// The most requests that wait in all.
    pub waiting: usize,
}

impl Default for Retransmission {
    /// 400 ms, then twice as long up to 2 s; each interval is stretched by up to a half. Under 30 % loss each way
    /// one repetition in two gets through, so that of a thousand requests with ten seconds' patience all but a few
    /// are answered, and of a million with thirty seconds' all. 16 for one peer, 4096 in all.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(400),
            longest: Duration::from_secs(2),
            waiting_per_peer: 16,
            waiting: 4096,
        }
    }
}

/// Where [`Exchanges::handle_timeout`] puts what is due.
pub trait Courier {
    /// Send the request to the peer once more: the same bytes as before.
    fn repeat(&mut self, exchange: ExchangeId, peer: &EntityId, request: &Bytes);
    /// The request will not be answered any more. Each exchange ends here or with its response, once.
    fn fail(&mut self, exchange: ExchangeId, peer: &EntityId, failure: Failure);
}

/// The requests of this end that wait for a response.
///
/// Nothing here reads a clock or draws random numbers: `now` is monotonic time, `draw` gives 32 uniformly random bits.
/// Every call of [`Exchanges::handle_timeout`] moves [`Exchanges::next_timeout`] beyond its `now`.
///
/// A request is tied to its peer, not to an association: over a new one the driver just goes on.
///
/// ```
/// use core::time::Duration;
/// use refpoint_keys::EntityId;
/// use refpoint_primitive::{Exchanges, RequestId, Retransmission};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut exchanges = Exchanges::new(Retransmission::default(), 0x5eed);
/// let gateway = EntityId::parse("//sp.example.com/id-mn")?;
/// let patience = Duration::from_secs(9);
/// let id = RequestId::new("r1")?;
/// let encode = |exchange| format!("request in exchange {exchange}").into();
/// let (exchange, _datagram) =
///     exchanges.start(Duration::ZERO, &gateway, id, patience, &mut || 0, encode)?;
/// assert_eq!(exchanges.next_timeout(), Some(Duration::from_millis(400)));
/// assert!(exchanges.answer(&gateway, exchange, Some(&RequestId::new("r1")?)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Exchanges {
    timing: Retransmission,
    waiting: BTreeMap<ExchangeId, Waiting>,
    timers: BTreeSet<(Duration, ExchangeId)>,
    peers: BTreeMap<EntityId, usize>,
    next: u32,
}

#[derive(Debug)]
struct Waiting {
    peer: EntityId,
    request_id: RequestId,
    request: Bytes,
    interval: Duration,
    due: Duration,
    deadline: Duration,
}

impl Exchanges {
    /// No exchanges yet. They are numbered from `first` on, which should be random, so that an end that lost its memory does
    /// not soon use the same numbers.
    #[must_use]
    pub const fn new(timing: Retransmission, first: u32) -> Self {
        Self {
            timing,
            waiting: BTreeMap::new(),
            timers: BTreeSet::new(),
            peers: BTreeMap::new(),
            next: first,
        }
    }

    /// Begins an exchange with `peer`: returns what to send, which `encode` makes for the exchange's number.
    ///
    /// It fails by [`Courier::fail`] when no response has come within `patience`.
    ///
    /// # Errors
    /// [`Failure::QueueFull`] when too many requests wait already.
    pub fn start(
        &mut self,
        now: Duration,
        peer: &EntityId,
        request_id: RequestId,
        patience: Duration,
        draw: &mut dyn FnMut() -> u32,
        encode: impl FnOnce(ExchangeId) -> Bytes,
    ) -> Result<(ExchangeId, Bytes), Failure> {
        let of_peer = self.peers.get(peer).copied().unwrap_or(0);
        if self.waiting.len() >= self.timing.waiting || of_peer >= self.timing.waiting_per_peer {
            return Err(Failure::QueueFull);
        }
        // There are fewer waiting than numbers: one is free.
        while self.waiting.contains_key(&ExchangeId(self.next)) {
            self.next = self.next.wrapping_add(1);
        }
        let exchange = ExchangeId(self.next);
        self.next = self.next.wrapping_add(1);
        let request = encode(exchange);
        let deadline = now.saturating_add(patience);
        let waiting = Waiting {
            peer: peer.clone(),
            request_id,
            request: request.clone(),
            interval: self.timing.first,
            due: deadline.min(now.saturating_add(stretched(self.timing.first, draw))),
            deadline,
        };
        self.timers.insert((waiting.due, exchange));
        self.waiting.insert(exchange, waiting);
        *self.peers.entry(peer.clone()).or_default() += 1;
        Ok((exchange, request))
    }

    /// A response has come from `peer`: whether it answers a request that waits. Then the exchange is over, and the response
    /// is the originator's; otherwise it answers nothing that this peer was asked, and is dropped.
    ///
    /// `request_id` is what the response names as its request, if it names one.
    #[must_use]
    pub fn answer(
        &mut self,
        peer: &EntityId,
        exchange: ExchangeId,
        request_id: Option<&RequestId>,
    ) -> bool {
        let Some(waiting) = self.waiting.get(&exchange) else {
            return false;
        };
        let is_named = request_id.is_none_or(|named| *named == waiting.request_id);
        if waiting.peer != *peer || !is_named {
            return false;
        }
        self.remove(exchange);
        true
    }

    /// The peer says that it has the request and works on it: from now on it is repeated at the longest interval only.
    pub fn pending(
        &mut self,
        now: Duration,
        peer: &EntityId,
        exchange: ExchangeId,
        draw: &mut dyn FnMut() -> u32,
    ) {
        if let Some(waiting) = self.waiting.get_mut(&exchange)
            && waiting.peer == *peer
        {
            self.timers.remove(&(waiting.due, exchange));
            waiting.interval = self.timing.longest;
            let due = now.saturating_add(stretched(waiting.interval, draw));
            waiting.due = due.min(waiting.deadline);
            self.timers.insert((waiting.due, exchange));
        }
    }

    /// Repeats what is due and fails what has waited for too long.
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        draw: &mut dyn FnMut() -> u32,
        courier: &mut dyn Courier,
    ) {
        while let Some(&(due, exchange)) = self.timers.first()
            && due <= now
        {
            let Some(waiting) = self.waiting.get_mut(&exchange) else {
                self.timers.pop_first();
                continue;
            };
            if waiting.deadline <= now {
                if let Some(waiting) = self.remove(exchange) {
                    courier.fail(exchange, &waiting.peer, Failure::Timeout);
                }
                continue;
            }
            courier.repeat(exchange, &waiting.peer, &waiting.request);
            self.timers.remove(&(due, exchange));
            waiting.interval = waiting.interval.saturating_mul(2).min(self.timing.longest);
            // Counted from now, and at least a millisecond: a late call is not followed by a burst, an interval of zero
            // not by a spin.
            let wait = stretched(waiting.interval, draw).max(Duration::from_millis(1));
            waiting.due = now.saturating_add(wait).min(waiting.deadline);
            self.timers.insert((waiting.due, exchange));
        }
    }

    /// When to call [`Exchanges::handle_timeout`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.first().map(|first| first.0)
    }

    /// Nobody waits for the response any more.
    pub fn cancel(&mut self, exchange: ExchangeId) {
        self.remove(exchange);
    }

    /// Nothing can be sent to `peer`: every request that waits for it fails now.
    pub fn fail_all(&mut self, peer: &EntityId, failure: Failure, courier: &mut dyn Courier) {
        let of_peer = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.peer == *peer);
        let exchanges: alloc::vec::Vec<_> = of_peer.map(|(exchange, _)| *exchange).collect();
        for exchange in exchanges {
            self.remove(exchange);
            courier.fail(exchange, peer, failure);
        }
    }

    /// How many requests wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn remove(&mut self, exchange: ExchangeId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&exchange)?;
        self.timers.remove(&(waiting.due, exchange));
        if let Some(count) = self.peers.get_mut(&waiting.peer) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&waiting.peer);
            }
        }
        Some(waiting)
    }
}

/// The interval, longer by a random part of its half.
fn stretched(interval: Duration, draw: &mut dyn FnMut() -> u32) -> Duration {
    let nanoseconds = ((interval / 2).as_nanos() * u128::from(draw())) >> 32;
    let extra = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
    interval.saturating_add(extra)
}
