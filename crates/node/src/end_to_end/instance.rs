//! contentInstances in JSON: what holds sealed content on its way, and what the AE gets and gives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use refpoint_e2e::MEDIA_TYPE;
use refpoint_primitive::{Content, MediaType};
use serde_json::{Map, Value};

use super::refused::Refused;

/// A resource's attributes.
pub(super) type Attributes = Map<String, Value>;

/// The media type of a published pre-key.
pub(super) const PRE_KEY_TYPE: &str = "application/vnd.refpoint.pre-key";

/// The attributes that say where a resource is and how long: its CSE's, never its sender's.
const CSE_ASSIGNED: [&str; 9] = ["ty", "ri", "rn", "pi", "ct", "lt", "et", "st", "cs"];

/// The attributes that are content: its sender's, never the CSE's.
const CONTENT: [&str; 4] = ["con", "cnf", "lbl", "or"];

/// The contentInstance that a body is, if it is one.
pub(super) fn parse(body: &[u8]) -> Option<Attributes> {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
        return None;
    };
    match body.remove("m2m:cin") {
        Some(Value::Object(instance)) if body.is_empty() => Some(instance),
        _ => None,
    }
}

/// Calls `each` with everything in `value` that holds content: whatever has the attribute `con`.
pub(super) fn each_with_content(
    value: &mut Value,
    each: &mut impl FnMut(&mut Attributes) -> Result<(), Refused>,
) -> Result<(), Refused> {
    match value {
        Value::Object(attributes) if attributes.contains_key("con") => each(attributes),
        Value::Object(attributes) => attributes
            .values_mut()
            .try_for_each(|value| each_with_content(value, each)),
        Value::Array(values) => values
            .iter_mut()
            .try_for_each(|value| each_with_content(value, each)),
        _ => Ok(()),
    }
}

/// The bytes that an instance of this media type holds.
pub(super) fn binary(instance: &Attributes, media_type: &str) -> Result<Vec<u8>, Refused> {
    let format = instance.get("cnf").and_then(Value::as_str);
    let rest = format.and_then(|format| format.strip_prefix(media_type));
    if !rest.is_some_and(|rest| rest.starts_with(':')) {
        return Err(Refused::Plain);
    }
    let content = instance.get("con").and_then(Value::as_str);
    content
        .and_then(|content| STANDARD.decode(content).ok())
        .ok_or(Refused::Unreadable("base64"))
}

/// Whether an instance says that it is sealed.
pub(super) fn is_sealed(instance: &Attributes) -> bool {
    let format = instance.get("cnf").and_then(Value::as_str);
    format.is_some_and(|format| format.starts_with(MEDIA_TYPE))
}

pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The body that creates an instance of these bytes.
pub(super) fn body_of(bytes: &[u8], media_type: &str) -> String {
    let content = to_base64(bytes);
    format!(r#"{{"m2m:cin":{{"cnf":"{media_type}:2","con":"{content}"}}}}"#)
}

/// Puts what was sealed in the place of what carried it: all that is content comes from the sender.
pub(super) fn put(carrier: &mut Attributes, opened: &Content) -> Result<(), Refused> {
    if opened.media_type() != &MediaType::Json {
        return Err(Refused::Unreadable("the sealed content"));
    }
    let sealed = parse(opened.data()).ok_or(Refused::Unreadable("the sealed content"))?;
    for name in CONTENT {
        carrier.remove(name);
    }
    for (name, value) in sealed {
        if !CSE_ASSIGNED.contains(&name.as_str()) {
            carrier.insert(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(json: &str) -> Attributes {
        serde_json::from_str(json).expect("an object")
    }

    #[test]
    fn all_content_is_the_senders_and_all_else_the_cses() {
        let mut carrier = attributes(
            r#"{"ri":"cin7","rn":"cin_7","pi":"cnt1","ct":"20261126T020000","lbl":["forged"],"cnf":"x:2","con":"QUJD","cs":4}"#,
        );
        let sealed = Content::new(
            MediaType::Json,
            r#"{"m2m:cin":{"con":"21.5","rn":"mine","ri":"forged"}}"#,
        );
        put(&mut carrier, &sealed.expect("content")).expect("an instance");
        let expected = attributes(
            r#"{"ri":"cin7","rn":"cin_7","pi":"cnt1","ct":"20261126T020000","con":"21.5","cs":4}"#,
        );
        assert_eq!(carrier, expected);
    }

    #[test]
    fn content_is_found_wherever_it_is() {
        let mut value: Value = serde_json::from_str(
            r#"{"m2m:cnt":{"rn":"data","m2m:cin":[{"con":1},{"x":{"con":{"con":2}}}],"other":{"con":null}}}"#,
        )
        .expect("JSON");
        let mut found = 0;
        each_with_content(&mut value, &mut |attributes| {
            found += 1;
            attributes.remove("con");
            Ok(())
        })
        .expect("nothing is refused");
        assert_eq!(found, 3);
        assert!(!value.to_string().contains("con\""), "{value}");
    }

    #[test]
    fn only_what_says_so_is_sealed_and_only_base64_is_bytes() {
        let sealed = |format: &str, content: &str| {
            let json = format!(r#"{{"cnf":"{format}","con":{content}}}"#);
            binary(&attributes(&json), MEDIA_TYPE)
        };
        let format = format!("{MEDIA_TYPE}:2");
        assert_eq!(sealed(&format, r#""QUJD""#).expect("bytes"), b"ABC");
        for other in ["text/plain:0", MEDIA_TYPE, "", &format!("{MEDIA_TYPE}2:2")] {
            let refused = sealed(other, r#""QUJD""#);
            assert!(matches!(refused, Err(Refused::Plain)), "{other}");
        }
        for content in [r#""QUJ""#, "7", r#""QUJD\n""#, "null"] {
            let refused = sealed(&format, content);
            assert!(matches!(refused, Err(Refused::Unreadable(_))), "{content}");
        }
    }
}
