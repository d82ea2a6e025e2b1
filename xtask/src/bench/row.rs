use serde_json::{Value, json};

/// What a row is to reach (design, section 9).
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// At most so many times the peer's value.
    Ratio(f64),
    /// At least so many times the peer's value.
    Gain(f64),
    /// At most so much.
    AtMost(f64),
}

/// One number, beside a peer's where there is one.
pub(crate) struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    peer: Option<(&'static str, f64)>,
    target: Option<Target>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            peer: None,
            target: None,
        }
    }

    pub(crate) const fn beside(mut self, peer: &'static str, value: f64) -> Self {
        self.peer = Some((peer, value));
        self
    }

    pub(crate) const fn reaching(mut self, target: Option<Target>) -> Self {
        self.target = target;
        self
    }

    /// Prints it as an object a line, for the task that started this program.
    pub(crate) fn print(&self) {
        let ratio = self.peer.map(|(_, peer)| self.value / peer);
        let (target, reached) = match self.target {
            None => (None, Value::Null),
            Some(Target::Ratio(most)) => (
                Some(format!("≤ {most} ×")),
                json!(ratio.is_some_and(|ratio| ratio <= most)),
            ),
            Some(Target::Gain(least)) => (
                Some(format!("≥ {least} ×")),
                json!(ratio.is_some_and(|ratio| ratio >= least)),
            ),
            Some(Target::AtMost(most)) => (Some(format!("≤ {most}")), json!(self.value <= most)),
        };
        let row = json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "peer": self.peer.map(|(peer, _)| peer),
            "peer_value": self.peer.map(|(_, value)| value),
            "ratio": ratio,
            "target": target,
            "reached": reached,
        });
        println!("{row}");
    }
}
