//! The parameter `ty` of `Content-Type`, which tells a Create from a Notify (TS-0009, 6.4.3).

use crate::{Error, ResourceType};

const FIELD: &str = "Content-Type";

/// The resource type in a `Content-Type`, if it holds one.
pub(super) fn resource_type(content_type: &str) -> Result<Option<ResourceType>, Error> {
    let mut found = None;
    for parameter in content_type.split(';').skip(1) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !name.trim().eq_ignore_ascii_case("ty") {
            continue;
        }
        if found.is_some() {
            return Err(Error::Repeated("ty"));
        }
        let value = value.trim_matches([' ', '\t']);
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|_| is_number);
        let number = number.ok_or(Error::invalid(
            FIELD,
            "write ty= and a resource type's number",
        ))?;
        found = Some(ResourceType::new(number));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ty_is_found_in_every_spelling_that_a_cse_accepts() {
        for text in [
            "application/json;ty=2",
            "application/json; ty=2",
            "a/b;charset=utf-8 ; TY = 2 ",
        ] {
            assert_eq!(resource_type(text), Ok(Some(ResourceType::AE)), "{text}");
        }
        for text in [
            "application/json",
            "application/json;charset=utf-8",
            "a/b;ety=2",
            "",
        ] {
            assert_eq!(resource_type(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn a_ty_that_two_readers_could_read_differently_is_refused() {
        for text in [
            "a/b;ty=2;ty=4",
            "a/b;ty=",
            "a/b;ty",
            "a/b;ty=+2",
            "a/b;ty=\"2\"",
            "a/b;ty=2,a/b;ty=4",
            "a/b;ty=99999999999",
        ] {
            assert!(resource_type(text).is_err(), "{text}");
        }
    }
}
