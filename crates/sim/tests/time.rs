//! The virtual clock.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use refpoint_sim::{Event, Link, Net};

const HOST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_earlier_of_arrival_and_alarm_comes_first_and_an_arrival_wins_a_tie() {
    let mut net = Net::new(1, Link::perfect().with_delay(2 * SECOND));
    net.send(HOST, HOST, b"x");
    assert_eq!(net.next_event(Some(SECOND)), Event::Alarm);
    assert_eq!(net.now(), SECOND);
    assert!(matches!(
        net.next_event(Some(2 * SECOND)),
        Event::Arrival(_)
    ));
    assert_eq!(net.next_event(Some(2 * SECOND)), Event::Alarm);
    assert_eq!(net.next_event(None), Event::Quiet);
    assert_eq!(net.now(), 2 * SECOND);
}

#[test]
fn time_never_goes_back() {
    let mut net = Net::new(1, Link::perfect().with_delay(SECOND));
    net.send(HOST, HOST, b"x");
    net.advance_to(9 * SECOND);
    net.advance_to(3 * SECOND);
    assert!(matches!(
        net.next_event(Some(4 * SECOND)),
        Event::Arrival(_)
    ));
    assert_eq!(net.next_event(Some(4 * SECOND)), Event::Alarm);
    assert_eq!(net.now(), 9 * SECOND);
}

#[test]
#[should_panic(expected = "move the timer on")]
fn a_timer_that_does_not_move_on_is_found() {
    let mut net = Net::new(1, Link::perfect());
    while net.next_event(Some(SECOND)) == Event::Alarm {}
}

#[test]
fn a_long_silence_takes_no_time() {
    let mut net = Net::new(1, Link::perfect());
    assert_eq!(
        net.next_event(Some(Duration::from_secs(3_000_000_000))),
        Event::Alarm
    );
}
