use alloc::{vec, vec::Vec};

/// How many renewals are planned for each bin of time from now on, with the least loaded bin of a
/// range found in logarithmic time: a ring of bins below a tree of minima.
#[derive(Debug)]
pub(super) struct Load {
    /// The number of bins, a power of two; bin `n` of all time lies at `n` modulo this.
    bins: usize,
    /// Node 1 is the root, the children of `i` are `2 i` and `2 i + 1`, the bins come last.
    tree: Vec<u32>,
    /// The first bin that is not over.
    first: u64,
}

impl Load {
    /// Nothing planned; `bins` is rounded up to a power of two.
    pub(super) fn new(bins: usize) -> Self {
        let bins = bins.clamp(2, 1 << 24).next_power_of_two();
        Self {
            bins,
            tree: vec![0; 2 * bins],
            first: 0,
        }
    }

    pub(super) const fn bins(&self) -> u64 {
        self.bins as u64
    }

    /// Forgets the bins before `first`.
    pub(super) fn advance(&mut self, first: u64) {
        if first.saturating_sub(self.first) >= self.bins() {
            self.tree.fill(0);
        } else {
            for bin in self.first..first {
                self.set(bin, 0);
            }
        }
        self.first = self.first.max(first);
    }

    pub(super) fn at(&self, bin: u64) -> u32 {
        let known = bin >= self.first && bin - self.first < self.bins();
        if known { self.tree[self.leaf(bin)] } else { 0 }
    }

    /// Changes a bin's load by what `change` makes of it; bins outside of the ring have none.
    pub(super) fn change(&mut self, bin: u64, change: impl FnOnce(u32) -> u32) {
        if bin >= self.first && bin - self.first < self.bins() {
            let load = change(self.tree[self.leaf(bin)]);
            self.set(bin, load);
        }
    }

    /// The least loaded bin from `from` to `to`, both inside the ring; the last of several.
    pub(super) fn least(&self, from: u64, to: u64) -> u64 {
        let (low, high) = (self.leaf(from), self.leaf(to));
        let leaf = if low <= high {
            self.least_leaf(low, high)
        } else {
            let early = self.least_leaf(low, 2 * self.bins - 1);
            let late = self.least_leaf(self.bins, high);
            if self.tree[late] <= self.tree[early] {
                late
            } else {
                early
            }
        };
        let distance = (leaf + self.bins - low) % self.bins;
        from + distance as u64
    }

    const fn leaf(&self, bin: u64) -> usize {
        self.bins + (bin % self.bins as u64) as usize
    }

    fn set(&mut self, bin: u64, load: u32) {
        let mut node = self.leaf(bin);
        self.tree[node] = load;
        while node > 1 {
            node /= 2;
            self.tree[node] = self.tree[2 * node].min(self.tree[2 * node + 1]);
        }
    }

    /// The last least leaf between two leaves: of the nodes that cover the range, the last least
    /// one, and down from there.
    fn least_leaf(&self, low: usize, high: usize) -> usize {
        let (mut low, mut high) = (low, high + 1);
        // Nodes on the right edge come from the last to the first, on the left edge the other way.
        let (mut left, mut right) = (None::<usize>, None::<usize>);
        while low < high {
            if low % 2 == 1 {
                left = match left {
                    Some(best) if self.tree[best] < self.tree[low] => Some(best),
                    _ => Some(low),
                };
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                right = match right {
                    Some(best) if self.tree[best] <= self.tree[high] => Some(best),
                    _ => Some(high),
                };
            }
            low /= 2;
            high /= 2;
        }
        let mut node = match (left, right) {
            (Some(left), Some(right)) if self.tree[right] <= self.tree[left] => right,
            (Some(left), _) => left,
            (None, right) => right.unwrap_or(1),
        };
        while node < self.bins {
            let right = 2 * node + 1;
            node = if self.tree[right] == self.tree[node] {
                right
            } else {
                right - 1
            };
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_least_bin_is_that_of_a_search_through_all(
            start in 0_u64..200,
            loads in prop::collection::vec(0_u32..4, 64),
            from in 0_u64..64,
            span in 0_u64..64,
        ) {
            let mut load = Load::new(64);
            load.advance(start);
            for (bin, planned) in loads.iter().enumerate() {
                load.change(start + bin as u64, |_| *planned);
            }
            let to = (from + span).min(63);
            let naive = (from..=to).rev().min_by_key(|bin| loads[*bin as usize]);
            prop_assert_eq!(load.least(start + from, start + to), start + naive.unwrap_or(from));
        }

        #[test]
        fn bins_that_are_over_are_empty_when_they_come_round_again(
            step in 1_u64..200, planned in prop::collection::vec(0_u64..64, 1..50),
        ) {
            let mut load = Load::new(64);
            for bin in &planned {
                load.change(*bin, |load| load + 1);
            }
            load.advance(step);
            for bin in step..step + 64 {
                let left = planned.iter().filter(|planned| **planned == bin).count();
                prop_assert_eq!(load.at(bin) as usize, left);
            }
        }
    }
}
