//! Triggers and locations: asked by the node, reported by the network that promised it, by no other.

use core::time::Duration;

use refpoint_keys::{EntityId, ReferencePoint, Role, UtcTime};
use refpoint_primitive::{Failure, LedgerLimits, Peer, Receipt, RequestId};
use refpoint_z::{
    Ask, ExternalId, Identity, Layer, Location, LocationAccuracy, LocationReport, LocationRequest,
    LocationResponse, Reference, Reply, Request, Response, Trigger, TriggerPurpose, TriggerReport,
    TriggerRequest, TriggerStatus, exchange,
};

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("it is well formed")
}

fn network(name: &str) -> Peer {
    let entity = id(&format!("//op.example.net/{name}"));
    Peer {
        entity,
        point: ReferencePoint::Z,
        role: Role::Initiator,
    }
}

fn node() -> Layer {
    let mut layer = Layer::new(id("//sp.example.com/id-in"), LedgerLimits::default());
    for name in ["nse-scef", "nse-other"] {
        let identity = Identity::network(network(name).entity).expect("it is an nse");
        layer.admit(identity).expect("it belongs here");
    }
    layer
}

fn request(id: &str, ask: Ask) -> Request {
    let id = RequestId::new(id).expect("well formed");
    Request::new(id, ask, None).expect("well formed")
}

fn reference(text: &str) -> Reference {
    Reference::new(text).expect("well formed")
}

fn trigger() -> TriggerRequest {
    TriggerRequest::Create(Trigger {
        device: ExternalId::new("sensor1@iot.example.net").expect("well formed"),
        recipient: Some(7),
        purpose: TriggerPurpose::Registration,
        validity: Duration::from_secs(60),
        payload: b"wake up".to_vec(),
    })
}

fn report(text: &str, status: TriggerStatus) -> TriggerReport {
    TriggerReport {
        reference: reference(text),
        status,
    }
}

/// The node has asked, and the network has accepted.
fn promised(layer: &mut Layer, now: Duration) {
    let asked = request("r1", Ask::Trigger(trigger()));
    let accepted = Reply::Trigger(report("t-1", TriggerStatus::Processing));
    let accepted = Response::new(&asked, accepted).expect("it answers the request");
    layer.answered(now, &network("nse-scef"), &asked, &accepted);
}

#[test]
fn a_trigger_comes_back_with_its_report() {
    let mut network_end = Layer::new(id("//op.example.net/nse-scef"), LedgerLimits::default());
    let core = Identity::node(id("//sp.example.com/id-in")).expect("it is a cse");
    network_end.admit(core).expect("it belongs here");
    let core = Peer {
        entity: id("//sp.example.com/id-in"),
        point: ReferencePoint::Z,
        role: Role::Responder,
    };

    let asked = exchange::request(request("r1", Ask::Trigger(trigger())));
    let asked = exchange::read_request(asked).expect("it was encoded");
    let receipt = network_end.receive(Duration::ZERO, None, &core, &asked);
    let Receipt::Execute(ticket) = receipt else {
        panic!("{receipt:?}")
    };
    let accepted = Reply::Trigger(report("t-1", TriggerStatus::Processing));
    let accepted = exchange::response(Response::new(&asked, accepted).expect("it answers"));
    network_end.settle(ticket, exchange::answer(&accepted));

    let mut node = node();
    let accepted = exchange::read_response(accepted, &asked).expect("it was encoded");
    node.answered(Duration::ZERO, &network("nse-scef"), &asked, &accepted);
    let report = request(
        "n1",
        Ask::TriggerReport(report("t-1", TriggerStatus::Delivered)),
    );
    let report = exchange::read_request(exchange::request(report)).expect("it was encoded");
    let receipt = node.receive(Duration::from_secs(5), None, &network("nse-scef"), &report);
    assert!(matches!(receipt, Receipt::Execute(_)));
}

#[test]
fn a_report_about_a_trigger_of_another_network_is_refused() {
    let mut node = node();
    promised(&mut node, Duration::ZERO);
    let report = request(
        "n1",
        Ask::TriggerReport(report("t-1", TriggerStatus::Delivered)),
    );
    let receipt = node.receive(Duration::ZERO, None, &network("nse-other"), &report);
    assert_eq!(receipt, Receipt::Refuse(Failure::UnknownReference));
}

#[test]
fn a_report_about_nothing_that_was_asked_is_refused() {
    let mut node = node();
    promised(&mut node, Duration::ZERO);
    let unknown = request(
        "n1",
        Ask::TriggerReport(report("t-2", TriggerStatus::Delivered)),
    );
    let location = Location {
        observed_at: UtcTime::from_secs(1),
        accuracy: LocationAccuracy::Cell,
        area: Some("cell-1".into()),
        position: None,
    };
    // The same reference, but of a trigger.
    let report = LocationReport {
        reference: reference("t-1"),
        location,
        remaining: 0,
    };
    let confused = request("n2", Ask::LocationReport(report));
    for request in [unknown, confused] {
        let receipt = node.receive(Duration::ZERO, None, &network("nse-scef"), &request);
        assert_eq!(receipt, Receipt::Refuse(Failure::UnknownReference));
    }
}

#[test]
fn a_refused_report_can_be_sent_again_once_it_is_expected() {
    let mut node = node();
    let report = request(
        "n1",
        Ask::TriggerReport(report("t-1", TriggerStatus::Delivered)),
    );
    let early = node.receive(Duration::ZERO, None, &network("nse-scef"), &report);
    assert_eq!(early, Receipt::Refuse(Failure::UnknownReference));
    promised(&mut node, Duration::ZERO);
    let receipt = node.receive(Duration::ZERO, None, &network("nse-scef"), &report);
    assert!(matches!(receipt, Receipt::Execute(_)));
}

#[test]
fn nothing_is_expected_long_after_a_trigger_ended() {
    let mut node = node();
    promised(&mut node, Duration::ZERO);
    assert_eq!(node.next_timeout(), Some(Duration::from_secs(60 + 247)));
    let report = request(
        "n1",
        Ask::TriggerReport(report("t-1", TriggerStatus::Expired)),
    );
    let late = node.receive(
        Duration::from_secs(60 + 247),
        None,
        &network("nse-scef"),
        &report,
    );
    assert_eq!(late, Receipt::Refuse(Failure::UnknownReference));
    assert_eq!(node.next_timeout(), None);
}

#[test]
fn a_repeated_report_gets_its_first_answer() {
    let mut node = node();
    promised(&mut node, Duration::ZERO);
    let scef = network("nse-scef");
    let report = request(
        "n1",
        Ask::TriggerReport(report("t-1", TriggerStatus::Delivered)),
    );
    let Receipt::Execute(ticket) = node.receive(Duration::ZERO, None, &scef, &report) else {
        panic!("it is expected");
    };
    let answer = exchange::response(Response::done(&report).expect("no more is asked"));
    node.settle(ticket, exchange::answer(&answer));
    let again = node.receive(Duration::from_secs(200), None, &scef, &report);
    let Receipt::Repeat(repeated) = again else {
        panic!("{again:?}")
    };
    assert_eq!(exchange::read_answer(repeated), Ok(answer));
}

#[test]
fn a_dismissed_network_reports_nothing() {
    let mut node = node();
    promised(&mut node, Duration::ZERO);
    node.dismiss(&network("nse-scef").entity);
    node.admit(Identity::network(network("nse-scef").entity).expect("an nse"))
        .expect("fits");
    let report = request(
        "n1",
        Ask::TriggerReport(report("t-1", TriggerStatus::Delivered)),
    );
    let receipt = node.receive(Duration::ZERO, None, &network("nse-scef"), &report);
    assert_eq!(receipt, Receipt::Refuse(Failure::UnknownReference));
}

#[test]
fn a_series_of_locations_is_reported_by_its_network() {
    let mut node = node();
    let scef = network("nse-scef");
    let asked = request(
        "r1",
        Ask::Location(LocationRequest::Repeatedly {
            device: ExternalId::new("sensor1@iot.example.net").expect("well formed"),
            accuracy: Some(LocationAccuracy::Geographic),
            reports: 3,
            interval: Duration::from_secs(60),
            duration: Duration::from_secs(600),
        }),
    );
    let reply = LocationResponse {
        reference: Some(reference("l-1")),
        location: None,
    };
    let reply = Response::new(&asked, Reply::Location(reply)).expect("it answers");
    node.answered(Duration::ZERO, &scef, &asked, &reply);
    let location = Location {
        observed_at: UtcTime::from_secs(1_800_000_000),
        accuracy: LocationAccuracy::Cell,
        area: Some("cell-1".into()),
        position: None,
    };
    let report = LocationReport {
        reference: reference("l-1"),
        location,
        remaining: 2,
    };
    let report = request("n1", Ask::LocationReport(report));
    let receipt = node.receive(Duration::from_secs(60), None, &scef, &report);
    assert!(matches!(receipt, Receipt::Execute(_)));
}
