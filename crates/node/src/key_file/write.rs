use core::fmt::Write;

use refpoint_keys::{ConnectionKey, EntityId, ReferencePoint, Validity};
use zeroize::Zeroizing;

use super::KeyFile;
use crate::utc::Written;

/// How much of a key file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    Public,
}

pub(super) fn text(key: &KeyFile, part: Part) -> Zeroizing<String> {
    // Room for everything, so that the secret is never moved to a larger place and left behind in the old one.
    let mut text = Zeroizing::new(String::with_capacity(super::MAX as usize));
    // Writing to a string does not fail.
    let _ = match key {
        KeyFile::Root { entity, key } => write!(text, "refpoint-key: root\nentity: {entity}\n")
            .and_then(|()| secret(&mut text, part, key.expose_bytes())),
        KeyFile::Static { entity, key } => write!(text, "refpoint-key: static\nentity: {entity}\n")
            .and_then(|()| secret(&mut text, part, key.expose_bytes())),
        KeyFile::Signing { entity, key } => {
            write!(text, "refpoint-key: signing\nentity: {entity}\n")
                .and_then(|()| secret(&mut text, part, key.expose_bytes()))
        }
        KeyFile::Connection(key) => {
            connection(&mut text, key).and_then(|()| secret(&mut text, part, key.expose_bytes()))
        }
        KeyFile::Application(key) => {
            let head = writeln!(text, "refpoint-key: application\nid: {}", key.id());
            head.and_then(|()| shared(&mut text, key.entities(), key.validity()))
                .and_then(|()| secret(&mut text, part, key.expose_bytes()))
        }
        KeyFile::Public { entity, key } => {
            writeln!(
                text,
                "refpoint-key: public\nentity: {entity}\npublic: {}",
                hex::encode(key)
            )
        }
        KeyFile::Verifying { entity, key } => {
            writeln!(
                text,
                "refpoint-key: verifying\nentity: {entity}\npublic: {}",
                hex::encode(key)
            )
        }
        KeyFile::Record { entity, record } => {
            writeln!(
                text,
                "refpoint-key: record\nentity: {entity}\nrecord: {}",
                hex::encode(record)
            )
        }
    };
    text
}

fn connection(text: &mut String, key: &ConnectionKey) -> core::fmt::Result {
    writeln!(
        text,
        "refpoint-key: connection\nid: {}\npoint: {}",
        key.id(),
        point(key.point())
    )?;
    shared(text, key.entities(), key.validity())
}

/// Whose a shared key is, and when.
fn shared(
    text: &mut String,
    (a, b): (&EntityId, &EntityId),
    validity: Validity,
) -> core::fmt::Result {
    writeln!(text, "entity: {a}\nentity: {b}")?;
    if let Some(not_before) = validity.not_before() {
        writeln!(text, "not-before: {}", Written(not_before))?;
    }
    writeln!(text, "not-after: {}", Written(validity.not_after()))
}

fn secret(text: &mut String, part: Part, bytes: &[u8; 32]) -> core::fmt::Result {
    if part == Part::Public {
        return Ok(());
    }
    let mut digits = Zeroizing::new([0; 64]);
    hex::encode_to_slice(bytes, digits.as_mut_slice()).map_err(|_| core::fmt::Error)?;
    let digits = core::str::from_utf8(digits.as_slice()).map_err(|_| core::fmt::Error)?;
    writeln!(text, "secret: {digits}")
}

fn point(point: ReferencePoint) -> &'static str {
    match point {
        ReferencePoint::X => "x",
        ReferencePoint::Y => "y",
        ReferencePoint::YPrime => "y-prime",
        ReferencePoint::Z => "z",
        ReferencePoint::EndToEnd => "end-to-end",
    }
}
