//! Several devices behind one socket: each packet goes to the one whose it is, and only there.

#[path = "support/net.rs"]
mod net;
#[path = "support/support.rs"]
mod support;

use core::time::Duration;

use net::{Log, address};
use rand_chacha::ChaCha20Rng;
use refpoint_association::{
    AssociationId, Config, Credential, Credentials, Endpoint, Local, SessionLabel,
};
use support::{Setting, at, id, rng};

const NAMES: [&str; 3] = [
    "//sp.example.com/id-mn/C1",
    "//sp.example.com/id-mn/C2",
    "//sp.example.com/id-mn/C3",
];
const KEYS: [&[u8]; 3] = [b"a", b"b", b"c"];

struct Behind {
    devices: Vec<(Endpoint, Log)>,
    gateway: (Endpoint, Log),
    millis: u64,
    /// Types of packets, with how many devices each was addressed to.
    seen: Vec<(u8, usize)>,
}

/// Each device draws other indices.
fn drawn(millis: u64, number: usize) -> ChaCha20Rng {
    rng(millis * 10 + number as u64)
}

fn setting(number: usize) -> Setting {
    Setting {
        initiator: NAMES[number],
        key_id: KEYS[number],
        static_keys: ([number as u8 + 10; 32], [2; 32]),
        ..Setting::default()
    }
}

fn gateway() -> (Endpoint, Log) {
    let mut credentials = Credentials::new();
    let mut local = None;
    for number in 0..NAMES.len() {
        let (one, credential): (Local, Credential) = setting(number).responder();
        credentials.insert(credential).expect("another key");
        local = Some(one);
    }
    // A cookie is asked for each time.
    let config = Config::default().with_handshakes_per_second(0);
    let local = local.expect("one");
    let endpoint = Endpoint::new(config, local, credentials, &mut rng(9));
    (endpoint, Log::default())
}

impl Behind {
    fn new() -> Self {
        let device = |number| {
            let (local, credential) = setting(number).initiator();
            let mut credentials = Credentials::new();
            credentials.insert(credential).expect("the only one");
            let config = Config::default();
            let rng = &mut rng(number as u64);
            let endpoint = Endpoint::new(config, local, credentials, rng);
            (endpoint, Log::default())
        };
        Self {
            devices: (0..NAMES.len()).map(device).collect(),
            gateway: gateway(),
            millis: 0,
            seen: Vec::new(),
        }
    }

    /// Carries packets, all devices behind one address, until nothing moves.
    fn settle(&mut self) {
        let (shared, there) = (address(1), address(2));
        for _ in 0..400 {
            self.millis += 10;
            let now = at(Duration::from_millis(self.millis));
            for (number, (endpoint, log)) in self.devices.iter_mut().enumerate() {
                endpoint.handle_timeout(now, &mut drawn(self.millis, number), log);
            }
            let up: Vec<_> = self
                .devices
                .iter_mut()
                .flat_map(|(_, log)| log.sent.drain(..))
                .collect();
            let (endpoint, log) = &mut self.gateway;
            for (_, mut packet) in up {
                endpoint.receive(now, &mut rng(self.millis), shared, &mut packet, log);
            }
            for (_, packet) in self.gateway.1.sent.split_off(0) {
                let mut taken = 0;
                for (number, (endpoint, log)) in self.devices.iter_mut().enumerate() {
                    if endpoint.is_addressed(&packet) {
                        taken += 1;
                        let mut packet = packet.clone();
                        let rng = &mut drawn(self.millis, number);
                        endpoint.receive(now, rng, there, &mut packet, log);
                    }
                }
                self.seen.push((packet[0] >> 3, taken));
            }
        }
    }

    fn connect(&mut self) {
        let now = at(Duration::from_millis(self.millis));
        for (number, (endpoint, log)) in self.devices.iter_mut().enumerate() {
            let credential = endpoint.credentials().iter().next().expect("one").0;
            let (to, label) = (address(2), SessionLabel::default());
            endpoint
                .connect(
                    now,
                    &mut drawn(self.millis, number),
                    to,
                    credential,
                    label,
                    log,
                )
                .expect("may initiate");
        }
        self.settle();
    }

    fn send(&mut self, number: usize, association: AssociationId) {
        let now = at(Duration::from_millis(self.millis));
        let (endpoint, log) = &mut self.devices[number];
        endpoint.send(now, association, b"x", log).expect("sent");
        self.settle();
    }

    fn took(&self, kind: u8) -> Vec<usize> {
        let of_kind = self.seen.iter().filter(|(seen, _)| *seen == kind);
        of_kind.map(|(_, taken)| *taken).collect()
    }
}

#[test]
fn a_packet_is_for_the_device_whose_index_it_bears() {
    let mut behind = Behind::new();
    behind.connect();
    for (number, name) in NAMES.iter().enumerate() {
        assert_eq!(behind.devices[number].1.established.len(), 1, "{name}");
    }
    let (respond, retry, refuse) = (behind.took(2), behind.took(6), behind.took(7));
    assert_eq!((respond, retry), (vec![1; 3], vec![1; 3]));
    assert_eq!(refuse, []);
    let records = behind.seen.iter().filter(|(kind, _)| kind >> 4 != 0);
    assert!(records.clone().count() >= 3, "the grants");
    assert!(records.into_iter().all(|(_, taken)| *taken == 1));

    // A gateway that has lost everything refuses by an index of its own, which any of them may know.
    behind.gateway = gateway();
    behind.seen.clear();
    let association = behind.devices[1].1.newest();
    behind.send(1, association);
    assert_eq!(behind.took(7)[0], 3);
    let established: Vec<_> = behind
        .devices
        .iter()
        .map(|(_, log)| log.established.len())
        .collect();
    assert_eq!(
        established,
        [1, 2, 1],
        "only the one that has sent comes back"
    );
    assert_eq!(behind.devices[0].0.statistics().unknown, 0);
    assert!(
        behind.gateway.1.established[0]
            .2
            .contains(id(NAMES[1]).as_str())
    );
}
