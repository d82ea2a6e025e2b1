//! Where every packet went.

/// Counts of packets; nothing vanishes uncounted, see [`Tally::in_flight`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Given to [`Net::send`](crate::Net::send).
    pub sent: u64,
    /// Made by the adversary or by [`Net::inject`](crate::Net::inject).
    pub injected: u64,
    /// Second copies made by links.
    pub duplicated: u64,
    /// Handed to their receivers.
    pub delivered: u64,
    /// Lost by links.
    pub lost: u64,
    /// Lost because the link was dead when they were sent.
    pub blacked_out: u64,
    /// Lost because they were larger than the link carries.
    pub oversized: u64,
    /// Taken out by the adversary.
    pub dropped: u64,
    /// Replaced by the adversary (and then carried on).
    pub replaced: u64,
    /// Changed by links (and then carried on).
    pub corrupted: u64,
    /// Held back by links, behind later ones.
    pub reordered: u64,
}

impl Tally {
    /// Packets that are still under way.
    ///
    /// This is the law of conservation: what came in, less what left in any way.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        let came = self.sent + self.injected + self.duplicated;
        came - self.delivered - self.lost - self.blacked_out - self.oversized - self.dropped
    }
}
