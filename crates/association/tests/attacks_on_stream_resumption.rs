//! Attacks on resumption on streams: replays, clones, thieves of handles, forged refusals,
//! reflections (rules S1 to S6).

#[path = "support/resuming.rs"]
mod resuming;
#[path = "support/support.rs"]
mod support;

use std::sync::Mutex;

use rand_core::{TryCryptoRng, TryRng};
use refpoint_association::{Error, HeldHandle, Modes, StreamAnswer, StreamResponder};
use resuming::{Device, Gateway, MODES, connect, setting};
use support::{Setting, now};

/// A device that holds a handle of its gateway.
fn holding(modes: Modes) -> (Device, Gateway) {
    let setting = setting(modes);
    let (mut device, mut gateway) = (Device::new(&setting, 1), Gateway::new(&setting, 2));
    connect(0, &mut device, &mut gateway);
    (device, gateway)
}

#[test]
fn a_replayed_resume_is_refused_at_the_cost_of_no_dh_and_takes_nothing_from_its_owner() {
    for modes in MODES {
        let (mut device, mut gateway) = holding(modes);
        // Held back: its owner has not confirmed, so the handle is still good.
        let (initiator, forth) = device.begin(now(1)).expect("may resume");
        let (first, back) = gateway.answered(now(1), &forth);
        let mut confirmation = Vec::new();
        initiator
            .receive(now(1), &back[2..], &mut confirmation)
            .expect("it is genuine");
        // A Resumed needs randomness for its nonce or its ephemeral: without any, there is no DH.
        let rng = core::mem::replace(&mut gateway.rng, Box::new(Nothing));
        for _ in 0..100 {
            gateway.refused(now(1), &forth);
        }
        gateway.rng = rng;
        // The owner may try again, and both of its tries are still good.
        let (again, forth) = device.begin(now(1)).expect("may resume");
        let (_, back) = gateway.answered(now(1), &forth);
        again
            .receive(now(1), &back[2..], &mut Vec::new())
            .expect("it is genuine");
        assert!(gateway.gone.is_empty(), "the handle is its owner's");
        gateway
            .confirm(now(1), first, &confirmation)
            .expect("its owner");
        assert_eq!(gateway.gone.len(), 1);
        gateway.refused(now(1), &forth);
    }
}

/// Has no randomness to give.
struct Nothing;

impl TryRng for Nothing {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        panic!("something is computed")
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        panic!("something is computed")
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        panic!("something is computed")
    }
}

impl TryCryptoRng for Nothing {}

#[test]
fn a_handle_that_led_to_nothing_four_times_is_refused_and_a_full_handshake_follows() {
    for modes in MODES {
        let (mut device, mut gateway) = holding(modes);
        for _ in 0..4 {
            let (_, forth) = device.begin(now(1)).expect("may resume");
            gateway.answered(now(1), &forth);
        }
        let (initiator, forth) = device.begin(now(1)).expect("may resume");
        let refusal = gateway.refused(now(1), &forth);
        let failed = initiator.receive(now(1), &refusal[2..], &mut Vec::new());
        assert_eq!(failed.expect_err("refused"), Error::Handle);
        // The full handshake brings another handle, with four tries of its own.
        device.held = None;
        connect(1, &mut device, &mut gateway).talks(1);
        connect(2, &mut device, &mut gateway).talks(2);
    }
}

#[test]
fn a_resume_is_answered_while_somebody_else_has_the_table() {
    let (mut device, mut gateway) = holding(Modes::FRESH);
    let (initiator, forth) = device.begin(now(1)).expect("may resume");
    let (answer, mut back) = gateway.read(now(1), &forth).expect("it is genuine");
    let StreamAnswer::Resumed(redemption) = answer else {
        panic!("refused");
    };
    let Gateway {
        grants,
        local,
        rng,
        backend,
        ..
    } = gateway;
    let table = Mutex::new(grants);
    let held = table.lock().expect("nobody else has it yet");
    redemption
        .answer(now(1), &mut *{ rng }, &local, backend, &mut back)
        .expect("needs no table");
    assert!(table.try_lock().is_err(), "it is still held");
    drop(held);
    initiator
        .receive(now(1), &back[2..], &mut Vec::new())
        .expect("it is genuine");
}

#[test]
fn a_handle_is_redeemed_once_however_many_answers_were_given() {
    for modes in MODES {
        let (mut device, mut gateway) = holding(modes);
        let mut clone = Device::new(&setting(modes), 3);
        clone.reads(now(1), &device.flash());
        let mut waiting = Vec::new();
        for end in [&mut device, &mut clone] {
            let (initiator, forth) = end.begin(now(1)).expect("may resume");
            let (answered, back) = gateway.answered(now(1), &forth);
            let mut confirmation = Vec::new();
            let made = initiator.receive(now(1), &back[2..], &mut confirmation);
            waiting.push((made.expect("opens"), answered, confirmation));
        }
        let (_, late, late_confirmation) = waiting.pop().expect("two");
        let (_, first, confirmation) = waiting.pop().expect("two");
        let issued = gateway.issued.len();
        gateway
            .confirm(now(1), first, &confirmation)
            .expect("the first");
        let failed = gateway.confirm(now(1), late, &late_confirmation);
        assert_eq!(failed.expect_err("redeemed"), Error::Handle);
        assert_eq!(gateway.gone.len(), 1, "claimed once");
        assert_eq!(gateway.issued.len(), issued + 1, "and one in its place");
    }
}

#[test]
fn a_stolen_handle_without_its_secret_opens_nothing() {
    for modes in MODES {
        let (mut device, mut gateway) = holding(modes);
        let mut flash = device.flash();
        // layout(5) ‖ handle(12) ‖ secret(32): the thief saw the handle on the wire.
        for byte in &mut flash[17..49] {
            *byte ^= 0x55;
        }
        let mut thief = Device::new(&setting(modes), 3);
        thief.reads(now(1), &flash);
        let (_, forged) = thief.begin(now(1)).expect("may try");
        let failed = gateway.resume(now(1), &forged);
        assert_eq!(failed.expect_err("no secret"), Error::Authentication);
        connect(2, &mut device, &mut gateway).talks(2);
    }
}

#[test]
fn every_flipped_bit_of_a_resume_its_answer_and_its_confirmation_is_noticed() {
    for modes in MODES {
        let (mut device, mut gateway) = holding(modes);
        let (_, genuine) = device.begin(now(1)).expect("may resume");
        for at in 2..genuine.len() {
            let mut flipped = genuine.clone();
            flipped[at] ^= 1;
            // The handle's own bytes name another one, and so do the terms.
            let mut out = Vec::new();
            let answer = StreamResponder::resume(
                now(1),
                &mut *gateway.rng,
                &gateway.local,
                gateway.backend,
                (&gateway.credentials, &mut gateway.grants),
                &flipped[2..],
                &mut out,
            );
            if let Ok(answer) = answer {
                let refused = matches!(answer, StreamAnswer::Refused);
                assert!(refused, "{modes:?}: byte {at} of the Resume");
            }
        }
        let (_, back) = gateway.answered(now(1), &genuine);
        for at in 2..back.len() {
            let (mut device, mut gateway) = holding(modes);
            let (initiator, forth) = device.begin(now(1)).expect("may resume");
            let (_, mut back) = gateway.answered(now(1), &forth);
            back[at] ^= 1;
            let mut out = Vec::new();
            let opened = initiator.receive(now(1), &back[2..], &mut out);
            assert!(opened.is_err(), "{modes:?}: byte {at} of the Resumed");
            assert!(out.is_empty());
        }
        for at in 0..21 {
            let (mut device, mut gateway) = holding(modes);
            let (initiator, forth) = device.begin(now(1)).expect("may resume");
            let (answered, back) = gateway.answered(now(1), &forth);
            let mut confirmation = Vec::new();
            let made = initiator.receive(now(1), &back[2..], &mut confirmation);
            made.expect("it is genuine");
            confirmation[at % 19] ^= if at < 19 { 1 } else { 0x80 };
            let confirmed = gateway.confirm(now(1), answered, &confirmation);
            assert!(
                confirmed.is_err(),
                "{modes:?}: byte {at} of the confirmation"
            );
            assert!(gateway.gone.is_empty(), "nothing is redeemed by that");
        }
        connect(2, &mut device, &mut gateway).talks(2);
    }
}

#[test]
fn a_resume_reflected_to_its_sender_and_an_issued_handle_as_a_held_one_are_nothing() {
    for modes in MODES {
        let (mut device, gateway) = holding(modes);
        let (_, resume) = device.begin(now(1)).expect("may resume");
        // Its sender, as a responder: with tables of its own (rule S3).
        let swapped = setting(modes);
        let mut mirror = Gateway::new(
            &Setting {
                initiator: swapped.responder,
                responder: swapped.initiator,
                ..swapped
            },
            2,
        );
        let key = *gateway.grants.issued().expose_key();
        let table = refpoint_association::IssuedHandles::new(16, &mut *mirror.rng).with_key(key);
        mirror.grants = refpoint_association::Grants::new(table);
        mirror.refused(now(1), &resume);
        assert_eq!(mirror.restart(now(1), &gateway.issued), 0, "another's");
        mirror.refused(now(1), &resume);
        let bytes = gateway.issued[0].expose_bytes();
        assert!(HeldHandle::from_bytes(now(1), bytes).is_err());
    }
}

#[test]
fn a_forged_refusal_has_to_name_the_resume_and_means_nothing_to_who_does_not_resume() {
    for modes in MODES {
        let (mut device, mut gateway) = holding(modes);
        let (initiator, forth) = device.begin(now(1)).expect("may resume");
        gateway.restart(now(1), &[]);
        let refusal = gateway.refused(now(1), &forth);
        let mut forged = refusal.clone();
        forged[5] ^= 1;
        let failed = initiator.receive(now(1), &forged[2..], &mut Vec::new());
        assert_eq!(failed.expect_err("names another"), Error::Unexpected);
        device.held = None;
        let (initiator, forth) = device.begin(now(1)).expect("may initiate");
        let failed = initiator.receive(now(1), &refusal[2..], &mut Vec::new());
        assert_eq!(failed.expect_err("nothing to refuse"), Error::Unexpected);
        gateway.answered(now(1), &forth);
    }
}

#[test]
fn an_answer_of_the_other_kind_is_none() {
    // A Respond to a Resume, a Resumed to an Initiate: the kinds do not mix.
    for modes in MODES {
        let (mut device, mut gateway) = holding(modes);
        let (resuming, forth) = device.begin(now(1)).expect("may resume");
        let (_, resumed) = gateway.answered(now(1), &forth);
        device.held = None;
        let (initiating, forth) = device.begin(now(1)).expect("may initiate");
        let (_, respond) = gateway.answered(now(1), &forth);
        let failed = resuming.receive(now(1), &respond[2..], &mut Vec::new());
        assert_eq!(failed.expect_err("a Respond"), Error::Unexpected);
        let failed = initiating.receive(now(1), &resumed[2..], &mut Vec::new());
        assert_eq!(failed.expect_err("a Resumed"), Error::Unexpected);
    }
}

#[test]
fn resumes_of_strangers_leave_no_state() {
    let (mut device, mut gateway) = holding(MODES[0]);
    let (_, genuine) = device.begin(now(1)).expect("may resume");
    for number in 0..10_000_u32 {
        let mut forged = genuine.clone();
        forged[6..10].copy_from_slice(&number.to_be_bytes());
        let refusal = gateway.refused(now(1), &forged);
        assert!(refusal.len() < forged.len());
    }
    assert_eq!(gateway.grants.issued().len(), 1);
    connect(2, &mut device, &mut gateway).talks(2);
}
