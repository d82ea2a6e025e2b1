use refpoint_wire::{FRAME_HEADER, Record, RecordKind, Sequence, TAG_LEN};

use super::framing::Aad;
use crate::{
    Backend, Error, Now, Suite,
    epoch::EpochKey,
    lifetime::Lifetime,
    policy::{Agreed, Usage},
    receiver::{Place, Receiver},
    schedule::Traffic,
    scrub::on_clean_stack,
};

/// The receiving direction of one association on a stream.
#[derive(Debug)]
pub(super) struct Opening {
    receiver: Receiver,
    /// The expanded key and its epoch.
    key: (u64, EpochKey),
    backend: Backend,
    suite: Suite,
    pub(super) agreed: Agreed,
    nearly_used_at: Usage,
    pub(super) lifetime: Lifetime,
}

/// A record that has opened.
pub(super) struct Plain<'a> {
    pub(super) kind: RecordKind,
    pub(super) confirms: bool,
    pub(super) bytes: &'a [u8],
}

impl Opening {
    pub(super) fn new(
        traffic: Traffic,
        (backend, suite): (Backend, Suite),
        (agreed, lifetime): (Agreed, Lifetime),
    ) -> Self {
        Self {
            key: (0, traffic.epoch_key(backend, suite)),
            receiver: Receiver::new(traffic, agreed.epoch_bits),
            backend,
            suite,
            nearly_used_at: agreed.nearly_used_at(),
            agreed,
            lifetime,
        }
    }

    /// Opens a framed record in place: the length and the packet behind it.
    pub(super) fn open<'a>(&mut self, now: Now, frame: &'a mut [u8]) -> Result<Plain<'a>, Error> {
        self.lifetime.may_open(now.millis())?;
        let (header, sealed) = frame
            .split_first_chunk_mut::<{ FRAME_HEADER + 1 }>()
            .ok_or(Error::Unexpected)?;
        let (kind, boundary, confirms) = Record::parse_stream_type(header[FRAME_HEADER])?;
        self.agreed
            .admits(RecordKind::Control, self.receiver.usage())?;
        let len = sealed
            .len()
            .checked_sub(TAG_LEN)
            .ok_or(Error::Authentication)?;
        let (sequence, skipped) = self.expected(boundary)?;
        let place = self
            .receiver
            .locate(sequence, 0)
            .ok_or(Error::Authentication)?;
        if let Place::Ahead(distance) = place {
            let traffic = self.receiver.traffic(place).ok_or(Error::Authentication)?;
            on_clean_stack(|| {
                let key = traffic.epoch_key(self.backend, self.suite);
                self.key = (self.receiver.epoch() + distance, key);
            });
        }
        self.key
            .1
            .open(sequence, Aad::new(header, skipped).as_bytes(), sealed)
            .map_err(|()| Error::Authentication)?;
        self.receiver.commit(place, sequence, len, 0);
        // In order: nothing of an epoch that was left can come any more.
        self.receiver.expire(u64::MAX);
        let bytes = &sealed[..len];
        Ok(Plain {
            kind,
            confirms,
            bytes,
        })
    }

    /// The sequence of the next record and, if that skips, what it would be without.
    fn expected(&self, boundary: bool) -> Result<(Sequence, Option<Sequence>), Error> {
        let next = Sequence::new(self.receiver.expected())?;
        if !boundary {
            return Ok((next, None));
        }
        let bits = self.agreed.epoch_bits;
        let skipped_to = ((next.number() >> bits) + 1) << bits;
        Ok((Sequence::new(skipped_to)?, Some(next)))
    }

    pub(super) const fn is_nearly_used(&self) -> bool {
        let (records, bytes) = self.receiver.usage();
        records >= self.nearly_used_at.0 || bytes >= self.nearly_used_at.1
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.receiver.epoch()
    }
}
