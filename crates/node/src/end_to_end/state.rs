use refpoint_association::Backend;
use refpoint_e2e::{Contacts, Inner, InnerForm, Opened, Opener, Sealed, Target};
use refpoint_keys::{EntityId, UtcTime};
use refpoint_primitive::Content;
use refpoint_store::StateFile;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::letters::{Brought, Letters};
use super::places::{Came, Digest, Place, Places, Told, Verdict};
use super::refused::Refused;
use crate::clock;
use crate::config::{Form, SealedResource};

/// What this end point must not forget: its pre-keys and what they have opened.
#[derive(Debug)]
pub(super) struct State {
    pub(super) opener: Opener,
    pub(super) letters: Letters,
    places: Places,
    file: Option<StateFile>,
}

/// Something that opened.
pub(super) struct Found {
    pub(super) sender: EntityId,
    pub(super) content: Content,
    pub(super) digest: Digest,
}

const FORMAT: u8 = 1;

impl State {
    /// Begins without anything.
    pub(super) fn new(opener: Opener, letters: Letters) -> Self {
        Self {
            opener,
            letters,
            places: Places::default(),
            file: None,
        }
    }

    /// Goes on with what `file` keeps, if there is something.
    ///
    /// ```text
    /// state = 1 ‖ length (4) ‖ pre-keys ‖ length (4) ‖ sessions ‖ places
    /// ```
    pub(super) fn kept(
        mut opener: Opener,
        mut letters: Letters,
        mut file: StateFile,
    ) -> Result<Self, Refused> {
        const DAMAGED: Refused = Refused::Unreadable("the kept state");
        let mut places = Places::default();
        if let Some(kept) = file.take_kept() {
            let (&[format], rest) = kept.split_first_chunk().ok_or(DAMAGED)?;
            let (ring, rest) = part(rest).ok_or(DAMAGED)?;
            let (sessions, rest) = part(rest).ok_or(DAMAGED)?;
            if format != FORMAT {
                return Err(DAMAGED);
            }
            // What holds the objects is a CSE, not a mailbox: it acknowledges nothing.
            opener = opener.restored(ring, 0)?;
            letters.restore(clock::now(), sessions)?;
            places = Places::read(rest).ok_or(DAMAGED)?;
        }
        let file = Some(file);
        Ok(Self {
            opener,
            letters,
            places,
            file,
        })
    }

    /// Keeps all of it, if there is where: durable when this returns.
    pub(super) fn keep(&self) -> Result<(), Refused> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let ring = self.opener.ring().to_bytes(0);
        let sessions = self.letters.to_bytes(clock::now())?;
        let length = 9 + ring.len() + sessions.len() + self.places.len();
        let mut state = Zeroizing::new(Vec::with_capacity(length));
        state.push(FORMAT);
        for part in [&ring, &sessions] {
            state.extend_from_slice(&(part.len() as u32).to_be_bytes());
            state.extend_from_slice(part);
        }
        self.places.write(&mut state);
        Ok(file.replace(&state)?)
    }

    /// Opens `sealed`, which came for one of `candidates` in the resource `place`.
    ///
    /// What is new is kept before anything of it is handed out.
    pub(super) fn open(
        &mut self,
        (now, backend): (UtcTime, Backend),
        contacts: &Contacts,
        candidates: &[&SealedResource],
        sealed: &[u8],
        (place, came): (Option<Place>, Came),
    ) -> Result<Found, Refused> {
        let digest: Digest = Sha256::digest(sealed).into();
        let verdict = self.places.verdict(&digest, place, came);
        if verdict == Verdict::Replay {
            return Err(refpoint_e2e::Error::Replayed.into());
        }
        let sealed = match Sealed::decode(sealed)? {
            Sealed::Packet(packet) => {
                let brought = self.letter(candidates, &packet, (digest, place), verdict)?;
                return Ok(Found {
                    sender: brought.sender,
                    content: brought.content,
                    digest,
                });
            }
            sealed => sealed,
        };
        let mut refused = refpoint_e2e::Error::NotAllowed("an object");
        for candidate in of_form(candidates, Form::Object) {
            let target = &candidate.target;
            match self.reveal((now, backend), contacts, target, &sealed, verdict) {
                Ok(opened) => {
                    let until = opened.head.expires;
                    if verdict == Verdict::Open {
                        self.places.insert(now, digest, (place, until));
                        self.keep()?;
                    }
                    return found(now, candidate, opened, digest);
                }
                Err(error) => refused = error,
            }
        }
        Err(refused.into())
    }

    /// Opens a letter, once; what it brought is kept for who reads its resource again.
    fn letter(
        &mut self,
        candidates: &[&SealedResource],
        packet: &[u8],
        (digest, place): (Digest, Option<Place>),
        verdict: Verdict,
    ) -> Result<Brought, Refused> {
        let now = clock::now();
        let utc = now.utc.ok_or(refpoint_e2e::Error::NoClock)?;
        if verdict == Verdict::Again {
            let brought = self.letters.again(utc, &digest);
            return Ok(brought.ok_or(refpoint_e2e::Error::Replayed)?);
        }
        let candidates: Vec<_> = of_form(candidates, Form::Session).collect();
        if candidates.is_empty() {
            return Err(refpoint_e2e::Error::NotAllowed("a session").into());
        }
        let brought = self.letters.receive(now, &candidates, (packet, None))?;
        if let Some(brought) = &brought {
            self.places.insert(utc, digest, (place, brought.until));
            self.letters.keep(utc, digest, brought);
        }
        self.keep()?;
        brought.ok_or(Refused::Unreadable("a letter without content"))
    }

    fn reveal(
        &mut self,
        (now, backend): (UtcTime, Backend),
        contacts: &Contacts,
        target: &Target,
        sealed: &Sealed,
        verdict: Verdict,
    ) -> Result<Opened, refpoint_e2e::Error> {
        let (opener, now) = (&mut self.opener, Some(now));
        match (sealed, verdict == Verdict::Again) {
            (Sealed::Object(object), false) => opener.open(now, contacts, target, object),
            (Sealed::Object(object), true) => opener.open_again(now, contacts, target, object),
            (Sealed::Group(group), false) => group.open(opener, (backend, now), contacts, target),
            (Sealed::Group(group), true) => {
                group.open_again(opener, (backend, now), contacts, target)
            }
            (Sealed::Packet(_), _) => Err(refpoint_e2e::Error::NotAllowed("a session")),
        }
    }

    /// Takes note of what has become of something that opened, and keeps it.
    pub(super) fn told(&mut self, digest: &Digest, told: Told) -> Result<(), Refused> {
        self.places.set(digest, told);
        match told {
            Told::Yes => self.keep(),
            Told::No | Told::UnderWay => Ok(()),
        }
    }
}

/// Those of the resources whose content has this form.
fn of_form<'a>(
    resources: &[&'a SealedResource],
    form: Form,
) -> impl Iterator<Item = &'a SealedResource> {
    let all = resources.iter().copied();
    all.filter(move |resource| resource.form == form)
}

/// A part of what was kept, and the rest.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// What was opened, if it is what may come there.
fn found(
    now: UtcTime,
    resource: &SealedResource,
    opened: Opened,
    digest: Digest,
) -> Result<Found, Refused> {
    if !resource.from.contains(&opened.sender) {
        return Err(refpoint_e2e::Error::NotAllowed("this sender").into());
    }
    let inner = Inner::decode(&opened.content)?;
    inner.check(&resource.target, Some(now))?;
    match inner.form {
        InnerForm::Content(content) => Ok(Found {
            sender: opened.sender,
            content,
            digest,
        }),
        InnerForm::Request(_) | InnerForm::Response(_) => {
            Err(Refused::Unreadable("the sealed content"))
        }
    }
}
