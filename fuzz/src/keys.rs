//! Targets of `refpoint-keys`: ids, key ids, validities, derivations.

use refpoint_keys::{
    ConnectionKey, EntityId, EntityKind, KeyId, Profile, PskContext, ReferencePoint, UtcTime,
    Validity, Version,
};

use crate::Input;

/// An id that parses is canonical, and each of its forms resolves back to it.
///
/// Up to three lines: an id, a service provider, the absolute id of a CSE.
pub fn keys_entity_id(data: &[u8]) {
    let mut input = Input::new(data);
    let (text, provider, cse) = (input.line(), input.line(), input.line());
    let (Some(text), Some(provider), Some(cse)) = (text, provider, cse) else {
        return;
    };
    let provider = or(provider, "sp.example.com");
    let cse = EntityId::parse(or(cse, "//sp.example.com/id-mn")).ok();
    if let Ok(id) = EntityId::parse(text) {
        check_id(&id);
    }
    if let Ok(id) = EntityId::resolve(text, provider, cse.as_ref()) {
        check_id(&id);
        if !id.service_provider().eq_ignore_ascii_case(provider) {
            assert_eq!(
                EntityId::parse(text),
                Ok(id),
                "only an absolute id leaves the domain"
            );
        }
    }
}

fn or<'a>(line: &'a str, usual: &'a str) -> &'a str {
    if line.is_empty() { usual } else { line }
}

fn check_id(id: &EntityId) {
    let text = id.as_str();
    assert!(text.len() <= EntityId::MAX);
    assert!(
        text.chars()
            .all(|c| c.is_alphanumeric() || "-._~/".contains(c))
    );
    assert_eq!(
        EntityId::parse(text).as_ref(),
        Ok(id),
        "the canonical form is its own"
    );

    let provider = id.service_provider();
    assert_eq!(
        EntityId::resolve(id.to_sp_relative(), provider, None).as_ref(),
        Ok(id)
    );
    assert_eq!(format!("//{provider}{}", id.to_sp_relative()), text);

    let cse = id.cse();
    match id.kind() {
        EntityKind::Ae => {
            let stem = id.to_stem().expect("an AE has a stem");
            assert_eq!(
                EntityId::resolve(stem, provider, cse.as_ref()).as_ref(),
                Ok(id)
            );
            assert_eq!(stem.starts_with('C'), cse.is_some());
        }
        EntityKind::Cse => assert_eq!(cse.as_ref(), Some(id)),
        EntityKind::Nse => assert_eq!(cse, None),
    }
    if let Some(cse) = cse {
        assert_eq!(cse.kind(), EntityKind::Cse);
        assert!(id.is_at(&cse));
    }
}

/// A key id keeps 1 to 32 bytes as they are, and compares as they do.
pub fn keys_key_id(data: &[u8]) {
    let mut input = Input::new(data);
    let (a, b) = (input.counted(), input.rest());
    let ids = (KeyId::new(a), KeyId::new(b));
    for (bytes, id) in [(a, ids.0), (b, ids.1)] {
        assert_eq!(id.is_ok(), (1..=KeyId::MAX).contains(&bytes.len()));
        if let Ok(id) = id {
            assert_eq!(id.as_bytes(), bytes);
            assert_eq!(id.to_string().len(), 2 * bytes.len());
        }
        if let Ok(text) = core::str::from_utf8(bytes) {
            assert_eq!(KeyId::from_text(text).is_ok(), !text.is_empty());
        }
    }
    if let (Ok(first), Ok(second)) = ids {
        assert_eq!(first.cmp(&second), a.cmp(b));
    }
}

/// A validity holds exactly while something remains of it, and an intersection while both hold.
pub fn keys_validity(data: &[u8]) {
    let mut input = Input::new(data);
    let (Some(a), Some(b)) = (validity(&mut input), validity(&mut input)) else {
        return;
    };
    let both = a.intersection(&b);
    assert_eq!(both, b.intersection(&a));
    let times = [&a, &b]
        .into_iter()
        .flat_map(|v| [v.not_before(), Some(v.not_after())]);
    let edges = times.flatten().map(UtcTime::as_secs);
    for second in edges.chain([input.number()]).flat_map(around) {
        let now = UtcTime::from_secs(second);
        for validity in [&a, &b] {
            let remaining = validity.remaining(now);
            assert_eq!(validity.contains(now), !remaining.is_zero());
            assert!(!(validity.contains(now) && validity.is_over(now)));
            assert!(now.saturating_add(remaining) <= validity.not_after().max(now));
        }
        let holds = both.is_some_and(|both| both.contains(now));
        assert_eq!(holds, a.contains(now) && b.contains(now));
    }
}

fn validity(input: &mut Input<'_>) -> Option<Validity> {
    let (bounded, start, end) = (input.byte(), input.number(), input.number());
    let not_before = (bounded % 2 == 1).then_some(UtcTime::from_secs(start));
    let made = Validity::new(not_before, UtcTime::from_secs(end));
    assert_eq!(made.is_ok(), not_before.is_none() || start < end);
    made.ok()
}

fn around(second: u64) -> [u64; 3] {
    [second.saturating_sub(1), second, second.saturating_add(1)]
}

/// Two contexts give the same pre-shared key only when they are the same context (K1).
pub fn keys_derivation(data: &[u8]) {
    let mut input = Input::new(data);
    let (first, second) = (Context::read(&mut input), Context::read(&mut input));
    let (Some(first), Some(second)) = (first, second) else {
        return;
    };
    let (Some(keys), Some(others)) = (first.keys(), second.keys()) else {
        return;
    };
    let [psk, tag, hint] = &keys;
    assert!(psk[..8] != tag[..] && tag != hint && psk[..8] != hint[..]);
    if first == second {
        assert_eq!(keys, others);
    } else {
        assert!(keys.iter().zip(&others).all(|(key, other)| key != other));
    }
}

#[derive(PartialEq)]
struct Context {
    id: KeyId,
    point: ReferencePoint,
    profile: Profile,
    initiator: EntityId,
    responder: EntityId,
}

impl Context {
    fn read(input: &mut Input<'_>) -> Option<Self> {
        Some(Self {
            point: ReferencePoint::try_from(input.byte() % 8).ok()?,
            profile: Profile::try_from(input.byte() % 8).ok()?,
            id: KeyId::new(input.counted()).ok()?,
            initiator: EntityId::parse(input.line()?).ok()?,
            responder: EntityId::parse(input.line()?).ok()?,
        })
    }

    /// The pre-shared key, and what its siblings make of the same message.
    fn keys(&self) -> Option<[Vec<u8>; 3]> {
        let validity = Validity::until(UtcTime::from_secs(1));
        let (a, b) = (&self.initiator, &self.responder);
        let made = ConnectionKey::from_bytes([7; 32], self.id, self.point, a, b, validity);
        assert_eq!(made.is_ok(), a != b, "only one entity twice is refused");
        let key = made.ok()?;
        let context = PskContext {
            version: Version::CURRENT,
            profile: self.profile,
            point: self.point,
            initiator: a,
            responder: b,
        };
        let fits = "the key was made for this context";
        Some([
            key.association_psk(&context)
                .expect(fits)
                .expose_bytes()
                .to_vec(),
            key.tag_key(&context).expect(fits).tag(b"message").to_vec(),
            key.hint_key(&context).expect(fits).tag(b"message").to_vec(),
        ])
    }
}
