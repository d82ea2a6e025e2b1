use alloc::vec::Vec;
use core::num::NonZeroU16;

use crate::Error;

/// How much longer than needed what is sealed becomes, so that its size tells less.
///
/// Padding is `80 00 .. 00` after the content, inside what is sealed. Without padding there is not
/// even the `80`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// None: an eavesdropper sees the exact size.
    #[default]
    None,
    /// To the next multiple of so many bytes: within a bucket, sizes look alike.
    Multiple(NonZeroU16),
    /// To a length with few significant bits (Padmé, Nikitin et al., PETS 2019): at most 12 % more,
    /// and of a size of n bytes only O(log log n) bits are told.
    Padme,
}

impl Padding {
    /// Whether anything is appended.
    pub(crate) fn is_used(self) -> bool {
        self != Self::None
    }

    /// The length that so many bytes get, the `80` included.
    #[must_use]
    pub fn padded_len(self, len: usize) -> usize {
        match self {
            Self::None => len,
            Self::Multiple(size) => (len + 1).next_multiple_of(usize::from(size.get())),
            Self::Padme => padme(len + 1),
        }
    }

    /// Pads what `content` holds from `start` on.
    pub(crate) fn pad(self, content: &mut Vec<u8>, start: usize) {
        if self.is_used() {
            let padded = start + self.padded_len(content.len() - start);
            content.push(0x80);
            content.resize(padded, 0);
        }
    }
}

/// `len` with all but its highest bits rounded up: exponent e, then log2(e) + 1 bits of mantissa.
fn padme(len: usize) -> usize {
    let Some(exponent) = len.checked_ilog2().filter(|exponent| *exponent > 0) else {
        return len;
    };
    let kept = exponent.ilog2() + 1;
    let mask = (1_usize << exponent.saturating_sub(kept)) - 1;
    (len + mask) & !mask
}

/// The length of the content before its padding.
pub(crate) fn unpadded_len(padded: &[u8]) -> Result<usize, Error> {
    let end = padded.iter().rposition(|byte| *byte != 0);
    match end.map(|end| (end, padded[end])) {
        Some((end, 0x80)) => Ok(end),
        _ => Err(Error::Malformed("padding")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn multiple(size: u16) -> Padding {
        Padding::Multiple(NonZeroU16::new(size).expect("not zero"))
    }

    #[test]
    fn padme_gives_the_lengths_of_its_paper() {
        // e = 6: 3 bits of mantissa are kept; e = 9: 4 bits; e = 13: 4 bits.
        let lengths = [
            (1, 1),
            (2, 2),
            (9, 10),
            (100, 104),
            (1000, 1024),
            (9_999, 10_240),
        ];
        for (len, padded) in lengths {
            assert_eq!(padme(len), padded, "{len}");
        }
    }

    #[test]
    fn buckets_hide_sizes_within_them() {
        let padded = |len| multiple(64).padded_len(len);
        assert_eq!([padded(0), padded(63), padded(64)], [64, 64, 128]);
    }

    #[test]
    fn what_is_no_padding_is_refused() {
        for bytes in [&[][..], &[0, 0], &[0x80, 1], &[0x81, 0]] {
            assert_eq!(unpadded_len(bytes), Err(Error::Malformed("padding")));
        }
    }

    proptest! {
        #[test]
        fn padding_comes_off_again_and_padme_costs_at_most_an_eighth(
            content in proptest::collection::vec(any::<u8>(), 0..2_000),
            size in 1..512_u16,
        ) {
            for padding in [multiple(size), Padding::Padme] {
                let mut padded = content.clone();
                padding.pad(&mut padded, 0);
                prop_assert_eq!(padded.len(), padding.padded_len(content.len()));
                prop_assert_eq!(unpadded_len(&padded), Ok(content.len()));
            }
            let padded = Padding::Padme.padded_len(content.len());
            prop_assert!(padded <= content.len() + 1 + (content.len() + 1) / 8);
        }
    }
}
