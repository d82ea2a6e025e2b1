//! An end point that is killed, and started again on the same store.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/child.rs"]
mod child;

use core::net::SocketAddr;
use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use child::{Working, command, report, task};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use refpoint_association::{
    Config, Credential, CredentialId, Credentials, Endpoint, Event, HandleChange, HeldHandle,
    Local, Modes, Now, Outbox, Policy, SessionLabel,
};
use refpoint_keys::{ConnectionKey, EntityId, KeyId, Profile, ReferencePoint, UtcTime, Validity};
use refpoint_store::{Batching, Journal, Redb, RedbOptions};

const DEVICE: &str = "//sp.example/id-mn/C1";
const GATEWAY: &str = "//sp.example/id-mn";

/// The same in all processes; the monotonic clock starts with each.
fn now(since_start: u64) -> Now {
    Now::new(
        Duration::from_secs(since_start),
        UtcTime::from_secs(1_800_000_000),
    )
}

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// One end with its credential for the other.
fn end(local: &str, peer: &str) -> (Local, Credentials, CredentialId) {
    let id = |text| EntityId::parse(text).unwrap();
    let validity = Validity::until(UtcTime::from_secs(4_000_000_000));
    let key_id = KeyId::new(b"k1").unwrap();
    let point = ReferencePoint::X;
    let key =
        ConnectionKey::from_bytes([7; 32], key_id, point, &id(DEVICE), &id(GATEWAY), validity);
    let age = Duration::from_secs(24 * 3600);
    let credential = Credential::new(&id(local), Arc::new(key.unwrap()), &[Profile::Psk])
        .unwrap()
        .with_policy(Policy::default().with_resumption(Modes::BOTH, age));
    assert_eq!(credential.peer(), &id(peer));
    let mut credentials = Credentials::new();
    let credential = credentials.insert(credential).unwrap();
    (Local::new(id(local)), credentials, credential)
}

/// What an end point puts out.
#[derive(Default)]
struct Out {
    packets: Vec<Vec<u8>>,
    changes: Vec<HandleChange>,
    held: Vec<Vec<u8>>,
    established: usize,
}

impl Outbox for Out {
    fn transmit(&mut self, _: SocketAddr, packet: &[u8]) {
        self.packets.push(packet.to_vec());
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Handles(change) => self.changes.push(change),
            Event::Held { handle, .. } => self.held.push(handle.expose_bytes().to_vec()),
            Event::Established { .. } => self.established += 1,
            _ => {}
        }
    }
}

fn gateway(directory: &Path) -> (Endpoint, Journal, usize) {
    let utc = now(0).utc.unwrap();
    let store = Redb::open(directory, utc, &RedbOptions::default()).unwrap();
    let (journal, kept) = Journal::open(store, utc, Batching::default()).unwrap();
    let (local, credentials, _) = end(GATEWAY, DEVICE);
    let mut endpoint = Endpoint::new(Config::default(), local, credentials, &mut rng())
        .with_responder_keys(&kept.keys);
    for stored in &kept.handles {
        endpoint.restore_issued(now(0), stored).unwrap();
    }
    (endpoint, journal, kept.handles.len())
}

/// A device that holds `flash` associates with the gateway; what it holds then.
fn associate(gateway: &mut Endpoint, journal: &mut Journal, flash: Option<&[u8]>) -> Vec<u8> {
    let (local, credentials, credential) = end(DEVICE, GATEWAY);
    let mut device = Endpoint::new(Config::device(), local, credentials, &mut rng());
    let at = |last| SocketAddr::from(([192, 0, 2, last], 7000));
    if let Some(flash) = flash {
        let held = HeldHandle::from_bytes(now(1), flash).unwrap();
        device.restore_held(now(1), held).unwrap();
    }
    let (mut forth, mut back) = (Out::default(), Out::default());
    device
        .connect(
            now(1),
            &mut rng(),
            at(2),
            credential,
            SessionLabel::default(),
            &mut forth,
        )
        .unwrap();
    while !forth.packets.is_empty() {
        for mut packet in forth.packets.drain(..) {
            gateway.receive(now(1), &mut rng(), at(1), &mut packet, &mut back);
        }
        for mut packet in back.packets.drain(..) {
            device.receive(now(1), &mut rng(), at(2), &mut packet, &mut forth);
        }
    }
    assert_eq!((forth.established, back.established), (1, 1));
    back.changes
        .into_iter()
        .for_each(|change| journal.write(change));
    forth.held.pop().unwrap()
}

#[test]
fn the_child() {
    let Some((_, directory)) = task() else {
        return; // an ordinary run of the tests: there is nothing to do
    };
    let (mut gateway, mut journal, kept) = gateway(&directory);
    assert_eq!(kept, 0);
    let held = associate(&mut gateway, &mut journal, None);
    journal.flush().unwrap();
    report(hex::encode(held));
    loop {
        std::thread::park();
    }
}

#[test]
fn an_end_point_that_was_killed_resumes_on_the_same_store() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Working::start(command(&[], "the_child", "serve", directory.path()));
    let flash = hex::decode(child.next().expect("the child serves")).unwrap();
    child.kill();

    let (mut first, mut journal, kept) = gateway(directory.path());
    assert_eq!(kept, 1);
    let newer = associate(&mut first, &mut journal, Some(&flash));
    let statistics = first.statistics();
    assert_eq!((statistics.resumed, statistics.answered), (1, 0));
    drop(journal);

    // It was redeemed, and stays so; the next one is there.
    let (mut second, mut journal, kept) = gateway(directory.path());
    assert_eq!(kept, 1);
    associate(&mut second, &mut journal, Some(&newer));
    let statistics = second.statistics();
    assert_eq!((statistics.resumed, statistics.answered), (1, 0));
    associate(&mut second, &mut journal, Some(&flash));
    let statistics = second.statistics();
    assert_eq!((statistics.resumed, statistics.answered), (1, 1));
}

#[test]
fn another_store_has_other_keys_and_no_handles() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut one, mut journal, _) = gateway(a.path());
    let flash = associate(&mut one, &mut journal, None);
    let (mut other, mut journal, kept) = gateway(b.path());
    assert_eq!(kept, 0);
    associate(&mut other, &mut journal, Some(&flash));
    assert_eq!(other.statistics().resumed, 0);
    assert_ne!(one.responder_keys().handles, other.responder_keys().handles);
}

#[test]
fn what_is_no_handle_of_this_version_is_left_out_and_deleted() {
    use refpoint_store::{Change, Entry, HandleId, Memory, Store};
    let utc = now(0).utc.unwrap();
    let mut store = Memory::new().unwrap();
    let expiry = UtcTime::from_secs(utc.as_secs() + 60);
    let entry = Entry::new(expiry, vec![9; 120].into()).unwrap();
    let id = HandleId([1; 8]);
    store.commit(&[Change::Issued { id, entry }]).unwrap();
    let (_journal, kept) = Journal::open(store, utc, Batching::default()).unwrap();
    assert!(kept.handles.is_empty());
}
