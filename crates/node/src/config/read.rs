use core::fmt;
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::time::Duration;

use refpoint_association::{Mode, Suite};
use refpoint_keys::{EntityId, Profile, ReferencePoint};
use refpoint_store::MissingKeys;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::{Carriage, Form, Initiator, Relation};
use crate::http::Authority;

/// A value that is written as text in the configuration and parsed as it is read, so that an error has a line.
#[derive(Debug, Clone)]
pub(super) struct Parsed<T>(pub(super) T);

/// What [`Parsed`] can hold.
pub(super) trait FromText: Sized {
    /// What is expected, for the error of another type of value.
    const EXPECTED: &'static str;

    fn from_text(text: &str) -> Result<Self, String>;
}

impl<'de, T: FromText> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(PhantomData<T>);
        impl<T: FromText> Visitor<'_> for Text<T> {
            type Value = Parsed<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(T::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::from_text(text).map(Parsed).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text(PhantomData))
    }
}

impl FromText for EntityId {
    const EXPECTED: &'static str = "an absolute entity id such as \"//sp.example.com/id-in\"";

    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

impl FromText for ReferencePoint {
    const EXPECTED: &'static str = "\"x\", \"y\", \"y-prime\" or \"z\"";

    fn from_text(text: &str) -> Result<Self, String> {
        crate::key_file::parse_point(text)
            .ok_or_else(|| format!("unknown word, write {}", Self::EXPECTED))
    }
}

impl FromText for SocketAddr {
    const EXPECTED: &'static str =
        "an address with a port such as \"127.0.0.1:7000\" or \"[::1]:7000\"";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            "not an address with a port: write one such as 127.0.0.1:7000 or [::1]:7000".to_owned()
        })
    }
}

impl FromText for Authority {
    const EXPECTED: &'static str = "a URL such as \"http://127.0.0.1:8080\"";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: crate::http::InvalidAuthority| error.to_string())
    }
}

/// What becomes of notifications that nobody has sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlainNotifications {
    Refuse,
    Allow,
}

/// One of a few words; the error lists them.
macro_rules! words {
    ($type:ty, $expected:literal, $($word:literal => $value:expr),+) => {
        impl FromText for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(concat!("unknown word, write ", $expected).to_owned()),
                }
            }
        }
    };
}

words!(Profile, "\"psk\", \"pinned\" or \"known\"",
    "psk" => Self::Psk, "pinned" => Self::Pinned, "known" => Self::Known);
words!(Suite, "\"chacha-poly\" or \"aes-gcm\"", "chacha-poly" => Self::ChaChaPoly, "aes-gcm" => Self::AesGcm);
words!(Mode, "\"light\" or \"fresh\"", "light" => Self::Light, "fresh" => Self::Fresh);
words!(MissingKeys, "\"refuse\" or \"start-empty\"", "refuse" => Self::Refuse, "start-empty" => Self::StartEmpty);
words!(Carriage, "\"tcp\" or \"udp\"", "tcp" => Self::Tcp, "udp" => Self::Udp);
words!(Form, "\"object\" or \"session\"", "object" => Self::Object, "session" => Self::Session);
words!(PlainNotifications, "\"refuse\" or \"allow\"", "refuse" => Self::Refuse, "allow" => Self::Allow);
words!(Initiator, "\"self\", \"peer\" or \"either\"",
    "self" => Self::Local, "peer" => Self::Peer, "either" => Self::Either);
words!(Relation, "\"registrar\" or \"registree\"", "registrar" => Self::Registrar, "registree" => Self::Registree);

impl FromText for Duration {
    const EXPECTED: &'static str =
        "a duration such as \"500ms\", \"30s\", \"5min\", \"2h\" or \"7d\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let refusal = || {
            format!(
                "not a duration: write {}",
                Self::EXPECTED.trim_start_matches("a duration ")
            )
        };
        let (number, unit) = split_unit(text).ok_or_else(refusal)?;
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refusal()),
        };
        number
            .checked_mul(millis)
            .map(Self::from_millis)
            .ok_or_else(refusal)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl FromText for Size {
    const EXPECTED: &'static str = "a size such as \"1200B\", \"64KiB\", \"4MiB\" or \"16GiB\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let refusal = || {
            format!(
                "not a size: write {}",
                Self::EXPECTED.trim_start_matches("a size ")
            )
        };
        let (number, unit) = split_unit(text).ok_or_else(refusal)?;
        let shift = match unit {
            "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(refusal()),
        };
        number.checked_mul(1 << shift).map(Self).ok_or_else(refusal)
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// A duration as the command line takes it.
///
/// # Errors
///
/// When the text is not a number with a unit; the text of the error shows the units.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Duration::from_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(Duration::from_text("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(
            Duration::from_text("7d"),
            Ok(Duration::from_secs(7 * 86_400))
        );
        assert_eq!(
            Duration::from_text("250 ms"),
            Ok(Duration::from_millis(250))
        );
        assert_eq!(Size::from_text("1MiB"), Ok(Size(1 << 20)));
        for text in ["30", "s", "-1s", "1.5s", "99999999999999999d", "1MB", ""] {
            assert!(Duration::from_text(text).is_err(), "{text}");
        }
        assert!(Size::from_text("99999999999999999GiB").is_err());
    }
}
