//! The ledger of duplicates against a naive model.

use core::time::Duration;
use std::collections::BTreeMap;

use refpoint_keys::EntityId;
use refpoint_primitive::{
    Bytes, Failure, Ledger, LedgerKey, LedgerLimits, Receipt, RequestDigest, RequestId, Ticket,
};

use crate::Input;

/// Every request is executed at most once while it is kept, and a repetition gets its answer.
///
/// A byte that chooses limits, then operations of a byte each with their arguments. With ample
/// limits every receipt is the model's; with scarce ones, nothing pending is ever executed again.
pub fn primitive_ledger(data: &[u8]) {
    let mut input = Input::new(data);
    let ample = input.byte().is_multiple_of(2);
    let limits = if ample {
        LedgerLimits::default()
    } else {
        LedgerLimits {
            requests_per_entity: 3,
            requests: 5,
            answers_per_entity: 16,
            answers: 24,
            ..LedgerLimits::default()
        }
    };
    let mut run = Run {
        ample,
        limits,
        ledger: Ledger::new(limits),
        ..Run::default()
    };
    while !input.is_empty() {
        match input.byte() % 6 {
            0..=2 => run.receive(&mut input),
            3 => run.settle(&mut input),
            4 => run.abandon(&mut input),
            _ => run.now += Duration::from_secs(input.byte().into()),
        }
        run.check();
    }
}

type Key = (u8, u8, u8);

struct Run {
    ample: bool,
    limits: LedgerLimits,
    ledger: Ledger,
    now: Duration,
    kept: BTreeMap<Key, Kept>,
    tickets: Vec<(Key, u64, Ticket)>,
    executions: u64,
}

struct Kept {
    digest: u8,
    until: Duration,
    execution: u64,
    answer: Option<Bytes>,
}

impl Default for Run {
    fn default() -> Self {
        let limits = LedgerLimits::default();
        Self {
            ample: true,
            limits,
            ledger: Ledger::new(limits),
            now: Duration::ZERO,
            kept: BTreeMap::new(),
            tickets: Vec::new(),
            executions: 0,
        }
    }
}

impl Run {
    fn receive(&mut self, input: &mut Input<'_>) {
        let key = (input.byte() % 3, input.byte() % 3, input.byte() % 4);
        let (digest, seconds) = (input.byte() % 2, u64::from(input.byte()) * 4);
        let receipt = self.ask(key, digest, seconds);

        let now = self.now;
        self.kept.retain(|_, kept| kept.until > now);
        let known = self.kept.get(&key);
        match (&receipt, known) {
            (Receipt::Execute(_), Some(kept)) => {
                assert!(!self.ample && kept.answer.is_some(), "executed twice");
            }
            (Receipt::Pending, known) => {
                let pending =
                    known.is_some_and(|kept| kept.answer.is_none() && kept.digest == digest);
                assert!(pending, "pending, but never begun");
            }
            (Receipt::Repeat(answer), known) => {
                let same = known.is_some_and(|kept| {
                    kept.answer.as_ref() == Some(answer) && kept.digest == digest
                });
                assert!(same, "an answer to something else");
            }
            (Receipt::Refuse(Failure::DuplicateConflict), known) => {
                assert!(known.is_some_and(|kept| kept.digest != digest));
            }
            (Receipt::Refuse(Failure::Expired), known) => {
                assert_eq!(seconds, 0);
                assert!(known.is_none_or(|kept| !self.ample && kept.answer.is_some()));
            }
            (Receipt::Refuse(failure), _) => {
                let scarce = matches!(failure, Failure::QueueFull | Failure::AnswerGone);
                assert!(scarce && !self.ample, "{failure:?}");
            }
            (Receipt::Execute(_), None) => {}
        }
        if self.ample && known.is_none() && seconds > 0 {
            assert!(
                matches!(receipt, Receipt::Execute(_)),
                "a new request was not executed"
            );
        }
        if let Receipt::Execute(ticket) = receipt {
            self.executions += 1;
            let kept =
                Duration::from_secs(seconds).clamp(Duration::from_secs(247), self.limits.longest);
            let until = now + kept;
            let execution = self.executions;
            self.kept.insert(
                key,
                Kept {
                    digest,
                    until,
                    execution,
                    answer: None,
                },
            );
            self.tickets.push((key, execution, ticket));
        }
    }

    fn ask(&mut self, (entity, from, id): Key, digest: u8, seconds: u64) -> Receipt {
        let entity = EntityId::parse(&format!("//sp.example.com/S{entity}")).expect("a valid id");
        let from = [None, Some("Ca"), Some("Cb")][usize::from(from)];
        let request_id = RequestId::new(&id.to_string()).expect("a valid request id");
        let key = LedgerKey {
            entity: &entity,
            from,
            request_id: &request_id,
        };
        let expires_in = Some(Duration::from_secs(seconds));
        self.ledger
            .receive(self.now, &key, RequestDigest::of(&[digest]), expires_in)
    }

    fn settle(&mut self, input: &mut Input<'_>) {
        let Some((key, execution, ticket)) = self.ticket(input) else {
            return;
        };
        let answer = Bytes::from(vec![input.byte(); usize::from(input.byte() % 20)]);
        self.ledger.settle(ticket, answer.clone());
        if let Some(kept) = self
            .kept
            .get_mut(&key)
            .filter(|kept| kept.execution == execution)
        {
            kept.answer = Some(answer);
        }
    }

    fn abandon(&mut self, input: &mut Input<'_>) {
        let Some((key, execution, ticket)) = self.ticket(input) else {
            return;
        };
        self.ledger.abandon(ticket);
        if self
            .kept
            .get(&key)
            .is_some_and(|kept| kept.execution == execution)
        {
            self.kept.remove(&key);
        }
    }

    fn ticket(&mut self, input: &mut Input<'_>) -> Option<(Key, u64, Ticket)> {
        let chosen = usize::from(input.byte());
        (!self.tickets.is_empty()).then(|| self.tickets.swap_remove(chosen % self.tickets.len()))
    }

    fn check(&mut self) {
        assert!(self.ledger.len() <= self.limits.requests);
        assert_eq!(self.ledger.is_empty(), self.ledger.next_timeout().is_none());
        self.ledger.handle_timeout(self.now);
        assert!(
            self.ledger.next_timeout().is_none_or(|at| at > self.now),
            "it does not move on"
        );
    }
}
