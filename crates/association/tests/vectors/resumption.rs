//! Resumption by `light` and by `fresh`, and hints.

use core::time::Duration;

use refpoint_association::{Backend, Config, HeldHandle, Modes};
use serde_json::Value;

use super::{
    Injected, Parties, bytes, cases,
    datagrams::{End, associate, connect_at},
    support::{BACKENDS, hmac, now},
};

fn file() -> Value {
    serde_json::from_str(include_str!("resumption.json")).expect("JSON")
}

fn seconds(value: &Value) -> u64 {
    value.as_u64().expect("seconds")
}

fn device(file: &Value, case: &Value, backend: Backend, redeemed: Modes) -> End {
    let parties = Parties::resuming(file, case, backend, (redeemed, Modes::BOTH));
    let rng = Injected::new(&file["initiator_ephemeral"]);
    let config = Config::device().with_backend(backend);
    End::new(config, parties.initiator, rng, 2)
}

fn gateway(file: &Value, case: &Value, backend: Backend, config: Config) -> End {
    let parties = Parties::resuming(file, case, backend, (Modes::BOTH, Modes::BOTH));
    let rng = Injected::new(&file["responder_ephemeral"]);
    End::new(config.with_backend(backend), parties.responder, rng, 1)
}

/// Both ends after the full handshake.
fn associated(file: &Value, case: &Value, backend: Backend) -> [End; 2] {
    let mut ends = [
        device(file, case, backend, Modes::BOTH),
        gateway(file, case, backend, Config::default()),
    ];
    associate(case, &mut ends);
    ends
}

/// A device that has lost its power and has what it kept.
fn rebooted(
    (file, case): (&Value, &Value),
    backend: Backend,
    redeemed: Modes,
    at: u64,
    flash: &[u8],
) -> End {
    let mut device = device(file, case, backend, redeemed);
    device.rng = Injected::new(&file["later_initiator_ephemeral"]);
    let held = HeldHandle::from_bytes(now(at), flash).expect("its own bytes");
    let restored = device.endpoint.restore_held(now(at), held);
    restored.expect("its credential is there");
    device
}

/// The exchange by which a device that begins with `resume` is back.
fn resume(at: u64, made: &Value, device: &mut End, gateway: &mut End) {
    connect_at(at, device);
    let resume = device.sent();
    assert_eq!(resume, bytes(&made["resume"]));
    gateway.receive(at, &resume);
    let resumed = gateway.sent();
    assert_eq!(resumed, bytes(&made["resumed"]));
    // It names what it answers: a repetition gets the same bytes.
    gateway.receive(at, &resume);
    assert_eq!(gateway.sent(), resumed);
    device.receive(at, &resumed);
    let records = &made["records"];
    let confirmation = device.sent();
    assert_eq!(confirmation, bytes(&records[0]["packet"]));
    gateway.receive(at, &confirmation);
    let answer = gateway.sent();
    assert_eq!(answer, bytes(&records[1]["packet"]));
    device.receive(at, &answer);
    talk(at, made, device, gateway);
    let next = &made["next_handle"];
    assert_eq!(
        gateway.log.issued.last().expect("a handle").0,
        *bytes(&next["id"])
    );
}

fn talk(at: u64, made: &Value, device: &mut End, gateway: &mut End) {
    for end in [&*device, &*gateway] {
        let export = &made["export"];
        let mut value = vec![0; bytes(&export["value"]).len()];
        let (label, context) = (bytes(&export["label"]), bytes(&export["context"]));
        end.endpoint
            .export(end.association(), &label, &context, &mut value)
            .expect("it exists");
        assert_eq!(value, bytes(&export["value"]));
    }
    for record in &made["records"].as_array().expect("a list")[2..] {
        let (from, to) = match record["from"] == "initiator" {
            true => (&mut *device, &mut *gateway),
            false => (&mut *gateway, &mut *device),
        };
        let (id, plain) = (from.association(), bytes(&record["plaintext"]));
        from.endpoint
            .send(now(at), id, &plain, &mut from.log)
            .expect("may seal");
        let packet = from.sent();
        assert_eq!(packet, bytes(&record["packet"]));
        to.receive(at, &packet);
        assert_eq!(to.log.received.pop(), Some(plain));
    }
}

/// A gateway that has lost its handles answers as the transcript, and the device begins again.
fn refused(
    (file, case): (&Value, &Value),
    backend: Backend,
    (at, made): (u64, &Value),
    mut device: End,
) {
    let mut gateway = gateway(file, case, backend, Config::default());
    connect_at(at, &mut device);
    let resume = device.sent();
    gateway.receive(at, &resume);
    let refusal = gateway.sent();
    assert_eq!(refusal, bytes(&made["refusal"]));
    device.receive(at, &refusal);
    let kinds: Vec<_> = device.log.sent.iter().map(|sent| sent[0] >> 3).collect();
    assert!(kinds.contains(&1), "a full handshake: {kinds:?}");
    assert!(kinds.contains(&4), "once more, whoever refused: {kinds:?}");
}

#[test]
fn both_backends_resume_as_in_the_transcripts() {
    let file = file();
    for backend in BACKENDS {
        for case in cases(&file) {
            let [device, mut gateway] = associated(&file, case, backend);
            assert_eq!(gateway.log.issued[0].0, *bytes(&case["handle"]["id"]));
            gateway.rng = Injected::new(&file["later_responder_ephemeral"]);
            let mut flash = device.log.held.last().expect("a handle").clone();
            for (mode, modes) in [("light", Modes::BOTH), ("fresh", Modes::FRESH)] {
                let at = seconds(&file[format!("{mode}_at")]);
                let again = || rebooted((&file, case), backend, modes, at, &flash);
                refused((&file, case), backend, (at, &case[mode]), again());
                let mut device = again();
                resume(at, &case[mode], &mut device, &mut gateway);
                flash = device.log.held.last().expect("the next handle").clone();
            }
        }
    }
}

/// A device whose first packet is the one that a hint names, sent; with the time of that.
fn sender(
    (file, case): (&Value, &Value),
    backend: Backend,
    hint: &Value,
    flashes: &[Vec<u8>],
) -> (u64, End, Vec<u8>) {
    let (at, mut device, packet) = match hint["answers"].as_str().expect("a text") {
        "initiate" => {
            let device = device(file, case, backend, Modes::BOTH);
            (0, device, &case["initiate"])
        }
        mode => {
            let (modes, flash) = match mode {
                "light" => (Modes::BOTH, &flashes[0]),
                _ => (Modes::FRESH, &flashes[1]),
            };
            let at = seconds(&file[format!("{mode}_at")]);
            let device = rebooted((file, case), backend, modes, at, flash);
            (at, device, &case[mode]["resume"])
        }
    };
    connect_at(at, &mut device);
    let sent = device.sent();
    assert_eq!(sent, bytes(packet));
    (at, device, sent)
}

/// Where the cookie of a packet lies: behind the clear header's other fields.
fn has_cookie(packet: &[u8], cookie: &[u8]) -> bool {
    packet[3] & 0x80 != 0 && packet.windows(16).any(|bytes| bytes == cookie)
}

fn check_hint(
    (at, mut device, _): (u64, End, Vec<u8>),
    hint: &Value,
    cookie: &[u8],
    may_wait: Duration,
) {
    let retry = bytes(&hint["retry"]);
    for bit in [0, 63] {
        let (mut forged, len) = (retry.clone(), retry.len());
        forged[len - 8 + bit / 8] ^= 1 << (bit % 8);
        device.receive(at, &forged);
        assert!(device.log.sent.is_empty() && device.log.deferred.is_empty());
    }
    // Another slot under the genuine MAC.
    let mut forged = retry.clone();
    let slot = forged.len() - 9;
    forged[slot] ^= 1;
    device.receive(at, &forged);
    assert!(device.log.sent.is_empty() && device.log.deferred.is_empty());
    device.receive(at, &retry);
    let slot = Duration::from_millis(seconds(&hint["slot"])).min(may_wait);
    if slot.is_zero() {
        assert!(has_cookie(&device.sent(), cookie));
        return;
    }
    assert!(device.log.sent.is_empty(), "nothing before the slot");
    assert_eq!(device.log.deferred, [Duration::from_secs(at) + slot]);
    let due = device.endpoint.next_timeout().expect("the slot");
    assert_eq!(due, Duration::from_secs(at) + slot);
    let (then, rng) = (at + slot.as_secs(), &mut device.rng);
    device
        .endpoint
        .handle_timeout(now(then), rng, &mut device.log);
    assert!(has_cookie(&device.sent(), cookie));
}

/// A loaded gateway's own Retry carries the MAC under the key of the transcript.
fn check_own_hint(mut gateway: End, at: u64, packet: &[u8], hint: &Value) {
    gateway.receive(at, packet);
    let retry = gateway.sent();
    assert_eq!(retry[0] >> 3, 6, "a Retry");
    let (covered, mac) = retry.split_last_chunk::<8>().expect("longer");
    assert_eq!(hmac(&bytes(&hint["key"]), covered)[..8], mac[..]);
    let ours = bytes(&hint["retry"]);
    assert_eq!(retry.len(), ours.len());
    assert_eq!(retry[..10], ours[..10], "type, index and echo");
}

#[test]
fn hints_carry_the_macs_of_the_transcripts_both_ways() {
    let file = file();
    let cookie = bytes(&file["cookie"]);
    for backend in BACKENDS {
        for case in cases(&file) {
            let [mut device, mut gateway] = associated(&file, case, backend);
            let first = device.log.held.last().expect("a handle").clone();
            gateway.rng = Injected::new(&file["later_responder_ephemeral"]);
            let at = seconds(&file["light_at"]);
            device = rebooted((&file, case), backend, Modes::BOTH, at, &first);
            resume(at, &case["light"], &mut device, &mut gateway);
            let flashes = [first, device.log.held.last().expect("a handle").clone()];
            for hint in case["hints"].as_array().expect("a list") {
                let sent = sender((&file, case), backend, hint, &flashes);
                let known = case["profile"] == 3 && hint["answers"] == "initiate";
                let may_wait = Duration::from_secs(if known { 60 } else { 3_600 });
                if hint["answers"] == "initiate" {
                    let asks = Config::default().with_handshakes_per_second(0);
                    let gateway = self::gateway(&file, case, backend, asks);
                    check_own_hint(gateway, sent.0, &sent.2, hint);
                }
                check_hint(sent, hint, &cookie, may_wait);
            }
        }
    }
}
