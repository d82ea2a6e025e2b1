//! The tree's arrows: exact against an independent implementation, and each bound to its context.

use proptest::prelude::*;
use refpoint_keys::{
    ApplicationKey, ConnectionKey, EntityId, Error, KeyId, NetworkKey, NetworkKeyRecord,
    NetworkKeySource, Profile, PskContext, ReferencePoint, RootKey, UtcTime, Validity, Version,
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/derivations.json")).expect("the vectors are JSON")
}

fn cases<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let cases = value[name].as_array().expect("the vectors are lists");
    assert!(!cases.is_empty());
    cases
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("the field is a text")
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    hex::decode(text(value, name)).expect("the field is hexadecimal")
}

fn key(value: &Value, name: &str) -> [u8; 32] {
    bytes(value, name).try_into().expect("keys have 32 bytes")
}

fn code(value: &Value, name: &str) -> u8 {
    let number = value[name].as_u64().expect("codes are numbers");
    u8::try_from(number).expect("codes are bytes")
}

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("the test's ids are well formed")
}

fn key_id(value: &Value) -> KeyId {
    KeyId::new(&bytes(value, "key_id")).expect("the vectors' key ids are valid")
}

fn point(value: &Value) -> ReferencePoint {
    ReferencePoint::try_from(code(value, "point")).expect("the vectors' points exist")
}

fn ends(value: &Value) -> (EntityId, EntityId) {
    let name = |n: usize| id(value["entities"][n].as_str().expect("ids are texts"));
    (name(0), name(1))
}

fn validity(value: &Value) -> Validity {
    let time = |name: &str| value[name].as_u64().map(UtcTime::from_secs);
    Validity::new(
        time("not_before"),
        time("not_after").expect("every vector ends"),
    )
    .expect("the vectors' validities are not empty")
}

#[test]
fn connection_keys_and_their_children_are_the_vectors() {
    let vectors = vectors();
    let root = RootKey::new(key(&vectors, "root_key"));
    let message = bytes(&vectors, "message");
    for case in cases(&vectors, "connection_keys") {
        let (a, b) = ends(case);
        let made = root
            .connection_key(key_id(case), point(case), &a, &b, validity(case))
            .unwrap();
        assert_eq!(*made.expose_bytes(), key(case, "connection_key"));
        for association in cases(case, "associations") {
            let (initiator, responder) = (
                id(text(association, "initiator")),
                id(text(association, "responder")),
            );
            let context = PskContext {
                version: Version::try_from(code(association, "version")).unwrap(),
                profile: Profile::try_from(code(association, "profile")).unwrap(),
                point: made.point(),
                initiator: &initiator,
                responder: &responder,
            };
            let psk = made.association_psk(&context).unwrap();
            assert_eq!(*psk.expose_bytes(), key(association, "association_psk"));
            let tag = made.tag_key(&context).unwrap().tag(&message);
            assert_eq!(tag.as_slice(), bytes(association, "tag"));
            let hint = made.hint_key(&context).unwrap().tag(&message);
            assert_eq!(hint.as_slice(), bytes(association, "hint"));
        }
    }
}

#[test]
fn application_keys_are_the_vectors() {
    let vectors = vectors();
    let root = RootKey::new(key(&vectors, "root_key"));
    for case in cases(&vectors, "application_keys") {
        let (a, b) = ends(case);
        let made = root
            .application_key(key_id(case), &a, &b, validity(case))
            .unwrap();
        assert_eq!(*made.expose_bytes(), key(case, "application_key"));
        let session = made.connection_key();
        assert_eq!(*session.expose_bytes(), key(case, "connection_key"));
        assert_eq!(session.point(), ReferencePoint::EndToEnd);
        assert_eq!(session.id(), made.id());
        assert_eq!(session.validity(), made.validity());
        assert_eq!(session.entities(), made.entities());
        let psk = made.object_psk(&a, &b).unwrap();
        assert_eq!(*psk.expose_bytes(), key(case, "object_psk"));
        let message = bytes(&vectors, "message");
        let voucher = made.voucher_key(&a).unwrap();
        assert_eq!(voucher.vouch(&message).as_slice(), bytes(case, "voucher"));
        assert!(voucher.verify(&message, &bytes(case, "voucher")));
        assert!(!voucher.verify(&message, &bytes(case, "voucher")[..31]));
    }
}

#[test]
fn keys_for_objects_differ_by_direction_and_owner_and_serve_their_two_ends_only() {
    let id = |text| EntityId::parse(text).unwrap();
    let (a, b, c) = (id("//sp/SA"), id("//sp/SB"), id("//sp/SC"));
    let until = Validity::until(UtcTime::from_secs(9));
    let key = ApplicationKey::from_bytes([1; 32], KeyId::new(b"k").unwrap(), &a, &b, until);
    let key = key.unwrap();
    let (forth, back) = (
        key.object_psk(&a, &b).unwrap(),
        key.object_psk(&b, &a).unwrap(),
    );
    assert_ne!(forth.expose_bytes(), back.expose_bytes());
    let (of_a, of_b) = (key.voucher_key(&a).unwrap(), key.voucher_key(&b).unwrap());
    assert!(!of_b.verify(b"pre-key", &of_a.vouch(b"pre-key")));
    for (sender, receiver) in [(&a, &c), (&c, &b), (&a, &a)] {
        assert_eq!(
            key.object_psk(sender, receiver).err(),
            Some(Error::WrongEntities)
        );
    }
    assert_eq!(key.voucher_key(&c).err(), Some(Error::WrongEntities));
}

#[test]
fn network_keys_are_the_vectors() {
    let vectors = vectors();
    for case in cases(&vectors, "network_keys") {
        let record = NetworkKeyRecord {
            source: match text(case, "source") {
                "gba" => NetworkKeySource::Gba,
                "akma" => NetworkKeySource::Akma,
                "best" => NetworkKeySource::Best,
                "static" => NetworkKeySource::Static,
                other => panic!("no such source: {other}"),
            },
            key_id: text(case, "key_id").into(),
            application: bytes(case, "application"),
            subscriber: Some("user@op.example.com".into()),
            bound_entity: id(text(case, "bound_entity")),
            validity: Validity::until(UtcTime::from_secs(100)),
        };
        let network = NetworkKey::new(record, key(&vectors, "root_key")).unwrap();
        let (local, peer) = (id(text(case, "local")), id(text(case, "peer")));
        let made = network
            .into_connection_key(&local, &peer, point(case), UtcTime::from_secs(99))
            .unwrap();
        assert_eq!(made.id().as_bytes(), bytes(case, "wire_key_id"));
        assert_eq!(*made.expose_bytes(), key(case, "connection_key"));
        assert_eq!(made.validity().not_after(), UtcTime::from_secs(100));
    }
}

const SENSOR: &str = "//sp.example.com/id-mn/CSensor1";
const GATEWAY: &str = "//sp.example.com/id-mn";
const CORE: &str = "//sp.example.com/id-in";

fn connection_key(id_bytes: &[u8], point: ReferencePoint) -> ConnectionKey {
    ConnectionKey::from_bytes(
        [7; 32],
        KeyId::new(id_bytes).expect("the test's key ids are valid"),
        point,
        &id(SENSOR),
        &id(GATEWAY),
        Validity::until(UtcTime::from_secs(1)),
    )
    .expect("the ends differ")
}

/// K1: the association PSK changes with the version's successor, every profile, every reference
/// point, the key id and the order of the ids.
#[test]
fn k1_every_field_of_the_context_makes_another_psk() {
    let (sensor, gateway) = (id(SENSOR), id(GATEWAY));
    let mut seen = std::collections::HashSet::new();
    let mut made = 0;
    for point in ReferencePoint::ALL {
        for id_bytes in [b"a".as_slice(), b"b", b"a\0"] {
            let key = connection_key(id_bytes, point);
            for profile in Profile::ALL {
                for (initiator, responder) in [(&sensor, &gateway), (&gateway, &sensor)] {
                    let context = PskContext {
                        version: Version::CURRENT,
                        profile,
                        point,
                        initiator,
                        responder,
                    };
                    seen.insert(*key.association_psk(&context).unwrap().expose_bytes());
                    made += 1;
                }
            }
        }
    }
    assert_eq!(seen.len(), made);
}

#[test]
fn k1_an_initiate_echoed_to_its_sender_meets_another_psk() {
    let (sensor, gateway) = (id(SENSOR), id(GATEWAY));
    let key = connection_key(b"k", ReferencePoint::X);
    let sent = PskContext {
        version: Version::CURRENT,
        profile: Profile::Psk,
        point: ReferencePoint::X,
        initiator: &sensor,
        responder: &gateway,
    };
    let received_back = PskContext {
        initiator: &gateway,
        responder: &sensor,
        ..sent
    };
    assert_ne!(
        key.association_psk(&sent).unwrap().expose_bytes(),
        key.association_psk(&received_back).unwrap().expose_bytes()
    );
}

#[test]
fn a_key_refuses_a_context_that_is_not_its_own() {
    let (sensor, gateway, core) = (id(SENSOR), id(GATEWAY), id(CORE));
    let key = connection_key(b"k", ReferencePoint::X);
    let own = PskContext {
        version: Version::CURRENT,
        profile: Profile::Psk,
        point: ReferencePoint::X,
        initiator: &sensor,
        responder: &gateway,
    };
    let wrong_point = PskContext {
        point: ReferencePoint::Y,
        ..own
    };
    let mut refused = vec![(wrong_point, Error::WrongReferencePoint)];
    for (initiator, responder) in [
        (&sensor, &core),
        (&core, &gateway),
        (&sensor, &sensor),
        (&gateway, &gateway),
    ] {
        let wrong_entities = PskContext {
            initiator,
            responder,
            ..own
        };
        refused.push((wrong_entities, Error::WrongEntities));
    }
    assert!(key.association_psk(&own).is_ok());
    for (context, error) in refused {
        assert_eq!(key.association_psk(&context).unwrap_err(), error);
        assert_eq!(key.tag_key(&context).unwrap_err(), error);
        assert_eq!(key.hint_key(&context).unwrap_err(), error);
    }
}

#[test]
fn the_pair_of_a_connection_key_has_no_order() {
    let root = RootKey::new([1; 32]);
    let (sensor, gateway) = (id(SENSOR), id(GATEWAY));
    let make = |a, b| {
        let until = Validity::until(UtcTime::from_secs(9));
        root.connection_key(KeyId::new(b"k").unwrap(), ReferencePoint::X, a, b, until)
            .unwrap()
    };
    let (one, other) = (make(&sensor, &gateway), make(&gateway, &sensor));
    assert_eq!(one.expose_bytes(), other.expose_bytes());
    assert_eq!(one.entities(), (&gateway, &sensor));
    assert_eq!(one.peer_of(&sensor), Some(&gateway));
    assert_eq!(one.peer_of(&id(CORE)), None);
}

#[test]
fn a_longer_life_is_another_key() {
    let root = RootKey::new([1; 32]);
    let make = |validity| {
        let k = KeyId::new(b"k").unwrap();
        *root
            .connection_key(k, ReferencePoint::X, &id(SENSOR), &id(GATEWAY), validity)
            .unwrap()
            .expose_bytes()
    };
    let nine = make(Validity::until(UtcTime::from_secs(9)));
    assert_ne!(nine, make(Validity::until(UtcTime::from_secs(10))));
    let from_zero = Validity::new(Some(UtcTime::from_secs(0)), UtcTime::from_secs(9)).unwrap();
    assert_ne!(nine, make(from_zero));
}

#[test]
fn nobody_shares_a_key_with_itself() {
    let k = KeyId::new(b"k").unwrap();
    let sensor = id(SENSOR);
    let until = Validity::until(UtcTime::from_secs(9));
    let root = RootKey::new([1; 32]);
    let x = ReferencePoint::X;
    let refused = [
        root.connection_key(k, x, &sensor, &sensor, until).err(),
        root.application_key(k, &sensor, &sensor, until).err(),
        ConnectionKey::from_bytes([0; 32], k, x, &sensor, &sensor, until).err(),
        ApplicationKey::from_bytes([0; 32], k, &sensor, &sensor, until).err(),
    ];
    assert_eq!(refused, [Some(Error::SameEntity); 4]);
}

#[test]
fn a_tag_is_verified_whole_and_under_its_own_key() {
    let (sensor, gateway) = (id(SENSOR), id(GATEWAY));
    let key = connection_key(b"k", ReferencePoint::X);
    let context = PskContext {
        version: Version::CURRENT,
        profile: Profile::Psk,
        point: ReferencePoint::X,
        initiator: &sensor,
        responder: &gateway,
    };
    let (tags, hints) = (
        key.tag_key(&context).unwrap(),
        key.hint_key(&context).unwrap(),
    );
    let tag = tags.tag(b"message");
    assert!(tags.verify(b"message", &tag));
    assert!(!tags.verify(b"massage", &tag));
    assert!(!hints.verify(b"message", &tag));
    for length in 0..8 {
        assert!(!tags.verify(b"message", &tag[..length]));
    }
    let longer = [&tag[..], &[0]].concat();
    assert!(!tags.verify(b"message", &longer));
    for bit in 0..64 {
        let mut forged = tag;
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(!tags.verify(b"message", &forged));
        assert!(!hints.verify(b"message", &forged));
    }
    assert!(hints.verify(b"message", &hints.tag(b"message")));
}

#[derive(Debug, Clone, PartialEq)]
struct Context {
    profile: u8,
    point: u8,
    key_id: Vec<u8>,
    initiator: EntityId,
    responder: EntityId,
}

impl Context {
    fn psk(&self) -> [u8; 32] {
        let point = ReferencePoint::try_from(self.point).expect("drawn from 1 to 5");
        let key = ConnectionKey::from_bytes(
            [7; 32],
            KeyId::new(&self.key_id).expect("drawn with 1 to 32 bytes"),
            point,
            &self.initiator,
            &self.responder,
            Validity::until(UtcTime::from_secs(1)),
        )
        .expect("drawn with different ends");
        let context = PskContext {
            version: Version::CURRENT,
            profile: Profile::try_from(self.profile).expect("drawn from 1 to 4"),
            point,
            initiator: &self.initiator,
            responder: &self.responder,
        };
        *key.association_psk(&context)
            .expect("the context is the key's")
            .expose_bytes()
    }
}

prop_compose! {
    // A small alphabet, so that contexts that nearly collide are drawn often.
    fn any_context()(
        profile in 1u8..=4,
        point in 1u8..=5,
        key_id in prop::collection::vec(b'a'..=b'b', 1..4),
        initiator in "//a/[ab]{1,3}",
        responder in "//a/[ab]{1,3}/C[ab]{1,3}",
        swap in any::<bool>(),
    ) -> Context {
        let (initiator, responder) = if swap { (responder, initiator) } else { (initiator, responder) };
        Context { profile, point, key_id, initiator: id(&initiator), responder: id(&responder) }
    }
}

proptest! {
    #[test]
    fn different_contexts_make_different_psks(a in any_context(), b in any_context()) {
        prop_assert_eq!(a == b, a.psk() == b.psk());
    }
}
