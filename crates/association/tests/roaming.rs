//! Rule R6: a peer that changes its address, and those who only pretend.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::{World, address};
use support::Setting;

#[test]
fn the_gateway_follows_a_device_to_its_new_address() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    world.host("device").address = address(9);
    world
        .send("device", device, b"from elsewhere")
        .expect("may send");
    world.run_for(Duration::from_secs(1));
    assert_eq!(
        world.host("gateway").endpoint.address(gateway),
        Some(address(9))
    );
    world
        .send("gateway", gateway, b"found you")
        .expect("may send");
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.log("device").payloads(), [b"found you"]);
    assert_eq!(
        world.host("gateway").endpoint.address(gateway),
        Some(address(9))
    );
}

#[test]
fn an_address_that_does_not_echo_gets_three_times_what_it_sent_and_is_left_again() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    // An attacker on the path sends a genuine record on from its own address.
    let (home, target) = (world.host("device").address, world.host("gateway").address);
    let mut stolen = None;
    world.with("device", |endpoint, now, _, out| {
        endpoint
            .send(now, device, b"genuine", out)
            .expect("may send");
        stolen = out.sent.pop();
    });
    let (_, packet) = stolen.expect("a record");
    world.net.start_capture();
    world.net.send(address(66), target, &packet);
    world.run_for(Duration::from_millis(50));
    for _ in 0..50 {
        let _ = world.send("gateway", gateway, &[0; 500]);
    }
    world.run_for(Duration::from_secs(10));
    let captured = world.net.captured().iter();
    let to_attacker = captured.filter(|(_, packet)| packet.to == address(66));
    let bytes: usize = to_attacker.map(|(_, packet)| packet.data.len()).sum();
    assert!(
        bytes <= 3 * packet.len(),
        "{bytes} bytes went to an address that never echoed"
    );
    assert_eq!(world.host("gateway").endpoint.address(gateway), Some(home));
}

#[test]
fn an_older_record_from_elsewhere_moves_nothing() {
    let mut world = World::perfect(&Setting::default());
    let (device, gateway) = world.associate("device", "gateway");
    let (home, target) = (world.host("device").address, world.host("gateway").address);
    let mut held = None;
    world.with("device", |endpoint, now, _, out| {
        endpoint
            .send(now, device, b"held back", out)
            .expect("may send");
        held = out.sent.pop();
    });
    world.send("device", device, b"newer").expect("may send");
    world.run_for(Duration::from_secs(1));
    world
        .net
        .send(address(66), target, &held.expect("a record").1);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.log("gateway").received.len(), 2);
    assert_eq!(world.host("gateway").endpoint.address(gateway), Some(home));
}
