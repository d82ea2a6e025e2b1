//! The end point of section 18 that the Python peer corresponds with.
//!
//! A connection is one end point with its own pre-keys and sessions. Each line is an errand, a JSON
//! object, and each gets one line back: `{"refused": ..}` when the end point refused what came.
//!
//! | errand | answer |
//! |---|---|
//! | `begin` (`suite`) | its record and pre-key, signed, and the same pre-key with a voucher |
//! | `wait` (`seconds`) | its clock moves on |
//! | `take` (`sealed`) | what opened: of an object or group `sender`, `proof`, `content`; of a packet `content`, `reply`, `established`, `confirmed`, `closed` |
//! | `seal` (`pre_key`, `shared`, `padded`, `group`, `content`) | `sealed`: an object, or a group of one |
//! | `initiate` | `sealed`: an Initiate |
//! | `send` (`content`) | `sealed`: a letter of the session that it has |
//! | `ask`, `close` | `sealed`: a letter that asks for a successor, or closes |

use core::num::NonZeroU16;
use core::time::Duration;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use refpoint_association::{
    Backend, CloseReason, Credential, CredentialId, Credentials, Local, Now, Policy, StaticKey,
    Suite,
};
use refpoint_e2e::{
    Contacts, Delivery, EntityRecord, Error, Group, Inner, InnerForm, Opener, Padding, PreKey,
    PreKeyPolicy, PreKeyRing, Proof, Sealed, Sealer, Sessions, SigningKey, Target,
};
use refpoint_keys::{ApplicationKey, EntityId, KeyId, Profile, UtcTime, Validity};
use refpoint_primitive::{Content, MediaType, RequestId};
use serde_json::{Value, json};

use crate::{
    Clock,
    keyring::{array, bytes, entity, text},
};

/// What is sealed is taken for so long.
const LIFE: Duration = Duration::from_secs(3600);

/// Keys of epochs change this often: the test moves the clock.
const RATCHET: Duration = Duration::from_secs(6 * 3600);

struct Correspondent {
    suite: Suite,
    authority: SigningKey,
    signing: SigningKey,
    record: EntityRecord,
    peer: EntityRecord,
    key: Arc<ApplicationKey>,
    target: Target,
    sealer: Sealer,
    opener: Opener,
    contacts: Contacts,
    sessions: Sessions,
    credential: CredentialId,
    clock: Clock,
    waited: Duration,
    sent: u32,
}

/// Does what the lines of a connection ask for.
pub(crate) fn serve(file: &Path, stream: &TcpStream) -> anyhow::Result<()> {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next() else {
        return Ok(());
    };
    let first: Value = serde_json::from_str(&first?)?;
    let suite = first["suite"]
        .as_u64()
        .and_then(|suite| u8::try_from(suite).ok());
    let suite = Suite::try_from(suite.context("no suite")?)?;
    let mut correspondent = Correspondent::new(&file["end_to_end"], suite)?;
    answer(stream, &correspondent.introduction()?)?;
    for line in lines {
        let errand: Value = serde_json::from_str(&line?)?;
        let done = match correspondent.errand(&errand) {
            Ok(done) => done,
            Err(error) => match error.downcast::<Error>() {
                Ok(refused) => json!({ "refused": refused.to_string() }),
                Err(error) => json!({ "broken": format!("{error:#}") }),
            },
        };
        answer(stream, &done)?;
    }
    Ok(())
}

fn answer(mut stream: &TcpStream, line: &Value) -> anyhow::Result<()> {
    Ok(stream.write_all(format!("{line}\n").as_bytes())?)
}

fn random() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

impl Correspondent {
    fn new(file: &Value, suite: Suite) -> anyhow::Result<Self> {
        let (own, other, backend) = (&file["rust"], &file["python"], Backend::default());
        let (id, peer): (EntityId, _) = (entity(own)?, entity(other)?);
        let forever = Validity::until(UtcTime::from_secs(u32::MAX.into()));
        let secret = |value: &Value, field| array(value, field);
        let record = |id: &EntityId, value: &Value| -> anyhow::Result<EntityRecord> {
            let key = StaticKey::from_bytes(&secret(value, "static")?, backend)?;
            let signing = SigningKey::from_bytes(secret(value, "signing")?);
            let record = EntityRecord::pinned(id.clone(), key.public_key(), forever);
            Ok(record.with_signing_key(signing.verifying_key()))
        };
        let key_id = KeyId::new(&bytes(file, "key_id")?)?;
        let shared = secret(file, "application_key")?;
        let key = ApplicationKey::from_bytes(shared, key_id, &id, &peer, forever)?;
        let key = Arc::new(key);
        let peer = record(&peer, other)?;
        let mut contacts = Contacts::new();
        contacts.insert_key(key.clone(), peer.clone())?;
        contacts.insert_record(peer.clone())?;
        let policy = Policy::default()
            .with_lifetime(Duration::from_secs(1 << 20))?
            .with_ratchet(Some(RATCHET))?
            .with_epoch_bits(16)?;
        let credential = Credential::new(&id, Arc::new(key.connection_key()), &[Profile::Psk])?
            .with_suites(&[suite])?
            .with_policy(policy);
        let mut credentials = Credentials::new();
        let credential = credentials.insert(credential)?;
        let clock = Clock::new();
        let mut ring = PreKeyRing::new(&mut random(), backend, suite, PreKeyPolicy::default())?;
        ring.tend(clock.now().utc.context("a date")?, &mut random())?;
        let own_key = StaticKey::from_bytes(&secret(own, "static")?, backend)?;
        Ok(Self {
            suite,
            authority: SigningKey::from_bytes(secret(file, "authority")?),
            signing: SigningKey::from_bytes(secret(own, "signing")?),
            record: record(&id, own)?,
            peer,
            key,
            target: Target::new(text(file, "target")?)?,
            sealer: Sealer::new(id.clone(), own_key),
            opener: Opener::new(id.clone(), ring),
            contacts,
            sessions: Sessions::new(Local::new(id), backend, credentials),
            credential,
            clock,
            waited: Duration::ZERO,
            sent: 0,
        })
    }

    fn now(&self) -> Now {
        let now = self.clock.now();
        Now {
            monotonic: now.monotonic + self.waited,
            utc: now.utc.map(|utc| utc.saturating_add(self.waited)),
        }
    }

    fn date(&self) -> anyhow::Result<UtcTime> {
        self.now().utc.context("this machine has a date")
    }

    fn introduction(&self) -> anyhow::Result<Value> {
        let (id, ring) = (self.opener.id(), self.opener.ring());
        Ok(json!({
            "record": hex(&self.record.issue(&self.authority)?),
            "signed": hex(&ring.signed(id, &self.signing)?.encode()),
            "vouched": hex(&ring.vouched(id, &self.key)?.encode()),
        }))
    }

    fn errand(&mut self, errand: &Value) -> anyhow::Result<Value> {
        match text(errand, "do")? {
            "wait" => {
                let seconds = errand["seconds"].as_u64().context("no seconds")?;
                self.waited += Duration::from_secs(seconds);
                Ok(json!({}))
            }
            "take" => self.take(&bytes(errand, "sealed")?),
            "seal" => self.seal(errand),
            "initiate" => {
                let (now, target) = (self.now(), &self.target);
                let begun = self
                    .sessions
                    .initiate(now, &mut random(), self.credential, target)?;
                Ok(packet(begun.1))
            }
            "send" => self.send(&bytes(errand, "content")?),
            "ask" => {
                let (now, session) = (self.now(), self.session()?);
                Ok(packet(self.sessions.ask_to_renew(now, session)?))
            }
            "close" => {
                let (now, session) = (self.now(), self.session()?);
                let letter = self.sessions.close(now, session, CloseReason::Done)?;
                Ok(packet(letter))
            }
            other => bail!("no errand is called {other}"),
        }
    }

    fn session(&self) -> anyhow::Result<refpoint_e2e::SessionId> {
        let session = self.sessions.with(self.peer.id(), &self.target);
        session.context("there is no session to send in")
    }

    fn take(&mut self, sealed: &[u8]) -> anyhow::Result<Value> {
        let now = self.now();
        let opened = match Sealed::decode(sealed)? {
            Sealed::Object(object) => {
                self.opener
                    .open(now.utc, &self.contacts, &self.target, &object)?
            }
            Sealed::Group(group) => {
                let at = (Backend::default(), now.utc);
                group.open(&mut self.opener, at, &self.contacts, &self.target)?
            }
            Sealed::Packet(packet) => return self.take_packet(&packet),
        };
        Ok(json!({
            "sender": opened.sender.as_str(),
            "proof": match opened.proof {
                Proof::ApplicationKey(_) => "application key",
                Proof::StaticKey => "static key",
            },
            "content": hex(&opened.content),
        }))
    }

    fn take_packet(&mut self, packet: &[u8]) -> anyhow::Result<Value> {
        let now = self.now();
        let arrival = self
            .sessions
            .receive(now, &mut random(), &self.target, packet)?;
        let content = arrival.inner.and_then(|inner| match inner.form {
            InnerForm::Content(content) => Some(hex(content.data())),
            _ => None,
        });
        let reply = arrival
            .reply
            .map(|reply| hex(&Sealed::Packet(reply).encode()));
        Ok(json!({
            "content": content,
            "reply": reply,
            "established": arrival.established,
            "confirmed": arrival.confirmed,
            "closed": arrival.closed.is_some(),
        }))
    }

    fn seal(&self, errand: &Value) -> anyhow::Result<Value> {
        let wanted = |field: &str| errand[field].as_bool().unwrap_or_default();
        let (now, content) = (self.date()?, bytes(errand, "content")?);
        let recipient = PreKey::decode(&bytes(errand, "pre_key")?)?.verify(&self.peer, now)?;
        let delivery = Delivery {
            recipient: &recipient,
            key: wanted("shared").then_some(&*self.key),
            target: &self.target,
            expires: now.saturating_add(LIFE),
        };
        let padding = match NonZeroU16::new(64) {
            Some(size) if wanted("padded") => Padding::Multiple(size),
            _ => Padding::None,
        };
        let sealer = self.sealer.clone().with_padding(padding);
        let rng = &mut random();
        let sealed = if wanted("group") {
            let with = (Backend::default(), self.suite);
            Sealed::Group(Group::seal(&sealer, now, rng, with, &[delivery], &content)?)
        } else {
            Sealed::Object(sealer.seal(now, rng, &delivery, &content)?)
        };
        Ok(json!({ "sealed": hex(&sealed.encode()) }))
    }

    fn send(&mut self, content: &[u8]) -> anyhow::Result<Value> {
        let (now, session) = (self.now(), self.session()?);
        self.sent += 1;
        let inner = Inner {
            target: self.target.clone(),
            request_id: RequestId::new(&format!("rust-{}", self.sent))?,
            expires: self.date()?.saturating_add(LIFE),
            form: InnerForm::Content(Content::new(MediaType::Json, content.to_vec())?),
        };
        Ok(packet(self.sessions.send(now, session, inner)?))
    }
}

fn packet(packet: Vec<u8>) -> Value {
    json!({ "sealed": hex(&Sealed::Packet(packet).encode()) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
