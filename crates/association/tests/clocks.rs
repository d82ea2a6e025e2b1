//! Rule L3, K3: ends without a wall clock, keys that expire.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::World;
use refpoint_association::{Error, Policy};
use refpoint_keys::Profile;
use support::{Setting, at};

#[test]
fn one_end_without_a_clock_lives_by_the_other_ends_grant() {
    // The key holds for another 600 s.
    for profile in [Profile::Psk, Profile::Known] {
        for clockless in ["device", "gateway"] {
            let setting = Setting {
                profile,
                expires: 1_800_000_600,
                ..Setting::default()
            };
            let mut world = World::perfect(&setting);
            world.host(clockless).utc = false;
            world.associate("device", "gateway");
            world.run_for(Duration::from_secs(700));
            for end in ["device", "gateway"] {
                let closed = world.log(end).closed.first();
                assert!(
                    closed.is_some(),
                    "{end} still lives with a key that has expired"
                );
            }
        }
    }
}

#[test]
fn two_ends_without_a_clock_are_refused() {
    let mut world = World::perfect(&Setting::default());
    world.host("device").utc = false;
    world.host("gateway").utc = false;
    world.connect("device", "gateway");
    world.run_for(Duration::from_secs(20));
    assert!(world.log("device").established.is_empty());
    assert!(world.log("gateway").established.is_empty());
    assert_eq!(world.log("device").failed[0].1, Error::NoAnswer);
}

#[test]
fn an_association_never_outlives_its_connection_key() {
    let setting = Setting {
        expires: 1_800_000_600,
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    let (device, _) = world.associate("device", "gateway");
    world.run_for(Duration::from_secs(530));
    // Refreshed ones included: every successor is clamped to the key as well.
    world.run_for(Duration::from_secs(71));
    let newest = world.log("device").newest();
    assert!(world.send("device", newest, b"x").is_err());
    assert!(world.send("device", device, b"x").is_err());
    let again = world.host("device").credential;
    let to = world.host("gateway").address;
    let refused = world.with("device", |endpoint, now, rng, out| {
        let label = refpoint_association::SessionLabel::default();
        endpoint.connect(now, rng, to, again, label, out)
    });
    assert_eq!(refused, Err(Error::Expired));
}

#[test]
fn past_its_end_nothing_is_sealed_or_opened_even_if_no_timer_was_handled() {
    let lifetime = Duration::from_secs(1024);
    let policy = Policy::default().with_lifetime(lifetime).expect("valid");
    let setting = Setting {
        policy,
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    let (device, gateway) = world.associate("device", "gateway");
    let from = world.host("device").address;
    let mut seal = |seconds: u64| {
        let host = world.host("device");
        let now = at(Duration::from_secs(seconds));
        let sent = host.endpoint.send(now, device, b"x", &mut host.log);
        sent.map(|()| host.log.sent.pop().expect("a record").1)
    };
    let records = [seal(900), seal(901), seal(902)].map(|sealed| sealed.expect("in time"));
    assert_eq!(
        seal(1022),
        Err(Error::Limit("time")),
        "the last tenth is margin"
    );
    for (seconds, mut record, delivered) in [1000, 1023, 1025]
        .into_iter()
        .zip(records)
        .zip([true, true, false])
        .map(|((seconds, record), delivered)| (seconds, record, delivered))
    {
        let host = world.host("gateway");
        let (before, now) = (host.log.received.len(), at(Duration::from_secs(seconds)));
        host.endpoint
            .receive(now, &mut host.rng, from, &mut record, &mut host.log);
        assert_eq!(
            host.log.received.len() > before,
            delivered,
            "at {seconds} s"
        );
    }
    assert!(world.host("gateway").endpoint.peer(gateway).is_some());
}

#[test]
fn the_end_of_a_key_brings_no_storm_of_refreshes() {
    // Each association ends with the key, so that each one is shorter than the one before.
    let setting = Setting {
        expires: 1_800_000_010,
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    world.net.start_capture();
    world.associate("device", "gateway");
    world.run_for(Duration::from_secs(12));
    let packets = world.net.captured().len();
    assert!(packets < 100, "{packets} packets");
    assert_eq!(world.host("device").endpoint.len(), 0);
}
