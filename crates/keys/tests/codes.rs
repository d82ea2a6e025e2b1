//! The numbers that stand on the wire and in derivations.

use refpoint_keys::{Error, KeyId, Profile, ReferencePoint, Role, Version};

#[test]
fn codes_read_back_as_what_they_stand_for() {
    for code in 0..=255u8 {
        assert_eq!(
            ReferencePoint::try_from(code).map(ReferencePoint::code),
            if (1..=5).contains(&code) {
                Ok(code)
            } else {
                Err(Error::UnknownReferencePoint)
            }
        );
        assert_eq!(
            Profile::try_from(code).map(Profile::code),
            if (1..=4).contains(&code) {
                Ok(code)
            } else {
                Err(Error::UnknownProfile)
            }
        );
        assert_eq!(
            Role::try_from(code).map(Role::code),
            if (1..=2).contains(&code) {
                Ok(code)
            } else {
                Err(Error::UnknownRole)
            }
        );
        assert_eq!(
            Version::try_from(code).map(Version::code),
            if code == 1 {
                Ok(code)
            } else {
                Err(Error::UnknownVersion)
            }
        );
    }
}

#[test]
fn codes_never_change() {
    assert_eq!(
        ReferencePoint::ALL.map(ReferencePoint::code),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(Profile::ALL.map(Profile::code), [1, 2, 3, 4]);
    assert_eq!(
        (ReferencePoint::X, Profile::Psk),
        (
            ReferencePoint::try_from(1).unwrap(),
            Profile::try_from(1).unwrap(),
        )
    );
    assert_eq!(Version::CURRENT.code(), 1);
}

#[test]
fn the_peer_of_a_peer_is_oneself() {
    for role in [Role::Initiator, Role::Responder] {
        assert_ne!(role.peer(), role);
        assert_eq!(role.peer().peer(), role);
    }
}

#[test]
fn key_ids_have_1_to_32_bytes_and_compare_as_these() {
    assert_eq!(KeyId::new(&[]), Err(Error::KeyIdLength));
    assert_eq!(KeyId::new(&[0; 33]), Err(Error::KeyIdLength));
    assert_eq!(KeyId::new(&[7; 32]).unwrap().as_bytes(), [7; 32]);
    let texts: [&[u8]; 5] = [b"\0", b"\0\0", b"a", b"a\0", b"b"];
    for one in texts {
        for other in texts {
            let (a, b) = (KeyId::new(one).unwrap(), KeyId::new(other).unwrap());
            assert_eq!(a.cmp(&b), one.cmp(other));
            assert_eq!(a == b, one == other);
        }
    }
}
