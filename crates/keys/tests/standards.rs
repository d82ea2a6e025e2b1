//! The derivations of oneM2M and 3GPP.

use refpoint_keys::onem2m::{EnrolmentKey, SecurityUsage};
use refpoint_keys::threegpp::{
    AkmaAnchorKey, ApplicationFunctionId, AusfKey, BootstrappedKey, GbaVariant,
};
use refpoint_keys::{EntityId, Error, KeyId, ReferencePoint, UtcTime, Validity};
use serde_json::Value;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("the field is a text")
}

fn bytes<const N: usize>(value: &Value, name: &str) -> [u8; N] {
    let bytes = hex::decode(text(value, name)).expect("the field is hexadecimal");
    bytes.try_into().expect("the field has its length")
}

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("the vectors' ids are well formed")
}

#[test]
fn onem2m_keys_are_the_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/onem2m.json")).unwrap();
    let enrolment = EnrolmentKey::new(bytes(&vectors, "enrolment_key"));

    let km = &vectors["master_credential"];
    let made = enrolment.master_credential(text(km, "maf")).unwrap();
    assert_eq!(*made.expose_bytes(), bytes(km, "key"));

    let kpsa = &vectors["provisioned_key"];
    let made = enrolment.provisioned_key(&id(text(kpsa, "enrolee_b")));
    assert_eq!(*made.expose_bytes(), bytes(kpsa, "key"));

    let kc = &kpsa["connection_key"];
    let made = made
        .connection_key(
            KeyId::new(&bytes::<2>(kc, "key_id")).unwrap(),
            ReferencePoint::Y,
            &id(kc["entities"][0].as_str().unwrap()),
            &id(kc["entities"][1].as_str().unwrap()),
            Validity::until(UtcTime::from_secs(1)),
        )
        .unwrap();
    assert_eq!(*made.expose_bytes(), bytes(kc, "key"));

    let constrained = &vectors["usage_constrained_key"];
    let usage = SecurityUsage::try_from(22).unwrap();
    let made = enrolment
        .usage_constrained_key(usage, text(constrained, "target"))
        .unwrap();
    assert_eq!(*made.expose_bytes(), bytes(constrained, "key"));

    assert_eq!(
        *enrolment.root_key().expose_bytes(),
        bytes(&vectors, "root_key")
    );
}

#[test]
fn threegpp_keys_are_the_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/threegpp.json")).unwrap();
    let key: [u8; 32] = bytes(&vectors, "key");

    let af = &vectors["af_key"];
    let af_id = ApplicationFunctionId::new(text(af, "fqdn"), bytes(af, "protocol")).unwrap();
    let made = AkmaAnchorKey::new(key).af_key(&af_id);
    assert_eq!(*made.expose_bytes(), bytes(af, "key"));

    let akma = &vectors["akma"];
    let ausf = AusfKey::new(key);
    let anchor = ausf.akma_anchor_key(text(akma, "supi")).unwrap();
    assert_eq!(*anchor.expose_bytes(), bytes(akma, "anchor_key"));
    assert_eq!(
        ausf.a_tid(text(akma, "supi")).unwrap(),
        bytes(akma, "a_tid")
    );

    let gba = &vectors["gba"];
    let naf = ApplicationFunctionId::new(text(gba, "fqdn"), bytes(gba, "protocol")).unwrap();
    for (variant, name) in [(GbaVariant::Me, "ks_naf"), (GbaVariant::Uicc, "ks_int_naf")] {
        let made = BootstrappedKey::new(key)
            .naf_key(variant, &bytes(gba, "rand"), text(gba, "impi"), &naf)
            .unwrap();
        assert_eq!(*made.expose_bytes(), bytes(gba, name));
    }
}

#[test]
fn texts_without_bytes_or_with_too_many_are_refused() {
    let enrolment = EnrolmentKey::new([0; 32]);
    let usage = SecurityUsage::try_from(10).unwrap();
    let ausf = AusfKey::new([0; 32]);
    let naf = ApplicationFunctionId::new("naf.example.com", [0; 5]).unwrap();
    let ks = BootstrappedKey::new([0; 32]);
    for wrong in [String::new(), "x".repeat(256)] {
        let refused = [
            enrolment.master_credential(&wrong).err(),
            enrolment.usage_constrained_key(usage, &wrong).err(),
            ausf.akma_anchor_key(&wrong).err(),
            ausf.a_tid(&wrong).err(),
            ks.naf_key(GbaVariant::Me, &[0; 16], &wrong, &naf).err(),
            ApplicationFunctionId::new(&wrong, [0; 5]).err(),
        ];
        assert_eq!(refused, [Some(Error::TextLength); 6]);
    }
}

#[test]
fn only_the_usages_of_the_standard_exist() {
    let known: Vec<u8> = (0..=255)
        .filter(|code| SecurityUsage::try_from(*code).is_ok())
        .collect();
    let listed: Vec<u8> = (10..=15)
        .chain(21..=25)
        .chain(32..=35)
        .chain(40..=45)
        .collect();
    assert_eq!(known, listed);
}
