//! An announcement activates what was allowed, grants nothing, and never takes from another.

use refpoint_keys::{EntityId, ReferencePoint, Role};
use refpoint_primitive::{
    Failure, Header, Headers, HttpRequest, LedgerLimits, Peer, RequestMessage,
};
use refpoint_y::{Announcement, Error, Identity, Layer, proto};

fn id(text: &str) -> EntityId {
    EntityId::parse(&format!("//sp.example.com/{text}")).expect("it is well formed")
}

fn peer(text: &str) -> Peer {
    Peer {
        entity: id(text),
        point: ReferencePoint::Y,
        role: Role::Responder,
    }
}

fn registree(text: &str, allowed: &[&str]) -> Identity {
    let identity = Identity::registree(id(text)).expect("it is a cse");
    identity.with_allowed(allowed.iter().map(|allowed| id(allowed)))
}

fn core(identities: impl IntoIterator<Item = Identity>) -> Layer {
    let mut layer = Layer::new(id("id-in"), LedgerLimits::default());
    for identity in identities {
        layer.admit(identity).expect("it belongs here");
    }
    layer
}

fn announce(layer: &mut Layer, from: &str, entities: &[&str]) -> Result<(), Failure> {
    let entities = entities.iter().map(|entity| id(entity));
    layer.announce(
        &peer(from),
        &Announcement::new(entities).expect("it is short"),
    )
}

fn speaks(layer: &Layer, from: &str, origin: &str) -> bool {
    let headers = Headers::new(vec![
        Header::new("X-M2M-Origin", origin.to_owned()).expect("well formed"),
        Header::new("X-M2M-RI", "r1").expect("well formed"),
    ]);
    let request = HttpRequest::new("GET", "/a", headers.expect("well formed"), "");
    let request = RequestMessage::Http(request.expect("well formed"));
    layer.verdict(&peer(from), &request.checked()).is_ok()
}

#[test]
fn what_is_allowed_counts_once_it_is_announced() {
    let mut core = core([registree("id-mn", &["id-leaf", "SMeter"])]);
    for origin in ["/id-leaf", "/id-leaf/CSensor1", "SMeter"] {
        assert!(
            !speaks(&core, "id-mn", origin),
            "{origin} is not announced yet"
        );
    }
    assert_eq!(announce(&mut core, "id-mn", &["id-leaf", "SMeter"]), Ok(()));
    for origin in [
        "/id-leaf",
        "/id-leaf/CSensor1",
        "SMeter",
        "/id-mn",
        "/id-mn/CSensor1",
    ] {
        assert!(speaks(&core, "id-mn", origin), "{origin}");
    }
}

#[test]
fn an_announcement_outside_the_allowed_subtree_is_refused_as_a_whole() {
    let mut core = core([registree("id-mn", &["id-leaf"])]);
    for entities in [
        &["id-leaf", "id-other"][..],
        &["id-in"],
        &["id-in/CAdmin"],
        &["SMeter"],
    ] {
        let refused = announce(&mut core, "id-mn", entities);
        assert_eq!(refused, Err(Failure::Forbidden), "{entities:?}");
    }
    assert!(!speaks(&core, "id-mn", "/id-leaf"));
    assert!(!speaks(&core, "id-mn", "/id-in/CAdmin"));
}

#[test]
fn only_a_registree_announces_even_if_it_is_nothing() {
    let mut gateway = Layer::new(id("id-mn"), LedgerLimits::default());
    let registrar = Identity::registrar(id("id-in")).expect("it is a cse");
    gateway.admit(registrar).expect("it belongs here");
    let refused = announce(&mut gateway, "id-in", &[]);
    assert_eq!(refused, Err(Failure::Forbidden));
    let mut core = core([registree("id-mn", &[])]);
    assert_eq!(announce(&mut core, "id-mn", &[]), Ok(()));
}

#[test]
fn two_gateways_that_claim_the_same_ae_do_not_both_get_it() {
    let allowed = &["SMeter"];
    let mut core = core([registree("id-mn", allowed), registree("id-mn2", allowed)]);
    assert_eq!(announce(&mut core, "id-mn", allowed), Ok(()));
    assert_eq!(
        announce(&mut core, "id-mn2", allowed),
        Err(Failure::Claimed)
    );
    assert!(speaks(&core, "id-mn", "SMeter"));
    assert!(!speaks(&core, "id-mn2", "SMeter"));

    assert_eq!(
        announce(&mut core, "id-mn", &[]),
        Ok(()),
        "the first withdraws"
    );
    assert_eq!(announce(&mut core, "id-mn2", allowed), Ok(()));
    assert!(!speaks(&core, "id-mn", "SMeter"));
    assert!(speaks(&core, "id-mn2", "SMeter"));
}

#[test]
fn a_gateway_cannot_announce_what_another_gateway_is_or_has() {
    let thief = registree(
        "id-mn2",
        &["id-mn", "id-mn/CSensor1", "id-leaf", "id-leaf/CSensor1"],
    );
    let mut core = core([registree("id-mn", &["id-leaf"]), thief]);
    assert_eq!(announce(&mut core, "id-mn", &["id-leaf"]), Ok(()));
    for entity in ["id-mn", "id-mn/CSensor1", "id-leaf", "id-leaf/CSensor1"] {
        assert_eq!(
            announce(&mut core, "id-mn2", &[entity]),
            Err(Failure::Claimed),
            "{entity}"
        );
    }
}

#[test]
fn a_service_node_cannot_be_claimed_under_one_of_its_aes() {
    let mut core = core([
        registree("id-mn", &["id-leaf/CSensor1"]),
        registree("id-mn2", &["id-leaf"]),
    ]);
    assert_eq!(announce(&mut core, "id-mn", &["id-leaf/CSensor1"]), Ok(()));
    assert_eq!(
        announce(&mut core, "id-mn2", &["id-leaf"]),
        Err(Failure::Claimed)
    );
    assert!(matches!(
        core.admit(registree("id-leaf", &[])),
        Err(Error::Held(_))
    ));
}

#[test]
fn names_that_only_begin_alike_do_not_conflict() {
    let mut core = core([
        registree("id-mn", &["id-leaf-2", "id-leaf-2/CSensor1"]),
        registree("id-mn2", &["id-leaf"]),
    ]);
    assert_eq!(
        announce(&mut core, "id-mn", &["id-leaf-2", "id-leaf-2/CSensor1"]),
        Ok(())
    );
    assert_eq!(announce(&mut core, "id-mn2", &["id-leaf"]), Ok(()));
}

#[test]
fn a_later_announcement_replaces_the_earlier_one() {
    let mut core = core([registree("id-mn", &["id-a", "id-b"])]);
    assert_eq!(announce(&mut core, "id-mn", &["id-a"]), Ok(()));
    assert_eq!(announce(&mut core, "id-mn", &["id-b"]), Ok(()));
    assert!(!speaks(&core, "id-mn", "/id-a"));
    assert!(speaks(&core, "id-mn", "/id-b"));
}

#[test]
fn a_reload_keeps_what_is_still_allowed_and_dismissal_nothing() {
    let mut core = core([registree("id-mn", &["id-a", "id-b"])]);
    assert_eq!(announce(&mut core, "id-mn", &["id-a", "id-b"]), Ok(()));
    assert_eq!(core.admit(registree("id-mn", &["id-b"])), Ok(()));
    assert!(!speaks(&core, "id-mn", "/id-a"));
    assert!(speaks(&core, "id-mn", "/id-b"));
    core.dismiss(&id("id-mn"));
    assert_eq!(core.admit(registree("id-other", &["id-b"])), Ok(()));
    assert_eq!(announce(&mut core, "id-other", &["id-b"]), Ok(()));
}

#[test]
fn nobody_is_allowed_to_announce_this_end() {
    let mut core = core([]);
    for own in ["id-in", "id-in/CAdmin"] {
        assert_eq!(
            core.admit(registree("id-mn", &[own])),
            Err(Error::Own(id(own)))
        );
    }
}

#[test]
fn a_registrar_and_strangers_announce_nothing() {
    let mut gateway = Layer::new(id("id-mn"), LedgerLimits::default());
    let registrar = Identity::registrar(id("id-in")).expect("it is a cse");
    gateway
        .admit(registrar.with_allowed([id("id-x")]))
        .expect("it belongs here");
    assert_eq!(
        announce(&mut gateway, "id-in", &["id-x"]),
        Err(Failure::Forbidden)
    );
    assert_eq!(
        announce(&mut gateway, "id-stranger", &[]),
        Err(Failure::NoAssociation)
    );
}

#[test]
fn an_announcement_that_cannot_be_read_is_refused() {
    let announcement =
        |entities: Vec<String>| Announcement::from_proto(&proto::Announcement { entities });
    for text in ["/id-leaf", "CSensor1", "//sp.example.com/*", ""] {
        assert!(announcement(vec![text.into()]).is_err(), "{text}");
    }
    let many = (0..=Announcement::MOST).map(|number| format!("//sp.example.com/id-{number}"));
    assert!(announcement(many.collect()).is_err());
    let read = announcement(vec!["//sp.example.com/id-leaf".into()]).expect("well formed");
    assert_eq!(
        Announcement::from_proto(&read.clone().into_proto()),
        Ok(read)
    );
}
