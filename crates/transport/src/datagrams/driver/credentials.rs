use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use refpoint_association::{Credential, CredentialId, Error, HeldHandle};
use refpoint_keys::ReferencePoint;

use super::Driver;
use crate::clock;

impl Driver {
    /// Takes over the keyring's credentials for X: what went is revoked, what came can be used.
    pub(super) fn take_credentials(&mut self) {
        let wanted: HashMap<_, _> = self.keyring.read(|_, credentials| {
            let all = credentials.iter();
            let of_x = all.filter(|(_, credential)| credential.point() == ReferencePoint::X);
            of_x.map(|(id, credential)| (id, credential.clone()))
                .collect()
        });
        let is_wanted = |id: &CredentialId, credential: &Arc<Credential>| {
            wanted
                .get(id)
                .is_some_and(|other| Arc::ptr_eq(other, credential))
        };
        let held = core::mem::take(&mut self.credentials);
        for (id, (credential, named)) in held {
            if is_wanted(&id, &credential) {
                self.credentials.insert(id, (credential, named));
            } else {
                let out = &mut self.outgoing;
                self.endpoint.remove_credential(clock::now(), named, out);
            }
        }
        for id in self.peers.associations() {
            if self.endpoint.peer(id).is_none() {
                self.closed(id, Error::NoCredential);
            }
        }
        for (id, credential) in wanted {
            if let Entry::Vacant(place) = self.credentials.entry(id) {
                match self
                    .endpoint
                    .insert_credential(Credential::clone(&credential))
                {
                    Ok(named) => drop(place.insert((credential, named))),
                    Err(error) => tracing::warn!(%error, "a credential is of no use"),
                }
            }
        }
        self.restore();
    }

    /// Takes over from an earlier process what fits a credential; the rest may still come to fit.
    fn restore(&mut self) {
        let (now, endpoint) = (clock::now(), &mut self.endpoint);
        let (issued, held) = &mut self.left;
        let fits_none = |restored: Result<(), Error>| restored == Err(Error::NoCredential);
        let slots = &mut self.slots;
        slots.retain(|slot| fits_none(endpoint.restore_slot(now, slot.clone()).map(|_| ())));
        let before = issued.len();
        issued.retain(|stored| fits_none(endpoint.restore_issued(now, stored)));
        if issued.len() < before {
            let handles = endpoint.issued();
            tracing::info!(handles, "peers can resume associations of before");
        }
        for kept in core::mem::take(held) {
            let bytes = kept.expose_bytes();
            if fits_none(endpoint.restore_held(now, kept).map(|_| ()))
                && let Ok(kept) = HeldHandle::from_bytes(now, &bytes)
            {
                held.push(kept);
            }
        }
    }
}
