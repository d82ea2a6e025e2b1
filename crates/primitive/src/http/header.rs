//! Header lines.

use alloc::vec::Vec;
use core::str;

use prost::bytes::Bytes;

use crate::{Error, proto};

/// A header line: a name as it was written, and a value without surrounding white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Header {
    name: Bytes,
    value: Bytes,
}

impl Header {
    /// A header line.
    ///
    /// # Errors
    /// [`Error`] that names `header` when the name is no token (RFC 9110, 5.6.2) or the value holds control characters:
    /// written out, they would become other header lines.
    pub fn new(name: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Self, Error> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(Error::invalid("header", "use a token as its name"));
        }
        let is_space = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        if !value.iter().all(is_text) || is_space(value.first()) || is_space(value.last()) {
            return Err(Error::invalid(
                "header",
                "use text without control characters or outer spaces as its value",
            ));
        }
        Ok(Self { name, value })
    }

    pub(crate) fn from_static(name: &'static str, value: Bytes) -> Self {
        Self {
            name: Bytes::from_static(name.as_bytes()),
            value,
        }
    }

    /// The name, as it was written.
    #[must_use]
    pub const fn name(&self) -> &Bytes {
        &self.name
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Bytes {
        &self.value
    }

    /// Whether it has this name; case does not count.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The header of one meaning only that this is, or that some servers would take it for.
    fn single_name(&self) -> Option<&'static str> {
        let mut known = ONEM2M_NAMES.into_iter().chain(SINGLE);
        let other = || self.looks_like_start(ONEM2M).then_some("X-M2M-*");
        known.find(|name| self.looks_like(name)).or_else(other)
    }

    fn looks_like(&self, name: &str) -> bool {
        self.name.len() == name.len() && self.looks_like_start(name)
    }

    /// CGI and its heirs turn every byte that is no letter or digit into one and the same.
    fn looks_like_start(&self, name: &str) -> bool {
        let fold = |byte: u8| match byte {
            byte if byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
            _ => b'-',
        };
        let own = self.name.iter().copied().map(fold);
        self.name.len() >= name.len() && own.zip(name.bytes()).all(|(a, b)| a == fold(b))
    }
}

/// The header lines of a message, in their order.
///
/// None of them is hop-by-hop, and none that oneM2M or the message's frame gives a meaning occurs twice, or under a
/// name that a server could mistake for it (`X_M2M_Origin`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Headers(Vec<Header>);

/// What may occur once; besides every header that begins with `X-M2M-`.
const SINGLE: [&str; 4] = ["Content-Type", "Content-Length", "Host", "Authorization"];

/// What belongs to one connection and is never carried on (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 10] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Expect",
];

const ONEM2M: &str = "X-M2M-";

/// The `X-M2M-` headers of TS-0009, 6.4.
const ONEM2M_NAMES: [&str; 17] = [
    "X-M2M-Origin",
    "X-M2M-RI",
    "X-M2M-GID",
    "X-M2M-RTU",
    "X-M2M-OT",
    "X-M2M-RST",
    "X-M2M-RET",
    "X-M2M-OET",
    "X-M2M-EC",
    "X-M2M-RSC",
    "X-M2M-ATI",
    "X-M2M-CTS",
    "X-M2M-CTO",
    "X-M2M-RVI",
    "X-M2M-VSI",
    "X-M2M-AS",
    "X-M2M-ASRI",
];

impl Headers {
    /// The most header lines.
    pub const MOST: usize = 128;
    /// The most bytes of all names and values.
    pub const LONGEST: usize = 64 * 1024;

    /// Takes header lines as they are.
    ///
    /// # Errors
    /// [`Error`] that names the header that is repeated, hop-by-hop or ambiguous, or `headers` when they are too many.
    pub fn new(headers: Vec<Header>) -> Result<Self, Error> {
        Error::within(headers.len(), Self::MOST, "headers")?;
        let length = headers
            .iter()
            .map(|header| header.name.len() + header.value.len())
            .sum();
        Error::within(length, Self::LONGEST, "headers")?;
        for (place, header) in headers.iter().enumerate() {
            if let Some(name) = HOP_BY_HOP.into_iter().find(|name| header.looks_like(name)) {
                return Err(Error::Unexpected(name));
            }
            let Some(name) = header.single_name() else {
                continue;
            };
            if header
                .name
                .iter()
                .any(|byte| *byte != b'-' && !byte.is_ascii_alphanumeric())
            {
                return Err(Error::invalid(name, "spell its name with hyphens"));
            }
            let is_same = |earlier: &Header| earlier.name.eq_ignore_ascii_case(&header.name);
            if headers[..place].iter().any(is_same) {
                return Err(Error::Repeated(name));
            }
        }
        Ok(Self(headers))
    }

    /// Whether a header of this name belongs to one connection, so that [`Headers`] do not take it.
    #[must_use]
    pub fn is_hop_by_hop(name: &[u8]) -> bool {
        HOP_BY_HOP
            .iter()
            .any(|hop| name.eq_ignore_ascii_case(hop.as_bytes()))
    }

    /// The header lines.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Header> {
        self.0.iter()
    }

    /// The value of the first header of this name; case does not count.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Bytes> {
        self.0
            .iter()
            .find(|header| header.is(name))
            .map(Header::value)
    }

    /// The value of the header `name` as text; absent and empty are the same.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&str>, Error> {
        match self.value(name).map(|value| str::from_utf8(value)) {
            None | Some(Ok("")) => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Error::invalid(name, "write utf-8")),
        }
    }

    pub(crate) fn from_proto(headers: Vec<proto::HttpHeader>) -> Result<Self, Error> {
        Error::within(headers.len(), Self::MOST, "headers")?;
        let headers = headers
            .into_iter()
            .map(|header| Header::new(header.name, header.value));
        Self::new(headers.collect::<Result<_, _>>()?)
    }

    pub(crate) fn into_proto(self) -> Vec<proto::HttpHeader> {
        let headers = self.0.into_iter();
        headers
            .map(|header| proto::HttpHeader {
                name: header.name,
                value: header.value,
            })
            .collect()
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}
