//! What strangers and insiders can use up, and with whose proof (rules H2, H3, H5, L3, T1).

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::{net::SocketAddr, time::Duration};

use net::{World, address};
use refpoint_association::{
    CloseReason, Config, Error, Now, Policy, StreamInitiator, StreamResponder,
};
use refpoint_keys::Profile;
use refpoint_sim::{Injector, Packet, Verdict};
use sha2::Digest;
use support::{Setting, now, rng, table};

const PROFILES: [Profile; 3] = [Profile::Psk, Profile::Pinned, Profile::Known];

fn of_profile(profile: Profile) -> Setting {
    Setting {
        profile,
        ..Setting::default()
    }
}

/// Gives a packet to an end, as if from an address, and takes what it answers off the network.
fn give(world: &mut World, to: &str, from: SocketAddr, packet: &[u8]) -> Vec<Vec<u8>> {
    let mut packet = packet.to_vec();
    world.with(to, |endpoint, now, rng, out| {
        endpoint.receive(now, rng, from, &mut packet, out);
        out.sent.drain(..).map(|(_, packet)| packet).collect()
    })
}

/// The Initiate of a device of this setting.
fn initiate(setting: &Setting) -> Vec<u8> {
    let mut world = World::perfect(setting);
    world.net.start_capture();
    world.connect("device", "gateway");
    world.net.captured()[0].1.data.clone()
}

/// Settings of several devices of one gateway.
fn devices(profile: Profile, count: u8) -> Vec<Setting> {
    const NAMES: [&str; 4] = [
        "//sp.example.com/id-mn/Ca",
        "//sp.example.com/id-mn/Cb",
        "//sp.example.com/id-mn/Cc",
        "//sp.example.com/id-mn/Cd",
    ];
    const KEYS: [&[u8]; 4] = [b"ka", b"kb", b"kc", b"kd"];
    let setting = |number: u8| Setting {
        initiator: NAMES[usize::from(number)],
        key: [100 + number; 32],
        key_id: KEYS[usize::from(number)],
        static_keys: ([100 + number; 32], [2; 32]),
        ..of_profile(profile)
    };
    (0..count).map(setting).collect()
}

/// A gateway of this configuration that knows all these devices.
fn gateway_of(settings: &[Setting], config: Config) -> World {
    let mut world = World::perfect(&settings[0]);
    world.add("gateway", 2, config, settings[0].responder());
    for setting in &settings[1..] {
        let (_, credential) = setting.responder();
        let inserted = world.host("gateway").endpoint.insert_credential(credential);
        inserted.expect("another entity");
    }
    world
}

fn kind(packet: &[u8]) -> u8 {
    packet[0] >> 3
}

const RESPOND: u8 = 2;
const RETRY: u8 = 6;

/// Lets handshakes pass, and no record.
struct NoRecords;

impl refpoint_sim::Adversary for NoRecords {
    fn intercept(&mut self, _: Duration, packet: &Packet, _: &mut Injector) -> Verdict {
        if packet.data[0] & 0x80 == 0 {
            Verdict::Pass
        } else {
            Verdict::Drop
        }
    }
}

#[test]
fn half_open_associations_are_bounded_and_twice_as_many_have_cookies() {
    let settings = devices(Profile::Psk, 4);
    let mut world = gateway_of(&settings, Config::default().with_half_open(1));
    let first = give(&mut world, "gateway", address(11), &initiate(&settings[0]));
    assert_eq!(kind(&first[0]), RESPOND);
    // The place is taken: everybody else proves an address. One finds the last place, the others
    // none, because nobody's confirmation arrives.
    world.net.set_adversary(NoRecords);
    let mut answers = Vec::new();
    for (number, setting) in (12..).zip(&settings[1..]) {
        world.add("other", number, Config::device(), setting.initiator());
        world.net.start_capture();
        world.connect("other", "gateway");
        world.run_for(Duration::from_millis(45));
        answers.push(world.log("other").established.len());
    }
    assert_eq!(answers, [1, 0, 0]);
    let statistics = world.host("gateway").endpoint.statistics();
    assert!(statistics.limited >= 1, "{statistics:?}");
    // When the half-open ones have ended, the next is answered.
    world.net.remove_adversary();
    world.run_for(Duration::from_secs(9));
    world.associate("other", "gateway");
}

#[test]
fn associations_are_bounded_also_for_those_with_cookies_and_for_refreshes() {
    let settings = devices(Profile::Psk, 3);
    let config = Config::default().with_associations(2).expect("valid");
    let mut world = gateway_of(&settings, config);
    for (number, setting) in (12..).zip(&settings[..2]) {
        world.add("other", number, Config::device(), setting.initiator());
        world.associate("other", "gateway");
    }
    let id = world.log("other").newest();
    world.with("other", |endpoint, now, rng, out| {
        endpoint.renew(now, rng, id, out).expect("may try");
    });
    world.add("device", 30, Config::device(), settings[2].initiator());
    world.connect("device", "gateway");
    for _ in 0..200 {
        world.run_for(Duration::from_millis(100));
        assert!(world.host("gateway").endpoint.len() <= 2);
    }
    assert!(world.log("device").established.is_empty());
    assert!(world.log("other").replaced.is_empty(), "no room to refresh");
    let statistics = world.host("gateway").endpoint.statistics();
    assert!(statistics.retried >= 1 && statistics.limited >= 1);
    // The others live on.
    world.send("other", id, b"alive").expect("may send");
    world.run_for(Duration::from_millis(50));
    assert_eq!(world.log("gateway").payloads(), [b"alive"]);
}

/// A gateway that asks everybody for a cookie.
fn loaded(settings: &[Setting]) -> World {
    gateway_of(settings, Config::default().with_handshakes_per_second(0))
}

/// The Initiate with a cookie that a device makes of the gateway's Retry, not yet delivered.
fn with_cookie(world: &mut World, setting: &Setting) -> Vec<u8> {
    world.add("device", 1, Config::device(), setting.initiator());
    world.net.start_capture();
    let before = world.net.captured().len();
    world.connect("device", "gateway");
    world.run_for(Duration::from_millis(25));
    let captured = &world.net.captured()[before..];
    let last = captured.last().expect("three packets").1.data.clone();
    assert!(kind(&last) == 1 && captured.len() == 3);
    world
        .net
        .set_adversary(|_: Duration, _: &Packet, _: &mut Injector| Verdict::Drop);
    last
}

#[test]
fn a_cookie_is_of_use_from_its_address_and_port_for_its_time_only() {
    let others = [
        (SocketAddr::from(([192, 0, 2, 66], 7000)), 0, RETRY),
        (SocketAddr::from(([192, 0, 2, 1], 7001)), 0, RETRY),
        (address(1), 31, RETRY),
        (address(1), 14, RESPOND),
        (address(1), 0, RESPOND),
    ];
    for (from, later, expected) in others {
        let settings = devices(Profile::Psk, 1);
        let mut world = loaded(&settings);
        // The first one arrives as well; its answer is not what is looked at.
        let packet = with_cookie(&mut world, &settings[0]);
        world.host("gateway").log.sent.clear();
        let fresh = {
            let mut data = packet.clone();
            // Another index: another Initiate to the gateway, with the same cookie.
            data[4] ^= 0x20;
            data
        };
        let answers = give(&mut world, "gateway", address(1), &fresh);
        assert!(
            answers.is_empty(),
            "a cookie that counts, a message that does not"
        );
        let mut other = fresh.clone();
        other[4] ^= 0x10;
        world.run_for(Duration::from_secs(later));
        let answers = give(&mut world, "gateway", from, &other);
        match expected {
            RETRY => assert_eq!(kind(&answers[0]), RETRY, "{from} after {later} s"),
            _ => assert!(answers.is_empty(), "{from} after {later} s"),
        }
    }
}

#[test]
fn a_cookie_is_of_no_use_for_another_key() {
    let settings = devices(Profile::Psk, 2);
    let mut world = loaded(&settings);
    let packet = with_cookie(&mut world, &settings[0]);
    let mut other = packet.clone();
    // The key id follows type, version, terms, length and index.
    assert_eq!(&other[5..7], b"ka");
    other[5..7].copy_from_slice(b"kb");
    let answers = give(&mut world, "gateway", address(1), &other);
    assert_eq!(kind(&answers[0]), RETRY);
}

#[test]
fn nothing_that_strangers_provoke_is_larger_than_what_provoked_it_or_without_a_bound() {
    let settings = devices(Profile::Psk, 1);
    let mut world = loaded(&settings);
    let genuine = initiate(&settings[0]);
    // An Initiate cut down to its header would be a third of the Retry.
    for len in 0..genuine.len() {
        for answer in give(&mut world, "gateway", address(7), &genuine[..len]) {
            assert!(answer.len() <= len, "{} for {len}", answer.len());
        }
    }
    let mut unknown_version = genuine.clone();
    unknown_version[1] = 9;
    for len in 2..12 {
        for answer in give(&mut world, "gateway", address(7), &unknown_version[..len]) {
            assert!(answer.len() <= len, "{} for {len}", answer.len());
        }
    }
    world.run_for(Duration::from_secs(10));
    let mut count = |packet: &[u8], times: usize| -> usize {
        let answers = (0..times).map(|_| give(&mut world, "gateway", address(7), packet).len());
        answers.sum()
    };
    assert_eq!(count(&unknown_version, 100), 20, "refusals at once");
    assert_eq!(count(&genuine, 5_000), 2_000, "Retries at once");
}

#[test]
fn a_retry_is_heeded_from_the_peer_with_its_mac_and_the_hash_of_the_initiate() {
    let setting = Setting::default();
    let mut world = World::perfect(&setting);
    world
        .net
        .set_adversary(|_: Duration, _: &Packet, _: &mut Injector| Verdict::Drop);
    world.net.start_capture();
    world.connect("device", "gateway");
    let mut newest = world.net.captured()[0].1.data.clone();
    let (local, credential) = (setting.responder().0, setting.connection_key());
    let context = refpoint_keys::PskContext {
        version: refpoint_keys::Version::CURRENT,
        profile: Profile::Psk,
        point: setting.point,
        initiator: &support::id(setting.initiator),
        responder: local.entity(),
    };
    let hints = credential.hint_key(&context).expect("its entities");
    let retry = |initiate: &[u8], flip: u8, cookie: u8| {
        let mut echo = sha2::Sha256::digest(initiate);
        echo[0] ^= flip;
        let head = [6 << 3 | 1, initiate[4]];
        let covered = [&head[..], &echo[..8], &[cookie; 16], &[0; 4]].concat();
        [&covered[..], &hints.tag(&covered)].concat()
    };
    let heeded = |world: &mut World, from: u8, packet: &[u8]| {
        give(world, "device", address(from), packet).pop()
    };
    assert!(
        heeded(&mut world, 2, &retry(&newest, 1, 0)).is_none(),
        "another hash"
    );
    assert!(
        heeded(&mut world, 66, &retry(&newest, 0, 0)).is_none(),
        "another sender"
    );
    let mut flipped = retry(&newest, 0, 0);
    for at in 2..flipped.len() {
        flipped[at] ^= 1;
        assert!(heeded(&mut world, 2, &flipped).is_none(), "another MAC");
        flipped[at] ^= 1;
    }
    for round in 0..6 {
        let genuine = retry(&newest, 0, round);
        let at_once = heeded(&mut world, 2, &genuine);
        assert_eq!(
            at_once.is_some(),
            round < 3,
            "the fourth waits for its turn"
        );
        world.run_for(Duration::from_millis(if round < 3 { 0 } else { 101 }));
        let sent = world.net.captured().last().expect("sent").1.data.clone();
        let next = at_once.unwrap_or(sent);
        assert_eq!(next.len(), newest.len() + if round == 0 { 16 } else { 0 });
        assert!(heeded(&mut world, 2, &genuine).is_none(), "heeded before");
        // Four stay answerable, however many there were.
        let tries = (2 + usize::from(round)).min(4);
        assert_eq!(world.host("device").endpoint.len(), tries);
        newest = next;
    }
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.host("device").endpoint.len(), 0);
}

#[test]
fn a_flipped_tag_of_pinned_is_refused_before_the_message_behind_it_is_looked_at() {
    let setting = of_profile(Profile::Pinned);
    let mut world = World::perfect(&setting);
    let genuine = initiate(&setting);
    for at in genuine.len() - 8..genuine.len() {
        let mut flipped = genuine.clone();
        flipped[at] ^= 1;
        assert!(give(&mut world, "gateway", address(1), &flipped).is_empty());
    }
    assert_eq!(world.host("gateway").endpoint.len(), 0);
    assert_eq!(give(&mut world, "gateway", address(1), &genuine).len(), 1);
}

#[test]
fn in_known_expired_peers_and_strangers_are_answered_alike() {
    let honest = of_profile(Profile::Known);
    let stranger = Setting {
        static_keys: ([77; 32], [2; 32]),
        ..honest.clone()
    };
    let expired = Setting {
        expires: 1_700_000_000,
        ..honest.clone()
    };
    let mut sizes = Vec::new();
    for (device, gateway) in [
        (&stranger, &honest),
        (&honest, &expired),
        (&honest, &honest),
    ] {
        let mut world = World::perfect(&honest);
        world.add("gateway", 2, Config::default(), gateway.responder());
        let answers = give(&mut world, "gateway", address(1), &initiate(device));
        sizes.push(answers.iter().map(Vec::len).collect::<Vec<_>>());
    }
    assert_eq!(sizes[0], sizes[2]);
    assert_eq!(sizes[1], sizes[2]);
}

#[test]
fn a_key_id_goes_with_one_of_its_owners_static_keys_only() {
    // One entity with two credentials, each with a static key of its own.
    let first = of_profile(Profile::Known);
    let second = Setting {
        key: [9; 32],
        key_id: b"k002",
        static_keys: ([5; 32], [2; 32]),
        ..first.clone()
    };
    let mixed = Setting {
        static_keys: ([5; 32], [2; 32]),
        ..first.clone()
    };
    for (device, taken) in [(&first, true), (&second, true), (&mixed, false)] {
        let mut world = World::perfect(&first);
        let (_, credential) = second.responder();
        let inserted = world.host("gateway").endpoint.insert_credential(credential);
        inserted.expect("the same entity");
        world.add("device", 1, Config::device(), device.initiator());
        world.connect("device", "gateway");
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.log("gateway").established.len(), usize::from(taken));
    }
}

#[test]
fn a_responder_that_is_not_confirmed_says_nothing_but_its_answer() {
    // Not even that it wants a renewal, when its life is so short that it is due.
    for profile in PROFILES {
        let policy = Policy::default()
            .with_minimum_lifetime(Duration::from_secs(1))
            .with_lifetime(Duration::from_secs(8))
            .and_then(|policy| policy.with_keepalive(Some(Duration::from_secs(1))));
        let setting = Setting {
            policy: policy.expect("valid"),
            ..of_profile(profile)
        };
        let mut world = World::perfect(&setting);
        let answer = give(&mut world, "gateway", address(1), &initiate(&setting));
        assert_eq!(kind(&answer[0]), RESPOND);
        world.net.start_capture();
        world.run_for(Duration::from_secs(20));
        assert!(world.net.captured().is_empty(), "{profile:?}");
        assert_eq!(world.host("gateway").endpoint.len(), 0);
    }
}

#[test]
fn an_end_without_a_clock_ends_with_the_key_even_when_the_other_says_nothing() {
    for profile in PROFILES {
        for clockless in ["device", "gateway"] {
            let setting = Setting {
                expires: 1_800_000_600,
                ..of_profile(profile)
            };
            let mut world = World::perfect(&setting);
            world.host(clockless).utc = false;
            world.associate("device", "gateway");
            world
                .net
                .set_adversary(|_: Duration, _: &Packet, _: &mut Injector| Verdict::Drop);
            world.run_for(Duration::from_secs(590));
            assert_eq!(world.host(clockless).endpoint.len(), 0, "{profile:?}");
            let ended = &world.log(clockless).closed;
            assert_eq!(ended.last().expect("closed").1, Error::Limit("time"));
        }
    }
}

#[test]
fn a_stream_end_without_a_clock_ends_with_the_key() {
    let setting = Setting {
        expires: 1_800_000_600,
        ..Setting::default()
    };
    let (local, credential) = setting.initiator();
    let (credentials, id) = table(credential);
    let entry = (id, credentials.find(id).expect("inserted").clone());
    let (mut forth, mut back, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
    let (backend, label) = (setting.backend, Default::default());
    let initiator = StreamInitiator::new(
        now(0),
        &mut rng(1),
        &local,
        backend,
        entry,
        label,
        &mut forth,
    );
    let (local, credential) = setting.responder();
    let without = |seconds| Now::without_utc(Duration::from_secs(seconds));
    let mut responder = StreamResponder::receive(
        without(0),
        &mut rng(2),
        &local,
        backend,
        &table(credential).0,
        &forth[2..],
        &mut back,
    )
    .expect("opens");
    let initiator = initiator.and_then(|end| end.receive(now(0), &back[2..], &mut confirm));
    let mut initiator = initiator.expect("opens");
    responder
        .receive(without(0), &mut confirm, &mut Vec::new())
        .expect("confirms");
    assert!(responder.next_timeout() <= Duration::from_secs(600));
    let mut frame = Vec::new();
    initiator.send(now(1), b"x", &mut frame).expect("may send");
    let late = responder.receive(without(601), &mut frame, &mut Vec::new());
    assert_eq!(late, Err(Error::Limit("time")));
}

#[test]
fn sealing_stops_a_tenth_before_opening_does() {
    // 96 s is what a limit of 100 s is rounded down to.
    let policy = Policy::default()
        .with_lifetime(Duration::from_secs(100))
        .expect("valid");
    let mut pair = support::StreamPair::with_policy(policy);
    let mut frames = Vec::new();
    pair.initiator
        .send(now(86), b"in time", &mut frames)
        .expect("may send");
    let refused = pair.initiator.send(now(87), b"late", &mut Vec::new());
    assert_eq!(refused, Err(Error::Limit("time")));
    pair.responder
        .receive(now(95), &mut frames, &mut Vec::new())
        .expect("still opens");
}

#[test]
fn an_index_is_not_used_again_while_packets_for_it_may_be_on_the_way() {
    let mut world = World::perfect(&Setting::default());
    world.net.start_capture();
    for _ in 0..130 {
        world.connect("device", "gateway");
        world.run_for(Duration::from_millis(45));
        let id = world.log("device").newest();
        world.with("device", |endpoint, now, _, out| {
            endpoint
                .close(now, id, CloseReason::Done, out)
                .expect("lives");
        });
        world.run_for(Duration::from_millis(45));
    }
    assert!(world.net.now() < Duration::from_secs(20));
    let initiates = world.net.captured().iter();
    let mut indices: Vec<_> = initiates
        .filter(|(_, packet)| matches!(kind(&packet.data), 1 | 4))
        .map(|(_, packet)| packet.data[4])
        .collect();
    assert_eq!(indices.len(), 130);
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), 130, "some were used twice");
}

#[test]
fn a_record_reaches_only_the_whole_index() {
    let mut world = World::perfect(&Setting::default());
    let (device, _) = world.associate("device", "gateway");
    world.net.start_capture();
    world.send("device", device, b"x").expect("may send");
    let genuine = world.net.captured()[0].1.data.clone();
    // The upper bits of an index are random, the lower ones name a slot.
    for bit in 0..10 {
        let mut flipped = genuine.clone();
        flipped[1 + bit / 8] ^= 0x80 >> (bit % 8);
        give(&mut world, "gateway", address(1), &flipped);
    }
    let statistics = world.host("gateway").endpoint.statistics();
    assert_eq!((statistics.unknown, statistics.unopened), (10, 0));
}

#[test]
fn a_byte_limit_is_where_sending_ends() {
    let policy = Policy::default().with_bytes(1 << 16).expect("valid");
    let setting = Setting {
        policy,
        ..Setting::default()
    };
    let mut world = World::perfect(&setting);
    let (device, _) = world.associate("device", "gateway");
    let sent = (0..200).take_while(|_| world.send("device", device, &[0; 1_000]).is_ok());
    let sent = sent.count();
    assert!((60..=66).contains(&sent), "{sent} kB of 64");
    let refused = world.send("device", device, b"x");
    assert_eq!(refused, Err(Error::Limit("byte")));
}

#[test]
fn an_oversized_handshake_on_a_stream_is_refused_by_its_size() {
    let (local, credential) = Setting::default().responder();
    let refused = StreamResponder::receive(
        now(0),
        &mut rng(2),
        &local,
        Setting::default().backend,
        &table(credential).0,
        &[0; 1_025],
        &mut Vec::new(),
    );
    let refused = refused.expect_err("too large");
    assert!(matches!(refused, Error::TooLarge { size: 1_025, .. }));
}
