//! Packets that anybody may have sent, on UDP: they wait for those of associations, in a bounded place.
//!
//! Everything happens on one thread: what a test sends without waiting is there before the end point looks.

#[path = "support/support.rs"]
mod support;
#[path = "support/x.rs"]
mod x;

use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use core::time::Duration;

use refpoint_association::{
    Backend, Config, Credentials, Endpoint, Event, Local, Now, Outbox, SessionLabel,
};
use refpoint_keys::{ReferencePoint, UtcTime};
use refpoint_transport::{DatagramLimits, Datagrams};
use refpoint_wire::{Handle, HandleId, Index, Mode, ResumeHeader, Suite};
use support::{id, in_time};
use tokio::net::UdpSocket;
use x::{DEVICE, Echo, GATEWAY, plain, quick, read, request, setting, start};

/// Room for two Initiates.
const NARROW: DatagramLimits = DatagramLimits {
    patience: Duration::from_secs(30),
    largest: 1200,
    executing: 1024,
    retransmission: refpoint_primitive::Retransmission {
        first: Duration::from_secs(5),
        longest: Duration::from_secs(5),
        waiting_per_peer: 16,
        waiting: 4096,
    },
    strangers: 870,
    receive_buffer: 1 << 20,
};

/// What an end sends first; with another key than the gateway's, it is forged.
fn initiate(key: [u8; 32]) -> Vec<u8> {
    struct First(Vec<u8>);
    impl Outbox for First {
        fn transmit(&mut self, _: SocketAddr, packet: &[u8]) {
            self.0 = packet.to_vec();
        }
        fn event(&mut self, _: Event<'_>) {}
    }
    let setting = support::Setting { key, ..setting() };
    let mut credentials = Credentials::new();
    let gateway = credentials.insert(setting.credential(DEVICE, GATEWAY));
    let config = Config::device().with_backend(Backend::default());
    let rng = &mut rand_core::UnwrapErr(getrandom::SysRng);
    let mut device = Endpoint::new(config, Local::new(id(DEVICE)), credentials, rng);
    let now = Now::new(Duration::from_secs(1), UtcTime::from_secs(1_800_000_000));
    let (to, label) = (
        SocketAddr::from(([127, 0, 0, 1], 1)),
        SessionLabel::default(),
    );
    let mut first = First(Vec::new());
    let gateway = gateway.expect("the first one");
    let sent = device.connect(now, rng, to, gateway, label, &mut first);
    sent.expect("nothing is in the way");
    first.0
}

const OURS: [u8; 32] = [7; 32];
const FORGED: [u8; 32] = [8; 32];

async fn gateway(limits: DatagramLimits) -> (Datagrams, std::net::UdpSocket) {
    let gateway = start(&setting().responder().0, "127.0.0.1:0", Echo::new(), limits).await;
    // It is waiting now, so that nothing comes before what the test sends.
    gateway.statistics().await;
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    sender.connect(gateway.local_addr()).expect("loopback");
    sender.set_nonblocking(true).expect("a socket");
    (gateway, sender)
}

/// Many more forged Initiates than have room.
fn crowd(sender: &std::net::UdpSocket) {
    for _ in 0..50 {
        sender.send(&initiate(FORGED)).expect("loopback");
    }
}

/// The types of the packets that come back.
async fn kinds(sender: std::net::UdpSocket, count: usize) -> Vec<u8> {
    let sender = UdpSocket::from_std(sender).expect("it does not block");
    let mut kinds = Vec::new();
    for _ in 0..count {
        let mut answer = [0; 2048];
        in_time(sender.recv(&mut answer)).await.expect("loopback");
        kinds.push(answer[0] >> 3);
    }
    kinds
}

#[tokio::test]
async fn a_record_is_served_before_the_strangers_that_came_first() {
    let (_gateway, sender) = gateway(DatagramLimits::default()).await;
    // Each is answered at once: the Initiate by a Respond, the record, of no association, by a Refuse.
    sender.send(&initiate(OURS)).expect("loopback");
    let mut record = [0x5a; 40];
    record[0] = 0b1011_0000;
    sender.send(&record).expect("loopback");
    assert_eq!(kinds(sender, 2).await, [7, 2], "Refuse, then Respond");
}

#[tokio::test]
async fn who_waits_keeps_its_place_and_who_finds_it_full_is_dropped() {
    let (gateway, sender) = gateway(NARROW).await;
    sender.send(&initiate(OURS)).expect("loopback");
    crowd(&sender);
    assert_eq!(kinds(sender, 1).await, [2], "Respond");
    let seen = gateway.statistics().await;
    assert_eq!(
        (seen.answered, seen.unauthenticated, seen.limited),
        (1, 1, 49)
    );

    // Who comes when it is full is not answered, but for its repetition.
    let (gateway, sender) = self::gateway(NARROW).await;
    crowd(&sender);
    let late = initiate(OURS);
    sender.send(&late).expect("loopback");
    while gateway.statistics().await.unauthenticated < 2 {}
    let seen = gateway.statistics().await;
    assert_eq!(
        (seen.answered, seen.unauthenticated, seen.limited),
        (0, 2, 49)
    );
    // The system lets in fewer for a moment, so it may take more than one.
    let sender = UdpSocket::from_std(sender).expect("it does not block");
    let mut answer = [0; 2048];
    let answered = async {
        loop {
            sender.send(&late).await.expect("loopback");
            let soon = Duration::from_millis(100);
            if let Ok(length) = tokio::time::timeout(soon, sender.recv(&mut answer)).await {
                break length;
            }
        }
    };
    in_time(answered).await.expect("loopback");
    assert_eq!(answer[0] >> 3, 2, "Respond");
}

#[tokio::test]
async fn who_has_a_handle_does_not_wait_behind_initiates() {
    let (gateway, sender) = gateway(NARROW).await;
    sender.send(&initiate(OURS)).expect("loopback");
    crowd(&sender);
    // Of a handle that nobody has given: it is refused at once.
    let handle = Handle {
        id: HandleId([1; 8]),
        tag: [2; 4],
    };
    let header = ResumeHeader {
        mode: Mode::Light,
        suite: Suite::ChaChaPoly,
        point: ReferencePoint::X,
        no_clock: false,
        index: Some(Index::new(3, 4).expect("four bytes")),
        handle,
        cookie: None,
    };
    let resume = [header.encode(), vec![4; 24]].concat();
    sender.send(&resume).expect("loopback");
    assert_eq!(kinds(sender, 2).await, [7, 2], "Refuse, then Respond");
    assert_eq!(gateway.statistics().await.limited, 49);
}

#[tokio::test]
async fn requests_are_answered_at_once_under_a_flood_that_never_ends() {
    let echo = Echo::new();
    let limits = NARROW;
    let keyrings = (setting().initiator().0, setting().responder().0);
    let gateway = start(&keyrings.1, "127.0.0.1:0", echo.clone(), limits).await;
    let device = start(&keyrings.0, "127.0.0.1:0", plain, quick()).await;
    device.reach(id(GATEWAY), gateway.local_addr()).await;
    let answer = in_time(device.exchange(&id(GATEWAY), request(0, "calm"))).await;
    read(0, answer.expect("is answered"));
    let forged = initiate(FORGED);
    let flood = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    flood.connect(gateway.local_addr()).expect("loopback");
    let flooding = tokio::spawn(async move {
        loop {
            // As many as the smallest buffer of a system holds, whenever it is this task's turn.
            for _ in 0..100 {
                flood.send(&forged).expect("loopback");
            }
            tokio::task::yield_now().await;
        }
    });
    for number in 1..=50 {
        let answer = in_time(device.exchange(&id(GATEWAY), request(number, "flood"))).await;
        read(number, answer.expect("is answered"));
    }
    flooding.abort();
    assert_eq!(echo.executed.load(Ordering::Relaxed), 51);
    let seen = gateway.statistics().await;
    assert!(seen.limited > 1_000, "{seen:?}");
}
