//! The same seed gives the same run, and no packet vanishes uncounted: for any link and any script.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use refpoint_sim::{Chance, Event, Injector, Link, Net, Packet, Tally, Verdict};

/// One step of a script: who sends how many bytes, and how long until the next step.
type Step = (u8, u8, u8, u16);

fn host(number: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)), 4000)
}

fn chance() -> impl Strategy<Value = Chance> {
    (0..=100_u32).prop_map(Chance::percent)
}

prop_compose! {
    fn link()(
        (loss, duplication, reordering, corruption) in (chance(), chance(), chance(), chance()),
        delay in 0..100_u64,
        jitter in 0..100_u64,
        dark in 0..500_u64,
        limit in 0..300_usize,
    ) -> Link {
        let ms = Duration::from_millis;
        Link::perfect()
            .with_loss(loss)
            .with_duplication(duplication)
            .with_reordering(reordering, ms(200))
            .with_corruption(corruption)
            .with_delay(ms(delay))
            .with_jitter(ms(jitter))
            .with_blackout(ms(dark)..ms(2 * dark))
            .with_limit(limit)
    }
}

/// An adversary that does a bit of everything, by the packet's length.
fn meddle(_: Duration, packet: &Packet, injector: &mut Injector) -> Verdict {
    match packet.data.len() % 5 {
        0 => Verdict::Drop,
        1 => Verdict::Replace(vec![0; 7]),
        2 => {
            injector.replay(Duration::from_millis(3), packet);
            Verdict::Pass
        }
        _ => Verdict::Pass,
    }
}

fn run(seed: u64, link: &Link, script: &[Step]) -> (Vec<(Duration, Packet)>, Tally) {
    let mut net = Net::new(seed, link.clone());
    net.set_adversary(meddle);
    let mut arrivals = Vec::new();
    for &(from, to, length, pause) in script {
        net.send(host(from), host(to), &vec![from; usize::from(length)]);
        let until = net.now() + Duration::from_millis(u64::from(pause % 50));
        while net.next_arrival().is_some_and(|at| at <= until) {
            if let Event::Arrival(packet) = net.next_event(None) {
                arrivals.push((net.now(), packet));
            }
        }
        net.advance_to(until);
        assert_eq!(net.tally().delivered, arrivals.len() as u64);
    }
    let before = net.tally();
    let rest = net.drain();
    assert_eq!(
        before.in_flight(),
        rest.len() as u64,
        "a packet vanished uncounted"
    );
    arrivals.extend(rest);
    assert_eq!(net.tally().in_flight(), 0);
    (arrivals, net.tally())
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_run(seed: u64, link in link(), script in vec(any::<Step>(), 0..60)) {
        prop_assert_eq!(run(seed, &link, &script), run(seed, &link, &script));
    }

    #[test]
    fn time_only_moves_on(seed: u64, link in link(), script in vec(any::<Step>(), 0..60)) {
        let (arrivals, _) = run(seed, &link, &script);
        prop_assert!(arrivals.is_sorted_by_key(|(at, _)| *at));
    }
}

#[test]
fn another_seed_gives_another_run() {
    let link = Link::perfect().with_loss(Chance::percent(50));
    let script = [(1, 2, 3, 4); 64];
    assert_ne!(run(1, &link, &script), run(2, &link, &script));
}
