//! As whom service nodes may speak: honest transit passes, everything else does not.

use core::time::Duration;

use refpoint_keys::{EntityId, ReferencePoint, Role};
use refpoint_primitive::{
    Failure, Header, Headers, HttpRequest, Incoming, LedgerLimits, Peer, Receipt, RequestMessage,
};
use refpoint_y::{Announcement, Error, Identity, Layer};

fn absolute(text: &str) -> EntityId {
    EntityId::parse(text).expect("it is well formed")
}

fn id(text: &str) -> EntityId {
    absolute(&format!("//sp.example.com/{text}"))
}

fn peer(entity: EntityId, point: ReferencePoint) -> Peer {
    Peer {
        entity,
        point,
        role: Role::Responder,
    }
}

fn at_y(text: &str) -> Peer {
    peer(id(text), ReferencePoint::Y)
}

fn request(from: Option<&str>, content_type: &'static str) -> Incoming {
    let mut lines = vec![
        Header::new("X-M2M-RI", "r1").expect("well formed"),
        Header::new("Content-Type", content_type).expect("well formed"),
    ];
    lines.extend(
        from.map(|from| Header::new("X-M2M-Origin", from.to_owned()).expect("well formed")),
    );
    let headers = Headers::new(lines).expect("well formed");
    let request = HttpRequest::new("POST", "/~/id-in/cse-in", headers, "").expect("well formed");
    Incoming::new(RequestMessage::Http(request), None)
}

fn verdict(layer: &Layer, peer: &Peer, from: &str) -> Result<(), Failure> {
    let request = request(Some(from), "application/json;ty=4");
    layer.verdict(peer, &request.message().checked())
}

fn layer(local: &str, identities: impl IntoIterator<Item = Result<Identity, Error>>) -> Layer {
    let mut layer = Layer::new(id(local), LedgerLimits::default());
    for identity in identities {
        let identity = identity.expect("it is a cse");
        layer.admit(identity).expect("it belongs here");
    }
    layer
}

const REFUSED: Result<(), Failure> = Err(Failure::Impersonation);

#[test]
fn a_gateway_speaks_for_itself_and_its_aes() {
    let core = layer("id-in", [Identity::registree(id("id-mn"))]);
    for from in [
        "/id-mn",
        "/id-mn/CSensor1",
        "//sp.example.com/id-mn/CSensor1",
    ] {
        assert_eq!(verdict(&core, &at_y("id-mn"), from), Ok(()), "{from}");
    }
}

#[test]
fn a_gateway_does_not_speak_for_others() {
    let core = layer(
        "id-in",
        [
            Identity::registree(id("id-mn")),
            Identity::registree(id("id-mn2")),
        ],
    );
    for from in [
        "/id-in",
        "CAdmin",
        "/id-in/CAdmin",
        "/id-mn2",
        "/id-mn2/CSensor1",
        "/id-mnx",
        "SSensor1",
        "/id-unknown/CSensor1",
        "//other.example.com/id-mn/CSensor1",
    ] {
        assert_eq!(verdict(&core, &at_y("id-mn"), from), REFUSED, "{from}");
    }
}

#[test]
fn nobody_registers_through_a_service_node() {
    let core = layer("id-in", [Identity::registree(id("id-mn"))]);
    for from in [None, Some("C"), Some("S")] {
        let register = request(from, "application/json;ty=2");
        let refused = core.verdict(&at_y("id-mn"), &register.message().checked());
        assert_eq!(refused, REFUSED, "{from:?}");
    }
}

#[test]
fn a_registrar_passes_on_what_others_ask() {
    let gateway = layer("id-mn", [Identity::registrar(id("id-in"))]);
    for from in [
        "/id-in",
        "/id-in/CApplication",
        "/id-mn2/CSensor1",
        "SApplication",
        "//other.example.com/id-in/CApplication",
    ] {
        assert_eq!(verdict(&gateway, &at_y("id-in"), from), Ok(()), "{from}");
    }
}

#[test]
fn a_registrar_never_speaks_as_one_of_my_own() {
    let leaf = Identity::registree(id("id-leaf")).map(|leaf| leaf.with_allowed([id("SMeter")]));
    let mut gateway = layer("id-mn", [Identity::registrar(id("id-in")), leaf]);
    assert_eq!(
        verdict(&gateway, &at_y("id-in"), "SMeter"),
        Ok(()),
        "it is not below yet"
    );
    let announced = Announcement::new([id("SMeter")]).expect("it is short");
    assert_eq!(gateway.announce(&at_y("id-leaf"), &announced), Ok(()));
    for from in [
        "/id-mn",
        "CSensor1",
        "/id-mn/CSensor1",
        "//sp.example.com/id-mn/CSensor1",
        "/id-leaf",
        "/id-leaf/CSensor1",
        "SMeter",
    ] {
        assert_eq!(verdict(&gateway, &at_y("id-in"), from), REFUSED, "{from}");
    }
}

#[test]
fn another_provider_speaks_for_its_own_domain_by_absolute_ids() {
    let other = absolute("//other.example.com/id-in");
    let core = layer(
        "id-in",
        [
            Identity::foreign(other.clone()),
            Identity::registree(id("id-mn")),
        ],
    );
    let peer = peer(other, ReferencePoint::YPrime);
    for from in [
        "//other.example.com/id-in",
        "//other.example.com/id-gw/CSensor1",
        "//OTHER.example.com/SApp",
    ] {
        assert_eq!(verdict(&core, &peer, from), Ok(()), "{from}");
    }
    for from in [
        "//sp.example.com/id-mn/CSensor1",
        "//sp.example.com/id-in",
        "/id-in",
        "/id-gw/CSensor1",
        "CAdmin",
        "SApp",
        "//third.example.com/id-in",
    ] {
        assert_eq!(verdict(&core, &peer, from), REFUSED, "{from}");
    }
}

#[test]
fn reference_points_do_not_mix() {
    let other = absolute("//other.example.com/id-in");
    let core = layer(
        "id-in",
        [
            Identity::foreign(other.clone()),
            Identity::registree(id("id-mn")),
        ],
    );
    let refused = Err(Failure::NoAssociation);
    for (peer, from) in [
        (peer(other, ReferencePoint::Y), "//other.example.com/id-in"),
        (peer(id("id-mn"), ReferencePoint::YPrime), "/id-mn"),
        (peer(id("id-mn"), ReferencePoint::X), "/id-mn"),
        (at_y("id-stranger"), "/id-stranger"),
    ] {
        assert_eq!(verdict(&core, &peer, from), refused, "{peer:?}");
    }
}

#[test]
fn peers_belong_to_their_place() {
    let admit = |identity: Result<Identity, Error>| {
        layer("id-mn", []).admit(identity.expect("it is a cse"))
    };
    let other = absolute("//other.example.com/id-in");
    assert!(matches!(
        admit(Identity::registree(id("id-mn"))),
        Err(Error::WrongKind(_))
    ));
    assert!(matches!(
        admit(Identity::registree(other.clone())),
        Err(Error::WrongProvider(_))
    ));
    assert!(matches!(
        admit(Identity::registrar(other)),
        Err(Error::WrongProvider(_))
    ));
    assert!(matches!(
        admit(Identity::foreign(id("id-in"))),
        Err(Error::WrongProvider(_))
    ));
    let elsewhere = Identity::registree(id("id-leaf"));
    let elsewhere = elsewhere.map(|leaf| leaf.with_allowed([absolute("//other.example.com/id-a")]));
    assert!(matches!(admit(elsewhere), Err(Error::WrongProvider(_))));
    assert!(matches!(
        Identity::registree(id("id-mn/CSensor1")),
        Err(Error::WrongKind(_))
    ));
}

#[test]
fn there_is_one_registrar() {
    let mut gateway = layer("id-mn", [Identity::registrar(id("id-in"))]);
    let second = Identity::registrar(id("id-in2")).expect("it is a cse");
    assert_eq!(
        gateway.admit(second.clone()),
        Err(Error::SecondRegistrar(id("id-in2")))
    );
    let same = Identity::registrar(id("id-in")).expect("it is a cse");
    assert_eq!(gateway.admit(same), Ok(()));
    gateway.dismiss(&id("id-in"));
    assert_eq!(gateway.admit(second), Ok(()));
}

#[test]
fn a_request_in_transit_is_executed_once() {
    let mut core = layer("id-in", [Identity::registree(id("id-mn"))]);
    let request = request(Some("/id-mn/CSensor1"), "application/json;ty=4");
    let mut receive = |now| core.receive(Duration::from_secs(now), None, &at_y("id-mn"), &request);
    assert!(matches!(receive(0), Receipt::Execute(_)));
    assert_eq!(receive(100), Receipt::Pending);
}
