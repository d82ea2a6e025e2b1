use alloc::{boxed::Box, vec::Vec};
use core::{fmt, num::NonZeroU32, time::Duration};

use rand_core::CryptoRng;
use refpoint_association::{Backend, StaticKey, Suite};
use refpoint_keys::{ApplicationKey, EntityId, UtcTime, Validity};
use zeroize::Zeroizing;

use crate::{Error, PreKey, SigningKey, layout, pre_key::Statement, seen::Seen};

/// When pre-keys are made, how long senders may use them, and when they are destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreKeyPolicy {
    /// A new one is made this long after the last.
    pub rotation: Duration,
    /// Senders may seal to it for so long.
    pub validity: Duration,
    /// After that it is kept for so long: as long as a mailbox keeps objects. This is the forward
    /// secrecy of sealed objects: whoever takes the receiver later than this opens nothing.
    pub grace: Duration,
    /// Objects that one pre-key may open; each costs 32 bytes until the key is destroyed.
    pub objects: usize,
}

impl Default for PreKeyPolicy {
    /// A new key each day, good for two, kept for a week more; 4 096 objects a key.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            rotation: DAY,
            validity: DAY.saturating_mul(2),
            grace: DAY.saturating_mul(7),
            objects: 4_096,
        }
    }
}

/// The private halves of an entity's pre-keys, and what each has opened.
///
/// It is the receiver's state, to be kept where a crash does not reach: write [`to_bytes`](Self::to_bytes),
/// sealed, in one transaction with the acknowledgement of what was opened.
pub struct PreKeyRing {
    backend: Backend,
    suite: Suite,
    policy: PreKeyPolicy,
    /// The number of the next pre-key.
    next: NonZeroU32,
    /// The oldest first.
    held: Vec<Held>,
    fallback: Option<(StaticKey, Seen)>,
}

struct Held {
    number: NonZeroU32,
    secret: Box<Zeroizing<[u8; 32]>>,
    key: StaticKey,
    validity: Validity,
    seen: Seen,
}

impl Held {
    /// When it is destroyed.
    fn end(&self, policy: &PreKeyPolicy) -> UtcTime {
        self.validity.not_after().saturating_add(policy.grace)
    }
}

/// How often an object is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// For the first time.
    First,
    /// Once more, by who knows where it was opened first.
    Again,
}

/// Of a kept state.
const FORMAT: u8 = 1;

/// Pre-keys that a policy may have kept at once.
const MOST_KEYS: u64 = 200;

impl PreKeyRing {
    /// A ring without a key yet: [`tend`](Self::tend) it. Numbers begin at a random one, so that the
    /// parts of a group object rarely have equal ones.
    ///
    /// # Errors
    /// [`Error::Config`] when the policy leaves times without a pre-key or is zero somewhere.
    pub fn new(
        rng: &mut dyn CryptoRng,
        backend: Backend,
        suite: Suite,
        policy: PreKeyPolicy,
    ) -> Result<Self, Error> {
        if policy.rotation.as_secs() == 0 || policy.validity < policy.rotation {
            return Err(Error::Config("rotation of pre-keys"));
        }
        let kept = policy.validity.saturating_add(policy.grace).as_secs();
        if kept / policy.rotation.as_secs() >= MOST_KEYS {
            return Err(Error::Config(
                "rotation of pre-keys: too many would be kept, and so it",
            ));
        }
        if policy.objects == 0 {
            return Err(Error::Config("objects a pre-key"));
        }
        let next = NonZeroU32::MIN.saturating_add(rng.next_u32() >> 17);
        Ok(Self {
            backend,
            suite,
            policy,
            next,
            held: Vec::new(),
            fallback: None,
        })
    }

    /// Opens also what is sealed to the static key: off unless this is called. Such objects have no
    /// forward secrecy, and their ephemerals are remembered for ever, within the policy's bound.
    #[must_use]
    pub fn with_static_key(mut self, key: StaticKey) -> Self {
        self.fallback = Some((key, Seen::default()));
        self
    }

    /// Destroys what is over and makes what is due. True when there is a new pre-key to publish.
    /// Call it at [`due`](Self::due), and before the first use.
    ///
    /// # Errors
    /// [`Error::Full`] when there are no more numbers, [`Error::Association`] from the backend.
    pub fn tend(&mut self, now: UtcTime, rng: &mut dyn CryptoRng) -> Result<bool, Error> {
        let policy = self.policy;
        self.held.retain(|held| held.end(&policy) > now);
        if self.next_rotation().is_some_and(|due| due > now) {
            return Ok(false);
        }
        let (key, secret) = StaticKey::generate(rng, self.backend)?;
        let validity = Validity::new(Some(now), now.saturating_add(self.policy.validity))?;
        let number = self.next;
        self.next = number.checked_add(1).ok_or(Error::Full("pre-keys"))?;
        self.held.push(Held {
            number,
            secret: Box::new(secret),
            key,
            validity,
            seen: Seen::default(),
        });
        Ok(true)
    }

    fn next_rotation(&self) -> Option<UtcTime> {
        let start = self.held.last()?.validity.not_before()?;
        Some(start.saturating_add(self.policy.rotation))
    }

    /// When to [`tend`](Self::tend) it next.
    #[must_use]
    pub fn due(&self) -> Option<UtcTime> {
        let end = self.held.first().map(|held| held.end(&self.policy));
        end.into_iter().chain(self.next_rotation()).min()
    }

    /// Destroys the pre-key with this number at once: what is sealed to it opens no more.
    pub fn destroy(&mut self, number: NonZeroU32) {
        self.held.retain(|held| held.number != number);
    }

    /// The numbers of the pre-keys that open something at present, the oldest first.
    pub fn numbers(&self) -> impl Iterator<Item = NonZeroU32> {
        self.held.iter().map(|held| held.number)
    }

    fn newest<'a>(&self, owner: &'a EntityId) -> Result<Statement<'a>, Error> {
        let held = self.held.last().ok_or(Error::UnknownPreKey)?;
        Ok(Statement {
            owner,
            number: held.number,
            suite: self.suite,
            key: held.key.public_key(),
            validity: held.validity,
        })
    }

    /// The newest pre-key, signed with `owner`'s signing key: for all who have its record.
    ///
    /// # Errors
    /// [`Error::UnknownPreKey`] before the first [`tend`](Self::tend).
    pub fn signed(&self, owner: &EntityId, key: &SigningKey) -> Result<PreKey, Error> {
        Ok(self.newest(owner)?.signed(key))
    }

    /// The newest pre-key, vouched for under an application key: for the other holder of that key.
    ///
    /// # Errors
    /// [`Error::UnknownPreKey`] before the first [`tend`](Self::tend), [`Error::Keys`] when the key is not `owner`'s.
    pub fn vouched(&self, owner: &EntityId, key: &ApplicationKey) -> Result<PreKey, Error> {
        self.newest(owner)?.vouched(key)
    }

    /// The key with this number, if it may open an object with this ephemeral.
    pub(crate) fn admits(
        &self,
        now: Option<UtcTime>,
        number: u32,
        suite: Suite,
        (ephemeral, reading): (&[u8; 32], Reading),
    ) -> Result<&StaticKey, Error> {
        let (key, seen) = match NonZeroU32::new(number) {
            None => {
                let (key, seen) = self
                    .fallback
                    .as_ref()
                    .ok_or(Error::NotAllowed("sealing to the static key"))?;
                (key, seen)
            }
            Some(number) => {
                let held = self.held.iter().find(|held| held.number == number);
                let held = held.ok_or(Error::UnknownPreKey)?;
                let over = |now| held.end(&self.policy) <= now;
                if now.is_some_and(over) || suite != self.suite {
                    return Err(Error::UnknownPreKey);
                }
                (&held.key, &held.seen)
            }
        };
        match reading {
            Reading::First => seen.admits(ephemeral, self.policy.objects)?,
            Reading::Again if seen.knows(ephemeral) => {}
            Reading::Again => return Err(Error::NotOpened),
        }
        Ok(key)
    }

    /// Takes note of an object that opened.
    pub(crate) fn mark(&mut self, number: u32, ephemeral: [u8; 32]) {
        let held = self.held.iter_mut();
        let mut held = held.filter(|held| held.number.get() == number);
        let seen = match held.next() {
            Some(held) => Some(&mut held.seen),
            None => self.fallback.as_mut().map(|(_, seen)| seen),
        };
        if let Some(seen) = seen {
            seen.mark(ephemeral);
        }
    }

    /// The ring's state, secrets included: to be sealed and kept, in one transaction with the
    /// acknowledgement to the mailbox of everything up to `position`.
    #[must_use]
    pub fn to_bytes(&self, position: u64) -> Zeroizing<Vec<u8>> {
        let fallback = self.fallback.as_ref().map(|(_, seen)| seen);
        let all = || self.held.iter().map(|held| &held.seen).chain(fallback);
        let len: usize = all().map(|seen| 4 + 32 * seen.len()).sum();
        let mut out = Zeroizing::new(Vec::with_capacity(32 + 64 * self.held.len() + len));
        out.push(FORMAT);
        out.extend_from_slice(&position.to_be_bytes());
        out.extend_from_slice(&self.next.get().to_be_bytes());
        out.push(self.held.len() as u8);
        for held in &self.held {
            out.extend_from_slice(&held.number.get().to_be_bytes());
            out.extend_from_slice(&held.secret[..]);
            layout::validity(&mut out, &held.validity);
        }
        for seen in all() {
            out.extend_from_slice(&(seen.len() as u32).to_be_bytes());
            seen.iter().for_each(|key| out.extend_from_slice(key));
        }
        out
    }

    /// The ring of a kept state, for an entity made by [`new`](Self::new) and, where it was used,
    /// [`with_static_key`](Self::with_static_key): call it on that, once, before anything else.
    ///
    /// `acknowledged` is what the mailbox knows to be acknowledged last. A state from before that
    /// (a restored snapshot) does not know what was opened since and would open it again.
    ///
    /// # Errors
    /// [`Error::Stale`]: discard it, and tend a new ring. [`Error::Malformed`].
    pub fn restore(mut self, bytes: &[u8], acknowledged: u64) -> Result<Self, Error> {
        let mut reader = layout::Reader::new(bytes, "kept pre-keys");
        if reader.byte()? != FORMAT {
            return Err(Error::Malformed("kept pre-keys"));
        }
        if reader.u64()? < acknowledged {
            return Err(Error::Stale);
        }
        let number = |reader: &mut layout::Reader<'_>| {
            NonZeroU32::new(reader.u32()?).ok_or(Error::Malformed("kept pre-keys"))
        };
        self.next = number(&mut reader)?;
        let count = reader.byte()?;
        self.held = Vec::with_capacity(count.into());
        for _ in 0..count {
            let number = number(&mut reader)?;
            let secret = Box::new(Zeroizing::new(reader.array()?));
            let key = StaticKey::from_bytes(&secret, self.backend)?;
            let validity = layout::read_validity(reader.u64()?, reader.u64()?)?;
            self.held.push(Held {
                number,
                secret,
                key,
                validity,
                seen: Seen::default(),
            });
        }
        let fallback = self.fallback.as_mut().map(|(_, seen)| seen);
        let all = self.held.iter_mut().map(|held| &mut held.seen);
        for seen in all.chain(fallback) {
            for _ in 0..reader.u32()? {
                seen.mark(reader.array()?);
            }
        }
        reader.end()?;
        Ok(self)
    }
}

impl fmt::Debug for PreKeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreKeyRing")
            .field(
                "numbers",
                &self.held.iter().map(|held| held.number).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
