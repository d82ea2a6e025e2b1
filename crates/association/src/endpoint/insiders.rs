//! What a peer with genuine credentials tries inside an association (rules L1, L2), and what
//! strangers achieve who send for years. Such peers are written here, since the public interface
//! does not let one misbehave, or wait so long.

use alloc::{string::ToString, sync::Arc, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use refpoint_keys::{
    ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, Role, UtcTime, Validity,
};
use refpoint_wire::{
    Carriage, CloseReason, Control, Index, InitiateHeader, InitiatePayload, SessionLabel,
};
use zeroize::Zeroizing;

use super::{AssociationId, Config, Endpoint, Event, Outbox, association::aead_limit};
use crate::{
    Backend, Credential, CredentialId, Credentials, Error, Local, Now, Policy, PublicKey,
    StaticKey,
    handshake::{Initiator, Setup},
    negotiation::Wanted,
    prologue::prologue,
};

const DEVICE: &str = "//sp.example.com/id-mn/Cdevice";
const OTHER: &str = "//sp.example.com/id-mn/Cother";
const GATEWAY: &str = "//sp.example.com/id-mn";

#[derive(Default)]
struct Log {
    sent: Vec<Vec<u8>>,
    established: Vec<AssociationId>,
    received: usize,
    closed: Vec<(AssociationId, Error)>,
}

impl Outbox for Log {
    fn transmit(&mut self, _: SocketAddr, packet: &[u8]) {
        self.sent.push(packet.to_vec());
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Established { id, peer, .. } => {
                assert_ne!(peer.entity().to_string(), OTHER);
                self.established.push(id);
            }
            Event::Received { .. } => self.received += 1,
            Event::Closed { id, error } => self.closed.push((id, error)),
            _ => {}
        }
    }
}

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("a valid id")
}

fn now() -> Now {
    Now::new(Duration::from_secs(1), UtcTime::from_secs(1_800_000_000))
}

const fn address(last: u8) -> SocketAddr {
    SocketAddr::new(
        core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, last)),
        7000,
    )
}

fn static_key(secret: u8) -> StaticKey {
    StaticKey::from_bytes(&[secret; 32], Backend::default()).expect("a valid key")
}

fn local(entity: &str, secret: u8) -> Local {
    Local::new(id(entity)).with_static_key(static_key(secret))
}

fn credential(profile: Profile, of: &str, entity: &str, secret: u8, peer: PublicKey) -> Credential {
    credential_at(ReferencePoint::Y, profile, (of, entity), secret, peer)
}

fn credential_at(
    point: ReferencePoint,
    profile: Profile,
    (of, entity): (&str, &str),
    secret: u8,
    peer: PublicKey,
) -> Credential {
    let validity = Validity::until(UtcTime::from_secs(1_900_000_000));
    let key_id = KeyId::new(&[secret]).expect("a valid key id");
    let (a, b) = (id(entity), id(GATEWAY));
    let key = ConnectionKey::from_bytes([secret; 32], key_id, point, &a, &b, validity);
    Credential::new(&id(of), Arc::new(key.expect("two entities")), &[profile])
        .expect("one of the two")
        .with_public_key(peer)
}

struct End {
    endpoint: Endpoint,
    rng: ChaCha20Rng,
    log: Log,
}

impl End {
    fn new(seed: u64, local: Local, credentials: impl IntoIterator<Item = Credential>) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut table = Credentials::new();
        for credential in credentials {
            table.insert(credential).expect("each has one owner");
        }
        Self {
            endpoint: Endpoint::new(Config::default(), local, table, &mut rng),
            rng,
            log: Log::default(),
        }
    }

    fn receive(&mut self, from: u8, mut packet: Vec<u8>) {
        let Self { endpoint, rng, log } = self;
        endpoint.receive(now(), rng, address(from), &mut packet, log);
    }
}

/// A device and a gateway that are associated. The gateway knows another device too.
fn associated(profile: Profile) -> (End, End) {
    let public = static_key(9).public_key();
    let own = credential(profile, DEVICE, DEVICE, 1, public);
    let mut device = End::new(1, local(DEVICE, 1), [own]);
    let known = [(DEVICE, 1), (OTHER, 2)].map(|(name, secret)| {
        credential(
            profile,
            GATEWAY,
            name,
            secret,
            static_key(secret).public_key(),
        )
    });
    let mut gateway = End::new(2, local(GATEWAY, 9), known);
    let first = device.endpoint.credentials.iter().next().expect("one").0;
    let End { endpoint, rng, log } = &mut device;
    let label = SessionLabel::default();
    endpoint
        .connect(now(), rng, address(2), first, label, log)
        .expect("may initiate");
    settle(&mut device, &mut gateway);
    assert_eq!(gateway.log.established.len(), 1);
    (device, gateway)
}

fn settle(device: &mut End, gateway: &mut End) {
    while !device.log.sent.is_empty() || !gateway.log.sent.is_empty() {
        for packet in core::mem::take(&mut device.log.sent) {
            gateway.receive(1, packet);
        }
        for packet in core::mem::take(&mut gateway.log.sent) {
            device.receive(2, packet);
        }
    }
}

/// Sends the Initiate of a refresh by any credential, inside the device's association.
fn refresh_by(device: &mut End, credential: Credential) {
    let id = device.log.established[0];
    let binding = device.endpoint.refresh_binding(id).expect("it lives");
    let wanted = Wanted {
        credential: Arc::new(credential),
        id: some_id(device),
        session: SessionLabel::default(),
    };
    let End { endpoint, rng, log } = device;
    let inside = Some((id, binding));
    endpoint
        .attempt(
            now(),
            rng,
            address(2),
            wanted,
            inside.map_or(super::attempt::Start::Alone, super::attempt::Start::Inside),
            log,
        )
        .expect("this peer may do anything");
}

fn some_id(device: &End) -> CredentialId {
    device.endpoint.credentials.iter().next().expect("one").0
}

#[test]
fn a_refresh_yields_no_other_entity_even_with_its_keys() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let (mut device, mut gateway) = associated(profile);
        // The control: by its own credential it is answered.
        let public = static_key(9).public_key();
        refresh_by(&mut device, credential(profile, DEVICE, DEVICE, 1, public));
        settle(&mut device, &mut gateway);
        assert_eq!(gateway.endpoint.statistics().answered, 2, "{profile:?}");

        let (mut device, mut gateway) = associated(profile);
        device.endpoint.local = local(OTHER, 2);
        refresh_by(&mut device, credential(profile, OTHER, OTHER, 2, public));
        settle(&mut device, &mut gateway);
        assert_eq!(gateway.endpoint.statistics().answered, 1, "{profile:?}");
        assert_eq!(gateway.endpoint.statistics().unauthenticated, 1);
        assert_eq!(gateway.endpoint.len(), 1);
    }
}

#[test]
fn a_refresh_yields_no_other_reference_point_even_for_the_same_entity() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let (mut device, mut gateway) = associated(profile);
        let point = ReferencePoint::X;
        let device_s_key = static_key(1).public_key();
        let known = credential_at(point, profile, (GATEWAY, DEVICE), 3, device_s_key);
        gateway.endpoint.insert_credential(known).expect("another");
        let public = static_key(9).public_key();
        let at_x = credential_at(point, profile, (DEVICE, DEVICE), 3, public);
        refresh_by(&mut device, at_x);
        settle(&mut device, &mut gateway);
        assert_eq!(gateway.endpoint.statistics().answered, 1, "{profile:?}");
        assert_eq!(gateway.endpoint.statistics().unauthenticated, 1);
        assert_eq!(gateway.endpoint.len(), 1);
    }
}

#[test]
fn whoever_claims_another_name_than_that_of_its_key_is_nobody() {
    let (_, mut gateway) = associated(Profile::Known);
    // The name in message 1 is another's, the static key and the key id are its own.
    let own = credential(
        Profile::Known,
        DEVICE,
        DEVICE,
        1,
        static_key(9).public_key(),
    );
    let mut device = End::new(3, local(OTHER, 1), [own]);
    let credential = some_id(&device);
    let End { endpoint, rng, log } = &mut device;
    let label = SessionLabel::default();
    endpoint
        .connect(now(), rng, address(2), credential, label, log)
        .expect("this peer may do anything");
    settle(&mut device, &mut gateway);
    assert_eq!(
        gateway.endpoint.statistics().answered,
        2,
        "as if it were known"
    );
    assert_eq!(gateway.endpoint.len(), 1, "and nothing is kept of it");
}

#[test]
fn a_refresh_by_a_key_that_nobody_knows_is_not_answered() {
    let (mut device, mut gateway) = associated(Profile::Known);
    let public = static_key(9).public_key();
    device.endpoint.local = local(DEVICE, 77);
    let unknown = credential(Profile::Known, DEVICE, DEVICE, 1, public);
    refresh_by(&mut device, unknown);
    settle(&mut device, &mut gateway);
    assert_eq!(gateway.endpoint.statistics().answered, 1);
    assert_eq!(gateway.endpoint.statistics().unauthenticated, 1);
}

#[test]
fn a_responder_does_not_refresh_when_it_is_asked_to() {
    // Roles would swap.
    let (mut device, mut gateway) = associated(Profile::Psk);
    let id = device.log.established[0];
    let control = Control {
        renew_now: true,
        ..Control::default()
    };
    let End { endpoint, log, .. } = &mut device;
    endpoint
        .send_control(now(), id.slot, false, &control, log)
        .expect("may seal");
    let packet = log.sent.pop().expect("a record");
    let opened = gateway.endpoint.statistics().opened;
    gateway.receive(1, packet);
    assert_eq!(gateway.endpoint.statistics().opened, opened + 1);
    assert!(gateway.log.sent.is_empty());
    assert_eq!(gateway.endpoint.len(), 1);
}

#[test]
fn as_many_failed_opens_as_the_aead_bears_end_an_association_and_both_ends_are_told() {
    let (mut device, mut gateway) = associated(Profile::Psk);
    let (at_device, at_gateway) = (device.log.established[0], gateway.log.established[0]);
    let End { endpoint, log, .. } = &mut device;
    endpoint
        .send(now(), at_device, b"spoilt", log)
        .expect("may send");
    let mut spoilt = log.sent.pop().expect("a record");
    *spoilt.last_mut().expect("a tag") ^= 1;
    let held = gateway.endpoint.slots.association_mut(at_gateway.slot);
    let held = held.expect("lives");
    let limit = aead_limit(held.peer.terms.suite);
    held.receiver.set_failed(limit - 2);
    let step = |gateway: &mut End| {
        gateway.receive(1, spoilt.clone());
        let End { endpoint, rng, log } = gateway;
        endpoint.handle_timeout(now(), rng, log);
    };
    step(&mut gateway);
    assert!(gateway.log.closed.is_empty(), "one is still allowed");
    gateway.log.sent.clear();
    step(&mut gateway);
    let limit = Error::Limit("failed opens");
    assert_eq!(gateway.log.closed, [(at_gateway, limit)]);
    assert_eq!(gateway.endpoint.len(), 0);
    settle(&mut device, &mut gateway);
    let told = Error::Closed(CloseReason::Limit);
    assert_eq!(device.log.closed, [(at_device, told)]);
}

#[test]
fn nothing_opens_once_the_aead_has_borne_all_it_bears() {
    let (mut device, mut gateway) = associated(Profile::Psk);
    let (at_device, at_gateway) = (device.log.established[0], gateway.log.established[0]);
    let held = gateway.endpoint.slots.association_mut(at_gateway.slot);
    let held = held.expect("lives");
    held.receiver.set_failed(aead_limit(held.peer.terms.suite));
    let End { endpoint, log, .. } = &mut device;
    endpoint
        .send(now(), at_device, b"late", log)
        .expect("may send");
    let opened = gateway.endpoint.statistics().opened;
    settle(&mut device, &mut gateway);
    assert_eq!(gateway.endpoint.statistics().opened, opened);
}

#[test]
fn a_peer_that_heeds_no_limit_is_not_listened_to_beyond_it() {
    let strict = [
        (Policy::default().with_messages(64), 1, 56, "message"),
        (Policy::default().with_bytes(1 << 16), 1000, 67, "byte"),
    ];
    for (policy, size, expected, limit) in strict {
        let (mut device, mut gateway) = associated(Profile::Psk);
        let (at_device, at_gateway) = (device.log.established[0], gateway.log.established[0]);
        // The device goes on as if nothing had been agreed on.
        let held = gateway.endpoint.slots.association_mut(at_gateway.slot);
        let held = held.expect("lives");
        held.agreed = policy
            .map(|policy| policy.agree(policy.limits()))
            .expect("valid");
        let before = held.receiver.usage().0;
        for _ in 0..100 {
            let End { endpoint, log, .. } = &mut device;
            endpoint
                .send(now(), at_device, &[7; 1000][..size], log)
                .expect("may send");
        }
        for packet in core::mem::take(&mut device.log.sent) {
            gateway.receive(1, packet);
        }
        assert_eq!(gateway.log.received as u64 + before, expected, "{limit}");
        let End { endpoint, rng, log } = &mut gateway;
        endpoint.handle_timeout(now(), rng, log);
        assert_eq!(gateway.log.closed, [(at_gateway, Error::Limit(limit))]);
    }
}

/// Initiates of a refresh that never go on: as many as are asked for, all at once.
fn refreshes_at_once(device: &mut End, gateway: &mut End, count: u64) -> u64 {
    let before = gateway.endpoint.statistics().answered;
    for _ in 0..count {
        let public = static_key(9).public_key();
        let own = credential(Profile::Psk, DEVICE, DEVICE, 1, public);
        refresh_by(device, own);
        for packet in core::mem::take(&mut device.log.sent) {
            gateway.receive(1, packet);
        }
        gateway.log.sent.clear();
    }
    gateway.endpoint.statistics().answered - before
}

#[test]
fn a_peer_has_four_refreshes_under_way_and_no_more() {
    let (mut device, mut gateway) = associated(Profile::Psk);
    assert_eq!(refreshes_at_once(&mut device, &mut gateway, 6), 4);
    assert_eq!(gateway.endpoint.statistics().unauthenticated, 2);
    assert_eq!(gateway.endpoint.len(), 1 + 4);
}

#[test]
fn refreshes_are_not_answered_beyond_twice_what_may_be_half_open() {
    let (mut device, mut gateway) = associated(Profile::Psk);
    gateway.endpoint.config.half_open = 1;
    assert_eq!(refreshes_at_once(&mut device, &mut gateway, 4), 2);
    assert_eq!(gateway.endpoint.statistics().limited, 2);
    assert_eq!(gateway.endpoint.len(), 1 + 2);
}

/// A record of `from` that does not open at `to`, which has seen so many such before; what `to`
/// then sends.
fn spoilt(from: &mut End, to: &mut End, failed_before: u64) -> usize {
    let (sends, hears) = (from.log.established[0], to.log.established[0]);
    let End { endpoint, log, .. } = from;
    endpoint
        .send(now(), sends, b"spoilt", log)
        .expect("may send");
    let mut packet = log.sent.pop().expect("a record");
    *packet.last_mut().expect("a tag") ^= 1;
    let held = to.endpoint.slots.association_mut(hears.slot);
    held.expect("lives").receiver.set_failed(failed_before);
    to.receive(2, packet);
    let End { endpoint, rng, log } = to;
    endpoint.handle_timeout(now(), rng, log);
    log.sent.len()
}

#[test]
fn as_many_failed_opens_as_were_agreed_on_start_a_refresh_at_either_end() {
    for of_device in [true, false] {
        let (mut device, mut gateway) = associated(Profile::Psk);
        let at_device = device.log.established[0];
        let agreed = device
            .endpoint
            .association(at_device)
            .expect("lives")
            .agreed;
        let limit = agreed.failed_opens();
        let [from, to] = if of_device {
            [&mut gateway, &mut device]
        } else {
            [&mut device, &mut gateway]
        };
        assert_eq!(spoilt(from, to, limit - 2), 0, "one is still allowed");
        assert_eq!(spoilt(from, to, limit - 1), 1, "that was the last one");
        settle(&mut device, &mut gateway);
        assert_eq!(gateway.log.established.len(), 2, "device: {of_device}");
        // And no other for each that follows.
        let [from, to] = if of_device {
            [&mut gateway, &mut device]
        } else {
            [&mut device, &mut gateway]
        };
        let held = from.log.established[0];
        assert!(
            from.endpoint
                .send(now(), held, b"x", &mut from.log)
                .is_err()
        );
        assert!(to.log.sent.is_empty());
    }
}

#[test]
fn an_initiator_answers_no_record_that_asks_for_an_answer() {
    let (mut device, mut gateway) = associated(Profile::Psk);
    let (at_device, at_gateway) = (device.log.established[0], gateway.log.established[0]);
    let End { endpoint, log, .. } = &mut gateway;
    endpoint
        .send_control(now(), at_gateway.slot, true, &Control::default(), log)
        .expect("may seal");
    let flagged = log.sent.pop().expect("a record");
    let opened = device.endpoint.statistics().opened;
    device.receive(2, flagged);
    assert_eq!(device.endpoint.statistics().opened, opened + 1, "it opens");
    assert!(device.log.sent.is_empty(), "and is not answered");
    // The control: a responder answers it.
    let End { endpoint, log, .. } = &mut device;
    endpoint
        .send_control(now(), at_device.slot, true, &Control::default(), log)
        .expect("may seal");
    let flagged = log.sent.pop().expect("a record");
    gateway.receive(1, flagged);
    assert_eq!(gateway.log.sent.len(), 1);
}

/// An Initiate of the device's, with what it likes in the payload.
fn initiate_with(profile: Profile, payload: &InitiatePayload) -> Vec<u8> {
    let gateway_s_key = static_key(9).public_key();
    let own = credential(profile, DEVICE, DEVICE, 1, gateway_s_key);
    let header = InitiateHeader {
        terms: own.terms(),
        index: Index::new(7, 1).ok(),
        key_id: Some(own.key_id()),
        cookie: None,
    };
    let mut packet = header.encode();
    let (device, peer) = (id(DEVICE), id(GATEWAY));
    let prologue = prologue(Carriage::Packet, &packet, Some(&device), &peer, None);
    let keys = own.context(profile, Role::Initiator);
    let psk = own.key().association_psk(&keys).expect("its own");
    let key = static_key(1);
    let setup = Setup {
        backend: Backend::default(),
        terms: own.terms(),
        prologue: &prologue,
        psk: Some(psk.expose_bytes()),
        static_key: Some(&key),
        remote: Some(gateway_s_key),
        entropy: Zeroizing::new([42; 32]),
    };
    Initiator::initiate(&setup, &payload.encode(), &mut packet).expect("its own keys");
    if profile == Profile::Pinned {
        let tag = own.key().tag_key(&keys).expect("its own");
        packet.extend_from_slice(&tag.tag(&packet));
    }
    packet
}

#[test]
fn an_initiate_that_names_itself_twice_is_not_answered() {
    for profile in [Profile::Psk, Profile::Pinned] {
        let key_id = KeyId::new(&[1]).expect("a valid key id");
        for (initiator, answered) in [(None, 2), (Some((id(DEVICE), key_id)), 1)] {
            let (_, mut gateway) = associated(profile);
            let payload = InitiatePayload {
                initiator,
                ..InitiatePayload::default()
            };
            gateway.receive(1, initiate_with(profile, &payload));
            let statistics = gateway.endpoint.statistics();
            assert_eq!(statistics.answered, answered, "{profile:?}");
            assert_eq!(statistics.unauthenticated, 2 - answered, "{profile:?}");
        }
    }
}
