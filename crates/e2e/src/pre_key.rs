use alloc::{borrow::ToOwned, vec::Vec};
use core::num::NonZeroU32;

use prost::Message as _;
use refpoint_association::{PublicKey, Suite};
use refpoint_keys::{ApplicationKey, EntityId, UtcTime, Validity};

use crate::{EntityRecord, Error, SigningKey, generated as proto, layout};

const LABEL: &[u8] = b"refpoint/1 pre-key";

/// A pre-key as its owner publishes it: any node may store it and hand it out (rule E2).
///
/// ```text
/// statement = "refpoint/1 pre-key" ‖ f(owner) ‖ number (4) ‖ suite (1) ‖ key (32)
///             ‖ not before (8) ‖ not after (8)
/// signature = Ed25519(the owner's signing key, statement)
/// voucher   = HMAC-SHA256(VoucherKey of owner and sender, statement)
/// ```
///
/// The owner's id is in the statement *and* in every object that is sealed to the key: an insider
/// who signs another's pre-key as its own gets objects that its victim does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreKey {
    pub(crate) owner: EntityId,
    pub(crate) number: NonZeroU32,
    pub(crate) suite: Suite,
    pub(crate) key: PublicKey,
    pub(crate) validity: Validity,
    proof: Proof,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Proof {
    Signature(Vec<u8>),
    Voucher(Vec<u8>),
}

/// What a pre-key states, before it is proved.
pub(crate) struct Statement<'a> {
    pub(crate) owner: &'a EntityId,
    pub(crate) number: NonZeroU32,
    pub(crate) suite: Suite,
    pub(crate) key: PublicKey,
    pub(crate) validity: Validity,
}

impl Statement<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut out = LABEL.to_vec();
        layout::field(&mut out, self.owner.as_str().as_bytes());
        out.extend_from_slice(&self.number.get().to_be_bytes());
        out.push(self.suite.code());
        out.extend_from_slice(self.key.as_bytes());
        layout::validity(&mut out, &self.validity);
        out
    }

    fn proved(self, proof: Proof) -> PreKey {
        PreKey {
            owner: self.owner.clone(),
            number: self.number,
            suite: self.suite,
            key: self.key,
            validity: self.validity,
            proof,
        }
    }

    pub(crate) fn signed(self, key: &SigningKey) -> PreKey {
        let signature = key.sign(&self.bytes()).to_vec();
        self.proved(Proof::Signature(signature))
    }

    pub(crate) fn vouched(self, key: &ApplicationKey) -> Result<PreKey, Error> {
        let voucher = key.voucher_key(self.owner)?.vouch(&self.bytes()).to_vec();
        Ok(self.proved(Proof::Voucher(voucher)))
    }
}

impl PreKey {
    fn statement(&self) -> Vec<u8> {
        let Self {
            ref owner,
            number,
            suite,
            key,
            validity,
            ..
        } = *self;
        Statement {
            owner,
            number,
            suite,
            key,
            validity,
        }
        .bytes()
    }

    /// Whose it says it is.
    #[must_use]
    pub const fn owner(&self) -> &EntityId {
        &self.owner
    }

    /// Its number among its owner's pre-keys.
    #[must_use]
    pub const fn number(&self) -> NonZeroU32 {
        self.number
    }

    /// When objects may be sealed to it.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// Its protobuf bytes (`refpoint.e2e.v1.PreKey`).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::pre_key::Proof as Coded;
        proto::PreKey {
            owner: self.owner.as_str().to_owned(),
            number: self.number.get(),
            suite: self.suite.code().into(),
            key: self.key.as_bytes().to_vec(),
            not_before: self.validity.not_before().map_or(0, UtcTime::as_secs),
            not_after: self.validity.not_after().as_secs(),
            proof: Some(match &self.proof {
                Proof::Signature(bytes) => Coded::Signature(bytes.clone()),
                Proof::Voucher(bytes) => Coded::Voucher(bytes.clone()),
            }),
        }
        .encode_to_vec()
    }

    /// Reads a pre-key, which is nobody's until it is verified.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        use proto::pre_key::Proof as Coded;
        const WHAT: Error = Error::Malformed("pre-key");
        let message = proto::PreKey::decode(bytes).map_err(|_| WHAT)?;
        let suite = u8::try_from(message.suite).map_err(|_| WHAT)?;
        let key = message.key.as_slice().try_into().map_err(|_| WHAT)?;
        Ok(Self {
            owner: EntityId::parse(&message.owner).map_err(|_| WHAT)?,
            number: NonZeroU32::new(message.number).ok_or(WHAT)?,
            suite: Suite::try_from(suite).map_err(|_| WHAT)?,
            key: PublicKey::new(key),
            validity: layout::read_validity(message.not_before, message.not_after)
                .map_err(|_| WHAT)?,
            proof: match message.proof.ok_or(WHAT)? {
                Coded::Signature(bytes) => Proof::Signature(bytes),
                Coded::Voucher(bytes) => Proof::Voucher(bytes),
            },
        })
    }

    /// Whom to seal for, if the owner of `record` signed this pre-key and both hold.
    ///
    /// # Errors
    /// [`Error::Authentication`] when it did not, [`Error::NotValid`] when one does not hold.
    pub fn verify(&self, record: &EntityRecord, now: UtcTime) -> Result<Recipient, Error> {
        let Proof::Signature(signature) = &self.proof else {
            return Err(Error::Authentication);
        };
        let key = record.signing_key().ok_or(Error::Authentication)?;
        if record.id() != &self.owner {
            return Err(Error::Authentication);
        }
        key.verify(&self.statement(), signature)?;
        record.holds(now)?;
        self.recipient(now)
    }

    /// Whom to seal for, if the other end of `key` vouched for this pre-key and both hold.
    ///
    /// # Errors
    /// [`Error::Authentication`] when it did not, [`Error::NotValid`] when one does not hold.
    pub fn verify_voucher(&self, key: &ApplicationKey, now: UtcTime) -> Result<Recipient, Error> {
        let Proof::Voucher(voucher) = &self.proof else {
            return Err(Error::Authentication);
        };
        let voucher_key = key
            .voucher_key(&self.owner)
            .map_err(|_| Error::Authentication)?;
        if !voucher_key.verify(&self.statement(), voucher) {
            return Err(Error::Authentication);
        }
        if !key.validity().contains(now) {
            return Err(Error::NotValid("application key"));
        }
        self.recipient(now)
    }

    fn recipient(&self, now: UtcTime) -> Result<Recipient, Error> {
        let recipient = Recipient {
            id: self.owner.clone(),
            number: self.number.get(),
            suite: self.suite,
            key: self.key,
            validity: self.validity,
        };
        recipient.holds(now)?;
        Ok(recipient)
    }
}

/// Whom to seal for, and to which of its keys: a pre-key that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub(crate) id: EntityId,
    /// 0: its static key.
    pub(crate) number: u32,
    pub(crate) suite: Suite,
    pub(crate) key: PublicKey,
    validity: Validity,
}

impl Recipient {
    /// The fall-back: the receiver's *static* key, for when no pre-key can be had.
    ///
    /// Whoever takes that key later opens everything that was ever sealed to it: there is no
    /// forward secrecy. The receiver opens such objects only if it was told to
    /// ([`PreKeyRing::with_static_key`](crate::PreKeyRing::with_static_key)). Nothing here falls back by
    /// itself.
    ///
    /// # Errors
    /// [`Error::NotValid`] when the record does not hold.
    pub fn without_pre_key(
        record: &EntityRecord,
        suite: Suite,
        now: UtcTime,
    ) -> Result<Self, Error> {
        record.holds(now)?;
        Ok(Self {
            id: record.id().clone(),
            number: 0,
            suite,
            key: record.sealing_key(),
            validity: record.validity(),
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &EntityId {
        &self.id
    }

    /// Until when to seal to this key; a newer one should be fetched before.
    #[must_use]
    pub const fn until(&self) -> UtcTime {
        self.validity.not_after()
    }

    pub(crate) fn holds(&self, now: UtcTime) -> Result<(), Error> {
        if self.validity.contains(now) {
            Ok(())
        } else {
            Err(Error::NotValid("pre-key"))
        }
    }
}
