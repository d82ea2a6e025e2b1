use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use rand_core::CryptoRng;
use refpoint_wire::Index;

use super::{association::Association, config::slot_bits};

/// Slots to a page. Pages never move, so that growing leaves no copies of secrets behind.
const PAGE: usize = 64;

/// What an index leads to.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every slot holds an association, and a box would cost each of them 24 bytes"
)]
pub(crate) enum Slot {
    /// Nothing; its last index, so that the next one differs.
    Free(u32),
    /// One try of a handshake that this end has started.
    Trying { attempt: u64, index: Index },
    /// An association.
    Held(Association),
}

/// All associations and tries of an end point, found by index without a search.
///
/// An index is a slot's number in its low bits and random bits above, as many as are left. A slot
/// rests before it is used again, until no packet for its last index can be on the way.
#[derive(Debug)]
pub(crate) struct Slots {
    pages: Vec<Box<[Slot]>>,
    /// Free slots, the longest free first, and from when they may be used.
    free: VecDeque<(u32, u64)>,
    index_len: u8,
    held: usize,
}

/// How long a slot rests, in milliseconds: drain and reorder time.
const REST: u64 = 20_000;

impl Slots {
    pub(crate) const fn new(index_len: u8) -> Self {
        Self {
            pages: Vec::new(),
            free: VecDeque::new(),
            index_len,
            held: 0,
        }
    }

    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// An index for a new entry, whose slot is then filled by [`put`](Self::put).
    pub(crate) fn reserve(&mut self, now: u64, rng: &mut dyn CryptoRng) -> Option<Index> {
        let bits = slot_bits(self.index_len);
        let slots = self.pages.len() * PAGE;
        let rested = self.free.front().is_some_and(|(_, from)| *from <= now);
        if !rested {
            if slots + PAGE > 1 << bits {
                return None;
            }
            self.pages
                .push((0..PAGE).map(|_| Slot::Free(u32::MAX)).collect());
            self.free
                .extend((slots..slots + PAGE).map(|slot| (slot as u32, 0)));
            // New slots come first: they have rested for ever.
            self.free.rotate_right(PAGE);
        }
        let (slot, _) = self.free.pop_front()?;
        let spare = 8 * u32::from(self.index_len) - bits;
        let mut random = [0; 4];
        rng.fill_bytes(&mut random);
        let mut upper = u32::from_be_bytes(random) & ((1_u32 << spare) - 1);
        let last = match self.slot(slot) {
            Some(Slot::Free(last)) => *last,
            _ => return None,
        };
        if last == upper << bits | slot && spare > 0 {
            upper = (upper + 1) & ((1 << spare) - 1);
        }
        self.held += 1;
        Index::new(upper << bits | slot, self.index_len).ok()
    }

    pub(crate) const fn number(&self, index: Index) -> u32 {
        index.value() & ((1 << slot_bits(self.index_len)) - 1)
    }

    /// Fills a slot that was reserved, or changes what it holds.
    pub(crate) fn put(&mut self, index: Index, content: Slot) {
        let number = self.number(index);
        if let Some(slot) = self.slot_mut(number) {
            *slot = content;
        }
    }

    /// Empties a slot; it rests from now on.
    pub(crate) fn free(&mut self, index: Index, now: u64) {
        let number = self.number(index);
        if let Some(slot) = self.slot_mut(number) {
            *slot = Slot::Free(index.value());
            self.free.push_back((number, now + REST));
            self.held -= 1;
        }
    }

    pub(crate) fn slot(&self, number: u32) -> Option<&Slot> {
        self.pages
            .get(number as usize / PAGE)?
            .get(number as usize % PAGE)
    }

    pub(crate) fn slot_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.pages
            .get_mut(number as usize / PAGE)?
            .get_mut(number as usize % PAGE)
    }

    /// The association in this slot.
    pub(crate) fn association(&self, number: u32) -> Option<&Association> {
        match self.slot(number)? {
            Slot::Held(association) => Some(association),
            Slot::Free(_) | Slot::Trying { .. } => None,
        }
    }

    /// The association in this slot.
    pub(crate) fn association_mut(&mut self, number: u32) -> Option<&mut Association> {
        match self.slot_mut(number)? {
            Slot::Held(association) => Some(association),
            Slot::Free(_) | Slot::Trying { .. } => None,
        }
    }

    /// The slot to which a packet with this index is addressed.
    pub(crate) fn addressed(&self, index: Index) -> Option<u32> {
        let number = self.number(index);
        let own = match self.slot(number)? {
            Slot::Free(_) => return None,
            Slot::Trying { index, .. } => *index,
            Slot::Held(association) => association.index,
        };
        (own == index).then_some(number)
    }

    /// The numbers of all slots that hold associations.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        let slots = self.pages.iter().flat_map(|page| page.iter());
        let held = slots
            .enumerate()
            .filter(|(_, slot)| matches!(slot, Slot::Held(_)));
        held.map(|(number, _)| number as u32)
    }
}
