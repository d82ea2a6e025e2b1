//! The ledger of duplicates: every request is executed at most once, and a repeated one gets the first one's answer.

mod book;

use core::time::Duration;

use prost::bytes::Bytes;
use refpoint_keys::EntityId;
use sha2::{Digest as _, Sha256};

use crate::{Failure, RequestDigest, RequestId};
use book::{Book, Entry, State};

/// How much a ledger keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerLimits {
    /// The most requests of one entity.
    pub requests_per_entity: usize,
    /// The most requests of all.
    pub requests: usize,
    /// The most bytes of remembered answers to one entity.
    pub answers_per_entity: usize,
    /// The most bytes of remembered answers to all.
    pub answers: usize,
    /// For how long a request is kept at most, whatever its expiration says; at least 247 s.
    pub longest: Duration,
}

impl Default for LedgerLimits {
    /// 65 536 requests of an entity and 1 048 576 in all (about 250 bytes each), 1 MiB of answers to an entity and 64 MiB
    /// in all, one hour.
    fn default() -> Self {
        Self {
            requests_per_entity: 1 << 16,
            requests: 1 << 20,
            answers_per_entity: 1 << 20,
            answers: 1 << 26,
            longest: Duration::from_secs(3600),
        }
    }
}

/// What to do with a request that has arrived.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Receipt {
    /// Execute it, then give the ticket back by [`Ledger::settle`] or [`Ledger::abandon`].
    Execute(Ticket),
    /// It is being executed already: its answer will follow, or say so.
    Pending,
    /// It was executed: send this answer again.
    Repeat(Bytes),
    /// Do not execute it: answer with this failure's refusal.
    Refuse(Failure),
}

/// The right to answer a request, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "settle or abandon it, or its request stays pending until it expires"]
pub struct Ticket {
    key: Key,
    age: u64,
}

/// Which requests have arrived, what they were and how they were answered.
///
/// ```text
/// key    SHA-256(lp(entity) lp(from) lp(request id))[0..16]      lp(x): its length in eight bytes, then x
/// value  SHA-256(the request as it was opened), the answer once there is one
/// kept   for the later of 247 s and the request's expiration, capped by LedgerLimits::longest
/// ```
///
/// The entity is the authenticated one: neither a new association, nor a refresh, nor a resumption makes a repeated
/// request new. The same key with another value is refused. 247 s is how long a message of RFC 7252 (4.8.2,
/// `EXCHANGE_LIFETIME`) may still turn up.
///
/// **When it is full**, an entity that has reached its own limit gives up its own oldest answered request; beyond the
/// limit of all, the oldest answered request of all goes. What is still being executed is never given up: when there is
/// nothing else, new requests are refused with [`Failure::QueueFull`]. An answer that is given up leaves its request in
/// the ledger: a repetition is refused with [`Failure::AnswerGone`], not executed again.
///
/// A request identifier is used once: an originator that repeats one for a second, equal request within these times gets
/// the first one's answer.
///
/// ```
/// use core::time::Duration;
/// use refpoint_keys::EntityId;
/// use refpoint_primitive::{Header, Headers, HttpRequest, Ledger, LedgerLimits, Receipt, RequestMessage};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ledger = Ledger::new(LedgerLimits::default());
/// let sensor = EntityId::parse("//sp.example.com/id-mn/CSensor1")?;
/// let headers = Headers::new(vec![Header::new("X-M2M-RI", "r1")?])?;
/// let request = RequestMessage::Http(HttpRequest::new("GET", "/cse-mn", headers, "")?);
/// let key = request.checked().ledger_key(&sensor);
/// let digest = request.digest();
///
/// let now = Duration::ZERO;
/// let Receipt::Execute(ticket) = ledger.receive(now, &key, digest, None) else {
///     panic!("it is new");
/// };
/// assert_eq!(ledger.receive(now, &key, digest, None), Receipt::Pending);
/// ledger.settle(ticket, "the answer".into());
/// let again = ledger.receive(now, &key, digest, None);
/// assert_eq!(again, Receipt::Repeat("the answer".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ledger {
    limits: LedgerLimits,
    book: Book,
}

/// RFC 7252, 4.8.2: `EXCHANGE_LIFETIME`.
const EXCHANGE_LIFETIME: Duration = Duration::from_secs(247);

/// What makes a request that one: who sent it, for whom, and what they call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerKey<'a> {
    /// The authenticated entity.
    pub entity: &'a EntityId,
    /// Who it says the request is from, if anyone.
    pub from: Option<&'a str>,
    /// The request's identifier.
    pub request_id: &'a RequestId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key([u8; 16]);

impl Key {
    fn of(key: &LedgerKey<'_>) -> Self {
        let mut hash = Sha256::new();
        // Absent and empty are the same originator: none.
        let from = key.from.unwrap_or_default();
        for field in [key.entity.as_str(), from, key.request_id.as_str()] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(limits: LedgerLimits) -> Self {
        Self {
            limits,
            book: Book::default(),
        }
    }

    /// Enters a request and says what to do with it.
    ///
    /// `now` is monotonic, `expires_in` how long the request is good for, where it says so and that can be told.
    pub fn receive(
        &mut self,
        now: Duration,
        request: &LedgerKey<'_>,
        digest: RequestDigest,
        expires_in: Option<Duration>,
    ) -> Receipt {
        self.handle_timeout(now);
        let key = Key::of(request);
        if let Some(entry) = self.book.entry(&key) {
            return match &entry.state {
                _ if entry.digest != digest => Receipt::Refuse(Failure::DuplicateConflict),
                State::Pending => Receipt::Pending,
                State::Answered(answer) => Receipt::Repeat(answer.clone()),
                State::Gone => Receipt::Refuse(Failure::AnswerGone),
            };
        }
        if expires_in == Some(Duration::ZERO) {
            return Receipt::Refuse(Failure::Expired);
        }
        if !self.make_room(request.entity) {
            return Receipt::Refuse(Failure::QueueFull);
        }
        let longest = self.limits.longest.max(EXCHANGE_LIFETIME);
        let keep = expires_in
            .unwrap_or_default()
            .clamp(EXCHANGE_LIFETIME, longest);
        let age = self.book.insert(
            key,
            Entry::new(request.entity.clone(), digest, now.saturating_add(keep)),
        );
        Receipt::Execute(Ticket { key, age })
    }

    /// The request was executed: repetitions get this answer.
    pub fn settle(&mut self, ticket: Ticket, answer: Bytes) {
        let fits = answer.len() <= self.limits.answers_per_entity;
        let answer = fits.then_some(answer);
        let Some(entity) = self.book.settle(&ticket.key, ticket.age, answer) else {
            return;
        };
        while self.book.answers_of(&entity) > self.limits.answers_per_entity {
            self.book.drop_oldest_answer_of(&entity);
        }
        while self.book.answers() > self.limits.answers {
            self.book.drop_oldest_answer();
        }
    }

    /// The request was not executed, and certainly will not be: a repetition is new.
    pub fn abandon(&mut self, ticket: Ticket) {
        self.book.abandon(&ticket.key, ticket.age);
    }

    /// Drops what has been kept for long enough.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.book.expire(now);
    }

    /// When [`Ledger::handle_timeout`] has something to do; without it, the next [`Ledger::receive`] does it.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.book.first_expiry()
    }

    /// How many requests are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.book.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn make_room(&mut self, entity: &EntityId) -> bool {
        let fits_own = self.book.len_of(entity) < self.limits.requests_per_entity
            || self.book.drop_oldest_of(entity);
        fits_own && (self.book.len() < self.limits.requests || self.book.drop_oldest())
    }
}
