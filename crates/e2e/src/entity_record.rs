use alloc::{borrow::ToOwned, boxed::Box, vec::Vec};

use prost::Message as _;
use refpoint_association::PublicKey;
use refpoint_keys::{EntityId, UtcTime, Validity};

use crate::{Error, SigningKey, VerifyingKey, generated as proto, layout, signature::SIGNATURE};

const LABEL: &[u8] = b"refpoint/1 entity record";

/// Which keys are an entity's, and until when (rule E2).
///
/// It holds two public keys, so that one leaked does not give the other: X25519 proves who seals,
/// Ed25519 signs pre-keys. An authority vouches for both by its signature over
///
/// ```text
/// "refpoint/1 entity record" ‖ f(id) ‖ X25519 (32) ‖ Ed25519 (32) ‖ not before (8) ‖ not after (8)
/// ```
///
/// Two end points that share an application key may do without an authority: then each is
/// configured with the other's X25519 key ([`EntityRecord::pinned`]), and pre-keys carry vouchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRecord {
    id: EntityId,
    sealing: PublicKey,
    /// Boxed: a large place that is not used would take along, to wherever a record is kept, what lay on
    /// the stack of its maker.
    signing: Option<Box<VerifyingKey>>,
    validity: Validity,
}

impl EntityRecord {
    /// A record that configuration vouches for, of an entity whose pre-keys carry vouchers.
    #[must_use]
    pub const fn pinned(id: EntityId, sealing: PublicKey, validity: Validity) -> Self {
        Self {
            id,
            sealing,
            signing: None,
            validity,
        }
    }

    /// With the key that signs the entity's pre-keys.
    #[must_use]
    pub fn with_signing_key(mut self, key: VerifyingKey) -> Self {
        self.signing = Some(Box::new(key));
        self
    }

    /// The encoded record, signed by `authority`.
    ///
    /// # Errors
    /// [`Error::Config`] when it has no signing key.
    pub fn issue(&self, authority: &SigningKey) -> Result<Vec<u8>, Error> {
        let signing = self
            .signing
            .as_ref()
            .ok_or(Error::Config("record without a signing key"))?;
        let start = self.validity.not_before().map_or(0, UtcTime::as_secs);
        let record = proto::EntityRecord {
            id: self.id.as_str().to_owned(),
            sealing_key: self.sealing.as_bytes().to_vec(),
            signing_key: signing.as_bytes().to_vec(),
            not_before: start,
            not_after: self.validity.not_after().as_secs(),
            signature: authority.sign(&self.statement(signing)).to_vec(),
        };
        Ok(record.encode_to_vec())
    }

    /// Reads a record and checks that `authority` signed it and that it holds.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Authentication`] when the authority did not sign it, or
    /// [`Error::NotValid`].
    pub fn verify(bytes: &[u8], authority: &VerifyingKey, now: UtcTime) -> Result<Self, Error> {
        const WHAT: Error = Error::Malformed("entity record");
        let record = proto::EntityRecord::decode(bytes).map_err(|_| WHAT)?;
        let key = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| WHAT);
        let signing = VerifyingKey::from_bytes(&key(&record.signing_key)?)?;
        let parsed = Self {
            id: EntityId::parse(&record.id).map_err(|_| WHAT)?,
            sealing: PublicKey::new(key(&record.sealing_key)?),
            signing: Some(Box::new(signing)),
            validity: layout::read_validity(record.not_before, record.not_after)
                .map_err(|_| WHAT)?,
        };
        if record.signature.len() != SIGNATURE {
            return Err(WHAT);
        }
        authority.verify(&parsed.statement(&signing), &record.signature)?;
        parsed.holds(now)?;
        Ok(parsed)
    }

    fn statement(&self, signing: &VerifyingKey) -> Vec<u8> {
        let mut out = LABEL.to_vec();
        layout::field(&mut out, self.id.as_str().as_bytes());
        out.extend_from_slice(self.sealing.as_bytes());
        out.extend_from_slice(signing.as_bytes());
        layout::validity(&mut out, &self.validity);
        out
    }

    /// Whether it holds at `now`.
    ///
    /// # Errors
    /// [`Error::NotValid`] when it does not.
    pub fn holds(&self, now: UtcTime) -> Result<(), Error> {
        if self.validity.contains(now) {
            Ok(())
        } else {
            Err(Error::NotValid("entity record"))
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn id(&self) -> &EntityId {
        &self.id
    }

    /// The X25519 key that proves who seals.
    #[must_use]
    pub const fn sealing_key(&self) -> PublicKey {
        self.sealing
    }

    /// The Ed25519 key that signs its pre-keys.
    #[must_use]
    pub fn signing_key(&self) -> Option<&VerifyingKey> {
        self.signing.as_deref()
    }

    /// When it holds.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }
}
