use self::load::Load;

mod load;
#[cfg(test)]
mod tests;
mod window;

pub use window::Window;

/// Whether an association is the first after a restart or a renewed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing came before it: as many may have begun in the same minute, its first renewal may lie
    /// anywhere from a twentieth of its admissible time on.
    First,
    /// It renews another: late in its admissible time, so that there are few renewals.
    Later,
}

/// The responder's part of renewals: whose window lies where, so that renewals stay flat.
///
/// Time is cut into bins. A new association gets the bin in which the fewest renewals are planned,
/// the last of several. So after a mass restart renewals fill their time like water, and stay flat
/// from then on, since each renewal goes to the bin that just came into reach.
///
/// ```text
///             a life of L, seen from its beginning
///   ├─┬──────────────────────────┬───────┬──┼───────────────────────────┤
///   0 │◀────────── First ────────┼──────▶│ L/2: 'renew now'            L
///    L/40                       3L/10  9L/20
///                                │◀Later▶│
/// ```
///
/// Windows end a tenth before half of the life (rule L2), so that a clock that runs a tenth slow is
/// still in time. What is planned beyond the horizon, at bins times their number, is brought inside.
#[derive(Debug)]
pub struct RenewalPlan {
    bin: u64,
    load: Load,
}

impl Default for RenewalPlan {
    /// Bins of ten seconds, a horizon of 45 hours: 128 kB.
    fn default() -> Self {
        Self::new(10_000, 1 << 14)
    }
}

impl RenewalPlan {
    /// A plan with `bins` bins (a power of two, else rounded up) of `bin` milliseconds.
    #[must_use]
    pub fn new(bin: u64, bins: usize) -> Self {
        Self {
            bin: bin.max(1),
            load: Load::new(bins),
        }
    }

    /// Plans the renewal of an association that begins at `now` and lives for `life`, both in
    /// milliseconds.
    #[must_use]
    pub fn plan(&mut self, now: u64, life: u64, turn: Turn) -> Window {
        let half = life / 2;
        let earliest = match turn {
            Turn::First => half / 20,
            Turn::Later => half / 10 * 6,
        };
        self.least(
            now,
            now.saturating_add(earliest),
            now.saturating_add(half / 10 * 9),
        )
    }

    /// Moves a renewal into the next `span` milliseconds; 0 means at once.
    #[must_use]
    pub fn hasten(&mut self, now: u64, planned: Window, span: u64) -> Window {
        self.release(now, planned);
        if span < self.bin {
            return Window::new(now, span);
        }
        self.least(now, now, now.saturating_add(span))
    }

    /// Takes out the renewal of an association that ended early.
    pub fn release(&mut self, now: u64, planned: Window) {
        self.load.advance(now / self.bin);
        let bin = planned.from() / self.bin;
        self.load.change(bin, |load| load.saturating_sub(1));
    }

    /// How many renewals are planned for the bin that `at` lies in.
    #[must_use]
    pub fn planned(&self, at: u64) -> u32 {
        self.load.at(at / self.bin)
    }

    /// The least loaded bin that lies wholly between two times, or all of that time if none does.
    fn least(&mut self, now: u64, from: u64, to: u64) -> Window {
        let first = now / self.bin;
        self.load.advance(first);
        let last = first.saturating_add(self.load.bins() - 1);
        let low = from.div_ceil(self.bin).min(last);
        let high = (to / self.bin).saturating_sub(1).min(last);
        if low > high {
            let inside = Window::new(from, to.saturating_sub(from));
            self.load
                .change(from / self.bin, |load| load.saturating_add(1));
            return inside;
        }
        let bin = self.load.least(low, high);
        self.load.change(bin, |load| load.saturating_add(1));
        Window::new(bin * self.bin, self.bin)
    }
}
