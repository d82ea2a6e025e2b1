//! Requests that wait: repeated with growing intervals, answered once, given up in time.

use core::time::Duration;

use proptest::prelude::*;
use refpoint_keys::EntityId;
use refpoint_primitive::{
    Bytes, Courier, ExchangeId, Exchanges, Failure, RequestId, Retransmission,
};

#[derive(Default)]
struct Log(Vec<(ExchangeId, Option<Failure>)>);

impl Courier for Log {
    fn repeat(&mut self, exchange: ExchangeId, _peer: &EntityId, request: &Bytes) {
        assert_eq!(request, &Bytes::from(exchange.to_string()));
        self.0.push((exchange, None));
    }

    fn fail(&mut self, exchange: ExchangeId, _peer: &EntityId, failure: Failure) {
        self.0.push((exchange, Some(failure)));
    }
}

fn gateway() -> EntityId {
    EntityId::parse("//sp.example.com/id-mn").expect("well formed")
}

fn id(text: &str) -> RequestId {
    RequestId::new(text).expect("well formed")
}

fn start(
    exchanges: &mut Exchanges,
    now: Duration,
    patience: Duration,
) -> Result<ExchangeId, Failure> {
    let encode = |exchange: ExchangeId| Bytes::from(exchange.to_string());
    let started = exchanges.start(now, &gateway(), id("r1"), patience, &mut || 0, encode);
    started.map(|(exchange, _)| exchange)
}

/// Calls the timer when it says, until it is quiet, and returns when what happened.
fn run(exchanges: &mut Exchanges, draw: u32) -> Vec<(Duration, Option<Failure>)> {
    let mut happened = Vec::new();
    while let Some(now) = exchanges.next_timeout() {
        let mut log = Log::default();
        exchanges.handle_timeout(now, &mut || draw, &mut log);
        assert!(exchanges.next_timeout().is_none_or(|next| next > now));
        happened.extend(log.0.into_iter().map(|(_, failure)| (now, failure)));
    }
    happened
}

#[test]
fn intervals_double_up_to_a_cap_until_patience_ends() {
    let mut exchanges = Exchanges::new(Retransmission::default(), 0);
    start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).expect("there is room");
    let milliseconds = [400, 1200, 2800, 4800, 6800, 8800, 9000];
    let times: Vec<_> = run(&mut exchanges, 0).into_iter().collect();
    let expected = milliseconds.map(|time| {
        let failure = (time == 9000).then_some(Failure::Timeout);
        (Duration::from_millis(time), failure)
    });
    assert_eq!(times, expected);
    assert!(exchanges.is_empty());
}

#[test]
fn jitter_stretches_an_interval_by_at_most_a_half() {
    let mut exchanges = Exchanges::new(Retransmission::default(), 0);
    start(&mut exchanges, Duration::ZERO, Duration::from_secs(3)).expect("there is room");
    let times: Vec<_> = run(&mut exchanges, u32::MAX)
        .into_iter()
        .map(|(time, _)| time)
        .collect();
    // The first interval was drawn with 0 in `start`; then 400 ms + 1200 ms, then patience ends.
    assert_eq!(times.len(), 3);
    let second = times[1] - times[0];
    assert!(second > Duration::from_millis(1199) && second <= Duration::from_millis(1200));
}

#[test]
fn a_response_ends_the_exchange_once() {
    let mut exchanges = Exchanges::new(Retransmission::default(), 7);
    let exchange = start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).expect("room");
    assert!(exchanges.answer(&gateway(), exchange, Some(&id("r1"))));
    assert!(!exchanges.answer(&gateway(), exchange, Some(&id("r1"))));
    assert_eq!(exchanges.next_timeout(), None);
}

#[test]
fn a_response_to_another_request_or_from_another_peer_is_dropped() {
    let mut exchanges = Exchanges::new(Retransmission::default(), 7);
    let exchange = start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).expect("room");
    let stranger = EntityId::parse("//sp.example.com/id-other").expect("well formed");
    assert!(!exchanges.answer(&stranger, exchange, Some(&id("r1"))));
    assert!(!exchanges.answer(&gateway(), exchange, Some(&id("r2"))));
    assert!(!exchanges.answer(&gateway(), ExchangeId::new(8), Some(&id("r1"))));
    assert!(exchanges.answer(&gateway(), exchange, None));
}

#[test]
fn a_peer_that_works_on_it_is_asked_less_often() {
    let mut exchanges = Exchanges::new(Retransmission::default(), 0);
    let exchange = start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).expect("room");
    exchanges.pending(Duration::from_millis(100), &gateway(), exchange, &mut || 0);
    assert_eq!(exchanges.next_timeout(), Some(Duration::from_millis(2100)));
    let stranger = EntityId::parse("//sp.example.com/id-other").expect("well formed");
    exchanges.pending(Duration::from_millis(1000), &stranger, exchange, &mut || 0);
    assert_eq!(exchanges.next_timeout(), Some(Duration::from_millis(2100)));
}

#[test]
fn too_many_waiting_requests_are_refused_at_once() {
    let timing = Retransmission {
        waiting_per_peer: 2,
        ..Retransmission::default()
    };
    let mut exchanges = Exchanges::new(timing, u32::MAX);
    let first = start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).expect("room");
    let second = start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).expect("room");
    assert_eq!((first.number(), second.number()), (u32::MAX, 0));
    let third = start(&mut exchanges, Duration::ZERO, Duration::from_secs(9));
    assert_eq!(third, Err(Failure::QueueFull));
    let all = Retransmission {
        waiting: 2,
        ..Retransmission::default()
    };
    let mut others = Exchanges::new(all, 0);
    for _ in 0..2 {
        start(&mut others, Duration::ZERO, Duration::from_secs(9)).expect("room");
    }
    let third = start(&mut others, Duration::ZERO, Duration::from_secs(9));
    assert_eq!(third, Err(Failure::QueueFull), "whoever they wait for");
    exchanges.cancel(first);
    assert!(start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).is_ok());
}

#[test]
fn a_lost_peer_fails_all_that_waits_for_it() {
    let mut exchanges = Exchanges::new(Retransmission::default(), 0);
    start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).expect("there is room");
    start(&mut exchanges, Duration::ZERO, Duration::from_secs(9)).expect("there is room");
    let mut log = Log::default();
    exchanges.fail_all(&gateway(), Failure::NoAssociation, &mut log);
    assert!(
        log.0
            .iter()
            .all(|(_, failure)| *failure == Some(Failure::NoAssociation))
    );
    assert_eq!(
        (log.0.len(), exchanges.len(), exchanges.next_timeout()),
        (2, 0, None)
    );
}

#[test]
fn a_late_call_is_not_followed_by_a_burst() {
    let mut exchanges = Exchanges::new(Retransmission::default(), 0);
    start(&mut exchanges, Duration::ZERO, Duration::from_secs(60)).expect("there is room");
    let mut log = Log::default();
    exchanges.handle_timeout(Duration::from_secs(30), &mut || 0, &mut log);
    assert_eq!(log.0.len(), 1);
    assert_eq!(
        exchanges.next_timeout(),
        Some(Duration::from_millis(30_800))
    );
}

proptest! {
    #[test]
    fn every_exchange_ends_once_and_the_timer_always_moves_on(
        first in 0..2000_u64,
        longest in 0..5000_u64,
        patience in proptest::collection::vec(0..20_000_u64, 1..20),
        answers in proptest::collection::vec((0..40_usize, any::<bool>()), 0..60),
        draws in proptest::collection::vec(any::<u32>(), 1..8),
    ) {
        let timing = Retransmission {
            first: Duration::from_millis(first),
            longest: Duration::from_millis(longest),
            waiting_per_peer: 64,
            waiting: 64,
        };
        let mut draws = draws.into_iter().cycle();
        let mut exchanges = Exchanges::new(timing, u32::MAX - 3);
        let mut waiting = Vec::new();
        for patience in patience {
            waiting.push(start(&mut exchanges, Duration::ZERO, Duration::from_millis(patience)).expect("room"));
        }
        let mut answers = answers.into_iter();
        let mut calls = 0_u32;
        while let Some(now) = exchanges.next_timeout() {
            calls += 1;
            prop_assert!(calls < 500_000);
            let mut log = Log::default();
            exchanges.handle_timeout(now, &mut || draws.next().unwrap_or(0), &mut log);
            prop_assert!(exchanges.next_timeout().is_none_or(|next| next > now));
            for (exchange, failure) in log.0 {
                prop_assert!(waiting.contains(&exchange));
                if failure.is_some() {
                    waiting.retain(|other| *other != exchange);
                }
            }
            if let Some((which, is_pending)) = answers.next()
                && let Some(exchange) = waiting.get(which).copied()
            {
                if is_pending {
                    exchanges.pending(now, &gateway(), exchange, &mut || 0);
                } else {
                    prop_assert!(exchanges.answer(&gateway(), exchange, None));
                    waiting.retain(|other| *other != exchange);
                }
            }
            prop_assert_eq!(exchanges.len(), waiting.len());
        }
        prop_assert!(waiting.is_empty());
    }
}
