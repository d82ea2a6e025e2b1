//! Requests that wait: each ends once, whatever the network and the peers do.

use core::time::Duration;
use std::collections::BTreeMap;

use refpoint_keys::EntityId;
use refpoint_primitive::{
    Bytes, Courier, ExchangeId, Exchanges, Failure, RequestId, Retransmission,
};

use crate::Input;

/// Each exchange ends once: with its peer's response to its own request, by a failure, or when it
/// is cancelled. Until then it repeats the same bytes, and its timers always move on.
pub fn primitive_exchange(data: &[u8]) {
    let mut input = Input::new(data);
    let timing = Retransmission {
        waiting_per_peer: 3,
        waiting: 5,
        ..Retransmission::default()
    };
    let first = u32::MAX - u32::from(input.byte());
    let mut exchanges = Exchanges::new(timing, first);
    let mut open = Open::default();
    let mut now = Duration::ZERO;
    let mut dice = 0x9e37_79b9_u32;
    let mut draw = move || {
        dice = dice.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        dice
    };
    while !input.is_empty() {
        let (operation, number) = (input.byte(), input.byte());
        let peer = peer(operation >> 6);
        let chosen = open.choose(number);
        match operation & 0x0f {
            0..=3 => {
                let id = RequestId::new(&format!("r{}", number % 4)).expect("a valid request id");
                let patience = Duration::from_secs(u64::from(number));
                let encode = |exchange: ExchangeId| Bytes::from(exchange.to_string());
                let started = exchanges.start(now, &peer, id.clone(), patience, &mut draw, encode);
                match started {
                    Ok((exchange, request)) => {
                        open.start(exchange, peer, id, request, now + patience)
                    }
                    Err(failure) => {
                        assert_eq!(failure, Failure::QueueFull);
                        let of_peer = open.0.values().filter(|waits| waits.peer == peer).count();
                        assert!(of_peer == 3 || open.0.len() == 5, "room was left");
                    }
                }
            }
            4 | 5 => {
                let Some(exchange) = chosen else { continue };
                let id = RequestId::new(&format!("r{}", operation >> 4 & 3)).expect("a valid id");
                let named = (operation & 1 == 0).then_some(&id);
                let waits = &open.0[&exchange];
                let fits = waits.peer == peer && named.is_none_or(|named| *named == waits.id);
                assert_eq!(
                    exchanges.answer(&peer, exchange, named),
                    fits,
                    "another's answer"
                );
                if fits {
                    open.0.remove(&exchange);
                    assert!(!exchanges.answer(&peer, exchange, named), "answered twice");
                }
            }
            6 => {
                if let Some(exchange) = chosen {
                    exchanges.pending(now, &peer, exchange, &mut draw);
                }
            }
            7 => {
                if let Some(exchange) = chosen {
                    exchanges.cancel(exchange);
                    open.0.remove(&exchange);
                }
            }
            8 => {
                exchanges.fail_all(&peer, Failure::NoAssociation, &mut open);
                assert!(
                    open.0.values().all(|waits| waits.peer != peer),
                    "one was forgotten"
                );
            }
            _ => {
                now += Duration::from_millis(u64::from(number) * 37);
                exchanges.handle_timeout(now, &mut draw, &mut open);
                assert!(
                    exchanges.next_timeout().is_none_or(|at| at > now),
                    "it does not move on"
                );
                assert!(
                    open.0.values().all(|waits| waits.deadline > now),
                    "it waits for ever"
                );
            }
        }
        assert_eq!(exchanges.len(), open.0.len());
        assert_eq!(exchanges.is_empty(), exchanges.next_timeout().is_none());
    }
}

fn peer(number: u8) -> EntityId {
    EntityId::parse(&format!("//sp.example.com/id-{number}")).expect("a valid id")
}

/// What still waits, by the model.
#[derive(Default)]
struct Open(BTreeMap<ExchangeId, Waits>);

struct Waits {
    peer: EntityId,
    id: RequestId,
    request: Bytes,
    deadline: Duration,
}

impl Open {
    fn start(
        &mut self,
        exchange: ExchangeId,
        peer: EntityId,
        id: RequestId,
        request: Bytes,
        deadline: Duration,
    ) {
        let waits = Waits {
            peer,
            id,
            request,
            deadline,
        };
        assert!(self.0.insert(exchange, waits).is_none(), "a number in use");
    }

    fn choose(&self, number: u8) -> Option<ExchangeId> {
        self.0
            .keys()
            .nth(usize::from(number) % self.0.len().max(1))
            .copied()
    }
}

impl Courier for Open {
    fn repeat(&mut self, exchange: ExchangeId, peer: &EntityId, request: &Bytes) {
        let waits = &self.0[&exchange];
        assert_eq!((&waits.peer, &waits.request), (peer, request));
    }

    fn fail(&mut self, exchange: ExchangeId, peer: &EntityId, _: Failure) {
        let waits = self.0.remove(&exchange).expect("each ends once");
        assert_eq!(waits.peer, *peer);
    }
}
