//! What strangers cost: cookies, quotas, rates (rules H2, H5, R5).

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::{net::SocketAddr, time::Duration};

use net::{Log, World};
use refpoint_association::{Config, Credentials, Endpoint};
use refpoint_keys::Profile;
use refpoint_sim::{Adversary, Injector, Packet, Verdict};
use support::Setting;

fn loaded(setting: &Setting) -> World {
    let mut world = World::perfect(setting);
    // Every Initiate without a cookie counts as one too many.
    let config = Config::default().with_handshakes_per_second(0);
    world.add("gateway", 2, config, setting.responder());
    world
}

#[test]
fn under_load_a_handshake_takes_a_cookie_and_a_new_ephemeral_key() {
    for profile in [Profile::Psk, Profile::Pinned, Profile::Known] {
        let mut world = loaded(&Setting {
            profile,
            ..Setting::default()
        });
        world.net.start_capture();
        world.associate("device", "gateway");
        assert_eq!(world.host("gateway").endpoint.statistics().retried, 1);
        let captured = world.net.captured();
        let sizes: Vec<_> = captured
            .iter()
            .map(|(_, packet)| packet.data.len())
            .collect();
        assert!(
            sizes[1] < sizes[0],
            "a Retry is smaller than what it answers"
        );
        assert_eq!(
            sizes[2],
            sizes[0] + 16,
            "the second Initiate carries a cookie"
        );
        let (first, second) = (&captured[0].1.data, &captured[2].1.data);
        let ephemeral = |packet: &[u8], at: usize| packet[at..at + 32].to_vec();
        let clear = if profile == Profile::Known { 5 } else { 9 };
        assert_ne!(ephemeral(first, clear), ephemeral(second, clear + 16));
    }
}

#[test]
fn a_cookie_is_of_no_use_from_another_address_or_later() {
    let mut world = loaded(&Setting::default());
    world.net.start_capture();
    world.associate("device", "gateway");
    let with_cookie = world.net.captured()[2].1.clone();
    let answered = world.host("gateway").endpoint.statistics().answered;
    let thief = net::address(66);
    // A fresh end point, so that the answer is not remembered; the key of the cookies is another.
    world.reboot("gateway", &Setting::default());
    let send = |world: &mut World, from: SocketAddr| {
        let mut bytes = with_cookie.data.clone();
        world.with("gateway", |endpoint, now, rng, out| {
            endpoint.receive(now, rng, from, &mut bytes, out);
        });
    };
    let config = Config::default().with_handshakes_per_second(0);
    world.add("gateway", 2, config, Setting::default().responder());
    send(&mut world, thief);
    send(&mut world, with_cookie.from);
    assert_eq!(world.host("gateway").endpoint.statistics().answered, 0);
    assert_eq!(world.host("gateway").endpoint.statistics().retried, 2);
    assert_eq!(answered, 1);
}

/// Answers the first Initiate with a forged Retry before the genuine Respond arrives.
struct ForgedRetry(bool);

impl Adversary for ForgedRetry {
    fn intercept(&mut self, _: Duration, packet: &Packet, injector: &mut Injector) -> Verdict {
        if !self.0 && packet.data[0] >> 3 == 1 {
            self.0 = true;
            use sha2::Digest;
            let echo = sha2::Sha256::digest(&packet.data);
            let forged = [&[6 << 3 | 1, packet.data[4]], &echo[..8], &[0x55; 16]].concat();
            injector.inject(Duration::ZERO, packet.to, packet.from, forged);
        }
        Verdict::Pass
    }
}

#[test]
fn a_forged_retry_does_not_keep_the_genuine_answer_out() {
    let mut world = World::perfect(&Setting::default());
    world.net.set_adversary(ForgedRetry(false));
    world.associate("device", "gateway");
}

/// Answers each Initiate by forged Retries before the genuine one comes. In `known` their MAC needs
/// no secret, only the responder's public key.
struct ForgedRetries {
    each: u8,
    key: [u8; 32],
    made: u8,
}

impl Adversary for ForgedRetries {
    fn intercept(&mut self, _: Duration, packet: &Packet, injector: &mut Injector) -> Verdict {
        if packet.data[0] >> 3 == 1 {
            use sha2::Digest;
            let echo = sha2::Sha256::digest(&packet.data);
            for _ in 0..self.each {
                self.made = self.made.wrapping_add(1);
                let head = [6 << 3 | 1, packet.data[4]];
                let covered = [&head[..], &echo[..8], &[self.made; 16], &[0; 4]].concat();
                let forged = [&covered[..], &support::hmac(&self.key, &covered)[..8]].concat();
                injector.inject(Duration::ZERO, packet.to, packet.from, forged);
            }
        }
        Verdict::Pass
    }
}

#[test]
fn while_cookies_are_demanded_forged_retries_do_not_use_up_an_attempt() {
    let setting = Setting {
        profile: Profile::Known,
        ..Setting::default()
    };
    let public = setting.statics().1.public_key();
    let key = support::hmac(b"refpoint/1 hint", public.as_bytes());
    for each in [1, 2, 3, 5, 8] {
        for _seed in 0..5 {
            let mut world = loaded(&setting);
            world
                .net
                .set_adversary(ForgedRetries { each, key, made: 0 });
            world.connect("device", "gateway");
            world.run_for(Duration::from_secs(20));
            assert!(
                world.log("device").failed.is_empty(),
                "{each} forged Retries each"
            );
            assert_eq!(world.log("gateway").established.len(), 1);
        }
    }
}

#[test]
fn in_psk_and_pinned_a_retry_without_the_key_is_none() {
    for profile in [Profile::Psk, Profile::Pinned] {
        let mut world = loaded(&Setting {
            profile,
            ..Setting::default()
        });
        let adversary = ForgedRetries {
            each: 3,
            key: [7; 32],
            made: 0,
        };
        world.net.set_adversary(adversary);
        world.associate("device", "gateway");
        // Six forged ones, to the two Initiates that it took.
        assert_eq!(world.host("device").endpoint.statistics().malformed, 6);
    }
}

#[test]
fn replayed_initiates_fill_a_quota_and_not_the_gateway() {
    let setting = Setting::default();
    let mut world = World::perfect(&setting);
    let mut recorded = Vec::new();
    for _ in 0..50 {
        world.with("device", |_, _, _, out| out.sent.clear());
        let mut device = World::perfect(&Setting::default());
        device.host("device").rng = refpoint_sim::Entropy::new(recorded.len() as u64, "recorded");
        device.net.start_capture();
        device.connect("device", "gateway");
        recorded.push(device.net.captured()[0].1.clone());
    }
    for packet in &recorded {
        let mut bytes = packet.data.clone();
        world.with("gateway", |endpoint, now, rng, out| {
            endpoint.receive(now, rng, packet.from, &mut bytes, out);
        });
    }
    let len = world.host("gateway").endpoint.len();
    assert!(len <= 4, "{len} half-open associations of one peer");
    // The genuine device still gets in, by a cookie.
    world.associate("device", "gateway");
    world.run_for(Duration::from_secs(30));
    assert_eq!(
        world.host("gateway").endpoint.len(),
        1,
        "half-open ones have ended"
    );
}

#[test]
fn noise_from_strangers_is_dropped_and_bounded() {
    let setting = Setting::default();
    let (local, credential) = setting.responder();
    let (credentials, _) = support::table(credential);
    let mut rng = support::rng(3);
    let mut endpoint = Endpoint::new(Config::default(), local, credentials, &mut rng);
    let _: &Credentials = endpoint.credentials();
    let mut out = Log::default();
    let mut state = 1_u64;
    for step in 0..200_000_u64 {
        let mut packet = [0; 80];
        for byte in &mut packet {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (state >> 33) as u8;
        }
        packet[0] = if step % 2 == 0 {
            1 << 3 | 1
        } else {
            0x80 | (state as u8 & 0x7f)
        };
        packet[1] = 1;
        endpoint.receive(
            support::now(step / 100_000),
            &mut rng,
            net::address(7),
            &mut packet,
            &mut out,
        );
    }
    assert_eq!(endpoint.len(), 0);
    let answers = out.sent.len();
    assert!(answers < 5_000, "{answers} answers to 200 000 packets");
    assert!(out.sent.iter().all(|(_, packet)| packet.len() <= 80));
}

#[test]
fn confirmed_associations_do_not_count_as_half_open() {
    let setting = Setting::default();
    let mut world = World::perfect(&setting);
    let config = Config::default().with_half_open(2);
    world.add("gateway", 2, config, setting.responder());
    for _ in 0..20 {
        world.associate("device", "gateway");
        world.run_for(Duration::from_secs(1));
    }
    let statistics = world.host("gateway").endpoint.statistics();
    let answered = statistics.answered + statistics.resumed;
    assert_eq!((answered, statistics.retried), (20, 0));
}
