//! The demo's scenario: in the control run the taps find the marker and the stranger succeeds; among nodes, the
//! same steps succeed (over a stand-in for associations that lives in this process) and the stranger does not.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use refpoint_keys::{EntityId, ReferencePoint};
use refpoint_node::config::Config;
use refpoint_node::demo::{Stage, World, demonstrate, play};
use refpoint_node::pcap::PcapReader;
use refpoint_node::{Associations, Carrier, Drain, Identity, Inbound, Transported};
use refpoint_primitive::{Failure, Originator, RequestMessage, ResponseMessage};

const MARKER: &str = "THE-MARKER";

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("refpoint-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn stage(&self) -> Stage {
        Stage {
            captures: self.0.clone(),
            html: self.0.join("demo.html"),
            program: env!("CARGO_BIN_EXE_refpoint").into(),
            devices: 40,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn without_associations_every_tap_finds_the_marker_and_the_stranger_succeeds() {
    let place = Place::new("demo-plain");
    let world = World::plain(MARKER, &place.0).await.expect("a world");
    let outcome = play(&world, MARKER).await.expect("a play");
    assert_eq!(outcome.hijacked, 3);
    assert_eq!(outcome.received, 6);
    for link in &world.links {
        assert!(link.capture.found() > 0, "{} saw no marker", link.name);
        link.capture.finish().expect("written");
        let file = std::fs::read(&link.path).expect("a capture");
        assert!(
            PcapReader::new(file.as_slice())
                .expect("a capture")
                .all(|packet| packet.is_ok())
        );
    }
}

/// Every node of this process by its entity, and who its peers are.
static NODES: LazyLock<Mutex<HashMap<EntityId, Arc<Inbound>>>> = LazyLock::new(Mutex::default);

/// The tests that use [`NODES`] take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Stands for associations: reaches the peer in this process, and checks the originator as the layers do.
struct InProcess {
    local: EntityId,
    listens: usize,
    begun: Instant,
}

struct Reach {
    local: EntityId,
    peer: EntityId,
    point: ReferencePoint,
    begun: Instant,
}

impl Carrier for Reach {
    async fn exchange(&self, request: RequestMessage) -> Result<ResponseMessage, Failure> {
        let inbound = NODES
            .lock()
            .expect("no panic")
            .get(&self.peer)
            .cloned()
            .ok_or(Failure::NoAssociation)?;
        // A stand-in for the expiry of a key.
        let is_visitor = self.local.as_str().ends_with("CVisitor");
        if is_visitor && self.begun.elapsed() > Duration::from_secs(10) {
            return Err(Failure::NoAssociation);
        }
        let is_registree = self.local.as_str() != "//sp.example.com/id-in";
        let of_cses = matches!(self.point, ReferencePoint::Y | ReferencePoint::YPrime);
        if of_cses && is_registree {
            match Originator::read(&request.checked(), &self.local)? {
                Originator::Entity(entity) if entity.is_at(&self.local) => {}
                _ => return Ok(ResponseMessage::refusal(Failure::Impersonation, &request)),
            }
        }
        Ok(inbound.serve(self.point, request).await)
    }
}

impl Associations for InProcess {
    type Carrier = Reach;

    async fn start(
        config: &Config,
        _: Identity,
        inbound: Arc<Inbound>,
        _: Drain,
    ) -> anyhow::Result<Self> {
        NODES
            .lock()
            .expect("no panic")
            .insert(config.entity.clone(), inbound);
        Ok(Self {
            local: config.entity.clone(),
            listens: config.listen.len(),
            begun: Instant::now(),
        })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        vec![([127, 0, 0, 1], 9).into(); self.listens]
    }

    fn carrier(&self, peer: &EntityId, point: ReferencePoint) -> Reach {
        Reach {
            local: self.local.clone(),
            peer: peer.clone(),
            point,
            begun: self.begun,
        }
    }

    async fn reload(&self, _: &Config, _: Identity) -> anyhow::Result<()> {
        Ok(())
    }

    async fn close(&self) {}
}

#[tokio::test]
async fn among_nodes_the_same_steps_succeed_and_the_stranger_does_not() {
    let _turn = TURN.lock().await;
    let place = Place::new("demo-secured");
    let world = World::secured::<InProcess>(MARKER, &place.0)
        .await
        .expect("a world");
    let outcome = play(&world, MARKER).await.expect("a play");
    assert_eq!(outcome.hijacked, 0);
    assert_eq!(outcome.received, 6);
    let refused = outcome
        .steps
        .iter()
        .filter(|step| step.what.contains("4106"));
    assert_eq!(refused.count(), 3, "{:?}", outcome.steps);
}

#[tokio::test]
async fn with_real_associations_everything_is_shown() {
    let place = Place::new("demo-real");
    let mut report = Vec::new();
    let shown = demonstrate::<Transported>(&place.stage(), &mut report)
        .await
        .expect("both runs");
    let report = String::from_utf8(report).expect("text");
    assert!(shown, "{report}");
    let page = std::fs::read_to_string(place.stage().html).expect("a page");
    for plot in ["Devices that are back", "Renewals", "Readings acknowledged"] {
        assert!(page.contains(plot), "{plot}");
    }
    assert!(!page.contains("://"), "it needs nothing but itself");
    assert!(
        report.contains("4106") && report.contains("4107"),
        "{report}"
    );
}

#[tokio::test]
async fn the_report_says_no_when_the_links_of_the_second_run_stay_silent() {
    let _turn = TURN.lock().await;
    let place = Place::new("demo-report");
    let mut report = Vec::new();
    // The stand-in uses no sockets between nodes: a tap that saw nothing proves nothing.
    let shown = demonstrate::<InProcess>(&place.stage(), &mut report)
        .await
        .expect("both runs");
    let report = String::from_utf8(report).expect("text");
    assert!(!shown, "{report}");
    assert!(
        report.contains("yes  without associations, every eavesdropper finds the marker"),
        "{report}"
    );
    assert!(
        report.contains("NO   with associations, every link carries traffic"),
        "{report}"
    );
    assert!(
        report.contains("yes  with associations, whoever claims to be the gateway is refused"),
        "{report}"
    );
}
