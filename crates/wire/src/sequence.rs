use crate::Error;

/// The number of a record in its direction: 64 bits, from 0, never reset and never reused.
///
/// On datagrams only its low 16 or 32 bits travel; [`Sequence::expand`] finds the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(u64);

impl Sequence {
    /// The first of a direction.
    pub const FIRST: Self = Self(0);
    /// The last: 2^62 - 1 keeps every computation below away from an overflow.
    pub const LAST: Self = Self((1 << 62) - 1);

    /// The sequence with this number.
    ///
    /// # Errors
    /// [`Error::Range`] beyond [`Sequence::LAST`].
    pub const fn new(number: u64) -> Result<Self, Error> {
        if number <= Self::LAST.0 {
            Ok(Self(number))
        } else {
            Err(Error::Range("sequence"))
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one after it.
    ///
    /// # Errors
    /// [`Error::Range`] after the last: a sequence never wraps.
    pub const fn next(self) -> Result<Self, Error> {
        Self::new(self.0 + 1)
    }

    /// The sequence nearest to `expected` whose low `bits` bits (16 or 32) are `low`, as in
    /// RFC 9000, appendix A.3.
    #[must_use]
    pub const fn expand(low: u32, bits: u32, expected: u64) -> Option<Self> {
        let (window, half) = (1_u64 << bits, 1_u64 << (bits - 1));
        let candidate = expected & !(window - 1) | low as u64;
        let number = if candidate + half <= expected {
            candidate + window
        } else if candidate > expected + half && candidate >= window {
            candidate - window
        } else {
            candidate
        };
        if number <= Self::LAST.0 {
            Some(Self(number))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn expansion_finds_every_sequence_within_half_a_window(
            expected in 0..Sequence::LAST.0 - (1 << 33),
            distance in -(1_i64 << 15) + 1..(1_i64 << 15),
        ) {
            let number = expected as i64 + distance;
            prop_assume!(number >= 0);
            let found = Sequence::expand(number as u32 & 0xffff, 16, expected);
            prop_assert_eq!(found.map(Sequence::number), Some(number as u64));
        }

        #[test]
        fn wide_expansion_reaches_two_thousand_million_records(
            expected in 0..Sequence::LAST.0 - (1 << 33),
            distance in -(1_i64 << 31) + 1..(1_i64 << 31),
        ) {
            let number = expected as i64 + distance;
            prop_assume!(number >= 0);
            let found = Sequence::expand(number as u32, 32, expected);
            prop_assert_eq!(found.map(Sequence::number), Some(number as u64));
        }
    }
}
