//! What is left in memory once associations are gone: no key, on either backend.
//!
//! The secrets are those of the transcripts in `tests/vectors/`, so that a test knows every stage of
//! the key schedule. It keeps them masked, reads its own writable memory (Linux only) and looks for
//! them there: anywhere but on the stack of the thread that made them, which only the steps of a
//! handshake overwrite.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::{convert::Infallible, time::Duration};
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    sync::Mutex,
};

use net::{Log, address};
use rand_core::{TryCryptoRng, TryRng};
use refpoint_association::{
    Backend, CloseReason, Config, CredentialId, Endpoint, Modes, Policy, SessionLabel,
    StreamInitiator, StreamResponder, StreamSession, Suite,
};
use refpoint_keys::{Profile, ReferencePoint};
use serde_json::Value;
use support::{BACKENDS, Setting, now, table};

const MASK: u8 = 0xa5;

/// One test at a time: the secrets of another would be found.
static ALONE: Mutex<()> = Mutex::new(());

/// A secret to look for: its second half, since a freed block's first bytes are the allocator's.
struct Needle {
    name: String,
    masked: Vec<u8>,
}

fn masked(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| (digit(pair[0]) << 4 | digit(pair[1])) ^ MASK)
        .collect()
}

impl Needle {
    fn new(name: impl Into<String>, value: &Value) -> Self {
        let masked = masked(value.as_str().expect("a text"));
        Self {
            name: name.into(),
            masked: masked[masked.len() - 16..].to_vec(),
        }
    }
}

/// Every secret of a case's key schedule.
fn schedule(case: &Value) -> Vec<Needle> {
    let stages = ["psk", "k1", "k2", "master", "exporter"];
    let mut needles: Vec<_> = stages
        .into_iter()
        .map(|stage| Needle::new(stage, &case[stage]))
        .collect();
    for epoch in case["epochs"].as_array().expect("a list") {
        let direction = epoch["direction"].as_str().expect("a text");
        for part in ["traffic", "key"] {
            let name = format!("{part} {direction} {}", epoch["epoch"]);
            needles.push(Needle::new(name, &epoch[part]));
        }
    }
    needles
}

/// Which needles are in this process's writable memory, but for this thread's stack.
fn found(needles: &[Needle]) -> Vec<String> {
    let here = core::hint::black_box(0_u8);
    let stack = core::ptr::from_ref(&here) as usize;
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
    let mut memory = File::open("/proc/self/mem").expect("Linux");
    let mut chunk = vec![0; 1 << 16];
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().expect("a range");
        let (start, end) = range.split_once('-').expect("two addresses");
        let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).expect("hex"));
        if (start..end).contains(&stack) || line.ends_with("[stack]") {
            continue;
        }
        let mut at = start;
        while at < end {
            let len = chunk.len().min(end - at);
            let read = memory
                .seek(SeekFrom::Start(at as u64))
                .and_then(|_| memory.read_exact(&mut chunk[..len]));
            if read.is_err() {
                break;
            }
            for needle in needles {
                if contains(&chunk[..len], &needle.masked) {
                    found.push(needle.name.clone());
                }
            }
            chunk.fill(0);
            // The chunks overlap, so that nothing hides on their borders.
            at += if at + len < end { len - 16 } else { len };
        }
    }
    found.sort();
    found.dedup();
    found
}

fn contains(chunk: &[u8], masked: &[u8]) -> bool {
    let first = masked[0] ^ MASK;
    let mut at = 0;
    while let Some(place) = chunk[at..].iter().position(|byte| *byte == first) {
        at += place;
        let window = chunk.get(at..at + masked.len());
        if window.is_some_and(|window| window.iter().zip(masked).all(|(a, b)| a ^ MASK == *b)) {
            return true;
        }
        at += 1;
    }
    false
}

/// Hands out a vector's ephemeral key without keeping it in clear.
struct Injected(Vec<u8>);

impl TryRng for Injected {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x1111_1111)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x1111_1111_1111_1111)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        if out.len() == self.0.len() {
            for (byte, masked) in out.iter_mut().zip(&self.0) {
                *byte = masked ^ MASK;
            }
        } else {
            out.fill(0x11);
        }
        Ok(())
    }
}

impl TryCryptoRng for Injected {}

fn file(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn setting(case: &Value, backend: Backend) -> Setting {
    let code = |name: &str| case[name].as_u64().expect("a number") as u8;
    Setting {
        backend,
        profile: Profile::try_from(code("profile")).expect("a profile"),
        suite: Suite::try_from(code("suite")).expect("a suite"),
        point: ReferencePoint::X,
        // The lifetime and the epoch length of the transcripts.
        policy: Policy::default()
            .with_resumption(Modes::NONE, Duration::ZERO)
            .with_lifetime(Duration::from_secs(81_920))
            .and_then(|policy| policy.with_epoch_bits(16))
            .expect("valid"),
        ..Setting::default()
    }
}

/// Offers as in the transcripts: the initiator its lifetime, the responder its epoch length.
fn policies() -> [Policy; 2] {
    let shorter = Policy::default()
        .with_resumption(Modes::NONE, Duration::ZERO)
        .with_lifetime(Duration::from_secs(81_920));
    let smaller = Policy::default()
        .with_resumption(Modes::NONE, Duration::ZERO)
        .with_epoch_bits(16);
    [shorter.expect("valid"), smaller.expect("valid")]
}

struct End {
    endpoint: Endpoint,
    rng: Injected,
    credential: CredentialId,
    log: Log,
}

/// Two end points with the transcript's entropy.
fn ends(file: &Value, case: &Value, backend: Backend) -> [End; 2] {
    let setting = setting(case, backend);
    let [shorter, smaller] = policies();
    let (local, credential) = setting.initiator();
    let device = (
        local,
        credential.with_policy(shorter),
        Config::device(),
        "initiator_ephemeral",
    );
    let (local, credential) = setting.responder();
    let gateway = (
        local,
        credential.with_policy(smaller),
        Config::default(),
        "responder_ephemeral",
    );
    [device, gateway].map(|(local, credential, config, ephemeral)| {
        let mut rng = Injected(masked(file[ephemeral].as_str().expect("a text")));
        let (credentials, credential) = table(credential);
        let config = config.with_backend(backend);
        End {
            endpoint: Endpoint::new(config, local, credentials, &mut rng),
            rng,
            credential,
            log: Log::default(),
        }
    })
}

/// Carries packets between the two until none is left.
fn settle(ends: &mut [End; 2], at: u64) {
    loop {
        let mut quiet = true;
        for side in 0..2 {
            for (_, mut packet) in core::mem::take(&mut ends[side].log.sent) {
                quiet = false;
                let End {
                    endpoint, rng, log, ..
                } = &mut ends[1 - side];
                endpoint.receive(now(at), rng, address(side as u8 + 1), &mut packet, log);
            }
        }
        if quiet {
            return;
        }
    }
}

fn associate(ends: &mut [End; 2]) {
    let End {
        endpoint,
        rng,
        credential,
        log,
    } = &mut ends[0];
    let label = SessionLabel::default();
    endpoint
        .connect(now(0), rng, address(2), *credential, label, log)
        .expect("may initiate");
    settle(ends, 0);
}

fn talk(ends: &mut [End; 2], at: u64) {
    for end in &mut *ends {
        let id = end.log.newest();
        end.endpoint
            .send(now(at), id, b"payload", &mut end.log)
            .expect("may send");
    }
    settle(ends, at);
}

const DATAGRAMS: &str = include_str!("vectors/datagrams.json");
const STREAMS: &str = include_str!("vectors/streams.json");

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_a_datagram_association_are_gone_when_it_is_closed() {
    let _alone = ALONE.lock();
    let file = file(DATAGRAMS);
    for backend in BACKENDS {
        for case in file["cases"].as_array().expect("a list") {
            let needles = schedule(case);
            let mut pair = ends(&file, case, backend);
            associate(&mut pair);
            let what = format!("{backend:?}, {} {}", case["profile"], case["suite"]);
            let alive = found(&needles);
            let has = |name: &str| alive.iter().any(|found| found == name);
            assert!(has("exporter"), "{what}: the scan finds what is there");
            assert!(has("traffic i2r 0") && has("traffic r2i 0"), "{what}");
            for name in ["psk", "k1", "k2", "master"] {
                assert!(!has(name), "{what}: {name} outlives the handshake");
            }
            // Into the next epoch: the one before is kept for late records, and then wiped.
            talk(&mut pair, 1);
            talk(&mut pair, 122);
            for end in &mut pair {
                end.endpoint
                    .handle_timeout(now(130), &mut end.rng, &mut end.log);
            }
            let alive = found(&needles);
            for name in &alive {
                assert!(!name.ends_with(" 0"), "{what}: {name} outlives its epoch");
            }
            for end in &mut pair {
                let id = end.log.newest();
                end.endpoint
                    .close(now(131), id, CloseReason::Done, &mut end.log)
                    .expect("lives");
            }
            let left = found(&needles);
            assert!(left.is_empty(), "{what}: {left:?} outlive the association");
        }
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_epochs_derived_ahead_are_gone_when_they_are_left() {
    // Records that are far ahead make a receiver derive epochs; some of them were forged.
    let _alone = ALONE.lock();
    let file = file(DATAGRAMS);
    let case = &file["cases"][0];
    for backend in BACKENDS {
        let needles = schedule(case);
        let mut pair = ends(&file, case, backend);
        associate(&mut pair);
        let id = pair[0].log.newest();
        let device = &mut pair[0];
        device
            .endpoint
            .send(now(1), id, b"payload", &mut device.log)
            .expect("may send");
        let (_, genuine) = device.log.sent.pop().expect("a record");
        for epoch in [1_u32, 2, 5, 9, 33, 64] {
            // A wide record of that epoch: type, index of four bytes, sequence.
            let mut forged = genuine.clone();
            forged[5..9].copy_from_slice(&(epoch << 16 | 7).to_be_bytes());
            let gateway = &mut pair[1];
            gateway.endpoint.receive(
                now(1),
                &mut gateway.rng,
                address(1),
                &mut forged,
                &mut gateway.log,
            );
        }
        assert_eq!(pair[1].endpoint.statistics().unopened, 6);
        // Two epochs on in one step: none of those that were left is kept, not even for a while.
        for end in &mut pair {
            let id = end.log.newest();
            end.endpoint
                .send(now(122), id, b"lost", &mut end.log)
                .expect("may send");
            end.log.sent.clear();
        }
        talk(&mut pair, 250);
        let mut left = found(&needles);
        left.retain(|name| name != "exporter");
        assert!(
            left.is_empty(),
            "{backend:?}: {left:?} outlive their epochs"
        );
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn what_binds_a_refresh_is_gone_when_the_refresh_is_done() {
    let _alone = ALONE.lock();
    let file = file(DATAGRAMS);
    let refresh = &file["refresh"];
    for backend in BACKENDS {
        let mut pair = ends(&file, &file["cases"][0], backend);
        associate(&mut pair);
        for (end, name) in pair
            .iter_mut()
            .zip(["later_initiator_ephemeral", "later_responder_ephemeral"])
        {
            end.rng = Injected(masked(file[name].as_str().expect("a text")));
        }
        let End {
            endpoint, rng, log, ..
        } = &mut pair[0];
        let id = log.newest();
        endpoint.renew(now(1), rng, id, log).expect("may refresh");
        settle(&mut pair, 1);
        assert_eq!(pair[0].log.established.len(), 2);
        let needles = [Needle::new("binding", &refresh["binding"])];
        let left = found(&needles);
        assert!(left.is_empty(), "{backend:?}: {left:?}");
    }
}

fn streams(file: &Value, case: &Value, backend: Backend) -> [StreamSession; 2] {
    let setting = setting(case, backend);
    let [shorter, smaller] = policies();
    let (local, credential) = setting.initiator();
    let (credentials, id) = table(credential.with_policy(shorter));
    let entry = (id, credentials.find(id).expect("inserted").clone());
    let rng = |name: &str| Injected(masked(file[name].as_str().expect("a text")));
    let (mut forth, mut back, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
    let initiator = StreamInitiator::new(
        now(0),
        &mut rng("initiator_ephemeral"),
        &local,
        backend,
        entry,
        SessionLabel::default(),
        &mut forth,
    );
    let (local, credential) = setting.responder();
    let (credentials, _) = table(credential.with_policy(smaller));
    let mut responder = StreamResponder::receive(
        now(0),
        &mut rng("responder_ephemeral"),
        &local,
        backend,
        &credentials,
        &forth[2..],
        &mut back,
    )
    .expect("opens");
    let initiator = initiator.and_then(|end| end.receive(now(0), &back[2..], &mut confirm));
    let mut initiator = initiator.expect("opens");
    let mut answer = Vec::new();
    responder
        .receive(now(0), &mut confirm, &mut answer)
        .expect("opens");
    initiator
        .receive(now(0), &mut answer, &mut Vec::new())
        .expect("opens");
    [initiator, responder]
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn the_secrets_of_a_stream_association_are_gone_when_it_is_dropped() {
    let _alone = ALONE.lock();
    let file = file(STREAMS);
    for backend in BACKENDS {
        for case in file["cases"].as_array().expect("a list") {
            let needles = schedule(case);
            let mut ends = Box::new(streams(&file, case, backend));
            let what = format!("{backend:?}, {} {}", case["profile"], case["suite"]);
            let alive = found(&needles);
            let has = |name: &str| alive.iter().any(|found| found == name);
            assert!(has("exporter"), "{what}: the scan finds what is there");
            for at in [1, 122] {
                let [initiator, responder] = &mut *ends;
                for (from, to) in [(0, 1), (1, 0)] {
                    let mut frame = Vec::new();
                    let (sender, receiver) = match (from, to) {
                        (0, 1) => (&mut *initiator, &mut *responder),
                        _ => (&mut *responder, &mut *initiator),
                    };
                    sender.send(now(at), b"payload", &mut frame).expect("may");
                    receiver
                        .receive(now(at), &mut frame, &mut Vec::new())
                        .expect("opens");
                }
            }
            for name in found(&needles) {
                assert!(!name.ends_with(" 0"), "{what}: {name} outlives its epoch");
            }
            drop(ends);
            let left = found(&needles);
            assert!(left.is_empty(), "{what}: {left:?} outlive the association");
        }
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn long_term_keys_are_gone_when_end_points_are_dropped() {
    let _alone = ALONE.lock();
    // The test's own: told apart from everything else in memory by their look.
    let hidden = |salt: u8| -> Vec<u8> {
        let spread = |n: u8| n.wrapping_mul(73).wrapping_add(salt) ^ n.rotate_left(3);
        (0..32).map(|n| spread(n) ^ MASK).collect()
    };
    let bare = |salt| -> [u8; 32] {
        let mut key = [0; 32];
        for (byte, masked) in key.iter_mut().zip(hidden(salt)) {
            *byte = masked ^ MASK;
        }
        key
    };
    let needles: Vec<_> = [(1, "connection key"), (2, "device's"), (3, "gateway's")]
        .into_iter()
        .map(|(salt, name)| Needle {
            name: name.to_owned(),
            masked: hidden(salt)[16..].to_vec(),
        })
        .collect();
    for backend in BACKENDS {
        for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
            let setting = Setting {
                backend,
                profile,
                key: bare(1),
                static_keys: (bare(2), bare(3)),
                ..Setting::default()
            };
            let mut world = net::World::perfect(&setting);
            world.associate("device", "gateway");
            assert!(!found(&needles).is_empty(), "the scan finds what is there");
            drop(world);
            let left = found(&needles);
            assert!(left.is_empty(), "{backend:?} {profile:?}: {left:?}");
        }
    }
}
