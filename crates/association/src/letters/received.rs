use alloc::vec::Vec;

/// Which records of one epoch were received: exactly, as ranges, however deep the mailbox is.
///
/// What arrives in order is one range. Every record that is still missing splits one, so their
/// number is bounded by what can be on its way; beyond that the oldest gap is given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Half-open, ascending, never touching, from the epoch's start.
    ranges: Vec<(u32, u32)>,
}

impl Received {
    /// Whether the record was not received before.
    pub(crate) fn admits(&self, number: u32) -> bool {
        let after = self.ranges.partition_point(|(start, _)| *start <= number);
        let before = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        before.is_none_or(|(_, end)| *end <= number)
    }

    /// Marks a record that [`admits`](Self::admits) let pass and that opened.
    pub(crate) fn mark(&mut self, number: u32, depth: usize) {
        let at = self.ranges.partition_point(|(start, _)| *start <= number);
        let joins_before = at
            .checked_sub(1)
            .is_some_and(|at| self.ranges[at].1 == number);
        let joins_after = self
            .ranges
            .get(at)
            .is_some_and(|(start, _)| *start == number + 1);
        match (joins_before, joins_after) {
            (true, true) => self.ranges[at - 1].1 = self.ranges.remove(at).1,
            (true, false) => self.ranges[at - 1].1 = number + 1,
            (false, true) => self.ranges[at].0 = number,
            (false, false) => self.ranges.insert(at, (number, number + 1)),
        }
        while self.ranges.len() > depth.max(1) {
            self.ranges[0].1 = self.ranges.remove(1).1;
        }
    }

    pub(crate) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// The set with these ranges, if they are ones.
    pub(crate) fn from_ranges(ranges: Vec<(u32, u32)>) -> Option<Self> {
        let proper = ranges.iter().all(|(start, end)| start < end);
        let apart = ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
        (proper && apart).then_some(Self { ranges })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_agree_with_a_set_of_all_that_was_received(
            numbers in proptest::collection::vec(0..200_u32, 1..300),
        ) {
            let (mut received, mut all) = (Received::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(received.admits(number), !all.contains(&number));
                if all.insert(number) {
                    received.mark(number, usize::MAX);
                }
                let again = Received::from_ranges(received.ranges().to_vec());
                prop_assert_eq!(again.as_ref(), Some(&received));
            }
        }

        #[test]
        fn a_bounded_set_admits_nothing_twice(
            numbers in proptest::collection::vec(0..500_u32, 1..300),
            depth in 1..8_usize,
        ) {
            let (mut received, mut all) = (Received::default(), BTreeSet::new());
            for number in numbers {
                if received.admits(number) {
                    prop_assert!(all.insert(number));
                    received.mark(number, depth);
                }
                prop_assert!(received.ranges().len() <= depth);
            }
        }
    }
}
