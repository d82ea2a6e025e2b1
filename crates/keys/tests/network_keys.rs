//! Keys from the underlying network: what is refused, and what clamps.

use refpoint_keys::{
    EntityId, Error, KeyId, NetworkKey, NetworkKeyRecord, NetworkKeySource, ReferencePoint,
    UtcTime, Validity,
};

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("the test's ids are well formed")
}

fn core() -> EntityId {
    id("//sp.example.com/id-in")
}

fn scef() -> EntityId {
    id("//op.example.com/nse-scef")
}

fn record() -> NetworkKeyRecord {
    NetworkKeyRecord {
        source: NetworkKeySource::Akma,
        key_id: "a-kid@op.example.com".into(),
        application: b"af.example.com\x01\0\0\0\x07".to_vec(),
        subscriber: None,
        bound_entity: core(),
        validity: Validity::new(Some(UtcTime::from_secs(10)), UtcTime::from_secs(20))
            .expect("it is not empty"),
    }
}

fn import(record: NetworkKeyRecord, now: u64) -> Result<[u8; 32], Error> {
    let key = NetworkKey::new(record, [3; 32])?.into_connection_key(
        &core(),
        &scef(),
        ReferencePoint::Z,
        UtcTime::from_secs(now),
    )?;
    assert_eq!(key.point(), ReferencePoint::Z);
    Ok(*key.expose_bytes())
}

#[test]
fn an_expired_key_is_refused() {
    assert!(import(record(), 19).is_ok());
    assert_eq!(import(record(), 20), Err(Error::Expired));
    assert_eq!(import(record(), 21), Err(Error::Expired));
}

#[test]
fn a_key_may_be_imported_before_its_time_and_says_so() {
    let key = NetworkKey::new(record(), [3; 32])
        .unwrap()
        .into_connection_key(&core(), &scef(), ReferencePoint::Z, UtcTime::from_secs(5))
        .unwrap();
    assert!(!key.validity().contains(UtcTime::from_secs(5)));
    assert!(key.validity().contains(UtcTime::from_secs(10)));
}

#[test]
fn a_key_serves_only_the_entity_it_is_bound_to() {
    let stranger = NetworkKeyRecord {
        bound_entity: id("//sp.example.com/id-mn"),
        ..record()
    };
    assert_eq!(import(stranger, 15), Err(Error::WrongEntities));
    let peer = NetworkKeyRecord {
        bound_entity: scef(),
        ..record()
    };
    assert!(import(peer, 15).is_ok());
}

#[test]
fn source_name_and_application_make_different_keys() {
    let made = [
        record(),
        NetworkKeyRecord {
            source: NetworkKeySource::Gba,
            ..record()
        },
        NetworkKeyRecord {
            key_id: "another".into(),
            ..record()
        },
        NetworkKeyRecord {
            application: b"af".to_vec(),
            ..record()
        },
    ]
    .map(|record| import(record, 15).unwrap());
    for (n, key) in made.iter().enumerate() {
        assert!(!made[n + 1..].contains(key));
        assert_ne!(*key, [3; 32]);
    }
}

#[test]
fn both_ends_import_the_same_key_whatever_else_the_network_told_them() {
    let told_more = NetworkKeyRecord {
        subscriber: Some("msisdn-4670123456".into()),
        validity: Validity::until(UtcTime::from_secs(18)),
        ..record()
    };
    let theirs = NetworkKey::new(told_more, [3; 32])
        .unwrap()
        .into_connection_key(&scef(), &core(), ReferencePoint::Z, UtcTime::from_secs(15))
        .unwrap();
    assert_eq!(*theirs.expose_bytes(), import(record(), 15).unwrap());
}

#[test]
fn texts_have_1_to_255_bytes() {
    for (key_id, application, accepted) in [
        (1, 1, true),
        (255, 255, true),
        (0, 1, false),
        (1, 0, false),
        (256, 1, false),
        (1, 256, false),
    ] {
        let record = NetworkKeyRecord {
            key_id: "k".repeat(key_id),
            application: vec![0; application],
            ..record()
        };
        let expected = if accepted {
            None
        } else {
            Some(Error::TextLength)
        };
        assert_eq!(import(record, 15).err(), expected);
    }
}

#[test]
fn a_name_longer_than_32_bytes_is_hashed_for_the_wire() {
    let longest = "k".repeat(32);
    assert_eq!(
        KeyId::from_text(&longest).unwrap().as_bytes(),
        longest.as_bytes()
    );
    assert_eq!(
        KeyId::from_text(&"k".repeat(33)).unwrap().as_bytes().len(),
        16
    );
    assert_eq!(KeyId::from_text(""), Err(Error::KeyIdLength));
}
