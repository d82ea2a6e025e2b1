//! A stream association under attack delivers a prefix of what was sent, or nothing.

use std::collections::VecDeque;

use refpoint_association::{
    CloseReason, Now, Opened, SessionLabel, StreamInitiator, StreamResponder, StreamSession,
};
use refpoint_sim::Entropy;

use super::party::{BACKEND, now, parties};
use crate::Input;

/// Both ends send and receive while an attacker changes, drops, repeats, swaps and injects frames.
///
/// A byte that chooses profile and suite, then operations of a byte each with their arguments.
/// What an end delivers is always a prefix of what the other sent; frames that nobody touched
/// always open; after an error nothing is delivered.
pub fn association_stream(data: &[u8]) {
    let mut input = Input::new(data);
    let (device, gateway) = handshake(input.byte());
    let mut directions = [Direction::default(), Direction::default()];
    let mut ends = [device, gateway];
    let mut seconds = 0;
    while !input.is_empty() {
        let operation = input.byte();
        let side = usize::from(operation >> 7);
        let time = now(seconds);
        match operation & 0x7f {
            0 => directions[side].send(time, &mut ends[side], input.counted()),
            1 | 2 => directions[side].deliver(time, &mut ends[1 - side]),
            3 => directions[side].attack(|frames| frames.pop_front().is_some()),
            4 => {
                let frame = input.counted().to_vec();
                directions[side].attack(|frames| {
                    frames.push_front(frame);
                    true
                });
            }
            5 => directions[side].attack(|frames| {
                let copy = frames.front().cloned();
                frames.extend(copy);
                !frames.is_empty()
            }),
            6 => directions[side].attack(|frames| {
                let swaps = frames.len() > 1;
                if swaps {
                    frames.swap(0, 1);
                }
                swaps
            }),
            7 => {
                let (at, change) = (usize::from(input.byte()), input.byte());
                directions[side].attack(|frames| flip(frames.front_mut(), at, change));
            }
            8 => {
                // Reflected, or swapped between the directions.
                let frame = directions[1 - side].frames.front().cloned();
                directions[side]
                    .attack(|frames| frame.map(|frame| frames.push_front(frame)).is_some());
            }
            // Below the lifetime's first limit: nothing expires on its own here.
            9 => seconds = (seconds + u64::from(input.byte())).min(20_000),
            10 => directions[side].close(time, &mut ends[side]),
            _ => {}
        }
    }
}

fn flip(frame: Option<&mut Vec<u8>>, at: usize, change: u8) -> bool {
    let Some(frame) = frame else { return false };
    let at = at % frame.len().max(1);
    let Some(byte) = frame.get_mut(at) else {
        return false;
    };
    *byte ^= change;
    change != 0
}

/// One direction: what was sent, what is under way, what arrived.
#[derive(Default)]
struct Direction {
    sent: Vec<Vec<u8>>,
    delivered: usize,
    frames: VecDeque<Vec<u8>>,
    attacked: bool,
    failed: bool,
    closed: bool,
}

impl Direction {
    fn send(&mut self, now: Now, from: &mut StreamSession, data: &[u8]) {
        let mut frame = Vec::new();
        match from.send(now, data, &mut frame) {
            Ok(()) => {
                self.sent.push(data.to_vec());
                self.frames.push_back(frame);
            }
            Err(_) => assert!(frame.is_empty()),
        }
    }

    fn close(&mut self, now: Now, from: &mut StreamSession) {
        let mut frame = Vec::new();
        if from.close(now, CloseReason::Done, &mut frame).is_ok() {
            self.frames.push_back(frame);
        }
    }

    fn attack(&mut self, attack: impl FnOnce(&mut VecDeque<Vec<u8>>) -> bool) {
        if attack(&mut self.frames) {
            self.attacked = true;
        }
    }

    fn deliver(&mut self, now: Now, to: &mut StreamSession) {
        let Some(mut frame) = self.frames.pop_front() else {
            return;
        };
        if self.failed {
            return; // the caller drops a stream after an error
        }
        let mut answer = Vec::new();
        match to.receive(now, &mut frame, &mut answer) {
            Ok(Opened::Data(data)) => {
                assert!(!self.closed, "something after the end");
                let sent = self.sent.get(self.delivered);
                assert_eq!(
                    sent.map(Vec::as_slice),
                    Some(data),
                    "not what was sent next"
                );
                self.delivered += 1;
            }
            Ok(Opened::Closed(reason)) => {
                assert_eq!(reason, CloseReason::Done);
                assert_eq!(self.delivered, self.sent.len(), "an end before the end");
                assert!(to.end().is_ok(), "an end that was said and is denied");
                self.closed = true;
            }
            Ok(_) => {}
            Err(error) => {
                assert!(self.attacked, "a frame that nobody touched: {error}");
                self.failed = true;
            }
        }
        assert!(self.closed || to.end().is_err(), "an end that nobody made");
    }
}

fn handshake(choice: u8) -> (StreamSession, StreamSession) {
    let (device, gateway) = parties(choice);
    let (mut forth, mut back, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
    let initiator = StreamInitiator::new(
        now(0),
        &mut Entropy::new(1, "device"),
        &device.local,
        BACKEND,
        device.credential,
        SessionLabel::default(),
        &mut forth,
    );
    let mut responder = StreamResponder::receive(
        now(0),
        &mut Entropy::new(1, "gateway"),
        &gateway.local,
        BACKEND,
        &gateway.credentials,
        &forth[2..],
        &mut back,
    )
    .expect("the Initiate is genuine");
    let mut initiator = initiator
        .and_then(|initiator| initiator.receive(now(0), &back[2..], &mut confirm))
        .expect("the Respond is genuine");
    let mut answer = Vec::new();
    responder
        .receive(now(0), &mut confirm, &mut answer)
        .expect("the confirm is genuine");
    initiator
        .receive(now(0), &mut answer, &mut Vec::new())
        .expect("the answer is genuine");
    (initiator, responder)
}
