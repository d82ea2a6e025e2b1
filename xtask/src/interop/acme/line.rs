//! One direction of one reference point: from the egress's HTTP socket to the ingress's.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::breakage::Damage;
use super::comparison::difference;
use super::message::Message;
use super::recorder::{Exchange, Recorder};

/// How long what reached the ingress may take to be answered at the egress.
const SETTLE: Duration = Duration::from_secs(12);

/// A recorder at each end of what is under test.
#[derive(Debug)]
pub(super) struct Line {
    name: &'static str,
    egress: Recorder,
    ingress: Arc<Recorder>,
    waiting: Vec<Exchange>,
}

/// What comparing found so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Exchanges that were compared.
    pub(super) exchanges: usize,
    /// The same for each line by itself.
    pub(super) lines: BTreeMap<&'static str, usize>,
    /// Bytes of their bodies.
    pub(super) bytes: usize,
    /// The largest body.
    pub(super) largest: usize,
    /// Exchanges that differ, or that were seen at one end only.
    pub(super) different: usize,
    /// The first of them.
    pub(super) first: Option<String>,
}

impl Line {
    pub(super) fn new(name: &'static str, egress: Recorder, ingress: Arc<Recorder>) -> Self {
        Self {
            name,
            egress,
            ingress,
            waiting: Vec::new(),
        }
    }

    /// The socket in front of the egress: where the local CSE or AE sends.
    pub(super) fn egress(&self) -> &Recorder {
        &self.egress
    }

    /// The socket behind the ingress: between it and the local CSE or AE.
    pub(super) fn ingress(&self) -> &Recorder {
        &self.ingress
    }

    pub(super) fn damage(&self, damage: Damage) {
        self.egress.damage(damage);
    }

    /// Compares the exchanges that were completed since the last time.
    pub(super) fn compare(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        // In this order: a response passes the ingress's socket first, so whatever was taken here can be found there.
        let egress = self.egress.take()?;
        let arrived = self.ingress.take()?.into_iter();
        self.waiting
            .extend(arrived.filter(|exchange| !is_a_nodes(&exchange.request)));
        for exchange in egress {
            // Between CSEs a node's own request is at both sockets.
            if is_a_nodes(&exchange.request) {
                continue;
            }
            tally.count(self.name);
            tally.bytes += exchange.request.body.len() + exchange.response.body.len();
            tally.largest = tally
                .largest
                .max(exchange.request.body.len())
                .max(exchange.response.body.len());
            let wanted = key(&exchange.request);
            let found = self
                .waiting
                .iter()
                .position(|other| key(&other.request) == wanted);
            let Some(at) = found else {
                let answer = String::from_utf8_lossy(&exchange.response.start).into_owned();
                tally.differs(
                    self.name,
                    &exchange,
                    &format!("never reached the ingress's socket, answered {answer}"),
                );
                continue;
            };
            let other = self.waiting.swap_remove(at);
            if let Some(difference) = difference(&exchange, &other) {
                tally.differs(self.name, &exchange, &difference.to_string());
            }
        }
        Ok(())
    }

    /// As [`compare`](Self::compare), until nothing is under way; what reached the ingress only is a difference.
    pub(super) fn compare_all(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLE;
        loop {
            self.compare(tally)?;
            if self.waiting.is_empty() || Instant::now() >= deadline {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        for exchange in self.waiting.drain(..) {
            tally.count(self.name);
            tally.differs(
                self.name,
                &exchange,
                "reached the ingress's socket and was never answered at the egress's",
            );
        }
        Ok(())
    }
}

impl Tally {
    fn differs(&mut self, line: &str, exchange: &Exchange, how: &str) {
        self.different += 1;
        let request = String::from_utf8_lossy(&exchange.request.start).into_owned();
        self.first
            .get_or_insert_with(|| format!("{line}, {request}: {how}"));
    }

    fn count(&mut self, line: &'static str) {
        self.exchanges += 1;
        *self.lines.entry(line).or_default() += 1;
    }

    /// What was compared, or the first difference.
    ///
    /// Too little to compare is a failure too: fewer than `least` in all, or fewer than `lines` lines with at
    /// least `each` (if a CSE finds a way past its node, a line is idle).
    pub(super) fn outcome(
        &self,
        least: usize,
        lines: usize,
        each: usize,
    ) -> anyhow::Result<String> {
        let Self {
            exchanges,
            bytes,
            largest,
            different,
            ..
        } = self;
        if let Some(first) = &self.first {
            anyhow::bail!("{different} of {exchanges} exchanges differ; first: {first}");
        }
        anyhow::ensure!(
            *exchanges >= least,
            "only {exchanges} exchanges were seen, {least} were expected"
        );
        let busy = self.lines.values().filter(|count| **count >= each).count();
        anyhow::ensure!(
            busy >= lines,
            "{busy} lines had {each} exchanges, {lines} were expected: {:?}",
            self.lines
        );
        Ok(format!(
            "{exchanges} exchanges, {:.1} MB of bodies, the largest {largest} bytes",
            megabytes(*bytes)
        ))
    }
}

fn megabytes(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX)) / 1000.0
}

/// What tells requests apart: an originator does not repeat a request's id.
fn key(request: &Message) -> (Option<String>, Option<String>) {
    (request.text("x-m2m-ri"), request.text("x-m2m-origin"))
}

/// Whether it is what a node itself asks, for its AE's pre-keys: nobody sent it at an egress.
fn is_a_nodes(request: &Message) -> bool {
    let id = request.text("x-m2m-ri");
    id.is_some_and(|id| id.starts_with("rp-"))
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, SocketAddr};

    use super::super::listener::Listener;
    use super::super::originator::{Originator, Request};
    use super::*;

    fn line(damage: Damage) -> (Listener, Line) {
        let listener = Listener::start("{}").expect("a listener");
        let ingress = Arc::new(Recorder::start(listener.address()).expect("a recorder"));
        let egress = Recorder::start(ingress.address()).expect("a recorder");
        egress.damage(damage);
        (listener, Line::new("test", egress, ingress))
    }

    fn exchanged(damage: Damage) -> Tally {
        let (_listener, mut line) = line(damage);
        let mut tally = Tally::default();
        for body in ["small".to_owned(), "large ".repeat(100_000)] {
            let request = Request::create("/n", 4, body.into_bytes());
            Originator::new("CTest", line.egress().address())
                .ask(&request)
                .expect("an answer");
            line.compare(&mut tally).expect("HTTP");
        }
        line.compare_all(&mut tally).expect("HTTP");
        tally
    }

    #[test]
    fn an_honest_line_has_no_difference() {
        let tally = exchanged(Damage::None);
        assert_eq!(
            (tally.exchanges, tally.different, tally.largest),
            (2, 0, 600_000)
        );
        assert!(tally.outcome(2, 1, 2).is_ok());
        for (least, lines, each) in [(3, 1, 2), (2, 2, 1), (2, 1, 3)] {
            assert!(tally.outcome(least, lines, each).is_err());
        }
    }

    #[test]
    fn an_altering_line_is_found_out() {
        let tally = exchanged(Damage::Alter);
        assert_eq!(tally.different, 2);
        assert!(tally.outcome(2, 1, 2).is_err());
    }

    #[test]
    fn a_request_that_skips_one_end_is_a_difference() {
        let (_listener, mut line) = line(Damage::None);
        let ask = |at: SocketAddr| {
            Originator::new("CTest", at)
                .ask(&Request::retrieve("/n"))
                .expect("an answer")
        };
        ask(line.ingress().address());
        let mut tally = Tally::default();
        line.compare(&mut tally).expect("HTTP");
        assert_eq!((tally.exchanges, line.waiting.len()), (0, 1));

        let nobody = Recorder::start((Ipv4Addr::LOCALHOST, 1).into()).expect("a recorder");
        let (_other, short) = self::line(Damage::None);
        let mut line = Line::new("short", short.egress, Arc::new(nobody));
        ask(line.egress().address());
        line.compare(&mut tally).expect("HTTP");
        assert_eq!((tally.exchanges, tally.different), (1, 1));
    }
}
