use refpoint_keys::{
    ApplicationKey, ConnectionKey, EntityId, KeyId, ReferencePoint, RootKey, UtcTime, Validity,
};
use zeroize::Zeroizing;

use super::{KeyFile, StaticSecret};
use crate::utc;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Others than the owner can read the secret.
    #[error(
        "others can read this secret (mode {0:04o}): run chmod 600 on it, and replace the key if it was exposed"
    )]
    Readable(u32),
    /// The file is longer than any key file.
    #[error("not a key file: longer than 4096 bytes")]
    TooLong,
    /// The first line is not that of a key file.
    #[error(
        "not a key file: the first line must be refpoint-key: root, connection, application, static, public, signing, verifying or record"
    )]
    NotAKeyFile,
    /// A line that cannot be used.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A line is missing.
    #[error("the line {0} is missing")]
    Missing(&'static str),
    /// The parts do not make a key.
    #[error(transparent)]
    Key(#[from] refpoint_keys::Error),
    /// A new key would replace what is there.
    #[error("it exists, and no key is overwritten: give another name, or remove it")]
    Exists,
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The lines of a key file; each but `entity` stands at most once.
#[derive(Default)]
struct Fields {
    id: Option<KeyId>,
    point: Option<ReferencePoint>,
    entities: Vec<EntityId>,
    not_before: Option<UtcTime>,
    not_after: Option<UtcTime>,
    secret: Option<Zeroizing<[u8; 32]>>,
    public: Option<Zeroizing<[u8; 32]>>,
    record: Option<Vec<u8>>,
}

pub(super) fn parse(text: &str) -> Result<KeyFile, KeyFileError> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let kind = lines
        .next()
        .and_then(|(_, line)| line.strip_prefix("refpoint-key:"))
        .map(str::trim);
    let kind = kind.ok_or(KeyFileError::NotAKeyFile)?;
    let allowed: &[&str] = match kind {
        "root" | "static" | "signing" => &["entity", "secret"],
        "public" | "verifying" => &["entity", "public"],
        "record" => &["entity", "record"],
        "application" => &["id", "entity", "not-before", "not-after", "secret"],
        "connection" => &["id", "point", "entity", "not-before", "not-after", "secret"],
        _ => return Err(KeyFileError::NotAKeyFile),
    };
    let mut fields = Fields::default();
    for (line, written) in lines {
        let outcome = match written.split_once(':') {
            Some((name, value)) if allowed.contains(&name.trim_end()) => {
                fields.set(name.trim_end(), value.trim())
            }
            Some(_) => Err("this kind of key has no such line"),
            None => Err("write name: value"),
        };
        outcome.map_err(|problem| KeyFileError::Line { line, problem })?;
    }
    fields.into_key(kind)
}

impl Fields {
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "id" => once(
                &mut self.id,
                key_id(value).ok_or("write 1 to 32 bytes in hexadecimal")?,
            ),
            "point" => once(
                &mut self.point,
                point(value).ok_or("write x, y, y-prime or z")?,
            ),
            "not-before" => once(&mut self.not_before, utc::parse(value).ok_or(TIME)?),
            "not-after" => once(&mut self.not_after, utc::parse(value).ok_or(TIME)?),
            "secret" => once(
                &mut self.secret,
                bytes(value).ok_or("write 64 hexadecimal digits")?,
            ),
            "public" => once(
                &mut self.public,
                bytes(value).ok_or("write 64 hexadecimal digits")?,
            ),
            "record" => once(
                &mut self.record,
                hex::decode(value).map_err(|_| "write the record in hexadecimal")?,
            ),
            _ => {
                if self.entities.len() == 2 {
                    return Err("at most two entities share a key");
                }
                let id = EntityId::parse(value)
                    .map_err(|_| "write an absolute id such as //sp.example.com/id-in")?;
                self.entities.push(id);
                Ok(())
            }
        }
    }

    fn into_key(mut self, kind: &str) -> Result<KeyFile, KeyFileError> {
        if matches!(kind, "connection" | "application") {
            return self.into_shared(kind);
        }
        if self.entities.len() > 1 {
            return Err(KeyFileError::Line {
                line: 1,
                problem: "this kind of key has one entity",
            });
        }
        let entity = self.entities.pop().ok_or(KeyFileError::Missing("entity"))?;
        if kind == "record" {
            let record = self.record.ok_or(KeyFileError::Missing("record"))?;
            return Ok(KeyFile::Record { entity, record });
        }
        if matches!(kind, "public" | "verifying") {
            let key = *self.public.ok_or(KeyFileError::Missing("public"))?;
            return Ok(match kind {
                "public" => KeyFile::Public { entity, key },
                _ => KeyFile::Verifying { entity, key },
            });
        }
        let secret = self.secret.take().ok_or(KeyFileError::Missing("secret"))?;
        if kind == "root" {
            return Ok(KeyFile::Root {
                entity,
                key: RootKey::new(*secret),
            });
        }
        let key = StaticSecret::new(*secret);
        Ok(match kind {
            "static" => KeyFile::Static { entity, key },
            _ => KeyFile::Signing { entity, key },
        })
    }

    /// A key that two entities share.
    fn into_shared(mut self, kind: &str) -> Result<KeyFile, KeyFileError> {
        let not_after = self.not_after.ok_or(KeyFileError::Missing("not-after"))?;
        let validity = Validity::new(self.not_before, not_after)?;
        let [a, b] = self.entities.as_slice() else {
            return Err(KeyFileError::Missing("entity"));
        };
        let secret = self.secret.take().ok_or(KeyFileError::Missing("secret"))?;
        let id = self.id.ok_or(KeyFileError::Missing("id"))?;
        Ok(if kind == "application" {
            KeyFile::Application(ApplicationKey::from_bytes(*secret, id, a, b, validity)?)
        } else {
            let point = self.point.ok_or(KeyFileError::Missing("point"))?;
            let key = ConnectionKey::from_bytes(*secret, id, point, a, b, validity)?;
            KeyFile::Connection(key)
        })
    }
}

const TIME: &str = "write a time such as 2027-11-23T08:00:00Z";

fn once<T>(field: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if field.is_some() {
        return Err("this line stands there twice");
    }
    *field = Some(value);
    Ok(())
}

fn key_id(value: &str) -> Option<KeyId> {
    KeyId::new(&hex::decode(value).ok()?).ok()
}

fn bytes(value: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(value, bytes.as_mut_slice()).ok()?;
    Some(bytes)
}

/// Reads the name of a reference point as key files, configuration and command line write it.
pub fn point(value: &str) -> Option<ReferencePoint> {
    Some(match value {
        "x" => ReferencePoint::X,
        "y" => ReferencePoint::Y,
        "y-prime" => ReferencePoint::YPrime,
        "z" => ReferencePoint::Z,
        _ => return None,
    })
}
