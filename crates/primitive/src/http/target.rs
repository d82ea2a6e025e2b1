//! The request target, and the parameter To that it stands for (TS-0009, 6.2.2).

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Error, Request};

const FIELD: &str = "request target";

/// The parameter To of a request target in origin form.
///
/// ```text
/// /cse-mn/ae1          cse-mn/ae1           relative to the CSE
/// /~/id-mn/cse-mn      /id-mn/cse-mn        relative to the service provider
/// /_/sp.org/id-mn/cse  //sp.org/id-mn/cse   absolute
/// ```
pub(super) fn to(target: &[u8]) -> Result<String, Error> {
    Error::within(target.len(), Request::LONGEST_TARGET, FIELD)?;
    if target.first() != Some(&b'/')
        || !target.iter().all(u8::is_ascii_graphic)
        || target.contains(&b'#')
    {
        return Err(Error::invalid(
            FIELD,
            "begin it with a slash and use visible ascii characters",
        ));
    }
    let path = target
        .split(|byte| *byte == b'?')
        .next()
        .unwrap_or_default();
    let path = decode(path).ok_or(Error::invalid(FIELD, "percent-encode utf-8"))?;
    if path.starts_with("//") {
        return Err(Error::invalid(
            FIELD,
            "begin absolute ids with /_/ and sp-relative ones with /~/",
        ));
    }
    Ok(if let Some(relative) = path.strip_prefix("/~/") {
        alloc::format!("/{relative}")
    } else if let Some(absolute) = path.strip_prefix("/_/") {
        alloc::format!("//{absolute}")
    } else {
        path[1..].into()
    })
}

fn decode(path: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_to_come_out_of_a_path() {
        for (target, expected) in [
            ("/cse-mn/ae1?rcn=4&fu=1", "cse-mn/ae1"),
            ("/~/id-mn/cse-mn", "/id-mn/cse-mn"),
            ("/%7E/id-mn/cse-mn", "/id-mn/cse-mn"),
            (
                "/_/sp.example.com/id-mn/cse-mn",
                "//sp.example.com/id-mn/cse-mn",
            ),
            ("/", ""),
            ("/~", "~"),
        ] {
            assert_eq!(to(target.as_bytes()).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn targets_that_are_no_path_are_refused() {
        for target in [
            "",
            "cse",
            "http://h/cse",
            "*",
            "//id-mn",
            "/%2Fid-mn",
            "/a b",
            "/a#b",
            "/%4",
            "/%zz",
            "/%ff",
            "/%0d%0aX",
        ] {
            assert!(to(target.as_bytes()).is_err(), "{target}");
        }
    }
}
