//! A stream association under attack delivers a prefix of what was sent, or nothing, through
//! however many refreshes.

use std::collections::VecDeque;

use refpoint_association::{
    CloseReason, Due, Now, Opened, SessionLabel, StreamInitiator, StreamResponder, StreamSession,
};
use refpoint_sim::Entropy;

use super::party::{BACKEND, Party, now, parties};
use crate::Input;

/// Both ends send, receive and refresh while an attacker changes, drops, repeats, swaps and injects
/// frames.
///
/// A byte that chooses profile and suite, then operations of a byte each with their arguments.
/// What an end delivers is always a prefix of what the other sent; frames that nobody touched
/// always open; after an error nothing is delivered. Without an attack everything arrives in the
/// end, and both ends have refreshed equally often.
pub fn association_stream(data: &[u8]) {
    let mut input = Input::new(data);
    let mut directions = [Direction::default(), Direction::default()];
    let mut ends = handshake(input.byte());
    let mut seconds = 0;
    while !input.is_empty() {
        let operation = input.byte();
        let side = usize::from(operation >> 7);
        let time = now(seconds);
        match operation & 0x7f {
            0 => directions[side].send(time, &mut ends[side].session, input.counted()),
            1 | 2 => deliver(&mut directions, side, time, &mut ends[1 - side]),
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
            10 => directions[side].close(time, &mut ends[side].session),
            11 => directions[side].push(&ends[side].refresh(time)),
            12 => {
                let mut out = Vec::new();
                let due = ends[side].session.handle_timeout(time, &mut out);
                directions[side].push(&out);
                match due {
                    Due::Refresh => directions[side].push(&ends[side].refresh(time)),
                    // Nothing ends before its time.
                    Due::Ended(error) => assert!(directions[1 - side].failed, "{error}"),
                    Due::Later => {}
                }
            }
            _ => {}
        }
    }
    settle(directions, now(seconds), ends);
}

/// What nobody attacked arrives as a whole.
fn settle(mut directions: [Direction; 2], time: Now, mut ends: [End; 2]) {
    if directions.iter().any(|direction| direction.attacked) {
        return;
    }
    while !directions
        .iter()
        .all(|direction| direction.frames.is_empty())
    {
        for side in [0, 1] {
            deliver(&mut directions, side, time, &mut ends[1 - side]);
        }
    }
    let is_closed = directions.iter().any(|direction| direction.closed);
    for direction in &directions {
        assert!(!direction.failed, "nobody attacked");
        assert!(is_closed || direction.delivered == direction.sent.len());
    }
    let [device, gateway] = ends.map(|end| end.session.refreshes());
    assert!(
        is_closed || device == gateway,
        "a refresh that is half done"
    );
}

/// Delivers the oldest frame of a direction; what answers it goes the other way.
fn deliver(directions: &mut [Direction; 2], side: usize, time: Now, to: &mut End) {
    let mut out = Vec::new();
    if directions[side].deliver(time, &mut to.session, &mut out) {
        out.extend(to.refresh(time));
    }
    directions[1 - side].push(&out);
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

    /// Puts framed bytes on their way.
    fn push(&mut self, mut bytes: &[u8]) {
        while let Some(length) = bytes.first_chunk() {
            let (frame, rest) = bytes.split_at(2 + usize::from(u16::from_be_bytes(*length)));
            self.frames.push_back(frame.to_vec());
            bytes = rest;
        }
    }

    fn attack(&mut self, attack: impl FnOnce(&mut VecDeque<Vec<u8>>) -> bool) {
        if attack(&mut self.frames) {
            self.attacked = true;
        }
    }

    /// Whether the frame wants a refresh to go on.
    fn deliver(&mut self, now: Now, to: &mut StreamSession, out: &mut Vec<u8>) -> bool {
        let Some(mut frame) = self.frames.pop_front() else {
            return false;
        };
        let opened = to.receive(now, &mut frame, out);
        if self.failed {
            assert!(opened.is_err() && out.is_empty(), "an error is final");
            return false;
        }
        let mut refreshes = false;
        match opened {
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
            Ok(Opened::Refresh) => refreshes = true,
            Ok(Opened::Control | Opened::Refreshed | Opened::Granted) => {}
            Err(error) => {
                assert!(self.attacked, "a frame that nobody touched: {error}");
                // What follows the end does no harm.
                self.failed = !self.closed;
            }
        }
        assert!(self.closed || to.end().is_err(), "an end that nobody made");
        refreshes
    }
}

/// A session, and what its refreshes need.
struct End {
    session: StreamSession,
    party: Party,
    entropy: Entropy,
}

impl End {
    /// Goes on with a refresh or begins one; gives what is to be sent.
    fn refresh(&mut self, now: Now) -> Vec<u8> {
        let mut out = Vec::new();
        let Party {
            local, credentials, ..
        } = &self.party;
        let entropy = &mut self.entropy;
        // One that does not come about leaves everything as it is.
        let _ = self
            .session
            .refresh(now, entropy, local, credentials, &mut out);
        out
    }
}

fn handshake(choice: u8) -> [End; 2] {
    let (device, gateway) = parties(choice);
    let (mut forth, mut back, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
    let mut entropies = ["device", "gateway"].map(|name| Entropy::new(1, name));
    let initiator = StreamInitiator::new(
        now(0),
        &mut entropies[0],
        &device.local,
        BACKEND,
        device.credential.clone(),
        SessionLabel::default(),
        &mut forth,
    );
    let mut responder = StreamResponder::receive(
        now(0),
        &mut entropies[1],
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
    let [of_device, of_gateway] = entropies;
    let end = |session, party, entropy| End {
        session,
        party,
        entropy,
    };
    [
        end(initiator, device, of_device),
        end(responder, gateway, of_gateway),
    ]
}
