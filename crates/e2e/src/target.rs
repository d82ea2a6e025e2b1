use alloc::{borrow::ToOwned, string::String};
use core::fmt;

use crate::Error;

/// What something sealed is for: a resource or an entity, as both ends spell it.
///
/// It is bound into what is sealed and never sent in clear: whoever moves an object to another
/// place has an object that does not open. Nodes in between rewrite the *forms* of addresses
/// (`to` may be relative to a CSE or a provider), so both ends use one form here, by configuration:
/// the absolute, structured one is usual.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(String);

impl Target {
    /// The longest target, in bytes.
    pub const MAX: usize = 255;

    /// The target with this name: 1 to 255 visible ASCII characters.
    ///
    /// # Errors
    /// [`Error::Config`] when it is not.
    pub fn new(name: &str) -> Result<Self, Error> {
        let fits = (1..=Self::MAX).contains(&name.len());
        if fits && name.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::Config("target"))
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.0)
    }
}
