use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use refpoint_keys::{
    ConnectionKey, EntityId, KeyId, Profile, PskContext, ReferencePoint, Role, Validity, Version,
};
use refpoint_wire::{Suite, Terms};

use crate::{Class, Error, Now, Policy, PublicKey, StaticKey, Tenant};

/// The entity that an end point speaks for.
#[derive(Clone, Debug)]
pub struct Local {
    entity: EntityId,
    static_key: Option<StaticKey>,
    boot: u64,
}

impl Local {
    /// An entity without a static key: profile `psk` only.
    #[must_use]
    pub const fn new(entity: EntityId) -> Self {
        Self {
            entity,
            static_key: None,
            boot: 0,
        }
    }

    /// With a count of this machine's boots, which it keeps where it outlives them: nonces of
    /// `light` mix it in, so that a generator that begins alike after each boot repeats none of
    /// them (rule S2). Machines with a seeded generator need none.
    #[must_use]
    pub const fn with_boot_counter(mut self, boot: u64) -> Self {
        self.boot = boot;
        self
    }

    pub(crate) const fn boot(&self) -> u64 {
        self.boot
    }

    /// With the static key that `pinned` and `known` need.
    #[must_use]
    pub fn with_static_key(mut self, key: StaticKey) -> Self {
        self.static_key = Some(key);
        self
    }

    /// Its id.
    #[must_use]
    pub const fn entity(&self) -> &EntityId {
        &self.entity
    }

    pub(crate) const fn static_key(&self) -> Option<&StaticKey> {
        self.static_key.as_ref()
    }
}

/// Everything known of one peer at one reference point: who it is, what proves it, and what it
/// may do. Profiles are listed here, per credential, never per listener (rule H4).
#[derive(Clone, Debug)]
pub struct Credential {
    local: EntityId,
    peer: EntityId,
    key: Arc<ConnectionKey>,
    /// The key's, here since every redemption of a handle asks for them.
    point: ReferencePoint,
    validity: Validity,
    public_key: Option<PublicKey>,
    profiles: Choice<Profile>,
    suites: Choice<Suite>,
    local_initiates: bool,
    peer_initiates: bool,
    policy: Arc<Policy>,
    generation: u32,
    class: Class,
    tenant: Tenant,
}

/// What is accepted: the preferred one, and which codes.
#[derive(Clone, Copy, Debug)]
struct Choice<T> {
    preferred: T,
    codes: u8,
}

impl<T: Copy> Choice<T> {
    fn new(listed: &[T], code: impl Fn(T) -> u8) -> Option<Self> {
        Some(Self {
            preferred: *listed.first()?,
            codes: listed.iter().fold(0, |codes, one| codes | 1 << code(*one)),
        })
    }

    const fn accepts(self, code: u8) -> bool {
        self.codes & 1 << code != 0
    }
}

impl Credential {
    /// A credential of `local` for the other entity of `key`, at the key's reference point, for
    /// the given profiles, the preferred one first. Either end may initiate, both suites are
    /// accepted (ChaChaPoly preferred) and the policy is the default.
    ///
    /// # Errors
    /// [`Error::Config`] when `local` is not one of the key's entities or no profile is given.
    pub fn new(
        local: &EntityId,
        key: Arc<ConnectionKey>,
        profiles: &[Profile],
    ) -> Result<Self, Error> {
        let peer = key
            .peer_of(local)
            .ok_or(Error::Config("local entity of the connection key"))?;
        let profiles = Some(profiles)
            .filter(|listed| !listed.contains(&Profile::FirstContact))
            .and_then(|listed| Choice::new(listed, Profile::code))
            .ok_or(Error::Config("list of profiles"))?;
        let suites = Choice::new(&[Suite::ChaChaPoly, Suite::AesGcm], Suite::code);
        Ok(Self {
            local: local.clone(),
            peer: peer.clone(),
            point: key.point(),
            validity: key.validity(),
            key: key.clone(),
            public_key: None,
            profiles,
            suites: suites.ok_or(Error::Config("list of suites"))?,
            local_initiates: true,
            peer_initiates: true,
            policy: Arc::default(),
            generation: 0,
            class: Class::Normal,
            tenant: Tenant::default(),
        })
    }

    /// The peer's static key: `pinned` needs it at both ends, `known` at both ends too (the
    /// initiator encrypts to it, the responder recognises its owner by it).
    #[must_use]
    pub const fn with_public_key(mut self, key: PublicKey) -> Self {
        self.public_key = Some(key);
        self
    }

    /// The suites that are accepted, the one to initiate with first.
    ///
    /// # Errors
    /// [`Error::Config`] when none is given.
    pub fn with_suites(mut self, suites: &[Suite]) -> Result<Self, Error> {
        self.suites = Choice::new(suites, Suite::code).ok_or(Error::Config("list of suites"))?;
        Ok(self)
    }

    /// Who may initiate; on X, usually the device only.
    #[must_use]
    pub const fn with_initiators(mut self, local: bool, peer: bool) -> Self {
        self.local_initiates = local;
        self.peer_initiates = peer;
        self
    }

    /// Lifetimes and limits.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// The revocation generation: raising it revokes every handle that was given under a lower
    /// one, while the key stays as it is (rule S5).
    #[must_use]
    pub const fn with_generation(mut self, generation: u32) -> Self {
        self.generation = generation;
        self
    }

    /// How urgent this peer is, and whose quota it counts in, when there are more handshakes to
    /// make than this end can.
    #[must_use]
    pub const fn with_class(mut self, class: Class, tenant: Tenant) -> Self {
        self.class = class;
        self.tenant = tenant;
        self
    }

    pub(crate) const fn class(&self) -> Class {
        self.class
    }

    pub(crate) const fn tenant(&self) -> Tenant {
        self.tenant
    }

    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) const fn local(&self) -> &EntityId {
        &self.local
    }

    /// The peer.
    #[must_use]
    pub const fn peer(&self) -> &EntityId {
        &self.peer
    }

    /// The reference point.
    #[must_use]
    pub const fn point(&self) -> ReferencePoint {
        self.point
    }

    /// The key id.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key.id()
    }

    /// Lifetimes and limits.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The terms with which this credential initiates.
    pub(crate) const fn terms(&self) -> Terms {
        Terms {
            profile: self.profiles.preferred,
            suite: self.suites.preferred,
            point: self.point,
        }
    }

    pub(crate) const fn public_key(&self) -> Option<PublicKey> {
        self.public_key
    }

    /// Whether an association by `terms` may be made, initiated by `initiator` (seen from here).
    pub(crate) fn allows(&self, terms: Terms, initiator: Role) -> Result<(), Error> {
        let initiates = match initiator {
            Role::Initiator => self.local_initiates,
            Role::Responder => self.peer_initiates,
        };
        if !initiates {
            return Err(Error::NotAllowed("direction of initiation"));
        }
        if !self.profiles.accepts(terms.profile.code()) {
            return Err(Error::NotAllowed("profile"));
        }
        if !self.suites.accepts(terms.suite.code()) {
            return Err(Error::NotAllowed("suite"));
        }
        if terms.point != self.point() {
            return Err(Error::NotAllowed("reference point"));
        }
        Ok(())
    }

    /// The context of this credential's keys when this end has `role` (rule K1).
    pub(crate) fn context(&self, profile: Profile, role: Role) -> PskContext<'_> {
        let (initiator, responder) = match role {
            Role::Initiator => (&self.local, &self.peer),
            Role::Responder => (&self.peer, &self.local),
        };
        PskContext {
            version: Version::CURRENT,
            profile,
            point: self.point(),
            initiator,
            responder,
        }
    }

    pub(crate) fn key(&self) -> &ConnectionKey {
        &self.key
    }

    /// For how long the key still holds (rule K3); `None` when this machine has no wall clock.
    pub(crate) fn remaining(&self, now: Now) -> Result<Option<core::time::Duration>, Error> {
        let Some(utc) = now.utc else { return Ok(None) };
        if self.validity.contains(utc) {
            Ok(Some(self.validity.remaining(utc)))
        } else {
            Err(Error::Expired)
        }
    }
}

/// Names a credential of a [`Credentials`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(u32);

impl CredentialId {
    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

#[derive(Debug)]
struct Listed {
    credential: Arc<Credential>,
    /// Another one of the same entity at the same reference point: they form a ring.
    next: CredentialId,
}

/// All credentials of an end point, found by what a handshake shows first.
#[derive(Debug, Default)]
pub struct Credentials {
    entries: BTreeMap<CredentialId, Listed>,
    by_key: BTreeMap<(ReferencePoint, KeyId), CredentialId>,
    by_peer: BTreeMap<(EntityId, ReferencePoint), Vec<CredentialId>>,
    owners: BTreeMap<PublicKey, EntityId>,
    next: u32,
}

impl Credentials {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a credential.
    ///
    /// # Errors
    /// [`Error::Config`] when its key id is taken at this reference point, or its public key
    /// belongs to another entity: a handshake must find one owner only (rule H3).
    pub fn insert(&mut self, credential: Credential) -> Result<CredentialId, Error> {
        let key = (credential.point(), credential.key_id());
        if self.by_key.contains_key(&key) {
            return Err(Error::Config("key id: it is taken, and so"));
        }
        if let Some(public) = credential.public_key {
            if self
                .owners
                .get(&public)
                .is_some_and(|owner| *owner != credential.peer)
            {
                return Err(Error::Config(
                    "public key: it belongs to another entity, and so",
                ));
            }
            self.owners.insert(public, credential.peer.clone());
        }
        let id = CredentialId(self.next);
        self.next = self.next.checked_add(1).ok_or(Error::Full("credentials"))?;
        self.by_key.insert(key, id);
        let peer = (credential.peer.clone(), credential.point());
        let siblings = self.by_peer.entry(peer).or_default();
        let next = siblings.first().copied().unwrap_or(id);
        if let Some(last) = siblings.last().and_then(|last| self.entries.get_mut(last)) {
            last.next = id;
        }
        siblings.push(id);
        let credential = Arc::new(credential);
        self.entries.insert(id, Listed { credential, next });
        Ok(id)
    }

    /// Removes a credential. Its associations end when the end point is told.
    pub fn remove(&mut self, id: CredentialId) -> Option<Arc<Credential>> {
        let Listed {
            credential: removed,
            next,
        } = self.entries.remove(&id)?;
        self.by_key.remove(&(removed.point(), removed.key_id()));
        if let Some(ids) = self
            .by_peer
            .get_mut(&(removed.peer.clone(), removed.point()))
        {
            ids.retain(|other| *other != id);
            for id_before in ids {
                match self.entries.get_mut(id_before) {
                    Some(before) if before.next == id => before.next = next,
                    _ => {}
                }
            }
        }
        if let Some(public) = removed.public_key {
            let shared = self
                .entries
                .values()
                .any(|other| other.credential.public_key == Some(public));
            if !shared {
                self.owners.remove(&public);
            }
        }
        Some(removed)
    }

    /// The credential with this id.
    #[must_use]
    pub fn find(&self, id: CredentialId) -> Option<&Arc<Credential>> {
        self.entries.get(&id).map(|listed| &listed.credential)
    }

    /// This credential and the others of its peer at its reference point, without a search.
    pub(crate) fn with_siblings(&self, id: CredentialId) -> impl Iterator<Item = CredentialId> {
        let after = move |at: &CredentialId| {
            let next = self.entries.get(at)?.next;
            (next != id).then_some(next)
        };
        core::iter::successors(Some(id), after)
    }

    /// All credentials.
    pub fn iter(&self) -> impl Iterator<Item = (CredentialId, &Arc<Credential>)> {
        self.entries
            .iter()
            .map(|(id, listed)| (*id, &listed.credential))
    }

    /// The credential with this key id at this reference point.
    #[must_use]
    pub fn by_key(
        &self,
        point: ReferencePoint,
        key_id: KeyId,
    ) -> Option<(CredentialId, &Arc<Credential>)> {
        let id = *self.by_key.get(&(point, key_id))?;
        Some((id, self.find(id)?))
    }

    /// The credentials of this entity at this reference point, the oldest first.
    #[must_use]
    pub fn of_peer(&self, peer: &EntityId, point: ReferencePoint) -> &[CredentialId] {
        self.by_peer
            .get(&(peer.clone(), point))
            .map_or(&[], Vec::as_slice)
    }

    /// The newest credential of this entity at this reference point by which this end may initiate
    /// now, so that a rotated key comes into use.
    pub(crate) fn newest(
        &self,
        now: Now,
        peer: &EntityId,
        point: ReferencePoint,
    ) -> Option<(CredentialId, &Arc<Credential>)> {
        let ids = self.of_peer(peer, point).iter().rev();
        let mut found = ids.filter_map(|id| Some((*id, self.find(*id)?)));
        found.find(|(_, credential)| {
            let allowed = credential.allows(credential.terms(), Role::Initiator);
            allowed.is_ok() && credential.remaining(now).is_ok()
        })
    }

    /// The entity that owns this static key.
    #[must_use]
    pub fn owner(&self, key: &PublicKey) -> Option<&EntityId> {
        self.owners.get(key)
    }
}
