//! Who may ask what on Z, and what a network may report.

use core::time::Duration;

use prost::Message as _;
use refpoint_keys::{EntityId, ReferencePoint};
use refpoint_primitive::{Failure, LedgerLimits, Receipt};
use refpoint_z::{Ask, Identity, Layer, Request, exchange, proto};

use crate::Input;
use crate::asking::{id, peer};

/// A network reports only what this end has asked it for, a service node never reports; each
/// speaks as itself, and each request is executed once.
///
/// Two bytes of length and an encoded request, again and again: the same one may come twice.
pub fn z_reports(data: &[u8]) {
    let mut input = Input::new(data);
    let (core, network) = (
        id("//sp.example.com/id-in"),
        id("//op.example.net/nse-scef"),
    );
    let stranger = id("//op.example.net/nse-other");
    let mut of_core = Layer::new(core.clone(), LedgerLimits::default());
    let admitted = of_core.admit(Identity::network(network.clone()).expect("an NSE"));
    assert_eq!(admitted, Ok(()));
    let mut of_network = Layer::new(network.clone(), LedgerLimits::default());
    let admitted = of_network.admit(Identity::node(core.clone()).expect("a CSE"));
    assert_eq!(admitted, Ok(()));

    let mut seen: Vec<Request> = Vec::new();
    let mut now = Duration::ZERO;
    while !input.is_empty() {
        let length = u16::from_be_bytes(input.array());
        let Ok(message) = proto::ExchangeRequest::decode(input.bytes(length.into())) else {
            return;
        };
        let Ok(request) = exchange::read_request(message) else {
            return;
        };
        now += Duration::from_millis(1);
        // Its expiry and its originator decide too, with an identifier that was used: model the rest.
        let fresh = seen.iter().all(|earlier| earlier.id() != request.id());

        let at_core = of_core.receive(now, None, &peer(&network, ReferencePoint::Z), &request);
        match request.ask() {
            Ask::Trigger(_)
            | Ask::Location(_)
            | Ask::Transfer(_)
            | Ask::TransferSelection(_)
            | Ask::Key(_) => assert_eq!(at_core, Receipt::Refuse(Failure::Forbidden)),
            // Nothing was ever promised, so that nothing may be reported.
            Ask::TriggerReport(_) | Ask::LocationReport(_) | Ask::KeyNotice(_) => {
                let refused = match at_core {
                    Receipt::Refuse(failure) => failure,
                    other => panic!("{other:?} of what nobody asked for"),
                };
                assert!(
                    !fresh || refused == Failure::UnknownReference,
                    "{refused:?}"
                );
            }
            ask => check_primitive(ask, &network, &network, fresh, &at_core),
        }

        let at_network = of_network.receive(now, None, &peer(&core, ReferencePoint::Z), &request);
        match request.ask() {
            Ask::TriggerReport(_) | Ask::LocationReport(_) | Ask::KeyNotice(_) => {
                assert_eq!(at_network, Receipt::Refuse(Failure::Forbidden));
            }
            ask @ Ask::Primitive(_) => check_primitive(ask, &core, &core, fresh, &at_network),
            _ => assert_eq!(
                matches!(at_network, Receipt::Execute(_)),
                fresh,
                "{at_network:?}"
            ),
        }

        for (entity, point) in [
            (&stranger, ReferencePoint::Z),
            (&network, ReferencePoint::Y),
        ] {
            let receipt = of_core.receive(now, None, &peer(entity, point), &request);
            assert_eq!(receipt, Receipt::Refuse(Failure::NoAssociation));
        }
        seen.push(request);
    }
}

/// A primitive is from the peer itself, or from an AE named at it.
fn check_primitive(ask: &Ask, asker: &EntityId, reader: &EntityId, fresh: bool, receipt: &Receipt) {
    let Ask::Primitive(message) = ask else {
        return;
    };
    let from = message.checked().from;
    let from =
        from.and_then(|from| EntityId::resolve(from, reader.service_provider(), Some(reader)).ok());
    let honest = from.is_some_and(|from| from == *asker || from.is_at(asker));
    if matches!(receipt, Receipt::Execute(_)) {
        assert!(honest, "from someone else");
    } else if honest && fresh {
        assert_eq!(
            *receipt,
            Receipt::Refuse(Failure::Expired),
            "an honest request"
        );
    }
}
