//! Arbitrary bytes as a supply of smaller things.

/// Reads an input from its front; when it has run out, everything is zero or empty.
///
/// So every input is a valid script and the fuzzer never wastes one.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `data`, unread.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// The next eight bytes as a number, big-endian.
    pub fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// The next `N` bytes, padded with zeros.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let bytes = self.bytes(N);
        array[..bytes.len()].copy_from_slice(bytes);
        array
    }

    /// The next `length` bytes, or what is left.
    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// The next bytes, as many as the byte before them says.
    pub fn counted(&mut self) -> &'a [u8] {
        let length = self.byte();
        self.bytes(usize::from(length))
    }

    /// The next line, without its end; none unless it is UTF-8.
    pub fn line(&mut self) -> Option<&'a str> {
        let end = self
            .0
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(self.0.len());
        let line = self.bytes(end);
        self.bytes(1);
        core::str::from_utf8(line).ok()
    }

    /// All that is left.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.0;
        self.0 = &[];
        rest
    }
}
