//! The form in which an issued handle outlives the process.

use super::*;

/// An issued handle with its secret, for a store. The store seals it (rule S4): deletion is not
/// erasure.
pub struct StoredHandle {
    id: HandleId,
    expires: UtcTime,
    bytes: Zeroizing<Vec<u8>>,
}

const LAYOUT: u8 = 1;
pub(crate) const DAMAGED: Error =
    Error::Config("stored handle: it is damaged or of another version, and so");

impl StoredHandle {
    pub(super) fn new(
        id: HandleId,
        entry: &Entry,
        credential: &Credential,
        now: Now,
        utc: UtcTime,
    ) -> Self {
        let date = |until: u64| {
            let left = Duration::from_millis(until.saturating_sub(now.millis()));
            utc.saturating_add(left)
        };
        let (local, peer) = (credential.local().as_str(), credential.peer().as_str());
        let key_id = credential.key_id();
        let fields = [
            entry.session.as_bytes(),
            key_id.as_bytes(),
            local.as_bytes(),
            peer.as_bytes(),
        ];
        let len: usize = fields.iter().map(|field| 1 + field.len()).sum();
        // Of its final size from the start: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(80 + len));
        bytes.extend_from_slice(&[LAYOUT, entry.carriage.code(), entry.terms.code()]);
        bytes.extend_from_slice(&id.0);
        bytes.extend_from_slice(entry.secret.expose_bytes());
        bytes.extend_from_slice(&entry.generation.to_be_bytes());
        bytes.extend_from_slice(&entry.redeemed.to_be_bytes());
        bytes.extend_from_slice(&date(entry.until).as_secs().to_be_bytes());
        bytes.extend_from_slice(&date(entry.chain_until).as_secs().to_be_bytes());
        bytes.extend_from_slice(&entry.agreed.codes());
        for field in fields {
            bytes.push(field.len() as u8);
            bytes.extend_from_slice(field);
        }
        Self {
            id,
            expires: date(entry.until),
            bytes,
        }
    }

    /// Which handle.
    #[must_use]
    pub const fn id(&self) -> HandleId {
        self.id
    }

    /// When it may be forgotten.
    #[must_use]
    pub const fn expires(&self) -> UtcTime {
        self.expires
    }

    /// All of it, the secret included.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What [`expose_bytes`](Self::expose_bytes) gave, in another process.
    ///
    /// # Errors
    /// [`Error::Config`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let parsed = Parsed::new(bytes)?;
        Ok(Self {
            id: parsed.id,
            expires: parsed.until,
            bytes: Zeroizing::new(bytes.to_vec()),
        })
    }

    pub(super) fn entry(
        &self,
        now: Now,
        credentials: &Credentials,
    ) -> Result<(HandleId, Box<Entry>), Error> {
        let parsed = Parsed::new(&self.bytes)?;
        let (credential, found) = credentials
            .by_key(parsed.terms.point, parsed.key_id)
            .ok_or(Error::NoCredential)?;
        // The owner is responder here, for this peer (rule S3).
        if *found.local() != parsed.local || *found.peer() != parsed.peer {
            return Err(Error::NoCredential);
        }
        let utc = now.utc.ok_or(Error::Expired)?;
        if parsed.until <= utc {
            return Err(Error::Expired);
        }
        let monotonic = |date: UtcTime| {
            let left = date.saturating_since(utc);
            now.millis().saturating_add(millis(left))
        };
        let entry = Entry {
            secret: Resumption::from_bytes([0; 32]),
            credential,
            generation: parsed.generation,
            until: monotonic(parsed.until),
            chain_until: monotonic(parsed.chain_until),
            redeemed: parsed.redeemed,
            agreed: parsed.agreed,
            terms: parsed.terms,
            session: parsed.session,
            carriage: parsed.carriage,
            before: None,
            tried: None,
        };
        let mut entry = Box::new(entry);
        entry.secret.set(&parsed.secret);
        Ok((parsed.id, entry))
    }
}

struct Parsed {
    carriage: Carriage,
    terms: Terms,
    id: HandleId,
    secret: Resumption,
    generation: u32,
    redeemed: u16,
    until: UtcTime,
    chain_until: UtcTime,
    agreed: Agreed,
    session: SessionLabel,
    key_id: KeyId,
    local: EntityId,
    peer: EntityId,
}

impl Parsed {
    fn new(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let [layout, carriage, terms] = reader.array()?;
        let carriage = match carriage {
            1 => Carriage::Packet,
            2 => Carriage::Stream,
            _ => return Err(DAMAGED),
        };
        let parsed = Self {
            carriage,
            terms: Terms::try_from(terms).map_err(|_| DAMAGED)?,
            id: HandleId(reader.array()?),
            secret: Resumption::from_bytes(reader.array()?),
            generation: u32::from_be_bytes(reader.array()?),
            redeemed: u16::from_be_bytes(reader.array()?),
            until: UtcTime::from_secs(u64::from_be_bytes(reader.array()?)),
            chain_until: UtcTime::from_secs(u64::from_be_bytes(reader.array()?)),
            agreed: Agreed::from_codes(reader.array()?).ok_or(DAMAGED)?,
            session: SessionLabel::new(reader.field()?).map_err(|_| DAMAGED)?,
            key_id: KeyId::new(reader.field()?).map_err(|_| DAMAGED)?,
            local: reader.entity()?,
            peer: reader.entity()?,
        };
        if layout == LAYOUT && reader.is_empty() && parsed.secret.handle() == parsed.id {
            Ok(parsed)
        } else {
            Err(DAMAGED)
        }
    }
}

/// Takes fields off the front of stored bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// A field with one byte of length.
    pub(crate) fn field(&mut self) -> Result<&'a [u8], Error> {
        let [len] = self.array()?;
        let (taken, rest) = self.0.split_at_checked(len.into()).ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn entity(&mut self) -> Result<EntityId, Error> {
        let text = core::str::from_utf8(self.field()?).map_err(|_| DAMAGED)?;
        EntityId::parse(text).map_err(|_| DAMAGED)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for StoredHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredHandle")
            .field("id", &self.id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
