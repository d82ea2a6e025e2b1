//! Two end points with 1 to 4 gateways between them, loss, reordering, hours of delay, gateways that
//! restart and end points that reboot, one from a stale snapshot: every message once, no nonce twice.

#[path = "support/correspondent.rs"]
mod correspondent;
#[path = "support/relay.rs"]
mod relay;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;
use std::collections::BTreeMap;

use correspondent::Correspondent;
use refpoint_sim::{Chance, Event, Link, Net};
use relay::{Gateway, RETRY, address};
use support::{DAY, HOUR, METER, SENSOR};

const MESSAGES: usize = 24;

/// What a run came to.
#[derive(Debug, Default)]
struct Outcome {
    refused: usize,
    stale: usize,
    letters: usize,
}

fn link() -> Link {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    Link::perfect()
        .with_delay(minutes(10))
        .with_jitter(minutes(20))
        .with_loss(Chance::percent(20))
        .with_duplication(Chance::percent(10))
        .with_reordering(Chance::percent(20), minutes(180))
}

fn run(seed: u64, gateways: usize) -> Outcome {
    let last = gateways + 1;
    let mut net = Net::new(seed, link());
    let mut sensor = Correspondent::new(SENSOR, (0, 1), seed);
    let mut display = Correspondent::new(METER, (last, last - 1), seed);
    let mut between: Vec<_> = (0..gateways).map(|_| Gateway::default()).collect();
    let (mut said, mut tick) = (0, 0_u64);
    while tick * RETRY < 30 * DAY {
        if let Event::Arrival(packet) = net.next_event(Some(Duration::from_secs(tick * RETRY))) {
            let place = |wanted| {
                (0..=last)
                    .find(|place| address(*place) == wanted)
                    .expect("a node")
            };
            let (from, to) = (place(packet.from), place(packet.to));
            match to {
                0 => sensor.receive(&mut net, &packet.data),
                to if to == last => display.receive(&mut net, &packet.data),
                to => between[to - 1].receive(&mut net, to, from, &packet.data),
            }
            continue;
        }
        let hour = tick * RETRY / HOUR;
        let on_the_hour = (tick * RETRY).is_multiple_of(HOUR);
        if on_the_hour && hour.is_multiple_of(3) && said < MESSAGES {
            sensor.say(&mut net, format!("reading {said}"));
            display.say(&mut net, format!("command {said}"));
            said += 1;
        }
        if on_the_hour {
            match hour {
                30 => display.snapshot(),
                44 => display.reboot(&mut net, true),
                60 => sensor.reboot(&mut net, false),
                _ => {}
            }
            if hour % 17 == 11 {
                between[hour as usize % gateways].restart();
            }
        }
        sensor.tick(&mut net);
        display.tick(&mut net);
        (1..)
            .zip(&between)
            .for_each(|(here, gateway)| gateway.retry(&mut net, here));
        tick += 1;
        if said == MESSAGES && hour > 80 && sensor.is_done() && display.is_done() {
            break;
        }
    }
    assert!(
        sensor.is_done() && display.is_done(),
        "seed {seed}: some message was never answered"
    );
    for (end, kind) in [(&display, "reading"), (&sensor, "command")] {
        let mut got = end.delivered.clone();
        got.sort();
        let mut sent: Vec<_> = (0..MESSAGES).map(|n| format!("{kind} {n}")).collect();
        sent.sort();
        assert_eq!(got, sent, "seed {seed}: every message once");
    }
    let letters = no_nonce_twice(seed, [&sensor, &display]);
    Outcome {
        refused: sensor.refused + display.refused,
        stale: sensor.stale + display.stale,
        letters,
    }
}

/// Index and sequence name key and nonce: under each, one packet only was ever made.
fn no_nonce_twice(seed: u64, ends: [&Correspondent; 2]) -> usize {
    let mut letters = 0;
    for end in ends {
        let mut made = BTreeMap::new();
        for packet in end.sealed.iter().filter(|packet| packet[0] & 0x80 != 0) {
            let before = made.insert(packet[1..10].to_vec(), packet);
            assert!(before.is_none(), "seed {seed}: a nonce was used twice");
            letters += 1;
        }
    }
    letters
}

#[test]
fn every_message_arrives_once_whatever_happens_on_the_way() {
    for gateways in 1..=4 {
        for seed in 1..=4 {
            let outcome = run(seed, gateways);
            println!("seed {seed}, {gateways} gateways: {outcome:?}");
            assert_eq!(
                outcome.stale, 1,
                "the snapshot was stale, and was found to be"
            );
            assert!(outcome.letters >= 4 * MESSAGES);
            assert!(
                outcome.refused > 0,
                "nothing was ever repeated: the run shows nothing"
            );
        }
    }
}
