use std::collections::HashMap;

use refpoint_keys::UtcTime;

/// Where an object was opened: a hash of the identifiers of the resource that held it.
pub(super) type Place = [u8; 16];

/// The SHA-256 of what was sealed.
pub(super) type Digest = [u8; 32];

/// What has become of an object that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The AE read it, if anything.
    No,
    /// It is being notified of it.
    UnderWay,
    /// It was notified of it.
    Yes,
}

#[derive(Debug, Clone, Copy)]
struct Opened {
    /// None where its resource did not say which it is: it opens only once.
    place: Option<Place>,
    told: Told,
    until: UtcTime,
}

/// How something sealed came to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// The AE reads a resource: it may do so again.
    Read,
    /// The AE is notified: once.
    Notified,
}

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Open it: it is new.
    Open,
    /// Open it again: the same resource is read once more.
    Again,
    /// It is a replay: another resource holds what was opened already, or the AE was told before.
    Replay,
}

/// Where each object was opened that has not expired.
///
/// An AE reads a resource as often as it likes, so the same object *in the same resource* is no replay. In
/// another resource, or as a second notification, it is.
#[derive(Debug, Default)]
pub(super) struct Places {
    opened: HashMap<Digest, Opened>,
}

impl Places {
    /// What to do with the object `digest` in the resource `place`.
    pub(super) fn verdict(&self, digest: &Digest, place: Option<Place>, came: Came) -> Verdict {
        match self.opened.get(digest) {
            None => Verdict::Open,
            Some(opened) if opened.place.is_none() || opened.place != place => Verdict::Replay,
            Some(opened) if came == Came::Notified && opened.told != Told::No => Verdict::Replay,
            Some(_) => Verdict::Again,
        }
    }

    /// Takes note of an object that opened there, and forgets those that have expired.
    pub(super) fn insert(
        &mut self,
        now: UtcTime,
        digest: Digest,
        (place, until): (Option<Place>, UtcTime),
    ) {
        self.opened.retain(|_, opened| opened.until > now);
        let told = Told::No;
        self.opened.insert(digest, Opened { place, told, until });
    }

    /// Takes note of what has become of it.
    pub(super) fn set(&mut self, digest: &Digest, told: Told) {
        if let Some(opened) = self.opened.get_mut(digest) {
            opened.told = told;
        }
    }

    /// All of it, for who keeps it.
    ///
    /// ```text
    /// places = count (4) ‖ ( digest (32) ‖ flags (1) ‖ place (16) ‖ until (8) ) ..
    /// ```
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.opened.len() as u32).to_be_bytes());
        for (digest, opened) in &self.opened {
            let told = u8::from(opened.told == Told::Yes);
            out.extend_from_slice(digest);
            out.push(told | u8::from(opened.place.is_some()) << 1);
            out.extend_from_slice(&opened.place.unwrap_or_default());
            out.extend_from_slice(&opened.until.as_secs().to_be_bytes());
        }
    }

    /// How many bytes that is.
    pub(super) fn len(&self) -> usize {
        4 + self.opened.len() * Self::ENTRY
    }

    const ENTRY: usize = 32 + 1 + 16 + 8;

    /// Reads what was kept; none when it is not that.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (count, entries) = bytes.split_first_chunk()?;
        let count = u32::from_be_bytes(*count) as usize;
        if entries.len() != count.checked_mul(Self::ENTRY)? {
            return None;
        }
        let mut opened = HashMap::with_capacity(count);
        for entry in entries.chunks_exact(Self::ENTRY) {
            let (digest, rest) = entry.split_first_chunk()?;
            let (&[flags], rest) = rest.split_first_chunk()?;
            let (place, rest) = rest.split_first_chunk()?;
            let until = UtcTime::from_secs(u64::from_be_bytes(*rest.first_chunk()?));
            let told = if flags & 1 == 0 { Told::No } else { Told::Yes };
            let place = (flags & 2 != 0).then_some(*place);
            opened.insert(*digest, Opened { place, told, until });
        }
        Some(Self { opened })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: Digest = [1; 32];
    const HERE: Option<Place> = Some([1; 16]);
    const THERE: Option<Place> = Some([2; 16]);

    fn at(seconds: u64) -> UtcTime {
        UtcTime::from_secs(seconds)
    }

    fn opened(place: Option<Place>) -> Places {
        let mut places = Places::default();
        assert_eq!(places.verdict(&OBJECT, place, Came::Read), Verdict::Open);
        places.insert(at(0), OBJECT, (place, at(10)));
        places
    }

    #[test]
    fn the_same_resource_is_read_again_and_another_is_a_replay() {
        let places = opened(HERE);
        let read = |place| places.verdict(&OBJECT, place, Came::Read);
        assert_eq!(read(HERE), Verdict::Again);
        assert_eq!(read(THERE), Verdict::Replay);
        assert_eq!(read(None), Verdict::Replay);
        let nowhere = opened(None);
        assert_eq!(nowhere.verdict(&OBJECT, None, Came::Read), Verdict::Replay);
    }

    #[test]
    fn an_ae_is_told_once_and_again_only_if_it_did_not_hear() {
        let mut places = opened(HERE);
        let mut told = |told| {
            places.set(&OBJECT, told);
            places.verdict(&OBJECT, HERE, Came::Notified)
        };
        assert_eq!(told(Told::UnderWay), Verdict::Replay);
        assert_eq!(told(Told::No), Verdict::Again);
        assert_eq!(told(Told::Yes), Verdict::Replay);
        assert_eq!(places.verdict(&OBJECT, HERE, Came::Read), Verdict::Again);
    }

    #[test]
    fn what_was_kept_is_read_and_what_is_over_is_forgotten() {
        let mut places = opened(HERE);
        places.insert(at(1), [2; 32], (None, at(5)));
        places.set(&OBJECT, Told::Yes);
        let mut kept = Vec::new();
        places.write(&mut kept);
        assert_eq!(kept.len(), places.len());
        let read = Places::read(&kept).expect("intact");
        assert_eq!(read.verdict(&OBJECT, HERE, Came::Read), Verdict::Again);
        assert_eq!(read.verdict(&OBJECT, HERE, Came::Notified), Verdict::Replay);
        assert_eq!(read.verdict(&[2; 32], None, Came::Read), Verdict::Replay);
        assert!(Places::read(&kept[..kept.len() - 1]).is_none());
        places.insert(at(5), [3; 32], (HERE, at(9)));
        assert_eq!(places.verdict(&[2; 32], None, Came::Read), Verdict::Open);
    }
}
