//! A request is executed once, however often it arrives.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;
use refpoint_keys::EntityId;
use refpoint_primitive::{
    Bytes, Failure, Ledger, LedgerKey, LedgerLimits, Receipt, RequestDigest, RequestId, Ticket,
};

struct Desk {
    ledger: Ledger,
    now: Duration,
}

impl Desk {
    fn new(limits: LedgerLimits) -> Self {
        Self {
            ledger: Ledger::new(limits),
            now: Duration::ZERO,
        }
    }

    fn receive(&mut self, entity: &str, id: &str, request: &str) -> Receipt {
        self.receive_until(entity, id, request, None)
    }

    fn receive_until(
        &mut self,
        entity: &str,
        id: &str,
        request: &str,
        expires_in: Option<Duration>,
    ) -> Receipt {
        let key = LedgerKey {
            entity: &EntityId::parse(&format!("//sp.example.com/{entity}")).expect("well formed"),
            from: None,
            request_id: &RequestId::new(id).expect("well formed"),
        };
        let digest = RequestDigest::of(request.as_bytes());
        self.ledger.receive(self.now, &key, digest, expires_in)
    }

    fn execute(&mut self, entity: &str, id: &str, request: &str, answer: &'static str) {
        let ticket = executed(self.receive(entity, id, request));
        self.ledger
            .settle(ticket, Bytes::from_static(answer.as_bytes()));
    }
}

fn executed(receipt: Receipt) -> Ticket {
    match receipt {
        Receipt::Execute(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn small() -> LedgerLimits {
    LedgerLimits {
        requests_per_entity: 2,
        requests: 3,
        answers_per_entity: 10,
        answers: 15,
        ..LedgerLimits::default()
    }
}

#[test]
fn a_repeated_request_gets_the_first_answer() {
    let mut desk = Desk::new(LedgerLimits::default());
    let ticket = executed(desk.receive("id-mn", "r1", "a"));
    assert_eq!(desk.receive("id-mn", "r1", "a"), Receipt::Pending);
    desk.ledger.settle(ticket, "answer".into());
    assert_eq!(
        desk.receive("id-mn", "r1", "a"),
        Receipt::Repeat("answer".into())
    );
}

#[test]
fn another_request_under_the_same_identifier_is_refused() {
    let mut desk = Desk::new(LedgerLimits::default());
    let conflict = Receipt::Refuse(Failure::DuplicateConflict);
    let ticket = executed(desk.receive("id-mn", "r1", "a"));
    assert_eq!(desk.receive("id-mn", "r1", "b"), conflict);
    desk.ledger.settle(ticket, "answer".into());
    assert_eq!(desk.receive("id-mn", "r1", "b"), conflict);
}

#[test]
fn entities_do_not_share_identifiers() {
    let mut desk = Desk::new(LedgerLimits::default());
    desk.execute("id-mn", "r1", "a", "answer");
    let _ticket = executed(desk.receive("id-mn2", "r1", "a"));
}

#[test]
fn a_request_is_kept_for_247_seconds_or_until_it_expires() {
    let mut desk = Desk::new(LedgerLimits::default());
    desk.execute("id-mn", "short", "a", "x");
    let later = Some(Duration::from_secs(1000));
    let ticket = executed(desk.receive_until("id-mn", "long", "a", later));
    desk.ledger.settle(ticket, "y".into());

    desk.now = Duration::from_millis(246_999);
    assert_eq!(
        desk.receive("id-mn", "short", "a"),
        Receipt::Repeat("x".into())
    );
    desk.now = Duration::from_secs(247);
    let _ticket = executed(desk.receive("id-mn", "short", "a"));
    desk.now = Duration::from_millis(999_999);
    assert_eq!(
        desk.receive("id-mn", "long", "a"),
        Receipt::Repeat("y".into())
    );
    desk.now = Duration::from_secs(1000);
    let _ticket = executed(desk.receive("id-mn", "long", "a"));
}

#[test]
fn no_expiration_keeps_a_request_beyond_the_limit() {
    let mut desk = Desk::new(LedgerLimits::default());
    let _ticket = executed(desk.receive_until("id-mn", "r1", "a", Some(Duration::MAX)));
    assert_eq!(
        desk.ledger.next_timeout(),
        Some(LedgerLimits::default().longest)
    );
    desk.ledger.handle_timeout(LedgerLimits::default().longest);
    assert!(desk.ledger.is_empty());
}

#[test]
fn an_expired_request_is_not_executed() {
    let mut desk = Desk::new(LedgerLimits::default());
    let refused = desk.receive_until("id-mn", "r1", "a", Some(Duration::ZERO));
    assert_eq!(refused, Receipt::Refuse(Failure::Expired));
    assert!(desk.ledger.is_empty());
}

#[test]
fn an_abandoned_request_is_new_again() {
    let mut desk = Desk::new(LedgerLimits::default());
    let ticket = executed(desk.receive("id-mn", "r1", "a"));
    desk.ledger.abandon(ticket);
    let _ticket = executed(desk.receive("id-mn", "r1", "a"));
}

#[test]
fn a_late_answer_does_not_touch_the_next_request_of_that_name() {
    let mut desk = Desk::new(LedgerLimits::default());
    let late = executed(desk.receive("id-mn", "r1", "a"));
    desk.now = Duration::from_secs(247);
    let current = executed(desk.receive("id-mn", "r1", "b"));
    desk.ledger.settle(late, "old".into());
    assert_eq!(desk.receive("id-mn", "r1", "b"), Receipt::Pending);
    desk.ledger.settle(current, "new".into());
    assert_eq!(
        desk.receive("id-mn", "r1", "b"),
        Receipt::Repeat("new".into())
    );
}

#[test]
fn an_entity_at_its_limit_gives_up_its_own_oldest_request() {
    let mut desk = Desk::new(small());
    desk.execute("id-mn", "r1", "a", "1");
    desk.execute("id-mn", "r2", "a", "2");
    desk.execute("id-other", "r1", "a", "o");
    desk.execute("id-mn", "r3", "a", "3");
    assert_eq!(
        desk.receive("id-mn", "r2", "a"),
        Receipt::Repeat("2".into())
    );
    assert_eq!(
        desk.receive("id-other", "r1", "a"),
        Receipt::Repeat("o".into())
    );
    assert_eq!(desk.ledger.len(), 3);
}

#[test]
fn answers_are_bounded_for_each_entity_and_for_all() {
    let of_each = LedgerLimits {
        answers_per_entity: 10,
        ..LedgerLimits::default()
    };
    let of_all = LedgerLimits {
        answers: 10,
        ..LedgerLimits::default()
    };
    for (limits, second) in [(of_each, "id-mn"), (of_all, "id-other")] {
        let mut desk = Desk::new(limits);
        desk.execute("id-mn", "r1", "a", "123456");
        desk.execute(second, "r2", "a", "123456");
        let first = desk.receive("id-mn", "r1", "a");
        assert_eq!(first, Receipt::Refuse(Failure::AnswerGone), "{limits:?}");
        let kept = desk.receive(second, "r2", "a");
        assert_eq!(kept, Receipt::Repeat("123456".into()));
    }
}

#[test]
fn what_is_being_executed_is_never_given_up() {
    let mut desk = Desk::new(small());
    let _first = executed(desk.receive("id-mn", "r1", "a"));
    let _second = executed(desk.receive("id-mn", "r2", "a"));
    assert_eq!(
        desk.receive("id-mn", "r3", "a"),
        Receipt::Refuse(Failure::QueueFull)
    );
    assert_eq!(desk.receive("id-mn", "r1", "a"), Receipt::Pending);
}

#[test]
fn an_answer_that_is_given_up_is_not_executed_again() {
    let mut desk = Desk::new(small());
    desk.execute("id-mn", "r1", "a", "12345678");
    desk.execute("id-mn", "r2", "a", "12345678");
    assert_eq!(
        desk.receive("id-mn", "r1", "a"),
        Receipt::Refuse(Failure::AnswerGone)
    );
    assert_eq!(
        desk.receive("id-mn", "r2", "a"),
        Receipt::Repeat("12345678".into())
    );
}

#[test]
fn an_answer_that_is_too_long_costs_no_other_one() {
    let mut desk = Desk::new(small());
    desk.execute("id-mn", "r1", "a", "1234");
    desk.execute("id-mn", "r2", "a", "12345678901");
    assert_eq!(
        desk.receive("id-mn", "r1", "a"),
        Receipt::Repeat("1234".into())
    );
    assert_eq!(
        desk.receive("id-mn", "r2", "a"),
        Receipt::Refuse(Failure::AnswerGone)
    );
}

#[derive(Debug, Clone)]
enum Step {
    Receive { entity: u8, id: u8, request: u8 },
    Settle(usize),
    Abandon(usize),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..4_u8, 0..2_u8)
            .prop_map(|(entity, id, request)| Step::Receive { entity, id, request }),
        2 => any::<usize>().prop_map(Step::Settle),
        1 => any::<usize>().prop_map(Step::Abandon),
        1 => (0..200_u16).prop_map(Step::Wait),
    ]
}

/// What a ledger without limits does, written down naively: when it arrived, what it was, its answer.
type Model = BTreeMap<(u8, u8), (Duration, u8, Option<u64>)>;

proptest! {
    #[test]
    fn with_room_for_all_the_ledger_is_the_naive_model(steps in proptest::collection::vec(step(), 1..80)) {
        let mut desk = Desk::new(LedgerLimits::default());
        let mut model = Model::new();
        let mut open = Vec::new();
        for (number, step) in (0_u64..).zip(steps) {
            model.retain(|_, kept| desk.now < kept.0 + Duration::from_secs(247));
            match step {
                Step::Receive { entity, id, request } => {
                    let name = format!("id-{entity}");
                    let receipt = desk.receive(&name, &id.to_string(), &request.to_string());
                    match (model.get(&(entity, id)), receipt) {
                        (None, Receipt::Execute(ticket)) => {
                            model.insert((entity, id), (desk.now, request, None));
                            open.push(((entity, id), desk.now, ticket));
                        }
                        (Some(kept), Receipt::Refuse(Failure::DuplicateConflict)) => prop_assert_ne!(kept.1, request),
                        (Some((_, kept, None)), Receipt::Pending) => prop_assert_eq!(*kept, request),
                        (Some((_, kept, Some(answer))), Receipt::Repeat(bytes)) => {
                            prop_assert_eq!(*kept, request);
                            prop_assert_eq!(bytes, answer.to_be_bytes().to_vec());
                        }
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                Step::Settle(which) if !open.is_empty() => {
                    let (key, since, ticket) = open.swap_remove(which % open.len());
                    if let Some(kept) = model.get_mut(&key).filter(|kept| kept.0 == since && kept.2.is_none()) {
                        kept.2 = Some(number);
                    }
                    desk.ledger.settle(ticket, number.to_be_bytes().to_vec().into());
                }
                Step::Abandon(which) if !open.is_empty() => {
                    let (key, since, ticket) = open.swap_remove(which % open.len());
                    if model.get(&key).is_some_and(|kept| kept.0 == since && kept.2.is_none()) {
                        model.remove(&key);
                    }
                    desk.ledger.abandon(ticket);
                }
                Step::Settle(_) | Step::Abandon(_) => {}
                Step::Wait(seconds) => desk.now += Duration::from_secs(seconds.into()),
            }
        }
        desk.ledger.handle_timeout(desk.now);
        model.retain(|_, kept| desk.now < kept.0 + Duration::from_secs(247));
        prop_assert_eq!(desk.ledger.len(), model.len());
    }
}
