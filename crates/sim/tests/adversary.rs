//! What an attacker on the path can do, and what an eavesdropper gets.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use refpoint_sim::{Chance, Injector, Link, Net, Packet, Verdict};

const DEVICE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 4000);
const CORE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 4001);

fn data(net: &mut Net) -> Vec<Vec<u8>> {
    net.drain()
        .into_iter()
        .map(|(_, packet)| packet.data)
        .collect()
}

#[test]
fn a_dropped_packet_never_arrives() {
    let mut net = Net::new(1, Link::perfect());
    net.set_adversary(|_: Duration, _: &Packet, _: &mut Injector| Verdict::Drop);
    net.send(DEVICE, CORE, b"x");
    assert!(data(&mut net).is_empty());
    net.remove_adversary();
    net.send(DEVICE, CORE, b"y");
    assert_eq!(data(&mut net), [b"y"]);
}

#[test]
fn a_replaced_packet_arrives_changed_and_from_its_sender() {
    let mut net = Net::new(2, Link::perfect());
    net.set_adversary(|_: Duration, packet: &Packet, _: &mut Injector| {
        Verdict::Replace(packet.data.iter().rev().copied().collect())
    });
    net.send(DEVICE, CORE, b"abc");
    assert_eq!(
        net.drain(),
        [(Duration::ZERO, Packet::new(DEVICE, CORE, b"cba"))]
    );
}

#[test]
fn a_reflected_and_a_replayed_packet_arrive_beside_the_genuine_one() {
    let mut net = Net::new(3, Link::perfect().with_loss(Chance::ALWAYS));
    net.set_adversary(|_: Duration, packet: &Packet, injector: &mut Injector| {
        injector.inject(
            Duration::from_secs(1),
            packet.to,
            packet.from,
            packet.data.clone(),
        );
        injector.replay(Duration::from_secs(2), packet);
        Verdict::Pass
    });
    net.send(DEVICE, CORE, b"x");
    let tos: Vec<_> = net
        .drain()
        .into_iter()
        .map(|(at, packet)| (at.as_secs(), packet.to))
        .collect();
    assert_eq!(tos, [(1, DEVICE), (2, CORE)]); // what it injects is not lost
}

#[test]
fn a_capture_has_what_was_sent_and_not_what_arrived() {
    let mut net = Net::new(4, Link::perfect().with_loss(Chance::ALWAYS));
    net.send(DEVICE, CORE, b"before");
    net.start_capture();
    net.advance_to(Duration::from_secs(5));
    net.send(DEVICE, CORE, b"after");
    net.start_capture(); // again: nothing is forgotten
    assert_eq!(
        net.captured(),
        [(Duration::from_secs(5), Packet::new(DEVICE, CORE, b"after"))]
    );
}
