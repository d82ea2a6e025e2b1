//! What each end of Z may ask, and as whom.

use core::time::Duration;

use refpoint_keys::{EntityId, NetworkKeySource, ReferencePoint, Role};
use refpoint_primitive::{
    Failure, LedgerLimits, Operation, Peer, Receipt, RequestId, RequestMessage, RequestParts,
};
use refpoint_z::{
    Ask, Error, Identity, KeyEvent, KeyNotice, KeyRequest, Layer, NetworkKeyName, Reference,
    Request, TriggerReport, TriggerRequest, TriggerStatus,
};

const CORE: &str = "//sp.example.com/id-in";
const NETWORK: &str = "//op.example.net/nse-scef";

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("it is well formed")
}

fn peer(text: &str) -> Peer {
    Peer {
        entity: id(text),
        point: ReferencePoint::Z,
        role: Role::Responder,
    }
}

fn node() -> Layer {
    let mut layer = Layer::new(id(CORE), LedgerLimits::default());
    layer
        .admit(Identity::network(id(NETWORK)).expect("it is an nse"))
        .expect("it belongs here");
    layer
}

fn network() -> Layer {
    let mut layer = Layer::new(id(NETWORK), LedgerLimits::default());
    layer
        .admit(Identity::node(id(CORE)).expect("it is a cse"))
        .expect("it belongs here");
    layer
}

fn reference() -> Reference {
    Reference::new("t-1").expect("well formed")
}

fn name() -> NetworkKeyName {
    NetworkKeyName::new("rand@op.example.net").expect("well formed")
}

fn primitive(from: &str) -> Ask {
    let id = RequestId::new("r1").expect("well formed");
    let mut parts = RequestParts::new(Operation::Retrieve, "a".into(), id);
    parts.from = Some(from.into());
    let request = refpoint_primitive::Request::new(parts).expect("well formed");
    Ask::Primitive(RequestMessage::Primitive(request))
}

fn of_nodes() -> [Ask; 2] {
    let source = NetworkKeySource::Static;
    let key = KeyRequest::without_protocol(source, name(), "af.example.com");
    [
        Ask::Trigger(TriggerRequest::Recall(reference())),
        Ask::Key(key.expect("well formed")),
    ]
}

fn of_networks() -> [Ask; 2] {
    let status = TriggerStatus::Delivered;
    let source = NetworkKeySource::Static;
    [
        Ask::TriggerReport(TriggerReport {
            reference: reference(),
            status,
        }),
        Ask::KeyNotice(KeyNotice {
            source,
            name: name(),
            event: KeyEvent::Revoked,
        }),
    ]
}

#[test]
fn nodes_ask_what_nodes_ask_and_networks_what_networks_do() {
    for ask in of_nodes() {
        assert_eq!(network().verdict(&peer(CORE), &ask), Ok(()), "{ask:?}");
        assert_eq!(
            node().verdict(&peer(NETWORK), &ask),
            Err(Failure::Forbidden),
            "{ask:?}"
        );
    }
    for ask in of_networks() {
        assert_eq!(node().verdict(&peer(NETWORK), &ask), Ok(()), "{ask:?}");
        assert_eq!(
            network().verdict(&peer(CORE), &ask),
            Err(Failure::Forbidden),
            "{ask:?}"
        );
    }
}

#[test]
fn a_network_speaks_as_itself_only() {
    let node = node();
    for from in [NETWORK, "/nse-scef"] {
        assert_eq!(
            node.verdict(&peer(NETWORK), &primitive(from)),
            Ok(()),
            "{from}"
        );
    }
    for from in [
        CORE,
        "/id-in",
        "//sp.example.com/id-in/CAdmin",
        "//op.example.net/nse-other",
    ] {
        let refused = node.verdict(&peer(NETWORK), &primitive(from));
        assert_eq!(refused, Err(Failure::Impersonation), "{from}");
    }
}

#[test]
fn a_node_speaks_as_itself_and_its_aes() {
    let network = network();
    for from in [
        CORE,
        "/id-in",
        "CApplication",
        "//sp.example.com/id-in/CApplication",
    ] {
        assert_eq!(
            network.verdict(&peer(CORE), &primitive(from)),
            Ok(()),
            "{from}"
        );
    }
    for from in [NETWORK, "/id-mn/CSensor1", "SApplication"] {
        let refused = network.verdict(&peer(CORE), &primitive(from));
        assert_eq!(refused, Err(Failure::Impersonation), "{from}");
    }
}

#[test]
fn strangers_and_other_reference_points_ask_nothing() {
    let [trigger, _] = of_nodes();
    let mut elsewhere = peer(CORE);
    elsewhere.point = ReferencePoint::Y;
    for peer in [elsewhere, peer("//sp.example.com/id-stranger")] {
        assert_eq!(
            network().verdict(&peer, &trigger),
            Err(Failure::NoAssociation),
            "{peer:?}"
        );
    }
}

#[test]
fn a_node_and_a_network_meet_on_z_and_nobody_else() {
    assert!(matches!(
        Identity::network(id(CORE)),
        Err(Error::WrongKind(_))
    ));
    assert!(matches!(
        Identity::node(id(NETWORK)),
        Err(Error::WrongKind(_))
    ));
    let other = Identity::node(id("//sp.example.com/id-mn")).expect("it is a cse");
    assert!(matches!(node().admit(other), Err(Error::WrongKind(_))));
}

#[test]
fn the_same_request_is_executed_once() {
    let mut network = network();
    let [ask, _] = of_nodes();
    let id = RequestId::new("r1").expect("well formed");
    let request = Request::new(id.clone(), ask, None).expect("well formed");
    let first = network.receive(Duration::ZERO, None, &peer(CORE), &request);
    assert!(matches!(first, Receipt::Execute(_)));
    let again = network.receive(Duration::ZERO, None, &peer(CORE), &request);
    assert_eq!(again, Receipt::Pending);
    let [_, other] = of_nodes();
    let other = Request::new(id, other, None).expect("well formed");
    let conflict = network.receive(Duration::ZERO, None, &peer(CORE), &other);
    assert_eq!(conflict, Receipt::Refuse(Failure::DuplicateConflict));
}

#[test]
fn a_primitive_is_carried_under_its_own_identifier() {
    let other = RequestId::new("r2").expect("well formed");
    assert!(Request::new(other, primitive(CORE), None).is_err());
}
