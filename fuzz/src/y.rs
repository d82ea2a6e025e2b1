//! Targets of `refpoint-y`: the messages of `Serve`, and for whom a service node may speak.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use refpoint_keys::{EntityId, ReferencePoint};
use refpoint_primitive::{Failure, LedgerLimits};
use refpoint_y::{
    Announcement, Identity, Layer, exchange, proto,
    serve::{Asked, Served},
};

use crate::Input;
use crate::asking::{Ask, id, peer};

/// What either end says on `Serve` survives the way back, or names what is wrong.
///
/// A byte that chooses the end, then protobuf bytes.
pub fn y_serve(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte().is_multiple_of(2) {
        let Ok(message) = proto::ServeRequest::decode(input.rest()) else {
            return;
        };
        let served = Served::from_proto(message);
        let again = match served.clone() {
            Served::Ready => Served::ready(),
            Served::Announcement(Ok(announcement)) => Served::announcement(announcement),
            Served::Answer(number, Ok(answer)) => Served::answer(number, answer),
            Served::Announcement(Err(_)) | Served::Answer(_, Err(_)) => return,
        };
        assert_eq!(Served::from_proto(again), served);
    } else {
        let Ok(message) = proto::ServeResponse::decode(input.rest()) else {
            return;
        };
        let asked = Asked::from_proto(message);
        let again = match asked.clone() {
            Ok(Asked::Announcement(Ok(announcement))) => Asked::announcement(announcement),
            Ok(Asked::Request(number, Ok(request))) => {
                let patience = request.patience();
                Asked::request(number, exchange::request(request.into_message(), patience))
            }
            _ => return,
        };
        assert_eq!(Asked::from_proto(again), asked);
    }
}

const CORE: &str = "//sp.example.com/id-in";
const REGISTREES: [&str; 2] = ["//sp.example.com/id-mn", "//sp.example.com/id-other"];
const REGISTRAR: &str = "//sp.example.com/id-root";
const FOREIGN: &str = "//other.example.net/id-in";
/// What each registree may announce: both may announce the same.
const ALLOWED: [&str; 3] = [
    "//sp.example.com/SShared",
    "//sp.example.com/id-deep",
    "//sp.example.com/id-deeper",
];

/// Every entity has one path to it: a registree speaks for what it announced first and was
/// allowed, the registrar for nobody below, a foreign core for its own domain, and nobody for us.
///
/// Operations of a byte each with their arguments: announcements, dismissals and requests.
pub fn y_identity(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new();
    while !input.is_empty() {
        let operation = input.byte();
        let who = usize::from(operation >> 7);
        match operation & 0x7f {
            0..=2 => world.announce(who, input.byte(), input.line()),
            3 => {
                world.layer.dismiss(&world.registrees[who]);
                world.held.remove(&world.registrees[who]);
                world.admit(who);
            }
            _ => {
                let Some(ask) = Ask::read(&mut input) else {
                    continue;
                };
                world.ask(&ask);
            }
        }
    }
}

struct World {
    layer: Layer,
    core: EntityId,
    registrees: [EntityId; 2],
    /// The model: what each registree holds.
    held: BTreeMap<EntityId, BTreeSet<EntityId>>,
}

impl World {
    fn new() -> Self {
        let core = id(CORE);
        let mut layer = Layer::new(core.clone(), LedgerLimits::default());
        let registrar = Identity::registrar(id(REGISTRAR)).expect("a CSE");
        let foreign = Identity::foreign(id(FOREIGN)).expect("a CSE");
        assert_eq!(layer.admit(registrar), Ok(()));
        assert_eq!(layer.admit(foreign), Ok(()));
        let mut world = Self {
            layer,
            core,
            registrees: REGISTREES.map(id),
            held: BTreeMap::new(),
        };
        world.admit(0);
        world.admit(1);
        world
    }

    fn admit(&mut self, who: usize) {
        let registree = self.registrees[who].clone();
        let identity = Identity::registree(registree.clone()).expect("a CSE");
        let admitted = self.layer.admit(identity.with_allowed(ALLOWED.map(id)));
        assert_eq!(admitted, Ok(()));
        self.held.insert(registree.clone(), [registree].into());
    }

    /// Some of what is allowed, and what a line says.
    fn announce(&mut self, who: usize, choice: u8, line: Option<&str>) {
        let registree = &self.registrees[who];
        let chosen = ALLOWED
            .iter()
            .enumerate()
            .filter(|(at, _)| choice >> at & 1 == 1);
        let mut entities: BTreeSet<_> = chosen.map(|(_, entity)| id(entity)).collect();
        entities.extend(line.and_then(|line| EntityId::parse(line).ok()));
        let announcement = Announcement::new(entities.clone()).expect("few entities");

        let allowed = entities
            .iter()
            .all(|entity| ALLOWED.contains(&entity.as_str()));
        let other = &self.held[&self.registrees[1 - who]];
        let claimed = entities.iter().any(|entity| other.contains(entity));
        let expected = match (allowed, claimed) {
            (false, _) => Err(Failure::Forbidden),
            (true, true) => Err(Failure::Claimed),
            (true, false) => Ok(()),
        };
        let announced = self
            .layer
            .announce(&peer(registree, ReferencePoint::Y), &announcement);
        assert_eq!(announced, expected);
        if announced.is_ok() {
            entities.insert(registree.clone());
            self.held.insert(registree.clone(), entities);
        }
    }

    fn ask(&self, ask: &Ask<'_>) {
        let originator = ask.originator(&self.core).filter(|_| !ask.is_newcomer());
        let is = |test: &dyn Fn(&EntityId) -> bool| originator.as_ref().is_some_and(test);
        let own = is(&|from| *from == self.core || from.is_at(&self.core));
        let holds = |held: &BTreeSet<EntityId>| {
            is(&|from| {
                held.iter()
                    .any(|entity| from == entity || from.is_at(entity))
            })
        };
        let says = |entity: &EntityId, point| {
            self.layer
                .verdict(&peer(entity, point), &ask.checked())
                .is_ok()
        };

        for registree in &self.registrees {
            let may = says(registree, ReferencePoint::Y);
            assert_eq!(
                may,
                !own && holds(&self.held[registree]),
                "for {originator:?}"
            );
            assert!(!says(registree, ReferencePoint::YPrime));
        }
        let below = self.held.values().any(holds);
        assert_eq!(
            says(&id(REGISTRAR), ReferencePoint::Y),
            is(&|_| true) && !own && !below
        );
        let foreign = is(&|from| from.service_provider() == id(FOREIGN).service_provider());
        assert_eq!(says(&id(FOREIGN), ReferencePoint::YPrime), foreign);
    }
}
