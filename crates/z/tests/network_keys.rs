//! Network keys: import, clamped life, renewal, withdrawal.

use core::time::Duration;

use refpoint_keys::{EntityId, KeyId, NetworkKeySource, ReferencePoint, Role, UtcTime, Validity};
use refpoint_primitive::{Failure, LedgerLimits, Peer, Receipt, RequestId};
use refpoint_z::{
    Ask, DeliveredKey, Error, Identity, KeyEvent, KeyNotice, KeyRequest, KeyRing, KeyTask, Layer,
    NetworkKeyName, Reply, Request, Response, exchange, proto,
};

const NOW: UtcTime = UtcTime::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn id(text: &str) -> EntityId {
    EntityId::parse(text).expect("it is well formed")
}

fn network() -> EntityId {
    id("//op.example.net/nse-aanf")
}

fn device() -> EntityId {
    id("//sp.example.com/id-mn/CSensor1")
}

fn name(text: &str) -> NetworkKeyName {
    NetworkKeyName::new(text).expect("well formed")
}

fn ask(text: &str) -> KeyRequest {
    let protocol = [1, 0, 0, 0, 7];
    let request = KeyRequest::for_protocol(
        NetworkKeySource::Akma,
        name(text),
        "af.example.com",
        protocol,
    );
    request.expect("well formed")
}

fn delivered(text: &str, life: Duration) -> DeliveredKey {
    DeliveredKey::new(
        name(text),
        [7; 32],
        Validity::until(NOW.saturating_add(life)),
    )
}

fn after(duration: Duration) -> UtcTime {
    NOW.saturating_add(duration)
}

fn due(ring: &mut KeyRing, utc: UtcTime) -> Vec<KeyTask> {
    let mut tasks = Vec::new();
    ring.handle_timeout(utc, &mut |task| tasks.push(task));
    assert!(ring.next_timeout().is_none_or(|next| next > utc));
    tasks
}

fn key_id(text: &str) -> KeyId {
    KeyId::from_text(text).expect("well formed")
}

#[test]
fn an_imported_key_opens_associations_of_the_bound_entity() {
    let mut ring = KeyRing::new(DAY);
    let hour = DAY / 24;
    let import = ring.import(
        NOW,
        &network(),
        &ask("a-kid"),
        &delivered("a-kid", hour),
        &device(),
    );
    let import = import.expect("it is valid");
    assert_eq!(import.retired, None);
    let gateway = id("//sp.example.com/id-mn");
    let key = import
        .key
        .into_connection_key(&gateway, &device(), ReferencePoint::X, NOW);
    let key = key.expect("the device is bound to it");
    assert_eq!(key.id(), key_id("a-kid"));
    assert_eq!(key.validity().remaining(NOW), hour);
}

#[test]
fn a_key_lives_no_longer_than_the_ring_lets_it() {
    let mut ring = KeyRing::new(DAY);
    let import = ring.import(
        NOW,
        &network(),
        &ask("a-kid"),
        &delivered("a-kid", DAY * 30),
        &device(),
    );
    let key = import.expect("it is valid").key;
    assert_eq!(key.record().validity.not_after(), after(DAY));
}

#[test]
fn an_expired_key_is_refused() {
    let mut ring = KeyRing::new(DAY);
    let late = after(DAY);
    let refused = ring.import(
        late,
        &network(),
        &ask("a-kid"),
        &delivered("a-kid", DAY),
        &device(),
    );
    assert!(matches!(
        refused,
        Err(Error::Key(refpoint_keys::Error::Expired))
    ));
    assert_eq!(ring.next_timeout(), None);
}

#[test]
fn a_key_that_was_not_asked_for_or_is_anothers_is_refused() {
    let mut ring = KeyRing::new(DAY);
    let other = ring.import(
        NOW,
        &network(),
        &ask("a-kid"),
        &delivered("other", DAY),
        &device(),
    );
    assert!(matches!(other, Err(Error::OtherKey)));
    let foreign = delivered("a-kid", DAY).with_entity(id("//sp.example.com/id-mn/CAdmin"));
    let refused = ring.import(NOW, &network(), &ask("a-kid"), &foreign, &device());
    assert!(matches!(refused, Err(Error::OtherEntity)));
    let own = delivered("a-kid", DAY).with_entity(device());
    assert!(
        ring.import(NOW, &network(), &ask("a-kid"), &own, &device())
            .is_ok()
    );
}

#[test]
fn a_renewal_retires_the_old_key_soon_and_is_clamped_like_the_first() {
    let mut ring = KeyRing::new(DAY);
    let first = ring.import(
        NOW,
        &network(),
        &ask("old"),
        &delivered("old", DAY),
        &device(),
    );
    first.expect("it is valid");
    let later = after(DAY / 2);
    let renewal = ask("new").with_replaced(name("old"));
    let import = ring.import(
        later,
        &network(),
        &renewal,
        &delivered("new", DAY * 30),
        &device(),
    );
    let import = import.expect("it is valid");
    let minute = Duration::from_secs(60);
    assert_eq!(
        import.retired,
        Some((key_id("old"), later.saturating_add(minute)))
    );
    assert_eq!(
        import.key.record().validity.not_after(),
        later.saturating_add(DAY)
    );
    let dropped = KeyTask::Drop {
        id: key_id("old"),
        entity: device(),
    };
    assert_eq!(due(&mut ring, later.saturating_add(minute)), [dropped]);
}

#[test]
fn a_renewal_cannot_move_a_key_to_another_entity_network_or_source() {
    let mut ring = KeyRing::new(DAY);
    let first = ring.import(
        NOW,
        &network(),
        &ask("old"),
        &delivered("old", DAY),
        &device(),
    );
    first.expect("it is valid");
    let renewal = ask("new").with_replaced(name("old"));
    let other = id("//sp.example.com/id-mn/CAdmin");
    let refused = ring.import(NOW, &network(), &renewal, &delivered("new", DAY), &other);
    assert!(matches!(refused, Err(Error::UnknownPredecessor)));
    let elsewhere = id("//op.example.net/nse-other");
    let refused = ring.import(NOW, &elsewhere, &renewal, &delivered("new", DAY), &device());
    assert!(matches!(refused, Err(Error::UnknownPredecessor)));
}

#[test]
fn renewal_is_due_at_three_quarters_and_again_until_expiry() {
    let mut ring = KeyRing::new(DAY);
    let life = Duration::from_secs(1000);
    let import = ring.import(
        NOW,
        &network(),
        &ask("a-kid"),
        &delivered("a-kid", life),
        &device(),
    );
    import.expect("it is valid");
    let mut times = Vec::new();
    while let Some(next) = ring.next_timeout() {
        let tasks = due(&mut ring, next);
        assert_eq!(tasks.len(), 1);
        times.push((
            next.saturating_since(NOW).as_secs(),
            matches!(tasks[0], KeyTask::Renew { .. }),
        ));
    }
    assert_eq!(times.first(), Some(&(750, true)));
    assert_eq!(times.last(), Some(&(1000, false)));
    assert!(times.len() < 12, "{times:?}");
}

fn layer() -> (Layer, Peer) {
    let mut layer = Layer::new(id("//sp.example.com/id-in"), LedgerLimits::default());
    for nse in [network(), id("//op.example.net/nse-other")] {
        layer
            .admit(Identity::network(nse).expect("an nse"))
            .expect("it belongs here");
    }
    let import = layer.keys_mut().import(
        NOW,
        &network(),
        &ask("a-kid"),
        &delivered("a-kid", DAY),
        &device(),
    );
    import.expect("it is valid");
    let peer = Peer {
        entity: network(),
        point: ReferencePoint::Z,
        role: Role::Responder,
    };
    (layer, peer)
}

fn notice(event: KeyEvent) -> KeyNotice {
    KeyNotice {
        source: NetworkKeySource::Akma,
        name: name("a-kid"),
        event,
    }
}

fn noticed(event: KeyEvent) -> Request {
    let id = RequestId::new("n1").expect("well formed");
    Request::new(id, Ask::KeyNotice(notice(event)), None).expect("well formed")
}

#[test]
fn the_network_withdraws_the_key_that_it_delivered() {
    let (mut layer, peer) = layer();
    let receipt = layer.receive(
        Duration::ZERO,
        Some(NOW),
        &peer,
        &noticed(KeyEvent::Revoked),
    );
    assert!(matches!(receipt, Receipt::Execute(_)));
    let task = layer
        .keys_mut()
        .notice(&peer.entity, &notice(KeyEvent::Revoked));
    assert_eq!(
        task,
        Some(KeyTask::Drop {
            id: key_id("a-kid"),
            entity: device()
        })
    );
    assert_eq!(
        layer
            .keys_mut()
            .notice(&peer.entity, &notice(KeyEvent::Revoked)),
        None
    );
}

#[test]
fn the_network_asks_for_a_renewal() {
    let (mut layer, peer) = layer();
    let task = layer
        .keys_mut()
        .notice(&peer.entity, &notice(KeyEvent::Renew));
    let expected = KeyTask::Renew {
        network: network(),
        name: name("a-kid"),
        entity: device(),
    };
    assert_eq!(task, Some(expected));
    assert!(layer.keys().next_timeout().is_some(), "the key stays");
}

#[test]
fn another_network_does_not_withdraw_it() {
    let (mut layer, mut peer) = layer();
    peer.entity = id("//op.example.net/nse-other");
    let receipt = layer.receive(
        Duration::ZERO,
        Some(NOW),
        &peer,
        &noticed(KeyEvent::Revoked),
    );
    assert_eq!(receipt, Receipt::Refuse(Failure::UnknownReference));
    assert_eq!(
        layer
            .keys_mut()
            .notice(&peer.entity, &notice(KeyEvent::Revoked)),
        None
    );
}

#[test]
fn no_copy_of_a_delivered_key_is_kept_or_printed() {
    let id = RequestId::new("r1").expect("well formed");
    let request = Request::new(id, Ask::Key(ask("a-kid")), None).expect("well formed");
    let response = Response::new(&request, Reply::Key(delivered("a-kid", DAY)));
    let response = exchange::response(response.expect("it answers"));
    assert_eq!(exchange::answer(&response), None);
    let printed = format!("{response:?}");
    assert!(
        printed.contains("KeyResponse(..)") && !printed.contains("7, 7"),
        "{printed}"
    );

    let read = exchange::read_response(response, &request).expect("it was encoded");
    assert!(format!("{read:?}").contains("DeliveredKey(..)"));
}

#[test]
fn a_repeated_request_for_a_key_is_executed_again() {
    let mut layer = Layer::new(network(), LedgerLimits::default());
    let core = id("//sp.example.com/id-in");
    layer
        .admit(Identity::node(core.clone()).expect("a cse"))
        .expect("it belongs here");
    let peer = Peer {
        entity: core,
        point: ReferencePoint::Z,
        role: Role::Responder,
    };
    let id = RequestId::new("r1").expect("well formed");
    let request = Request::new(id, Ask::Key(ask("a-kid")), None).expect("well formed");
    for _ in 0..2 {
        let receipt = layer.receive(Duration::ZERO, Some(NOW), &peer, &request);
        let Receipt::Execute(ticket) = receipt else {
            panic!("{receipt:?}")
        };
        layer.settle(ticket, None);
    }
}

#[test]
fn malformed_deliveries_are_unusable() {
    let id = RequestId::new("r1").expect("well formed");
    let request = Request::new(id, Ask::Key(ask("a-kid")), None).expect("well formed");
    let respond = |change: fn(&mut proto::KeyResponse)| {
        let response = Response::new(&request, Reply::Key(delivered("a-kid", DAY)));
        let mut response = exchange::response(response.expect("it answers"));
        let Some(proto::exchange_response::Body::Key(key)) = &mut response.body else {
            panic!("it is a key");
        };
        change(key);
        exchange::read_response(response, &request).map(drop)
    };
    assert_eq!(respond(|_| {}), Ok(()));
    let unusable = Err(Failure::UnusableAnswer);
    assert_eq!(respond(|key| key.key.truncate(31)), unusable);
    assert_eq!(respond(|key| key.key_id = "other".into()), unusable);
    assert_eq!(
        respond(|key| key.not_before = Some(key.expires_at)),
        unusable
    );
    assert_eq!(respond(|key| key.entity = "CSensor1".into()), unusable);
}
