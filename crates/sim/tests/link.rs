//! What links do to packets.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use refpoint_sim::{Chance, Event, Link, Net};

const DEVICE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);
const CORE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4000);
const MS: Duration = Duration::from_millis(1);

#[test]
fn a_perfect_link_delivers_everything_at_once_and_in_order() {
    let mut net = Net::new(1, Link::perfect());
    for number in 0..100_u8 {
        net.send(DEVICE, CORE, &[number]);
    }
    let data: Vec<_> = net
        .drain()
        .into_iter()
        .flat_map(|(_, packet)| packet.data)
        .collect();
    assert_eq!(data, (0..100).collect::<Vec<_>>());
    assert_eq!(net.now(), Duration::ZERO);
}

#[test]
fn thirty_percent_of_loss_loses_about_thirty_percent() {
    let mut net = Net::new(2, Link::perfect().with_loss(Chance::percent(30)));
    for _ in 0..10_000 {
        net.send(DEVICE, CORE, b"x");
    }
    let arrived = net.drain().len();
    assert!((6_800..7_200).contains(&arrived), "{arrived}");
}

#[test]
fn a_duplicate_arrives_twice() {
    let mut net = Net::new(3, Link::perfect().with_duplication(Chance::ALWAYS));
    net.send(DEVICE, CORE, b"x");
    assert_eq!(net.drain().len(), 2);
}

#[test]
fn reordering_holds_a_packet_back_behind_later_ones() {
    let link = Link::perfect()
        .with_delay(MS)
        .with_reordering(Chance::percent(20), 50 * MS);
    let mut net = Net::new(4, link);
    for number in 0..200_u8 {
        net.send(DEVICE, CORE, &[number]);
        net.advance_to(net.now() + MS);
    }
    let data: Vec<_> = net
        .drain()
        .into_iter()
        .map(|(_, packet)| packet.data)
        .collect();
    assert!(!data.is_sorted());
    assert_eq!(data.len(), 200);
    assert!(net.tally().reordered > 20);
}

#[test]
fn corruption_flips_exactly_one_bit() {
    let mut net = Net::new(5, Link::perfect().with_corruption(Chance::ALWAYS));
    for _ in 0..100 {
        net.send(DEVICE, CORE, &[0; 20]);
    }
    for (_, packet) in net.drain() {
        assert_eq!(
            packet
                .data
                .iter()
                .map(|byte| byte.count_ones())
                .sum::<u32>(),
            1
        );
    }
    net.send(DEVICE, CORE, &[]);
    assert_eq!(net.drain().len(), 1);
    assert_eq!(net.tally().corrupted, 100);
}

#[test]
fn delay_and_jitter_stay_in_their_range() {
    let mut net = Net::new(6, Link::perfect().with_delay(10 * MS).with_jitter(5 * MS));
    for _ in 0..100 {
        net.send(DEVICE, CORE, b"x");
    }
    let times: Vec<_> = net.drain().into_iter().map(|(at, _)| at).collect();
    assert!(times.iter().all(|at| (10 * MS..15 * MS).contains(at)));
    assert!(times.first() != times.last());
}

#[test]
fn a_blackout_swallows_what_is_sent_in_it_and_nothing_else() {
    let mut net = Net::new(7, Link::perfect().with_blackout(10 * MS..20 * MS));
    for _ in 0..30 {
        net.send(DEVICE, CORE, b"x");
        net.advance_to(net.now() + MS);
    }
    assert_eq!(net.drain().len(), 20);
    assert_eq!(net.tally().blacked_out, 10);
}

#[test]
fn a_limit_drops_what_is_larger() {
    let mut net = Net::new(8, Link::perfect().with_limit(1_200));
    net.send(DEVICE, CORE, &[0; 1_200]);
    net.send(DEVICE, CORE, &[0; 1_201]);
    assert_eq!(net.drain().len(), 1);
    assert_eq!(net.tally().oversized, 1);
}

#[test]
fn each_direction_may_have_its_own_link() {
    let mut net = Net::new(9, Link::perfect());
    net.set_link(DEVICE, CORE, Link::perfect().with_loss(Chance::ALWAYS));
    net.send(DEVICE, CORE, b"up");
    net.send(CORE, DEVICE, b"down");
    assert!(matches!(net.next_event(None), Event::Arrival(packet) if packet.data == b"down"));
    assert_eq!(net.next_event(None), Event::Quiet);
}
