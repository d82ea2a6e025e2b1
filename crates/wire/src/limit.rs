/// A limit as one logarithmic byte: two bits of mantissa over a power of two.
///
/// ```text
/// value(q) = floor((4 + q mod 4) * 2^(q div 4) / 4)
/// ```
///
/// It reaches from 1 to 7 * 2^61 in steps of at most a quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogLimit(u8);

impl LogLimit {
    /// The largest limit that is not above `value`; at least 1.
    #[must_use]
    pub const fn at_most(value: u64) -> Self {
        if value < 4 {
            // 1, 2 (from 4), 3 (from 6) are the only values below 4.
            return Self(match value {
                0 | 1 => 0,
                2 => 4,
                _ => 6,
            });
        }
        let exponent = 63 - value.leading_zeros() as u8;
        let mantissa = (value >> (exponent - 2)) as u8 & 0b11;
        Self(exponent << 2 | mantissa)
    }

    /// The limit with this code.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// Its code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Its value.
    #[must_use]
    pub const fn value(self) -> u64 {
        (((4 + (self.0 & 0b11) as u128) << (self.0 >> 2)) >> 2) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_code_survives_a_round_trip_through_its_value() {
        for code in 0..=u8::MAX {
            let value = LogLimit::from_code(code).value();
            assert_eq!(LogLimit::at_most(value).value(), value, "code {code}");
        }
    }

    proptest! {
        #[test]
        fn a_limit_is_never_rounded_up_and_loses_at_most_a_fifth(value in 1..u64::MAX) {
            let limit = LogLimit::at_most(value).value();
            prop_assert!(limit <= value);
            prop_assert!(limit >= value - value / 5 - 1);
        }
    }
}
