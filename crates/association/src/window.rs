/// The replay window (rule R4): which of the last 128 sequences of an epoch have been received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// One above the highest received; 0 while nothing was.
    next: u64,
    /// Bit n: `next - 1 - n` was received. Two words, not a `u128`, whose alignment would cost
    /// every association eight bytes.
    seen: [u64; 2],
}

impl Window {
    /// How many sequences it remembers.
    pub(crate) const SIZE: u64 = 128;

    pub(crate) const fn new() -> Self {
        Self {
            next: 0,
            seen: [0; 2],
        }
    }

    /// The window of an epoch whose first sequence is `first`: nothing below it is awaited.
    pub(crate) const fn starting_at(first: u64) -> Self {
        Self {
            next: first,
            seen: [u64::MAX; 2],
        }
    }

    /// One above the highest received.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Whether `sequence` was not received before and is not too old to tell.
    pub(crate) const fn admits(&self, sequence: u64) -> bool {
        if sequence >= self.next {
            return true;
        }
        let age = self.next - 1 - sequence;
        age < Self::SIZE && self.seen[(age / 64) as usize] >> (age % 64) & 1 == 0
    }

    /// Marks `sequence`, which [`admits`](Self::admits) let pass and which opened.
    pub(crate) fn mark(&mut self, sequence: u64) {
        let seen = u128::from(self.seen[1]) << 64 | u128::from(self.seen[0]);
        let seen = if sequence >= self.next {
            let shift = sequence + 1 - self.next;
            self.next = sequence + 1;
            u32::try_from(shift)
                .ok()
                .and_then(|shift| seen.checked_shl(shift))
                .unwrap_or(0)
                | 1
        } else {
            seen | 1 << (self.next - 1 - sequence).min(127)
        };
        self.seen = [seen as u64, (seen >> 64) as u64];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set_of_all_that_was_received(
            jumps in proptest::collection::vec(-200_i64..300, 1..400),
        ) {
            let (mut window, mut received) = (Window::default(), BTreeSet::new());
            for jump in jumps {
                let sequence = window.next().saturating_add_signed(jump);
                let highest = received.last().copied();
                let too_old = highest.is_some_and(|highest: u64| sequence + Window::SIZE <= highest);
                let fresh = !too_old && !received.contains(&sequence);
                prop_assert_eq!(window.admits(sequence), fresh);
                if fresh {
                    window.mark(sequence);
                    received.insert(sequence);
                }
            }
        }
    }
}
