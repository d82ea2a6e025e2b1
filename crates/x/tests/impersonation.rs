//! As whom an application entity, and its registrar, may speak.

use core::time::Duration;

use refpoint_keys::{EntityId, ReferencePoint, Role};
use refpoint_primitive::{
    Failure, Header, Headers, HttpRequest, Incoming, LedgerLimits, Peer, Receipt, RequestMessage,
};
use refpoint_x::{Error, Identity, Layer};

fn id(text: &str) -> EntityId {
    EntityId::parse(&format!("//sp.example.com/{text}")).expect("it is well formed")
}

fn peer(text: &str) -> Peer {
    Peer {
        entity: id(text),
        point: ReferencePoint::X,
        role: Role::Responder,
    }
}

fn request(method: &'static str, content_type: &'static str, from: Option<&str>) -> Incoming {
    let mut lines = vec![
        Header::new("X-M2M-RI", "r1").expect("well formed"),
        Header::new("Content-Type", content_type).expect("well formed"),
    ];
    lines.extend(
        from.map(|from| Header::new("X-M2M-Origin", from.to_owned()).expect("well formed")),
    );
    let headers = Headers::new(lines).expect("well formed");
    let request = HttpRequest::new(method, "/cse-mn", headers, "").expect("well formed");
    Incoming::new(RequestMessage::Http(request), None)
}

fn retrieve(from: Option<&str>) -> Incoming {
    request("GET", "", from)
}

fn verdict(layer: &Layer, peer: &Peer, request: &Incoming) -> Result<(), Failure> {
    layer.verdict(peer, &request.message().checked())
}

fn gateway(identities: impl IntoIterator<Item = Identity>) -> Layer {
    let mut layer = Layer::new(id("id-mn"), LedgerLimits::default());
    for identity in identities {
        layer.admit(identity).expect("it belongs here");
    }
    layer
}

fn ae(text: &str) -> Identity {
    Identity::application(id(text)).expect("it is an ae")
}

const REFUSED: Result<(), Failure> = Err(Failure::Impersonation);

#[test]
fn an_ae_speaks_as_itself_in_every_form() {
    let layer = gateway([ae("id-mn/CSensor1")]);
    for from in [
        "CSensor1",
        "/id-mn/CSensor1",
        "//sp.example.com/id-mn/CSensor1",
    ] {
        let request = retrieve(Some(from));
        assert_eq!(
            verdict(&layer, &peer("id-mn/CSensor1"), &request),
            Ok(()),
            "{from}"
        );
    }
}

#[test]
fn an_ae_does_not_speak_as_anyone_else() {
    let layer = gateway([ae("id-mn/CSensor1"), ae("id-mn/CAdmin")]);
    for from in [
        "CAdmin",
        "/id-mn",
        "/id-mn/CSensor2",
        "/id-in/CSensor1",
        "SSensor1",
        "//other.example.com/id-mn/CSensor1",
    ] {
        let request = retrieve(Some(from));
        assert_eq!(
            verdict(&layer, &peer("id-mn/CSensor1"), &request),
            REFUSED,
            "{from}"
        );
    }
}

#[test]
fn from_that_is_no_id_is_malformed() {
    let layer = gateway([ae("id-mn/CSensor1")]);
    for from in ["CSensor1, CAdmin", "sensor1", "/", "//", "C Sensor1", "*"] {
        let refused = verdict(&layer, &peer("id-mn/CSensor1"), &retrieve(Some(from)));
        assert_eq!(refused, Err(Failure::Malformed), "{from}");
    }
}

#[test]
fn only_the_create_of_an_ae_goes_without_a_name() {
    let layer = gateway([ae("id-mn/CSensor1")]);
    let sensor = peer("id-mn/CSensor1");
    for from in [None, Some(""), Some("C"), Some("S")] {
        let register = request("POST", "application/json;ty=2", from);
        assert_eq!(verdict(&layer, &sensor, &register), Ok(()), "{from:?}");
        for other in [
            retrieve(from),
            request("POST", "application/json;ty=4", from),
            request("POST", "application/json", from),
            request("PUT", "application/json;ty=2", from),
            request("DELETE", "application/json;ty=2", from),
        ] {
            assert_eq!(verdict(&layer, &sensor, &other), REFUSED, "{from:?}");
        }
    }
}

#[test]
fn an_ae_cannot_register_as_another() {
    let layer = gateway([ae("id-mn/CSensor1")]);
    let register = request("POST", "application/json;ty=2", Some("CAdmin"));
    assert_eq!(verdict(&layer, &peer("id-mn/CSensor1"), &register), REFUSED);
}

#[test]
fn a_device_speaks_as_the_aes_its_credential_lists() {
    let device = ae("id-mn/CDevice").with_aes([id("id-mn/CMeter"), id("SMeter")]);
    let layer = gateway([device.expect("they are aes")]);
    for (from, expected) in [
        ("CMeter", Ok(())),
        ("SMeter", Ok(())),
        ("/SMeter", Ok(())),
        ("CDevice", Ok(())),
        ("SOther", REFUSED),
    ] {
        let request = retrieve(Some(from));
        assert_eq!(
            verdict(&layer, &peer("id-mn/CDevice"), &request),
            expected,
            "{from}"
        );
    }
}

#[test]
fn an_ae_has_one_holder() {
    let holder = ae("id-mn/CDevice")
        .with_aes([id("SMeter")])
        .expect("it is an ae");
    let mut layer = gateway([holder.clone()]);
    let second = ae("id-mn/COther")
        .with_aes([id("SMeter")])
        .expect("it is an ae");
    assert!(
        matches!(layer.admit(second.clone()), Err(Error::Held(held)) if held.entity == id("SMeter"))
    );
    let refused = verdict(&layer, &peer("id-mn/COther"), &retrieve(Some("COther")));
    assert_eq!(refused, Err(Failure::NoAssociation), "nothing has changed");

    assert_eq!(
        layer.admit(holder),
        Ok(()),
        "the holder may be replaced by itself"
    );
    layer.dismiss(&id("id-mn/CDevice"));
    assert_eq!(layer.admit(second), Ok(()), "and gives up what it held");
}

#[test]
fn aes_of_other_service_nodes_are_not_admitted() {
    let mut layer = gateway([]);
    let elsewhere = layer.admit(ae("id-in/CSensor1"));
    assert_eq!(elsewhere, Err(Error::Elsewhere(id("id-in/CSensor1"))));
}

#[test]
fn only_aes_and_their_registrar_meet_on_x() {
    assert!(matches!(
        Identity::application(id("id-in")),
        Err(Error::WrongKind(_))
    ));
    assert!(matches!(
        Identity::registrar(id("SSensor1")),
        Err(Error::WrongKind(_))
    ));
    for other in ["id-in", "id-mn2"] {
        let device = Identity::application(id("id-mn/CSensor1")).expect("it is an ae");
        let listed = device.with_aes([id(other)]);
        assert!(matches!(listed, Err(Error::WrongKind(_))), "{other}");
    }
    let mut layer = gateway([]);
    let registrar = Identity::registrar(id("id-in")).expect("it is a cse");
    assert!(matches!(layer.admit(registrar), Err(Error::WrongKind(_))));
}

#[test]
fn a_dismissed_peer_and_another_reference_point_say_nothing() {
    let mut layer = gateway([ae("id-mn/CSensor1")]);
    let mut elsewhere = peer("id-mn/CSensor1");
    elsewhere.point = ReferencePoint::Y;
    let request = retrieve(Some("CSensor1"));
    assert_eq!(
        verdict(&layer, &elsewhere, &request),
        Err(Failure::NoAssociation)
    );
    layer.dismiss(&id("id-mn/CSensor1"));
    let dismissed = verdict(&layer, &peer("id-mn/CSensor1"), &request);
    assert_eq!(dismissed, Err(Failure::NoAssociation));
}

#[test]
fn a_registrar_passes_on_what_others_ask_but_never_speaks_as_my_own() {
    let mut layer = Layer::new(id("id-mn/CSensor1"), LedgerLimits::default());
    let registrar = Identity::registrar(id("id-mn")).expect("it is a cse");
    let registrar = registrar.with_aes([id("SMeter")]).expect("it is an ae");
    layer.admit(registrar).expect("it belongs here");
    for (from, expected) in [
        ("/id-mn", Ok(())),
        ("CApplication", Ok(())),
        ("/id-in/CApplication", Ok(())),
        ("//other.example.com/id-in", Ok(())),
        ("CSensor1", REFUSED),
        ("//sp.example.com/id-mn/CSensor1", REFUSED),
        ("SMeter", REFUSED),
    ] {
        let notify = request("POST", "application/json", Some(from));
        assert_eq!(verdict(&layer, &peer("id-mn"), &notify), expected, "{from}");
    }
    let register = request("POST", "application/json;ty=2", None);
    assert_eq!(verdict(&layer, &peer("id-mn"), &register), REFUSED);
}

#[test]
fn what_is_refused_leaves_no_trace_in_the_ledger() {
    let mut layer = gateway([ae("id-mn/CSensor1")]);
    let sensor = peer("id-mn/CSensor1");
    let refused = layer.receive(Duration::ZERO, None, &sensor, &retrieve(Some("CAdmin")));
    assert_eq!(refused, Receipt::Refuse(Failure::Impersonation));
    assert_eq!(layer.next_timeout(), None);
}
