//! Points in time as primitives write them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::time::Duration;

use refpoint_keys::UtcTime;

use crate::Error;

/// A point in time (TS-0004, m2m:absRelTimestamp): absolute in UTC, such as `20141003T112032` with or without
/// `,123456`, or a count of milliseconds from now on. Its text is kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Timestamp {
    text: String,
    instant: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Instant {
    Absolute(UtcTime),
    Relative(Duration),
}

impl Timestamp {
    /// The longest text, in bytes.
    pub const MAX: usize = 32;

    /// Reads a timestamp, absolute or relative; `field` is what an error names.
    ///
    /// # Errors
    /// [`Error`] that names `field` when the text is neither.
    pub fn new(text: &str, field: &'static str) -> Result<Self, Error> {
        Error::within(text.len(), Self::MAX, field)?;
        let instant = absolute(text)
            .map(Instant::Absolute)
            .or_else(|| relative(text).map(Instant::Relative))
            .ok_or(Error::invalid(
                field,
                "write yyyymmddThhmmss in utc, or milliseconds",
            ))?;
        Ok(Self {
            text: text.to_owned(),
            instant,
        })
    }

    /// The text as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How long it is until then; zero when it is past, `None` when an absolute time meets an end without a clock.
    #[must_use]
    pub fn remaining(&self, utc: Option<UtcTime>) -> Option<Duration> {
        match self.instant {
            Instant::Relative(duration) => Some(duration),
            Instant::Absolute(time) => utc.map(|now| time.saturating_since(now)),
        }
    }
}

fn relative(text: &str) -> Option<Duration> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Duration::from_millis)
}

fn absolute(text: &str) -> Option<UtcTime> {
    let (time, fraction) = text
        .split_once([',', '.'])
        .map_or((text, "0"), |(time, fraction)| (time, fraction));
    let bytes = time.as_bytes();
    if bytes.len() != 15 || bytes[8] != b'T' || fraction.is_empty() {
        return None;
    }
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_u64, |number, byte| {
            byte.is_ascii_digit()
                .then(|| number * 10 + u64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if year < 1970 || !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_before_year(year) - days_before_year(1970)
        + (1..month)
            .map(|month| month_length(year, month))
            .sum::<u64>()
        + day
        - 1;
    Some(UtcTime::from_secs(
        days * 86_400 + hour * 3_600 + minute * 60 + second,
    ))
}

const fn days_before_year(year: u64) -> u64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

const fn month_length(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_times_count_from_1970() {
        for (text, seconds) in [
            ("19700101T000000", 0),
            ("20000229T235959", 951_868_799),
            ("20141003T112032", 1_412_335_232),
            ("20141003T112032,123456", 1_412_335_232),
            ("21000301T000000", 4_107_542_400),
        ] {
            let expected = Some(UtcTime::from_secs(seconds));
            assert_eq!(absolute(text), expected, "{text}");
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "20230229T000000",
            "21000229T000000",
            "20231301T000000",
            "20230100T000000",
            "20230101T240000",
            "20230101T000000,",
            "20230101 000000",
            "2023-01-01T00:00",
            "-1",
            "",
        ] {
            assert!(Timestamp::new(text, "rqet").is_err(), "{text}");
        }
    }
}
