//! For whom a service node says that it speaks.

use alloc::collections::BTreeSet;

use refpoint_keys::EntityId;
use refpoint_primitive::Error;

use crate::proto;

/// The entities behind a service node, beyond itself and the AEs named at it.
///
/// It grants nothing: it activates what the receiver's configuration allows ([`Layer::announce`](crate::Layer::announce)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcement(BTreeSet<EntityId>);

impl Announcement {
    /// The most entities of an announcement.
    pub const MOST: usize = 4096;

    /// An announcement of these entities.
    ///
    /// # Errors
    /// [`Error`] that names `entities` when they are too many.
    pub fn new(entities: impl IntoIterator<Item = EntityId>) -> Result<Self, Error> {
        let entities: BTreeSet<_> = entities.into_iter().collect();
        if entities.len() > Self::MOST {
            return Err(Self::TOO_MANY);
        }
        Ok(Self(entities))
    }

    /// The entities.
    #[must_use]
    pub const fn entities(&self) -> &BTreeSet<EntityId> {
        &self.0
    }

    /// Reads the generated message.
    ///
    /// # Errors
    /// [`Error`] that names `entities` when they are too many, or one is no absolute id.
    pub fn from_proto(announcement: &proto::Announcement) -> Result<Self, Error> {
        let entities = &announcement.entities;
        if entities.len() > Self::MOST {
            return Err(Self::TOO_MANY);
        }
        let invalid = Error::Invalid {
            field: "entities",
            expected: "write canonical absolute ids",
        };
        let entities = entities.iter().map(|entity| EntityId::parse(entity));
        let entities = entities.collect::<Result<_, _>>();
        entities.map(Self).map_err(|_| invalid)
    }

    /// Makes the generated message.
    #[must_use]
    pub fn into_proto(self) -> proto::Announcement {
        let entities = self.0.iter().map(|entity| entity.as_str().into());
        proto::Announcement {
            entities: entities.collect(),
        }
    }

    const TOO_MANY: Error = Error::TooLong {
        field: "entities",
        limit: Self::MOST,
    };
}
