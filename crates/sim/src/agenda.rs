//! What is due when, for millions of things at a time.

use core::mem;

/// A queue of numbers by the time at which each is due: a radix heap, sixteen bytes an entry.
///
/// Time only goes on: what is due before the time that was reached last is due at once. The order
/// of what is due at the same time is repeatable but means nothing.
///
/// ```
/// use refpoint_sim::Agenda;
///
/// let mut agenda = Agenda::default();
/// agenda.push(20, 1);
/// agenda.push(10, 2);
/// assert_eq!(agenda.pop(), Some((10, 2)));
/// agenda.push(5, 3);
/// assert_eq!(agenda.pop(), Some((10, 3)));
/// assert_eq!(agenda.pop(), Some((20, 1)));
/// assert_eq!(agenda.pop(), None);
/// ```
#[derive(Debug)]
pub struct Agenda {
    now: u64,
    len: usize,
    /// Bucket 0 holds what is due now, bucket `n` what differs from now first in bit `n - 1`.
    buckets: Vec<Vec<(u64, u32)>>,
    moving: Vec<(u64, u32)>,
}

impl Default for Agenda {
    fn default() -> Self {
        Self {
            now: 0,
            len: 0,
            buckets: (0..=u64::BITS).map(|_| Vec::new()).collect(),
            moving: Vec::new(),
        }
    }
}

impl Agenda {
    /// Puts `what` on the agenda for `at`.
    pub fn push(&mut self, at: u64, what: u32) {
        let at = at.max(self.now);
        self.len += 1;
        self.file(at, what);
    }

    /// Takes what is due next, and when.
    pub fn pop(&mut self) -> Option<(u64, u32)> {
        let first = self.buckets.iter().position(|bucket| !bucket.is_empty())?;
        if first > 0 {
            mem::swap(&mut self.moving, &mut self.buckets[first]);
            self.now = self.moving.iter().map(|(at, _)| *at).min()?;
            while let Some((at, what)) = self.moving.pop() {
                self.file(at, what);
            }
            // What was full once need not be again.
            if self.moving.capacity() > 1 << 16 {
                self.moving = Vec::new();
            }
        }
        self.len -= 1;
        self.buckets[0].pop()
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn file(&mut self, at: u64, what: u32) {
        let bucket = u64::BITS - (at ^ self.now).leading_zeros();
        self.buckets[bucket as usize].push((at, what));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Entropy;

    #[test]
    fn entries_come_in_the_order_of_an_ordinary_queue() {
        let mut entropy = Entropy::new(1, "agenda");
        let (mut agenda, mut ordinary) = (Agenda::default(), BTreeSet::new());
        let mut now = 0;
        for what in 0..20_000 {
            let at = now + entropy.below(1 << (what % 40));
            agenda.push(at, what);
            ordinary.insert((at, what));
            if entropy.below(3) > 0 {
                let (at, what) = agenda.pop().unwrap();
                assert_eq!(ordinary.first().map(|(at, _)| *at), Some(at));
                assert!(ordinary.remove(&(at, what)));
                now = at;
            }
        }
        assert_eq!(agenda.len(), ordinary.len());
        while let Some((at, what)) = agenda.pop() {
            assert_eq!(ordinary.first().map(|(at, _)| *at), Some(at));
            assert!(ordinary.remove(&(at, what)));
        }
        assert!(agenda.is_empty() && ordinary.is_empty());
    }
}
