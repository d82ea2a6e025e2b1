//! The grammar of ids.

use super::EntityKind;
use crate::Error;

/// An absolute id, taken apart: `//provider/first` or `//provider/first/second`.
pub(super) struct Parts<'a> {
    pub(super) provider: &'a str,
    pub(super) first: &'a str,
    pub(super) second: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(super) fn split(provider: &'a str, path: &'a str) -> Self {
        let (first, second) = match path.split_once('/') {
            Some((first, second)) => (first, Some(second)),
            None => (path, None),
        };
        Self {
            provider,
            first,
            second,
        }
    }

    pub(super) fn kind(&self) -> EntityKind {
        if self.second.is_some() || self.first.starts_with('S') {
            EntityKind::Ae
        } else if self.first.starts_with(NSE_PREFIX) {
            EntityKind::Nse
        } else {
            EntityKind::Cse
        }
    }

    /// The names are legal, and a second one only follows that of a CSE and is a stem with `C`.
    pub(super) fn check(&self) -> Result<(), Error> {
        check_name(self.first)?;
        if matches!(self.first, "S" | NSE_PREFIX) {
            return Err(Error::MalformedEntityId);
        }
        let Some(stem) = self.second else {
            return Ok(());
        };
        if self.first.starts_with('S') || self.first.starts_with(NSE_PREFIX) {
            return Err(Error::MalformedEntityId);
        }
        if !stem.starts_with('C') || stem.len() == 1 || stem.contains('/') {
            return Err(Error::MalformedEntityId);
        }
        check_name(stem)
    }
}

const NSE_PREFIX: &str = "nse-";

fn check_name(name: &str) -> Result<(), Error> {
    if matches!(name, "" | "." | "..") {
        return Err(Error::MalformedEntityId);
    }
    if name.chars().all(is_legal) {
        Ok(())
    } else {
        Err(Error::IllegalCharacter)
    }
}

// RFC 3986, 2.3: the unreserved characters; beyond ASCII, what Unicode calls a letter or a number.
fn is_legal(character: char) -> bool {
    match character {
        '-' | '.' | '_' | '~' => true,
        _ => character.is_alphanumeric(),
    }
}

/// A domain name: labels of letters, digits and inner hyphens, joined by single dots.
pub(super) fn check_provider(provider: &str) -> Result<(), Error> {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if provider.split('.').all(is_label) {
        Ok(())
    } else {
        Err(Error::MalformedServiceProvider)
    }
}
