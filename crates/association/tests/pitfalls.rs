//! What snow leaves to its user (facts of the Noise libraries, section 1.1), each handled.
//!
//! Fixed key lengths, the PSK's slot, one ephemeral a handshake and the guard before the raw split
//! are matters of types or of code that nothing from outside reaches; the rest is here.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::World;
use refpoint_association::{Backend, Error, PublicKey, SessionLabel, StreamInitiator};
use refpoint_keys::Profile;
use refpoint_sim::{Adversary, Injector, Packet, Verdict};
use support::{BACKENDS, Setting, now, rng, table};

/// Points of small order on Curve25519, all of whose multiples by a clamped scalar are zero.
const LOW_ORDER: [[u8; 32]; 4] = {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    let eighth = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ];
    [[0; 32], one, minus_one, eighth]
};

fn initiate_to(peer: PublicKey, profile: Profile, backend: Backend) -> Result<Vec<u8>, Error> {
    let setting = Setting {
        profile,
        backend,
        ..Setting::default()
    };
    let (local, credential) = setting.initiator();
    let (credentials, id) = table(credential.with_public_key(peer));
    let entry = credentials.find(id).expect("inserted").clone();
    let mut out = Vec::new();
    let label = SessionLabel::default();
    StreamInitiator::new(
        now(0),
        &mut rng(1),
        &local,
        backend,
        (id, entry),
        label,
        &mut out,
    )?;
    Ok(out)
}

#[test]
fn a_static_key_of_low_order_is_refused_when_it_is_used() {
    for backend in BACKENDS {
        for point in LOW_ORDER {
            for profile in [Profile::Known, Profile::Pinned] {
                let refused = initiate_to(PublicKey::new(point), profile, backend);
                assert_eq!(refused.err(), Some(Error::Authentication), "{profile:?}");
            }
        }
    }
}

/// Replaces the ephemeral key of the nth packet by a point of low order.
struct LowOrder {
    packet: usize,
    at: usize,
    point: [u8; 32],
}

impl Adversary for LowOrder {
    fn intercept(&mut self, _: Duration, packet: &Packet, _: &mut Injector) -> Verdict {
        let wanted = self.packet == 0;
        self.packet = self.packet.wrapping_sub(1);
        if !wanted {
            return Verdict::Pass;
        }
        let mut data = packet.data.clone();
        data[self.at..self.at + 32].copy_from_slice(&self.point);
        Verdict::Replace(data)
    }
}

#[test]
fn an_ephemeral_key_of_low_order_makes_no_association() {
    for backend in BACKENDS {
        for (packet, at) in [(0, 9), (1, 2)] {
            for point in LOW_ORDER {
                let setting = Setting {
                    backend,
                    ..Setting::default()
                };
                let mut world = World::perfect(&setting);
                world.net.set_adversary(LowOrder { packet, at, point });
                world.connect("device", "gateway");
                world.run_for(Duration::from_millis(50));
                assert!(world.log("gateway").established.is_empty());
                // The genuine packet, repeated, still gets through.
                world.run_for(Duration::from_secs(5));
                assert_eq!(world.log("gateway").established.len(), 1);
            }
        }
    }
}

/// Sends a forged copy of the Respond before the genuine one, its last byte or its ephemeral key
/// changed.
struct ForgedRespond(usize);

impl Adversary for ForgedRespond {
    fn intercept(&mut self, _: Duration, packet: &Packet, injector: &mut Injector) -> Verdict {
        if packet.data[0] >> 3 == 2 {
            for _ in 0..3 {
                let mut forged = packet.data.clone();
                let at = self.0.min(forged.len() - 1);
                forged[at] ^= 1;
                injector.inject(Duration::ZERO, packet.from, packet.to, forged);
            }
        }
        Verdict::Pass
    }
}

#[test]
fn a_forged_answer_does_not_spoil_the_handshake_for_the_genuine_one() {
    for backend in BACKENDS {
        for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
            for at in [2, 20, 40, usize::MAX] {
                let setting = Setting {
                    backend,
                    profile,
                    ..Setting::default()
                };
                let mut world = World::perfect(&setting);
                world.net.set_adversary(ForgedRespond(at));
                world.associate("device", "gateway");
                let forged = world.host("device").endpoint.statistics().unauthenticated;
                assert!(forged >= 1, "the forgery came first");
            }
        }
    }
}

#[test]
fn no_secret_is_printed() {
    let setting = Setting {
        profile: Profile::Known,
        key: *b"0123456789abcdef0123456789abcdef",
        static_keys: (*b"A static key that nobody may see", [2; 32]),
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    world.associate("device", "gateway");
    let (local, credential) = setting.initiator();
    let ends = (
        &world.hosts["device"].endpoint,
        &world.hosts["gateway"].endpoint,
    );
    let printed = format!("{ends:?} {local:?} {credential:?}");
    let bytes = |secret: &[u8; 32]| format!("{:?}", &secret[..8]);
    for secret in [&setting.key, &setting.static_keys.0] {
        let inner = bytes(secret);
        assert!(!printed.contains(inner.trim_matches(['[', ']'])), "{inner}");
        assert!(!printed.contains(core::str::from_utf8(&secret[..8]).expect("ASCII")));
    }
    assert!(printed.contains("Traffic(..)") && printed.contains("ConnectionKey"));
}
