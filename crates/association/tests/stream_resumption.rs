//! Resumption on streams (rules S1 to S6): `light`, `fresh`, and how they fall back.

#[path = "support/resuming.rs"]
mod resuming;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use refpoint_association::{Due, Error, HeldHandle, Modes, Now, Opened, Policy, StoredHandle};
use refpoint_keys::Profile;
use resuming::{Device, Gateway, MODES, WEEK, connect, setting};
use support::{BACKENDS, SUITES, Setting, now};

const RESUME: u8 = 0x20;
const INITIATE: u8 = 0x08;

fn pair(setting: &Setting) -> (Device, Gateway) {
    (Device::new(setting, 1), Gateway::new(setting, 2))
}

/// A device that holds a handle of its gateway.
fn holding(setting: &Setting) -> (Device, Gateway) {
    let (mut device, mut gateway) = pair(setting);
    connect(0, &mut device, &mut gateway);
    (device, gateway)
}

#[test]
fn a_chain_of_resumptions_goes_on_in_every_profile_suite_mode_and_backend() {
    for backend in BACKENDS {
        for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
            for (suite, modes) in SUITES
                .into_iter()
                .flat_map(|suite| MODES.map(|m| (suite, m)))
            {
                let setting = Setting {
                    backend,
                    profile,
                    suite,
                    ..setting(modes)
                };
                let (mut device, mut gateway) = pair(&setting);
                let mut made = connect(0, &mut device, &mut gateway);
                assert_eq!(made.frames[0][2], INITIATE);
                made.talks(0);
                for turn in 1..4 {
                    let mut made = connect(turn, &mut device, &mut gateway);
                    assert_eq!(made.frames[0][2], RESUME);
                    made.talks(turn);
                    assert_eq!(made.gateway.peer().profile(), profile, "that had proved it");
                    assert_eq!(made.device.peer().profile(), profile);
                    assert_eq!(gateway.grants.issued().len(), 1);
                }
            }
        }
    }
}

#[test]
fn a_resumption_fits_into_its_bytes_framing_included() {
    for (modes, most) in [(Modes::BOTH, 96), (Modes::FRESH, 150)] {
        let (mut device, mut gateway) = holding(&setting(modes));
        let made = connect(1, &mut device, &mut gateway);
        let bytes = made.frames[0].len() + made.frames[1].len();
        println!("{modes:?}: {bytes} bytes");
        assert!(bytes <= most, "{bytes}");
    }
}

#[test]
fn fresh_never_turns_into_light() {
    let (mut device, mut gateway) = holding(&setting(Modes::BOTH));
    // The gateway's policy has changed since; the device may use `light`, and does.
    let (_, credential) = setting(Modes::FRESH).responder();
    gateway.credentials.remove(gateway.id);
    let inserted = gateway.credentials.insert(credential);
    inserted.expect("its key id is free");
    let stored: Vec<_> = gateway.issued.drain(..).collect();
    assert_eq!(gateway.restart(now(1), &stored), 1);
    let (initiator, forth) = device.begin(now(1)).expect("may resume");
    assert_eq!(forth[4] >> 5, 5, "light");
    let refusal = gateway.refused(now(1), &forth);
    let failed = initiator.receive(now(1), &refusal[2..], &mut Vec::new());
    assert_eq!(failed.expect_err("refused"), Error::Handle);
    // A handle for `fresh` only is redeemed by that, whatever the device would like: and if it says
    // otherwise of itself, the gateway does not.
    let (mut device, mut gateway) = holding(&setting(Modes::FRESH));
    let held = device.held.as_ref().expect("a handle");
    assert_eq!(held.modes(), Modes::FRESH);
    let mut flash = device.flash();
    flash[3] = Modes::BOTH.bits();
    let both = setting(Modes::BOTH);
    let mut greedy = Device::new(&both, 3);
    greedy.reads(now(1), &flash);
    let (_, forth) = greedy.begin(now(1)).expect("may resume");
    assert_eq!(forth[4] >> 5, 5, "light");
    gateway.refused(now(1), &forth);
    let made = connect(1, &mut device, &mut gateway);
    assert_eq!(made.frames[0][4] >> 5, 6, "fresh");
}

#[test]
fn a_handle_that_cannot_be_redeemed_is_followed_by_a_full_handshake_in_the_same_stream() {
    type Spoil = fn(&mut Device, &mut Gateway) -> u64;
    let reasons: [(&str, Spoil); 4] = [
        ("lost", |_, gateway| {
            gateway.restart(now(1), &[]);
            1
        }),
        ("of a gateway with another key", |_, gateway| {
            *gateway = Gateway::new(&setting(Modes::BOTH), 9);
            1
        }),
        ("revoked", |_, gateway| {
            gateway.grants.issued_mut().revoke(gateway.id, &mut |_| {});
            1
        }),
        ("redeemed", |device, gateway| {
            let flash = device.flash();
            connect(1, device, gateway);
            device.reads(now(2), &flash);
            2
        }),
    ];
    for modes in MODES {
        for (why, spoil) in reasons {
            let (mut device, mut gateway) = holding(&setting(modes));
            let at = now(spoil(&mut device, &mut gateway));
            let (initiator, forth) = device.begin(at).expect("may resume");
            let refusal = gateway.refused(at, &forth);
            assert!(refusal.len() < forth.len(), "{why}");
            let failed = initiator.receive(at, &refusal[2..], &mut Vec::new());
            assert_eq!(failed.expect_err(why), Error::Handle);
            let resume = device.begin(at).expect("may resume").1;
            device.held = None;
            let (initiator, forth) = device.begin(at).expect("may initiate");
            let (answered, back) = gateway.answer(at, &forth).expect(why);
            let mut confirmation = Vec::new();
            let initiator = initiator.receive(at, &back[2..], &mut confirmation);
            let (mut session, answer) = gateway.confirm(at, answered, &confirmation).expect(why);
            let mut initiator = initiator.expect(why);
            assert!(device.hears(at, &mut initiator, answer), "{why}");
            assert_eq!(gateway.grants.issued().len(), 1, "{why}");
            let mut frame = Vec::new();
            initiator.send(at, b"on", &mut frame).expect("may send");
            let opened = session.receive(at, &mut frame, &mut Vec::new());
            assert_eq!(opened, Ok(Opened::Data(b"on")), "{why}");
            // One refusal a stream: what comes next is an Initiate.
            gateway.refused(at, &resume);
            let again = gateway.answer(at, &resume);
            assert_eq!(again.expect_err("not twice"), Error::Unexpected);
        }
    }
}

#[test]
fn a_handle_is_over_with_its_time_its_chain_and_its_credential() {
    let hour = Policy::default().with_resumption(Modes::BOTH, Duration::from_secs(3600));
    let short = Setting {
        policy: hour,
        ..Setting::default()
    };
    let (mut device, mut gateway) = holding(&short);
    // Each resumption goes on in the chain of the first handshake.
    connect(3000, &mut device, &mut gateway);
    let flash = device.flash();
    assert_eq!(device.begin(now(3600)).expect_err("over"), Error::Expired);
    // A device with a slow clock is told by the gateway.
    let (_, resume) = device.begin(now(3500)).expect("not over");
    gateway.refused(now(3600), &resume);
    // A handle of another key: the device has got a new one since.
    let rotated = Setting {
        key_id: b"k002",
        ..short
    };
    let mut device = Device::new(&rotated, 3);
    device.reads(now(3100), &flash);
    assert_eq!(
        device.begin(now(3100)).expect_err("of another key"),
        Error::NoCredential
    );
}

#[test]
fn a_refresh_hands_out_a_new_handle_in_place_of_the_older() {
    for modes in MODES {
        let (mut device, mut gateway) = pair(&setting(modes));
        let mut made = connect(0, &mut device, &mut gateway);
        let before = device.flash();
        let at = now(100);
        let mut to_gateway = Vec::new();
        let refreshed = made.device.refresh(
            at,
            &mut *device.rng,
            &device.local,
            &device.credentials,
            &mut to_gateway,
        );
        refreshed.expect("may refresh");
        let (mut to_device, mut granted) = (Vec::new(), 0);
        while !to_gateway.is_empty() || !to_device.is_empty() {
            for mut frame in support::frames(&core::mem::take(&mut to_gateway)) {
                match made.gateway.receive(at, &mut frame, &mut to_device) {
                    Ok(Opened::Refresh) => {
                        let (local, known) = (&gateway.local, &gateway.credentials);
                        let answered = made.gateway.refresh(
                            at,
                            &mut *gateway.rng,
                            local,
                            known,
                            &mut to_device,
                        );
                        answered.expect("may answer");
                    }
                    Ok(Opened::Refreshed) => {
                        let grant = gateway.grant(at, &mut made.gateway).expect("may grant");
                        to_device.extend(grant);
                        let again = gateway.grant(at, &mut made.gateway);
                        assert_eq!(again, Ok(Vec::new()), "once");
                    }
                    opened => assert_eq!(opened, Ok(Opened::Control)),
                }
            }
            for mut frame in support::frames(&core::mem::take(&mut to_device)) {
                match made.device.receive(at, &mut frame, &mut to_gateway) {
                    Ok(Opened::Refresh) => {
                        let (local, known) = (&device.local, &device.credentials);
                        let rng = &mut *device.rng;
                        let switched = made.device.refresh(at, rng, local, known, &mut to_gateway);
                        switched.expect("may switch");
                    }
                    Ok(Opened::Granted) => {
                        granted += 1;
                        device.held = made.device.take_handle(at);
                    }
                    opened => assert!(matches!(opened, Ok(Opened::Control | Opened::Refreshed))),
                }
            }
        }
        assert_eq!((made.device.refreshes(), granted), (1, 1));
        made.talks(100);
        assert_eq!(gateway.grants.issued().len(), 1);
        let mut stale = Device::new(&setting(modes), 4);
        stale.reads(at, &before);
        let (_, resume) = stale.begin(at).expect("it cannot know");
        gateway.refused(at, &resume);
        connect(101, &mut device, &mut gateway).talks(101);
        // Only a responder grants.
        let refused = gateway.grant(at, &mut made.device);
        assert!(matches!(refused, Err(Error::NotAllowed(_))));
    }
}

#[test]
fn a_renewal_lies_in_the_window_that_was_granted() {
    for modes in MODES {
        let (mut device, mut gateway) = pair(&setting(modes));
        let half = Policy::default().lifetime() / 2;
        for at in 0..20 {
            let made = connect(at, &mut device, &mut gateway);
            // A responder plans the first renewals anywhere between a fortieth and nine twentieths of
            // the life, each in ten seconds of its own.
            let due = made.device.next_timeout().as_secs() - at;
            let (least, most) = (half.as_secs() / 20, half.as_secs() / 10 * 9 + 10);
            assert!((least..most).contains(&due), "{modes:?}: {due}");
            let mut session = made.device;
            let then = Now::without_utc(session.next_timeout());
            assert_eq!(session.handle_timeout(then, &mut Vec::new()), Due::Refresh);
        }
    }
}

#[test]
fn without_resumption_in_either_policy_there_is_no_handle() {
    let never = Policy::default().with_resumption(Modes::NONE, WEEK);
    let none = Setting {
        policy: never,
        ..Setting::default()
    };
    let both = setting(Modes::BOTH);
    for (a, b) in [(&none, &both), (&both, &none)] {
        let (mut device, mut gateway) = (Device::new(a, 1), Gateway::new(b, 2));
        // An older one would be given up.
        connect(0, &mut device, &mut gateway);
        assert!(device.held.is_none());
        assert_eq!(connect(1, &mut device, &mut gateway).frames[0][2], INITIATE);
    }
}

#[test]
fn a_gateway_that_was_killed_redeems_what_its_store_had() {
    for modes in MODES {
        let (mut device, mut gateway) = holding(&setting(modes));
        let stored: Vec<_> = gateway.issued.drain(..).collect();
        assert_eq!(gateway.restart(now(1), &stored), 1);
        let made = connect(1, &mut device, &mut gateway);
        assert_eq!(made.frames[0][2], RESUME);
        // It was written behind: after another crash it may be redeemed once more, under fresh keys.
        let flash = device.flash();
        connect(2, &mut device, &mut gateway);
        let stored: Vec<_> = gateway.issued.drain(..).take(1).collect();
        assert_eq!(gateway.restart(now(3), &stored), 1);
        device.reads(now(3), &flash);
        connect(3, &mut device, &mut gateway).talks(3);
    }
}

#[test]
fn a_device_without_a_clock_resumes_and_two_ends_without_do_not() {
    let blind = |at| Now::without_utc(Duration::from_secs(at));
    for modes in MODES {
        let (mut device, mut gateway) = holding(&setting(modes));
        let (initiator, forth) = device.begin(blind(1)).expect("may resume");
        assert!(
            gateway.resume(blind(1), &forth).is_err(),
            "neither knows the date"
        );
        drop(initiator);
        let (initiator, forth) = device.begin(blind(1)).expect("may resume");
        let (answered, back) = gateway.answered(now(1), &forth);
        let mut confirmation = Vec::new();
        let made = initiator.receive(blind(1), &back[2..], &mut confirmation);
        let mut made = made.expect("the gateway knows how long the key holds");
        let (_, answer) = gateway
            .confirm(now(1), answered, &confirmation)
            .expect("genuine");
        assert!(device.hears(blind(1), &mut made, answer));
        // The other way round, the device grants.
        let (initiator, forth) = device.begin(now(2)).expect("may resume");
        let (answered, back) = gateway.answered(blind(2), &forth);
        let mut confirmation = Vec::new();
        let made = initiator.receive(now(2), &back[2..], &mut confirmation);
        made.expect("it opens");
        let confirmed = gateway.confirm(blind(2), answered, &confirmation);
        confirmed.expect("with the time that remains");
    }
}

#[test]
fn a_handle_belongs_to_its_carriage() {
    let (mut device, mut gateway) = holding(&setting(Modes::BOTH));
    // layout ‖ carriage: held and issued as if on datagrams.
    let mut flash = device.flash();
    flash[1] = 1;
    let mut other = Device::new(&setting(Modes::BOTH), 3);
    other.reads(now(1), &flash);
    assert_eq!(
        other.begin(now(1)).expect_err("another carriage"),
        Error::NoCredential
    );
    let mut stored = gateway.issued[0].expose_bytes().to_vec();
    stored[1] = 1;
    let stored = StoredHandle::from_bytes(&stored).expect("well-formed");
    assert_eq!(gateway.restart(now(1), &[stored]), 1);
    let (_, resume) = device.begin(now(1)).expect("may resume");
    gateway.refused(now(1), &resume);
}

#[test]
fn what_is_kept_of_a_stream_is_read_back() {
    let (mut device, mut gateway) = holding(&setting(Modes::BOTH));
    let flash = device.flash();
    let mut rebooted = Device::new(&setting(Modes::BOTH), 77);
    rebooted.reads(now(1), &flash);
    assert_eq!(rebooted.flash(), flash);
    connect(1, &mut rebooted, &mut gateway).talks(1);
    device.held = None;
    assert!(HeldHandle::from_bytes(now(1), &flash[..flash.len() - 1]).is_err());
}
