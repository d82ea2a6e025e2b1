//! Who is at an end of an association.

mod syntax;

use alloc::borrow::Cow;
use alloc::format;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use crate::Error;
use syntax::Parts;

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKind {
    /// An application entity.
    Ae,
    /// A common services entity: a gateway or a core.
    Cse,
    /// An underlying network's service entity.
    Nse,
}

/// The canonical, absolute id of an entity (oneM2M TS-0001, 7.2).
///
/// | form | names |
/// |---|---|
/// | `//sp.example.com/id-in` | a CSE |
/// | `//sp.example.com/id-mn/CSensor1` | an AE known at one CSE: its stem begins with `C` |
/// | `//sp.example.com/SSensor1` | an AE known in the provider's whole domain: its stem begins with `S` |
/// | `//op.example.com/nse-scef` | a network service entity |
///
/// The first name after the provider decides, and decides alone: `nse-` and at least one more
/// character is an NSE, `S` and at least one more is an AE, anything else a CSE. So no CSE's name
/// can begin with `nse-` or with `S` (which SP-relative AE-IDs have taken already), and an id has
/// one kind wherever it is read. The names are case-sensitive: `NSE-scef` is a CSE.
///
/// # Canonical form
/// Two ids are the same entity exactly when their bytes are equal, since these bytes enter every
/// derivation (K1). Therefore
/// * the absolute form has at most 255 bytes of UTF-8;
/// * the service provider is a domain name in ASCII, here always in lower case;
/// * names hold letters, digits, `-`, `.`, `_` and `~` (the unreserved characters of RFC 3986),
///   and neither name is `.` or `..`. Letters and digits beyond ASCII are taken in the form NFKC (K2):
///   with the feature `normalize`, [`EntityId::parse`] brings them there; without it they are
///   taken to be so already, and ends that disagree derive different keys, so they meet no one.
///
/// ```
/// use refpoint_keys::{EntityId, EntityKind};
///
/// # fn main() -> Result<(), refpoint_keys::Error> {
/// let gateway = EntityId::parse("//sp.example.com/id-mn")?;
/// let sensor = EntityId::resolve("CSensor1", "sp.example.com", Some(&gateway))?;
/// assert_eq!(sensor.as_str(), "//sp.example.com/id-mn/CSensor1");
/// assert_eq!(sensor.kind(), EntityKind::Ae);
/// assert_eq!(sensor.to_sp_relative(), "/id-mn/CSensor1");
/// assert_eq!(sensor.to_stem(), Some("CSensor1"));
/// assert!(sensor.is_at(&gateway));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(Arc<str>);

impl EntityId {
    /// The longest id, in bytes of its absolute form.
    pub const MAX: usize = 255;

    /// Reads an absolute id and brings it into its canonical form.
    ///
    /// # Errors
    /// Says what is wrong with the text: its form, a character, the provider or its length.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = normalized(text)?;
        let rest = text.strip_prefix("//").ok_or(Error::MalformedEntityId)?;
        let (provider, path) = rest.split_once('/').ok_or(Error::MalformedEntityId)?;
        Self::from_parts(provider, path)
    }

    /// Reads an id as it stands in a primitive that was sent at `local_cse`, a CSE of
    /// `service_provider`.
    ///
    /// | text | read as |
    /// |---|---|
    /// | `//sp.example.com/id-mn/CSensor1` | absolute, as it is |
    /// | `/id-mn/CSensor1` | relative to `service_provider` |
    /// | `CSensor1` | stem, relative to `local_cse` |
    /// | `SSensor1` | stem, relative to `service_provider` |
    ///
    /// The bare stems `C` and `S`, by which an AE asks to be named, are no ids.
    ///
    /// # Errors
    /// As [`EntityId::parse`]; [`Error::StemWithoutCse`] when a stem with `C` comes without a
    /// CSE, [`Error::NotLocalCse`] when `local_cse` is no CSE of `service_provider`.
    pub fn resolve(
        text: &str,
        service_provider: &str,
        local_cse: Option<&Self>,
    ) -> Result<Self, Error> {
        let text = normalized(text)?;
        if text.starts_with("//") {
            return Self::parse(&text);
        }
        if let Some(path) = text.strip_prefix('/') {
            return Self::from_parts(service_provider, path);
        }
        match text.as_bytes().first() {
            Some(b'C') => {
                let cse = local_cse.ok_or(Error::StemWithoutCse)?;
                if cse.kind() != EntityKind::Cse
                    || !cse
                        .service_provider()
                        .eq_ignore_ascii_case(service_provider)
                {
                    return Err(Error::NotLocalCse);
                }
                let path = format!("{}/{text}", cse.parts().first);
                Self::from_parts(service_provider, &path)
            }
            Some(b'S') => Self::from_parts(service_provider, &text),
            _ => Err(Error::MalformedEntityId),
        }
    }

    /// The absolute form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the id names.
    #[must_use]
    pub fn kind(&self) -> EntityKind {
        self.parts().kind()
    }

    /// The domain name of the entity's service provider, without slashes.
    #[must_use]
    pub fn service_provider(&self) -> &str {
        self.parts().provider
    }

    /// The form used within the provider's domain: `/id-mn/CSensor1`.
    #[must_use]
    pub fn to_sp_relative(&self) -> &str {
        &self.0["//".len() + self.service_provider().len()..]
    }

    /// The AE-ID stem, by which an AE is known at its own CSE; none for a CSE or an NSE.
    #[must_use]
    pub fn to_stem(&self) -> Option<&str> {
        let parts = self.parts();
        match (parts.kind(), parts.second) {
            (EntityKind::Ae, Some(stem)) => Some(stem),
            (EntityKind::Ae, None) => Some(parts.first),
            (EntityKind::Cse | EntityKind::Nse, _) => None,
        }
    }

    /// The CSE that the id tells of: a CSE itself, or the one at which a stem with `C` was given.
    ///
    /// A stem with `S` and an NSE tell of none.
    #[must_use]
    pub fn cse(&self) -> Option<Self> {
        self.cse_part().map(|part| Self(Arc::from(part)))
    }

    /// Whether the id's CSE ([`EntityId::cse`]) is `cse`: `cse` itself or an AE named at it.
    #[must_use]
    pub fn is_at(&self, cse: &Self) -> bool {
        self.cse_part() == Some(cse.as_str())
    }

    fn cse_part(&self) -> Option<&str> {
        let parts = self.parts();
        match (parts.kind(), parts.second) {
            (EntityKind::Cse, _) => Some(&self.0),
            (EntityKind::Ae, Some(stem)) => Some(&self.0[..self.0.len() - stem.len() - 1]),
            (EntityKind::Ae, None) | (EntityKind::Nse, _) => None,
        }
    }

    fn from_parts(provider: &str, path: &str) -> Result<Self, Error> {
        syntax::check_provider(provider)?;
        let parts = Parts::split(provider, path);
        parts.check()?;
        if "//".len() + provider.len() + "/".len() + path.len() > Self::MAX {
            return Err(Error::EntityIdTooLong);
        }
        let provider = provider.to_ascii_lowercase();
        Ok(Self(Arc::from(format!("//{provider}/{path}"))))
    }

    fn parts(&self) -> Parts<'_> {
        let rest = &self.0["//".len()..];
        let (provider, path) = rest
            .split_once('/')
            .expect("an id is only made with a provider and a path");
        Parts::split(provider, path)
    }
}

impl FromStr for EntityId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for EntityId {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl AsRef<str> for EntityId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityId({})", self.0)
    }
}

// Before anything is split: NFKC turns other characters into slashes and dots.
// The limit holds before, too, so that nobody makes us normalise megabytes.
fn normalized(text: &str) -> Result<Cow<'_, str>, Error> {
    if text.len() > EntityId::MAX {
        return Err(Error::EntityIdTooLong);
    }
    #[cfg(feature = "normalize")]
    if !unicode_normalization::is_nfkc(text) {
        use unicode_normalization::UnicodeNormalization;
        return Ok(Cow::Owned(text.nfkc().collect()));
    }
    Ok(Cow::Borrowed(text))
}
