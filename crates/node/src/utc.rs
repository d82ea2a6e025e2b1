//! UTC times as key files and the command line write them.

use core::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use refpoint_keys::UtcTime;

/// The current time.
pub(crate) fn now() -> UtcTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UtcTime::from_secs(since.as_secs())
}

/// Reads `2027-11-23T08:00:00Z`.
pub fn parse(text: &str) -> Option<UtcTime> {
    let bytes = text.as_bytes();
    let separators = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ];
    if bytes.len() != 20
        || separators
            .iter()
            .any(|(at, separator)| bytes[*at] != *separator)
    {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = (1970..year).map(days_in_year).sum::<u64>()
        + (1..month).map(|month| days_in(year, month)).sum::<u64>()
        + (day - 1);
    Some(UtcTime::from_secs(
        days * 86_400 + hour * 3_600 + minute * 60 + second,
    ))
}

/// Writes what [`parse`] reads.
pub(crate) struct Written(pub(crate) UtcTime);

impl fmt::Display for Written {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last instant that four digits can write stands for all that are later.
        let seconds = self.0.as_secs().min(253_402_300_799);
        let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
        let mut year = 1970;
        while days >= days_in_year(year) {
            days -= days_in_year(year);
            year += 1;
        }
        let mut month = 1;
        while days >= days_in(year, month) {
            days -= days_in(year, month);
            month += 1;
        }
        let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
        write!(
            formatter,
            "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
            days + 1
        )
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-23T08:00:00Z", 1_795_420_800),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            let time = UtcTime::from_secs(seconds);
            assert_eq!(parse(text), Some(time), "{text}");
            assert_eq!(Written(time).to_string(), text);
        }
        assert_eq!(
            Written(UtcTime::from_secs(u64::MAX)).to_string(),
            "9999-12-31T23:59:59Z"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-23",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01t00:00:00Z",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:\u{e9}",
        ] {
            assert!(parse(text).is_none(), "{text} was read");
        }
    }
}
