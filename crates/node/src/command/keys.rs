use core::time::Duration;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use refpoint_association::{Backend, PublicKey, StaticKey};
use refpoint_e2e::{EntityRecord, SigningKey, VerifyingKey};
use refpoint_keys::{
    ApplicationKey, ConnectionKey, EntityId, KeyId, ReferencePoint, RootKey, UtcTime, Validity,
};
use refpoint_node::config::parse_duration;
use refpoint_node::key_file::{KeyFile, StaticSecret};

/// Make, derive and show keys.
///
/// Keys lie in text files that only their owner may be able to read; the documentation of refpoint_node::key_file
/// describes them. No command overwrites a file, and none prints a secret.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new random key.
    #[command(subcommand)]
    New(New),
    /// Derive a key from another.
    #[command(subcommand)]
    Derive(Derive),
    /// Sign, as an authority, which keys are an entity's.
    Record(Issue),
    /// Show the public parts of key files.
    Show {
        /// Key files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum New {
    /// The root key of an entity, of which its connection keys are derived.
    Root {
        /// Whose it is, such as //sp.example.com/id-mn.
        #[arg(long, value_parser = entity)]
        entity: EntityId,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// The X25519 private key of an entity, for the profiles pinned and known.
    Static {
        /// Whose it is, such as //sp.example.com/id-mn.
        #[arg(long, value_parser = entity)]
        entity: EntityId,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// The key of two entities at one reference point; copy it to both.
    Connection {
        /// The two entities: give the option twice.
        #[arg(long, value_parser = entity, required = true)]
        entity: Vec<EntityId>,
        #[command(flatten)]
        point: Point,
        #[command(flatten)]
        terms: Terms,
    },
    /// The key of two end points, for what they seal for each other; copy it to both, and to no node in between.
    Application {
        /// The two end points: give the option twice.
        #[arg(long, value_parser = entity, required = true)]
        entity: Vec<EntityId>,
        #[command(flatten)]
        terms: Terms,
    },
    /// The Ed25519 private key of an entity, for its pre-keys, or of an authority, for entity records.
    Signing {
        /// Whose it is, such as //sp.example.com/id-mn/CSensor1.
        #[arg(long, value_parser = entity)]
        entity: EntityId,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Derive {
    /// The connection key of a root key's owner and a peer.
    ///
    /// Both holders of the root key get the same key from the same options, so give --id, --from and --until.
    Connection {
        /// The file of the root key.
        #[arg(long, value_name = "FILE")]
        root: PathBuf,
        /// The other entity.
        #[arg(long, value_parser = entity)]
        peer: EntityId,
        #[command(flatten)]
        point: Point,
        #[command(flatten)]
        terms: Terms,
    },
    /// The public key of a signing key, to give to who verifies.
    Verifying {
        /// The file of the signing key.
        #[arg(long = "signing", value_name = "FILE")]
        key: PathBuf,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// The public key of a static key, to give to peers.
    Public {
        /// The file of the static key.
        #[arg(long = "static", value_name = "FILE")]
        key: PathBuf,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Issue {
    /// The signing key of the authority.
    #[arg(long, value_name = "FILE")]
    authority: PathBuf,
    /// The entity's X25519 public key.
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
    /// The entity's Ed25519 verifying key.
    #[arg(long, value_name = "FILE")]
    verifying: PathBuf,
    #[command(flatten)]
    period: Period,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Where a connection key is for.
#[derive(Debug, Args)]
struct Point {
    /// The reference point: x, y, y-prime or z.
    #[arg(long, value_parser = point)]
    point: ReferencePoint,
}

/// How a shared key is named, and for how long.
#[derive(Debug, Args)]
struct Terms {
    /// The key id, 1 to 32 bytes in hexadecimal; random if absent. Peers see it in the clear.
    #[arg(long, value_name = "HEX", value_parser = key_id)]
    id: Option<KeyId>,
    #[command(flatten)]
    period: Period,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// For how long something is valid.
#[derive(Debug, Args)]
struct Period {
    /// When it begins to be valid, such as 2026-11-23T08:00:00Z; absent: it is valid already.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<UtcTime>,
    /// When it ends to be valid, such as 2027-02-21T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time, required_unless_present = "lifetime")]
    until: Option<UtcTime>,
    /// For how long it is valid from now on, such as 90d, in place of --until.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration, conflicts_with = "until")]
    lifetime: Option<Duration>,
}

impl Keys {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::New(New::Root { entity, out }) => {
                KeyFile::Root {
                    entity,
                    key: RootKey::new(random()?),
                }
                .create(&out)?;
            }
            Command::New(New::Static { entity, out }) => {
                KeyFile::Static {
                    entity,
                    key: StaticSecret::new(random()?),
                }
                .create(&out)?;
            }
            Command::New(New::Signing { entity, out }) => {
                KeyFile::Signing {
                    entity,
                    key: StaticSecret::new(random()?),
                }
                .create(&out)?;
            }
            Command::New(New::Connection {
                entity,
                point,
                terms,
            }) => {
                let (a, b) = two(&entity)?;
                let (id, validity) = (terms.id()?, terms.period.validity()?);
                let key = ConnectionKey::from_bytes(random()?, id, point.point, a, b, validity)?;
                KeyFile::Connection(key).create(&terms.out)?;
            }
            Command::New(New::Application { entity, terms }) => {
                let (a, b) = two(&entity)?;
                let (id, validity) = (terms.id()?, terms.period.validity()?);
                let key = ApplicationKey::from_bytes(random()?, id, a, b, validity)?;
                KeyFile::Application(key).create(&terms.out)?;
            }
            Command::Record(issue) => issue.run()?,
            Command::Derive(Derive::Verifying { key, out }) => {
                let (entity, key) = signing(&key)?;
                let key = *key.verifying_key().as_bytes();
                KeyFile::Verifying { entity, key }.create(&out)?;
            }
            Command::Derive(Derive::Connection {
                root,
                peer,
                point,
                terms,
            }) => {
                let KeyFile::Root { entity, key } = KeyFile::load(&root)? else {
                    bail!("{}: not a root key", root.display());
                };
                let key = key.connection_key(
                    terms.id()?,
                    point.point,
                    &entity,
                    &peer,
                    terms.period.validity()?,
                )?;
                KeyFile::Connection(key).create(&terms.out)?;
            }
            Command::Derive(Derive::Public { key, out }) => {
                let KeyFile::Static {
                    entity,
                    key: secret,
                } = KeyFile::load(&key)?
                else {
                    bail!("{}: not a static key", key.display());
                };
                KeyFile::Public {
                    entity,
                    key: public_key(&secret)?,
                }
                .create(&out)?;
            }
            Command::Show { files } => {
                for file in files {
                    show(&KeyFile::load(&file)?).with_context(|| file.display().to_string())?;
                }
            }
        }
        Ok(())
    }
}

impl Terms {
    fn id(&self) -> anyhow::Result<KeyId> {
        match self.id {
            Some(id) => Ok(id),
            None => Ok(KeyId::new(&random::<4>()?)?),
        }
    }
}

impl Period {
    fn validity(&self) -> anyhow::Result<Validity> {
        let until = match (self.until, self.lifetime) {
            (Some(until), _) => until,
            (None, Some(lifetime)) => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .context("the clock is before 1970")?;
                UtcTime::from_secs(since.as_secs()).saturating_add(lifetime)
            }
            (None, None) => bail!("give --until or --for: a key has an end"),
        };
        Ok(Validity::new(self.from, until)?)
    }
}

impl Issue {
    fn run(self) -> anyhow::Result<()> {
        let (_, authority) = signing(&self.authority)?;
        let KeyFile::Public { entity, key } = KeyFile::load(&self.public)? else {
            bail!("{}: not a public key", self.public.display());
        };
        let verifying = match KeyFile::load(&self.verifying)? {
            KeyFile::Verifying { entity: owner, key } if owner == entity => key,
            _ => bail!(
                "{}: not the verifying key of {entity}",
                self.verifying.display()
            ),
        };
        let verifying = VerifyingKey::from_bytes(&verifying)?;
        let validity = self.period.validity()?;
        let record = EntityRecord::pinned(entity.clone(), PublicKey::new(key), validity);
        let record = record.with_signing_key(verifying).issue(&authority)?;
        Ok(KeyFile::Record { entity, record }.create(&self.out)?)
    }
}

fn signing(path: &Path) -> anyhow::Result<(EntityId, SigningKey)> {
    match KeyFile::load(path)? {
        KeyFile::Signing { entity, key } => {
            Ok((entity, SigningKey::from_bytes(*key.expose_bytes())))
        }
        _ => bail!("{}: not a signing key", path.display()),
    }
}

fn two(entities: &[EntityId]) -> anyhow::Result<(&EntityId, &EntityId)> {
    match entities {
        [a, b] => Ok((a, b)),
        _ => bail!("give --entity twice: the key has two ends"),
    }
}

fn show(key: &KeyFile) -> anyhow::Result<()> {
    print!("{}", key.public_part());
    if let KeyFile::Static { key, .. } = key {
        println!("public: {}", hex::encode(public_key(key)?));
    }
    Ok(())
}

fn public_key(secret: &StaticSecret) -> anyhow::Result<[u8; 32]> {
    Ok(
        *StaticKey::from_bytes(secret.expose_bytes(), Backend::AwsLc)?
            .public_key()
            .as_bytes(),
    )
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("no randomness from the operating system")?;
    Ok(bytes)
}

fn entity(text: &str) -> Result<EntityId, refpoint_keys::Error> {
    EntityId::parse(text)
}

fn point(text: &str) -> Result<ReferencePoint, String> {
    refpoint_node::key_file::parse_point(text).ok_or_else(|| "write x, y, y-prime or z".to_owned())
}

fn time(text: &str) -> Result<UtcTime, String> {
    refpoint_node::key_file::parse_time(text)
        .ok_or_else(|| "write a time such as 2026-11-23T08:00:00Z".to_owned())
}

fn key_id(text: &str) -> Result<KeyId, String> {
    let bytes = hex::decode(text).map_err(|error| error.to_string())?;
    KeyId::new(&bytes).map_err(|error| error.to_string())
}
