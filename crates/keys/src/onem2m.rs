//! The derivations of oneM2M TS-0003 (10.3), for entities that were enrolled by them.
//!
//! ```text
//! EnrolmentKey (Ke)
//!  ├─ MasterCredential (Km)        towards a MAF
//!  ├─ ProvisionedKey (Kpsa)        towards one other entity ──── ConnectionKey
//!  ├─ UsageConstrainedKey          for one security usage
//!  └─ RootKey                      of this crate's own tree
//! ```
//!
//! TS-0003 joins fixed texts and ids without lengths, so its derivations are kept apart by their
//! texts alone; that is the standard's form and is not used for keys of our own. All texts are
//! UTF-8, normalised to NFKC by the caller; 1 to 255 bytes here.

use alloc::string::ToString;
use alloc::vec::Vec;

use zeroize::ZeroizeOnDrop;

use crate::derivation::{Info, Label, hmac_sha256};
use crate::pair::Pair;
use crate::secret::Secret;
use crate::{ConnectionKey, EntityId, Error, KeyId, ReferencePoint, RootKey, Validity};

/// Ke: what an enrolment at a MEF leaves with the entity.
#[derive(Debug, ZeroizeOnDrop)]
pub struct EnrolmentKey(Secret);

/// Km: authenticates the entity to a MAF.
#[derive(Debug, ZeroizeOnDrop)]
pub struct MasterCredential(Secret);

/// Kpsa: the provisioned key of an enrolled entity and one other.
#[derive(Debug, ZeroizeOnDrop)]
pub struct ProvisionedKey(Secret);

/// A key for one security usage at one target.
#[derive(Debug, ZeroizeOnDrop)]
pub struct UsageConstrainedKey(Secret);

/// What a symmetric key may be used for (`m2m:suid`, TS-0004, 6.3.4.2.39).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecurityUsage(u8);

impl SecurityUsage {
    /// The usage's number in the standard.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for SecurityUsage {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self, Error> {
        match code {
            10..=15 | 21..=25 | 32..=35 | 40..=45 => Ok(Self(code)),
            _ => Err(Error::UnknownUsage),
        }
    }
}

impl EnrolmentKey {
    /// Takes over the 32 bytes of Ke.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::take(bytes))
    }

    /// Km towards the MAF of that name.
    ///
    /// ```text
    /// Km = HMAC-SHA-256(Ke, "oneM2M Enrolment Key to Master Credential derivation" ‖ MAF-ID)
    /// ```
    ///
    /// # Errors
    /// [`Error::TextLength`] unless the name has 1 to 255 bytes.
    pub fn master_credential(&self, maf: &str) -> Result<MasterCredential, Error> {
        let key = self.hmac(
            "oneM2M Enrolment Key to Master Credential derivation",
            &[checked(maf)?],
        );
        Ok(MasterCredential(key))
    }

    /// Kpsa towards the other entity, by its absolute id.
    ///
    /// ```text
    /// Kpsa = HMAC-SHA-256(Ke, "oneM2M Enrolment Key to Provisioned Secure Connection Key derivation"
    ///                         ‖ Enrolee-B-ID)
    /// ```
    #[must_use]
    pub fn provisioned_key(&self, enrolee_b: &EntityId) -> ProvisionedKey {
        ProvisionedKey(self.hmac(
            "oneM2M Enrolment Key to Provisioned Secure Connection Key derivation",
            &[enrolee_b.as_str()],
        ))
    }

    /// The key for one usage at one target.
    ///
    /// ```text
    /// key = HMAC-SHA-256(Ke, "oneM2M Enrolment Key to Usage-Constrained Symmetric Key derivation"
    ///                        ‖ SUID ‖ target-FQDN)
    /// ```
    ///
    /// The standard leaves open how the SUID becomes bytes; here it is its number in decimal
    /// ASCII digits, two of them.
    ///
    /// # Errors
    /// [`Error::TextLength`] unless the target has 1 to 255 bytes.
    pub fn usage_constrained_key(
        &self,
        usage: SecurityUsage,
        target: &str,
    ) -> Result<UsageConstrainedKey, Error> {
        let key = self.hmac(
            "oneM2M Enrolment Key to Usage-Constrained Symmetric Key derivation",
            &[&usage.code().to_string(), checked(target)?],
        );
        Ok(UsageConstrainedKey(key))
    }

    /// The root of this crate's own tree.
    ///
    /// ```text
    /// RootKey = HKDF-SHA256(salt = "refpoint keys v1", ikm = Ke, info = lp("onem2m root key"), L = 32)
    /// ```
    #[must_use]
    pub fn root_key(&self) -> RootKey {
        RootKey::from_secret(Info::new(Label::OneM2mRootKey).derive(&self.0))
    }

    fn hmac(&self, text: &str, rest: &[&str]) -> Secret {
        let mut parts = Vec::from([text.as_bytes()]);
        parts.extend(rest.iter().map(|part| part.as_bytes()));
        let mut derived = Secret::zero();
        hmac_sha256(&self.0, &parts, derived.bytes_mut());
        derived
    }
}

impl MasterCredential {
    /// The key's bytes, for the handshake with the MAF.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl ProvisionedKey {
    /// The connection key of this crate's own tree, apart from the use that TLS makes of Kpsa.
    ///
    /// With `lp(x)` for one byte of length and then x itself, the lower id first:
    ///
    /// ```text
    /// ConnectionKey = HKDF-SHA256(salt = "refpoint keys v1", ikm = Kpsa, info, L = 32)
    /// info = lp("onem2m connection key") ‖ lp(reference point) ‖ lp(key id)
    ///        ‖ lp(lower id) ‖ lp(higher id)
    /// ```
    ///
    /// The key id is KpsaID's ([`KeyId::from_text`]); Kpsa's validity is at most that of Ke
    /// (TS-0003, 10.7).
    ///
    /// # Errors
    /// [`Error::SameEntity`] when both entities are the same.
    pub fn connection_key(
        &self,
        id: KeyId,
        point: ReferencePoint,
        a: &EntityId,
        b: &EntityId,
        validity: Validity,
    ) -> Result<ConnectionKey, Error> {
        let pair = Pair::new(a, b)?;
        let (lower, higher) = pair.entities();
        let secret = Info::new(Label::OneM2mConnectionKey)
            .field(&[point.code()])
            .field(id.as_bytes())
            .field(lower.as_str().as_bytes())
            .field(higher.as_str().as_bytes())
            .derive(&self.0);
        Ok(ConnectionKey::from_parts(secret, id, point, pair, validity))
    }

    /// The key's bytes, for a handshake of TS-0003.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl UsageConstrainedKey {
    /// The key's bytes, for the protocol that the usage names.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

fn checked(text: &str) -> Result<&str, Error> {
    if (1..=255).contains(&text.len()) {
        Ok(text)
    } else {
        Err(Error::TextLength)
    }
}
