use refpoint_wire::{Frame, Record, RecordKind, TAG_LEN};

use super::{MAX_STREAM_PAYLOAD, STREAM_HEADROOM, STREAM_TAILROOM, framing::Aad};
use crate::{
    Backend, Error, Now, Suite,
    epoch::EpochKey,
    lifetime::Lifetime,
    policy::{Agreed, Usage},
    schedule::Traffic,
    scrub::on_clean_stack,
    sender::Sender,
};

/// The sending direction of one association on a stream.
#[derive(Debug)]
pub(super) struct Sealing {
    sender: Sender,
    /// The expanded key and its epoch.
    key: (u64, EpochKey),
    backend: Backend,
    suite: Suite,
    /// How long an epoch may last, in milliseconds.
    ratchet: Option<u64>,
    pub(super) agreed: Agreed,
    nearly_used_at: Usage,
    pub(super) lifetime: Lifetime,
}

impl Sealing {
    pub(super) fn new(
        traffic: Traffic,
        (backend, suite): (Backend, Suite),
        (agreed, lifetime): (Agreed, Lifetime),
        ratchet: Option<u64>,
        since: u64,
    ) -> Self {
        Self {
            key: (0, traffic.epoch_key(backend, suite)),
            sender: Sender::new(traffic, agreed.epoch_bits, since),
            backend,
            suite,
            ratchet,
            nearly_used_at: agreed.nearly_used_at(),
            agreed,
            lifetime,
        }
    }

    pub(super) fn may_seal(&self, now: Now, kind: RecordKind) -> Result<(), Error> {
        self.lifetime.may_seal(now.millis())?;
        self.agreed.admits(kind, self.sender.usage())
    }

    /// Seals what lies between the head and the tail room of `frame`.
    pub(super) fn seal(
        &mut self,
        now: Now,
        kind: RecordKind,
        confirm: bool,
        frame: &mut [u8],
    ) -> Result<(), Error> {
        self.may_seal(now, kind)?;
        let size = frame.len();
        let room = frame.split_first_chunk_mut::<STREAM_HEADROOM>();
        let split = room.and_then(|(header, rest)| {
            Some((header, rest.split_last_chunk_mut::<STREAM_TAILROOM>()?))
        });
        let limit = MAX_STREAM_PAYLOAD;
        let (header, (data, tag)) = split.ok_or(Error::TooLarge { size, limit })?;
        if data.len() > limit {
            let size = data.len();
            return Err(Error::TooLarge { size, limit });
        }
        let next = self.sender.advance(now.millis(), self.ratchet)?;
        if self.key.0 != next.epoch {
            on_clean_stack(|| {
                let key = self.sender.traffic().epoch_key(self.backend, self.suite);
                self.key = (next.epoch, key);
            });
        }
        let [high, low] = Frame::header(1 + data.len() + TAG_LEN)?;
        let skips = next.skipped.is_some();
        *header = [high, low, Record::stream_type(kind, skips, confirm)];
        let aad = Aad::new(header, next.skipped);
        *tag = self
            .key
            .1
            .seal(next.sequence, aad.as_bytes(), data)
            .map_err(|()| Error::Backend("seal"))?;
        self.sender.count(data.len());
        Ok(())
    }

    /// The limit that the user's data have reached, if they have.
    pub(super) fn used_up(&self) -> Option<Error> {
        let admits = self.agreed.admits(RecordKind::Data, self.sender.usage());
        admits.err()
    }

    pub(super) const fn is_nearly_used(&self) -> bool {
        let (records, bytes) = self.sender.usage();
        records >= self.nearly_used_at.0 || bytes >= self.nearly_used_at.1
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.sender.epoch()
    }
}
