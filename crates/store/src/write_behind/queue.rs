use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use refpoint_keys::UtcTime;

use super::{Batching, Overloaded, Statistics};
use crate::{Change, Error};

/// What the callers and the writing thread share.
pub(super) struct Queue {
    batching: Batching,
    state: Mutex<State>,
    /// Tells the writer that there is something to do.
    work: Condvar,
    /// Tells who waits for a flush that something was done.
    done: Condvar,
}

#[derive(Default)]
struct State {
    changes: Vec<Change>,
    expire: Option<UtcTime>,
    /// When the oldest of `changes` came.
    since: Option<Instant>,
    /// Nobody waits for durability beyond the change of this number.
    flush_to: u64,
    stopping: bool,
    ended: bool,
    statistics: Statistics,
}

/// What the writer does next.
pub(super) struct Work {
    pub(super) changes: Vec<Change>,
    pub(super) expire: Option<UtcTime>,
}

impl Queue {
    pub(super) fn new(batching: Batching) -> Self {
        Self {
            batching,
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn submit(&self, change: Change) -> Result<(), Overloaded> {
        let mut state = self.state();
        let most = match change {
            Change::Issued { .. } => self.batching.capacity,
            Change::Gone(_) => 2 * self.batching.capacity,
        };
        if state.ended || state.statistics.waiting() >= most as u64 {
            state.statistics.refused += 1;
            return Err(Overloaded(change));
        }
        state.changes.push(change);
        state.statistics.submitted += 1;
        let first = state.since.is_none();
        if first {
            state.since = Some(Instant::now());
        }
        // Otherwise the writer is awake, or wakes when it has lingered.
        if first || state.changes.len() == self.batching.most {
            self.work.notify_one();
        }
        Ok(())
    }

    pub(super) fn expire(&self, now: UtcTime) {
        let mut state = self.state();
        state.expire = state.expire.max(Some(now));
        self.work.notify_one();
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.state().statistics.clone()
    }

    /// Waits until everything submitted so far is durable, or until writing it has failed.
    pub(super) fn flush(&self) -> Result<(), Error> {
        let mut state = self.state();
        let target = state.statistics.submitted;
        state.flush_to = state.flush_to.max(target);
        // An attempt that is under way may lack the newest changes.
        let failures = state.statistics.failures + 2;
        self.work.notify_one();
        loop {
            if state.statistics.durable >= target {
                return Ok(());
            }
            if state.ended {
                return Err(Error::Ended);
            }
            if state.statistics.failures >= failures {
                return Err(Error::Behind {
                    waiting: state.statistics.waiting(),
                    problem: state.statistics.problem.clone().unwrap_or_default(),
                });
            }
            state = self
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn stop(&self) {
        self.state().stopping = true;
        self.work.notify_one();
    }

    /// The next batch; `None` when the queue was stopped and is empty.
    pub(super) fn next(&self) -> Option<Work> {
        let mut state = self.state();
        loop {
            let Some(since) = state.since else {
                if let Some(expire) = state.expire.take() {
                    return Some(Work {
                        changes: Vec::new(),
                        expire: Some(expire),
                    });
                }
                if state.stopping {
                    return None;
                }
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let urgent = state.stopping
                || state.changes.len() >= self.batching.most
                || state.flush_to > state.statistics.durable;
            let left = self.batching.linger.saturating_sub(since.elapsed());
            if urgent || left.is_zero() {
                return Some(self.take(&mut state));
            }
            state = self.wait(state, left);
        }
    }

    fn take(&self, state: &mut State) -> Work {
        let more = state.changes.len() > self.batching.most;
        let rest = match more {
            true => state.changes.split_off(self.batching.most),
            false => Vec::new(),
        };
        state.since = more.then(Instant::now);
        Work {
            changes: core::mem::replace(&mut state.changes, rest),
            expire: state.expire.take(),
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.work.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// So many changes of a batch are durable.
    pub(super) fn written(&self, changes: usize, skipped: usize) {
        let mut state = self.state();
        state.statistics.durable += changes as u64;
        state.statistics.skipped += skipped as u64;
        state.statistics.batches += 1;
        state.statistics.problem = None;
        self.done.notify_all();
    }

    /// Writing failed: waits before the next attempt, unless somebody waits for it. Whether to
    /// give up: the queue was stopped, and it has failed before.
    pub(super) fn failed(&self, error: &Error, attempts: u32) -> bool {
        let mut state = self.state();
        state.statistics.failures += 1;
        state.statistics.problem = Some(error.to_string());
        self.done.notify_all();
        let give_up = |state: &State| state.stopping && attempts >= 2;
        if give_up(&state) {
            return true;
        }
        let until = Instant::now() + self.batching.pause(attempts);
        let mut asked = state.flush_to;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.stopping || asked < state.flush_to {
                return false;
            }
            asked = state.flush_to;
            state = self.wait(state, left);
        }
    }

    /// The writer has ended: nobody waits for it any more. How many changes it has not written.
    pub(super) fn end(&self) -> u64 {
        let mut state = self.state();
        state.ended = true;
        self.done.notify_all();
        state.statistics.waiting()
    }
}
