//! What keys show of themselves, and that they wipe themselves.

use refpoint_keys::onem2m::{
    EnrolmentKey, MasterCredential, ProvisionedKey, SecurityUsage, UsageConstrainedKey,
};
use refpoint_keys::threegpp::{
    AfKey, AkmaAnchorKey, ApplicationFunctionId, AusfKey, BootstrappedKey, GbaVariant, NafKey,
};
use refpoint_keys::{
    ApplicationKey, AssociationPsk, ConnectionKey, EntityId, HintKey, KeyId, NetworkKey,
    NetworkKeyRecord, NetworkKeySource, ObjectPsk, Profile, PskContext, ReferencePoint, RootKey,
    TagKey, UtcTime, Validity, Version, VoucherKey,
};
use zeroize::ZeroizeOnDrop;

// To look at memory that was given back takes unsafe code, so here only the promise is checked;
// `ZeroizeOnDrop` is derived, so each secret field has made it too.
#[test]
fn every_secret_promises_to_wipe_itself_and_can_be_shared_by_threads() {
    fn promises<T: ZeroizeOnDrop + Send + Sync>() {}
    promises::<RootKey>();
    promises::<ConnectionKey>();
    promises::<AssociationPsk>();
    promises::<TagKey>();
    promises::<HintKey>();
    promises::<ApplicationKey>();
    promises::<ObjectPsk>();
    promises::<VoucherKey>();
    promises::<NetworkKey>();
    promises::<EnrolmentKey>();
    promises::<MasterCredential>();
    promises::<ProvisionedKey>();
    promises::<UsageConstrainedKey>();
    promises::<BootstrappedKey>();
    promises::<NafKey>();
    promises::<AusfKey>();
    promises::<AkmaAnchorKey>();
    promises::<AfKey>();
}

#[test]
fn debug_shows_a_secrets_name_and_nothing_else() {
    let a = EntityId::parse("//sp.example.com/id-mn/CSensor1").unwrap();
    let b = EntityId::parse("//sp.example.com/id-mn").unwrap();
    let id = KeyId::new(&[0xab, 0x01]).unwrap();
    let until = Validity::until(UtcTime::from_secs(9));
    let root = RootKey::new([1; 32]);
    let connection = root
        .connection_key(id, ReferencePoint::X, &a, &b, until)
        .unwrap();
    let context = PskContext {
        version: Version::CURRENT,
        profile: Profile::Psk,
        point: ReferencePoint::X,
        initiator: &a,
        responder: &b,
    };
    let record = NetworkKeyRecord {
        source: NetworkKeySource::Gba,
        key_id: "b-tid".into(),
        application: vec![1],
        subscriber: None,
        bound_entity: a.clone(),
        validity: until,
    };
    let enrolment = EnrolmentKey::new([1; 32]);
    let usage = SecurityUsage::try_from(22).unwrap();
    let naf = ApplicationFunctionId::new("naf.example.com", [0; 5]).unwrap();
    let ks = BootstrappedKey::new([1; 32]);
    let ausf = AusfKey::new([1; 32]);
    let anchor = ausf.akma_anchor_key("1").unwrap();
    for (shown, expected) in [
        (format!("{root:?}"), "RootKey(..)"),
        (format!("{connection:?}"), "ConnectionKey(..)"),
        (
            format!("{:?}", connection.association_psk(&context).unwrap()),
            "AssociationPsk(..)",
        ),
        (
            format!("{:?}", connection.tag_key(&context).unwrap()),
            "TagKey(..)",
        ),
        (
            format!("{:?}", connection.hint_key(&context).unwrap()),
            "HintKey(..)",
        ),
        (
            format!("{:?}", root.application_key(id, &a, &b, until).unwrap()),
            "ApplicationKey(..)",
        ),
        (
            format!("{:?}", NetworkKey::new(record, [1; 32]).unwrap()),
            "NetworkKey(..)",
        ),
        (format!("{enrolment:?}"), "EnrolmentKey(..)"),
        (
            format!("{:?}", enrolment.master_credential("m").unwrap()),
            "MasterCredential(..)",
        ),
        (
            format!("{:?}", enrolment.provisioned_key(&b)),
            "ProvisionedKey(..)",
        ),
        (
            format!("{:?}", enrolment.usage_constrained_key(usage, "t").unwrap()),
            "UsageConstrainedKey(..)",
        ),
        (format!("{ks:?}"), "BootstrappedKey(..)"),
        (
            format!(
                "{:?}",
                ks.naf_key(GbaVariant::Me, &[0; 16], "i", &naf).unwrap()
            ),
            "NafKey(..)",
        ),
        (format!("{ausf:?}"), "AusfKey(..)"),
        (format!("{anchor:?}"), "AkmaAnchorKey(..)"),
        (format!("{:?}", anchor.af_key(&naf)), "AfKey(..)"),
        (format!("{id:?}"), "KeyId(ab01)"),
        (
            format!("{a:?}"),
            "EntityId(//sp.example.com/id-mn/CSensor1)",
        ),
    ] {
        assert_eq!(shown, expected);
    }
}
