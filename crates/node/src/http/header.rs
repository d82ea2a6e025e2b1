/// One header line: the name with its case, the value without the white space around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The field name as it was written.
    pub name: String,
    /// The field value's bytes.
    pub value: Vec<u8>,
}

impl Header {
    /// A header from its two parts.
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }

    /// Whether this header has the name `name`; case does not count.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether name and value can be written without changing a message's shape: the name a token, the value
    /// free of line ends and other control characters.
    pub fn is_writable(&self) -> bool {
        !self.name.is_empty()
            && self.name.bytes().all(is_token)
            && self
                .value
                .iter()
                .all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
    }
}

/// The headers of a message in the order in which they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value of the header `name`.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|header| header.is(name))
            .map(|header| header.value.as_slice())
    }

    /// The first value of the header `name`, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name)
            .and_then(|value| core::str::from_utf8(value).ok())
    }

    /// Every value of the header `name`, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |header| header.is(name))
            .map(|header| header.value.as_slice())
    }

    /// Every header, in order.
    pub fn iter(&self) -> core::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// How many header lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a header at the end.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push(Header::new(name, value));
    }

    /// Keeps the headers for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        self.0.retain(keep);
    }

    /// Sets the header `name` to one value: in the place of its first line, or at the end if there is none.
    /// Further lines of that name go.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let mut value = Some(value.into());
        self.0.retain_mut(|header| {
            if !header.is(name) {
                return true;
            }
            match value.take() {
                Some(value) => {
                    header.value = value;
                    true
                }
                None => false,
            }
        });
        if let Some(value) = value {
            self.push(name, value);
        }
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<T: IntoIterator<Item = Header>>(headers: T) -> Self {
        Self(headers.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = core::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// RFC 9110, 5.6.2: the characters of a token.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_header_keeps_its_place_and_case_and_leaves_one() {
        let mut headers = Headers::new();
        headers.push("HOST", "a");
        headers.push("X-M2M-RI", "1");
        headers.push("host", "b");
        headers.set("Host", "c");
        let lines: Vec<_> = headers
            .iter()
            .map(|h| (h.name.as_str(), h.value.as_slice()))
            .collect();
        assert_eq!(lines, [("HOST", &b"c"[..]), ("X-M2M-RI", b"1")]);
    }

    #[test]
    fn a_value_with_a_line_end_is_not_writable() {
        assert!(!Header::new("X-M2M-RI", "1\r\nX-M2M-Origin: CAdmin").is_writable());
        assert!(!Header::new("X M", "1").is_writable());
        assert!(!Header::new("", "1").is_writable());
        assert!(Header::new("X-M2M-RI", "a\tb \u{e9}").is_writable());
    }
}
