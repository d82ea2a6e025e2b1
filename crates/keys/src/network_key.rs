//! Keys that the underlying network has agreed with an entity.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::ZeroizeOnDrop;

use crate::derivation::{Info, Label};
use crate::pair::Pair;
use crate::secret::Secret;
use crate::{ConnectionKey, EntityId, Error, KeyId, ReferencePoint, UtcTime, Validity};

/// How the network came to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NetworkKeySource {
    /// Generic bootstrapping, 3GPP TS 33.220: `Ks_NAF`, named by a B-TID.
    Gba = 1,
    /// AKMA, 3GPP TS 33.535: `K_AF`, named by an A-KID.
    Akma = 2,
    /// Battery-efficient security, 3GPP TS 33.163, named by an EMSDP key id.
    Best = 3,
    /// Configured on both sides.
    Static = 4,
}

impl NetworkKeySource {
    /// The code in the derivation.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// What the network says of a key that it hands out; all of it but the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkKeyRecord {
    /// How the key came about.
    pub source: NetworkKeySource,
    /// The network's own name of the key (B-TID, A-KID, ..), 1 to 255 bytes.
    pub key_id: String,
    /// The application that the key was made for, 1 to 255 bytes: a domain name and, after it, the
    /// five bytes of the Ua(\*) protocol identifier (see
    /// [`ApplicationFunctionId`](crate::threegpp::ApplicationFunctionId)).
    pub application: Vec<u8>,
    /// Whose subscription it was (IMPI, GPSI), where the network tells. It enters no derivation.
    pub subscriber: Option<String>,
    /// The M2M entity which that subscriber is.
    pub bound_entity: EntityId,
    /// When the network lets the key be used.
    pub validity: Validity,
}

/// A key from the underlying network, with its record.
///
/// No Ua protocol identifier stands for Noise (3GPP TS 33.220, Annex H), so the key is never used
/// as it is, only after a derivation that keeps it apart from every other protocol.
#[derive(ZeroizeOnDrop)]
pub struct NetworkKey {
    #[zeroize(skip)]
    record: NetworkKeyRecord,
    #[zeroize(skip)]
    id: KeyId,
    secret: Secret,
}

impl NetworkKey {
    /// Takes over what the network handed out.
    ///
    /// # Errors
    /// [`Error::TextLength`] when the record's key id or application is empty or longer than 255
    /// bytes.
    pub fn new(record: NetworkKeyRecord, key: [u8; 32]) -> Result<Self, Error> {
        let secret = Secret::take(key);
        for length in [record.key_id.len(), record.application.len()] {
            if !(1..=255).contains(&length) {
                return Err(Error::TextLength);
            }
        }
        let id = KeyId::from_text(&record.key_id)?;
        Ok(Self { record, id, secret })
    }

    /// What the network says of the key.
    #[must_use]
    pub const fn record(&self) -> &NetworkKeyRecord {
        &self.record
    }

    /// The key's name on our wire: the network's name, or its hash when that is longer than 32
    /// bytes ([`KeyId::from_text`]).
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The connection key of `local` and `peer`, one of which is the record's bound entity.
    ///
    /// With `lp(x)` for one byte of length and then x itself, the lower id first, and 22 for the
    /// security usage (TS-0004, 6.3.4.2.39: remote provisioning to association):
    ///
    /// ```text
    /// ConnectionKey = HKDF-SHA256(salt = "refpoint keys v1", ikm = network's key, info, L = 32)
    /// info = lp("network key") ‖ lp(source) ‖ lp(network's key id) ‖ lp(application) ‖ lp(22)
    ///        ‖ lp(reference point) ‖ lp(lower id) ‖ lp(higher id)
    /// ```
    ///
    /// The validity stays out of it, since the network does not tell it to both ends alike; it
    /// clamps every association (K3). On expiry the ends bootstrap again with the network.
    ///
    /// # Errors
    /// [`Error::Expired`] when the validity has ended by `now`, [`Error::WrongEntities`] when
    /// neither end is the bound entity, [`Error::SameEntity`] when both are the same.
    pub fn into_connection_key(
        self,
        local: &EntityId,
        peer: &EntityId,
        point: ReferencePoint,
        now: UtcTime,
    ) -> Result<ConnectionKey, Error> {
        let record = &self.record;
        if record.validity.is_over(now) {
            return Err(Error::Expired);
        }
        let pair = Pair::new(local, peer)?;
        if pair.peer_of(&record.bound_entity).is_none() {
            return Err(Error::WrongEntities);
        }
        let (lower, higher) = pair.entities();
        let secret = Info::new(Label::NetworkKey)
            .field(&[record.source.code()])
            .field(record.key_id.as_bytes())
            .field(&record.application)
            .field(&[ASSOCIATION_FROM_REMOTE_PROVISIONING])
            .field(&[point.code()])
            .field(lower.as_str().as_bytes())
            .field(higher.as_str().as_bytes())
            .derive(&self.secret);
        Ok(ConnectionKey::from_parts(
            secret,
            self.id,
            point,
            pair,
            record.validity,
        ))
    }
}

const ASSOCIATION_FROM_REMOTE_PROVISIONING: u8 = 22;

impl fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkKey(..)")
    }
}
