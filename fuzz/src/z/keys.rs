//! The ring of network keys against a naive model.

use core::time::Duration;
use std::collections::BTreeMap;

use refpoint_keys::{EntityId, NetworkKeySource, UtcTime, Validity};
use refpoint_z::{DeliveredKey, KeyEvent, KeyNotice, KeyRequest, KeyRing, KeyTask, NetworkKeyName};

use crate::Input;
use crate::asking::id;

const LONGEST: Duration = Duration::from_secs(1_000);

/// A key is used no longer than its network and this end allow, and is dropped once; only the
/// network that delivered it is heard about it.
///
/// Operations of a byte each with their arguments: imports, notices and the passing of time.
pub fn z_keys(data: &[u8]) {
    let mut input = Input::new(data);
    let networks = ["//op.example.net/nse-a", "//op.example.net/nse-b"].map(id);
    let devices = ["//sp.example.com/SA", "//sp.example.com/SB"].map(id);
    let mut ring = KeyRing::new(LONGEST);
    let mut model: BTreeMap<(EntityId, NetworkKeyName), (EntityId, u64)> = BTreeMap::new();
    let mut utc = 1_000_000_u64;
    while !input.is_empty() {
        let operation = input.byte();
        let network = &networks[usize::from(operation >> 7)];
        let name = NetworkKeyName::new(&format!("key-{}", operation >> 4 & 3)).expect("a name");
        let now = UtcTime::from_secs(utc);
        match operation & 0x0f {
            0..=3 => {
                let (choice, offset) = (input.byte(), u64::from(input.byte()) * 8);
                let device = &devices[usize::from(choice & 1)];
                let not_after = utc - 100 + offset;
                let validity = Validity::until(UtcTime::from_secs(not_after));
                let mut delivered = DeliveredKey::new(name.clone(), [7; 32], validity);
                if choice & 2 != 0 {
                    delivered = delivered.with_entity(devices[0].clone());
                }
                let mut request = request(name.clone());
                let replaced = (choice & 4 != 0).then(|| {
                    NetworkKeyName::new(&format!("key-{}", choice >> 3 & 3)).expect("a name")
                });
                if let Some(replaced) = &replaced {
                    request = request.with_replaced(replaced.clone());
                }
                let predecessor = replaced.map(|replaced| (network.clone(), replaced));
                let known = predecessor
                    .as_ref()
                    .is_none_or(|key| model.get(key).is_some_and(|(owner, _)| owner == device));
                let named = choice & 2 == 0 || device == &devices[0];
                let import = ring.import(now, network, &request, &delivered, device);
                assert_eq!(import.is_ok(), known && named && not_after > utc);
                let Ok(import) = import else { continue };
                let until = not_after.min(utc + LONGEST.as_secs());
                let record = import.key.record();
                assert_eq!(record.validity.not_after(), UtcTime::from_secs(until));
                assert_eq!(record.bound_entity, *device);
                let key = (network.clone(), name);
                if let Some(old) = predecessor.filter(|old| *old != key)
                    && let Some((_, until)) = model.get_mut(&old)
                {
                    *until = (*until).min(utc + 60);
                    let (_, retired) = import.retired.expect("it was replaced");
                    assert_eq!(retired, UtcTime::from_secs(*until));
                }
                model.insert(key, (device.clone(), until));
            }
            4 | 5 => {
                let event = [KeyEvent::Revoked, KeyEvent::Renew][usize::from(operation & 1)];
                let notice = KeyNotice {
                    source: NetworkKeySource::Static,
                    name,
                    event,
                };
                let key = (network.clone(), notice.name.clone());
                assert_eq!(ring.knows(network, &notice), model.contains_key(&key));
                match (ring.notice(network, &notice), event) {
                    (None, _) => assert!(!model.contains_key(&key)),
                    (Some(KeyTask::Drop { entity, .. }), KeyEvent::Revoked) => {
                        assert_eq!(model.remove(&key).map(|(owner, _)| owner), Some(entity));
                    }
                    (Some(KeyTask::Renew { entity, .. }), KeyEvent::Renew) => {
                        assert_eq!(model[&key].0, entity);
                    }
                    (Some(task), _) => panic!("{task:?} after {event:?}"),
                }
                let other = KeyNotice {
                    source: NetworkKeySource::Gba,
                    ..notice
                };
                assert_eq!(ring.notice(network, &other), None, "of another source");
            }
            _ => {
                utc += u64::from(input.byte());
                let now = UtcTime::from_secs(utc);
                let before = model.len();
                model.retain(|_, (_, until)| *until > utc);
                let (mut dropped, mut due) = (0, Vec::new());
                ring.handle_timeout(now, &mut |task| match task {
                    KeyTask::Drop { .. } => dropped += 1,
                    KeyTask::Renew { network, name, .. } => due.push((network, name)),
                });
                assert_eq!(
                    dropped,
                    before - model.len(),
                    "each is dropped once, in time"
                );
                assert!(
                    due.iter().all(|key| model.contains_key(key)),
                    "renewed and over"
                );
                assert!(
                    ring.next_timeout().is_none_or(|at| at > now),
                    "it does not move on"
                );
                assert_eq!(ring.next_timeout().is_none(), model.is_empty());
            }
        }
    }
}

fn request(name: NetworkKeyName) -> KeyRequest {
    let source = NetworkKeySource::Static;
    KeyRequest::without_protocol(source, name, "core.example.com").expect("a valid request")
}
