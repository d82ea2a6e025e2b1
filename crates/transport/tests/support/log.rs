use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use refpoint_association::{HandleChange, HandleId, ResponderKeys, StoredHandle};
use refpoint_keys::UtcTime;
use refpoint_transport::{HandleLog, Persistence};

/// What a responder keeps of its handles: outlives the cores and gateways of a test.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<BTreeMap<HandleId, Vec<u8>>>>);

impl HandleLog for Log {
    fn write(&mut self, change: HandleChange) {
        let mut handles = self.0.lock().expect("no panic");
        match change {
            HandleChange::Issued(stored) => {
                handles.insert(stored.id(), stored.expose_bytes().to_vec());
            }
            HandleChange::Gone(id) => assert!(handles.remove(&id).is_some(), "it was there"),
            _ => panic!("a change that this test does not know"),
        }
    }

    fn tell(&mut self, now: UtcTime) {
        assert!(now.as_secs() > 1_577_836_800);
    }
}

impl Log {
    pub(crate) fn persistence(&self) -> Persistence {
        let keys = ResponderKeys {
            cookies: [1; 32],
            slots: [2; 32],
            handles: [3; 32],
        };
        let handles = self.0.lock().expect("no panic");
        let stored = handles
            .values()
            .map(|bytes| StoredHandle::from_bytes(bytes));
        let stored: Result<_, _> = stored.collect();
        Persistence::default().with_issued(keys, stored.expect("its own bytes"), self.clone())
    }
}
