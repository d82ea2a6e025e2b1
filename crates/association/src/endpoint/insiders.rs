//! What a peer with genuine credentials tries inside an association (rules L1, L2). Such a peer is
//! written here, since the public interface does not let one misbehave.

use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
use refpoint_wire::{Control, SessionLabel};

use super::{AssociationId, Config, Endpoint, Event, Outbox};
use crate::{
    Backend, Credential, CredentialId, Credentials, Local, Now, PublicKey, StaticKey,
    negotiation::Wanted,
};

const DEVICE: &str = "//sp.example.com/id-mn/Cdevice";
const OTHER: &str = "//sp.example.com/id-mn/Cother";
const GATEWAY: &str = "//sp.example.com/id-mn";

#[derive(Default)]
struct Log {
    sent: Vec<Vec<u8>>,
    established: Vec<AssociationId>,
}

impl Outbox for Log {
    fn transmit(&mut self, _: SocketAddr, packet: &[u8]) {
        self.sent.push(packet.to_vec());
    }

    fn event(&mut self, event: Event<'_>) {
        if let Event::Established { id, peer, .. } = event {
            assert_ne!(peer.entity().to_string(), OTHER);
            self.established.push(id);
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
    let validity = Validity::until(UtcTime::from_secs(1_900_000_000));
    let key_id = KeyId::new(&[secret]).expect("a valid key id");
    let (a, b) = (id(entity), id(GATEWAY));
    let point = ReferencePoint::Y;
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
    let inside = Some((id, Box::new(binding)));
    endpoint
        .attempt(now(), rng, address(2), wanted, inside, log)
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
