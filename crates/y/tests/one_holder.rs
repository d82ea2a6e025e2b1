//! Whatever is announced in whatever order, no two registrees ever speak for the same entity, and the first one keeps it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use refpoint_keys::{EntityId, ReferencePoint, Role};
use refpoint_primitive::{Header, Headers, HttpRequest, LedgerLimits, Peer, RequestMessage};
use refpoint_y::{Announcement, Identity, Layer};

const GATEWAYS: [&str; 3] = ["id-a", "id-b", "id-c"];
/// What every gateway may announce: service nodes, AEs named at them, and AEs named at none.
const BELOW: [&str; 6] = [
    "id-leaf",
    "id-leaf2",
    "id-leaf/CSensor",
    "id-a/CSensor",
    "SMeter",
    "SLamp",
];

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

fn speaks(layer: &Layer, gateway: &str, entity: &str) -> bool {
    let headers = Headers::new(vec![
        Header::new("X-M2M-Origin", format!("/{entity}")).expect("well formed"),
        Header::new("X-M2M-RI", "r1").expect("well formed"),
    ]);
    let request = HttpRequest::new("GET", "/a", headers.expect("well formed"), "");
    let request = RequestMessage::Http(request.expect("well formed"));
    layer.verdict(&peer(gateway), &request.checked()).is_ok()
}

/// Who may speak for `entity`, read off what was announced: it, or the service node that it is named at.
fn speaker(
    announced: &BTreeMap<&'static str, BTreeSet<&'static str>>,
    entity: &str,
) -> Vec<&'static str> {
    let above = entity.split_once('/').map(|(cse, _)| cse);
    let speaks = |gateway: &&str, held: &BTreeSet<&str>| {
        let all = held.iter().chain([gateway]);
        all.into_iter()
            .any(|held| *held == entity || Some(*held) == above)
    };
    let found = announced
        .iter()
        .filter(|(gateway, held)| speaks(gateway, held));
    found.map(|(gateway, _)| *gateway).collect()
}

proptest! {
    #[test]
    fn no_two_gateways_speak_for_the_same_entity(
        steps in proptest::collection::vec((0..3_usize, proptest::collection::btree_set(0..6_usize, 0..4)), 1..30)
    ) {
        let mut layer = Layer::new(id("id-in"), LedgerLimits::default());
        let mut model = BTreeMap::new();
        for gateway in GATEWAYS {
            let identity = Identity::registree(id(gateway)).expect("it is a cse");
            layer.admit(identity.with_allowed(BELOW.map(id))).expect("it belongs here");
            model.insert(gateway, BTreeSet::new());
        }
        for (gateway, entities) in steps {
            let gateway = GATEWAYS[gateway];
            let entities: BTreeSet<_> = entities.into_iter().map(|entity| BELOW[entity]).collect();
            let announcement = Announcement::new(entities.iter().copied().map(id)).expect("short");
            let is_taken = layer.announce(&peer(gateway), &announcement).is_ok();
            let before = model.insert(gateway, entities).expect("it is a gateway");
            // The model takes an announcement when nobody would then share an entity with another.
            let all = BELOW.into_iter().chain(GATEWAYS).chain(["id-leaf2/CSensor", "id-b/CSensor"]);
            let is_sound = all.clone().all(|entity| speaker(&model, entity).len() <= 1);
            prop_assert_eq!(is_taken, is_sound);
            if !is_sound {
                model.insert(gateway, before);
            }
            for entity in all {
                let expected = speaker(&model, entity);
                let found = GATEWAYS.into_iter().filter(|gateway| speaks(&layer, gateway, entity));
                prop_assert_eq!(found.collect::<Vec<_>>(), expected, "{}", entity);
            }
        }
    }
}
