//! What happens in the demo: the same in both runs, but for how it ends for those who claim to be the gateway.

use core::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::world::World;

/// Nothing in the demo takes as long, unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What was done, in order, with what came of it.
    pub steps: Vec<Step>,
    /// Who took the gateway's place at the core: how many of the insider, the stranger and the foreigner.
    pub hijacked: usize,
    /// How often a receiver got the marker.
    pub received: u64,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The links that it crossed.
    pub links: &'static str,
    /// What was done and what came of it.
    pub what: String,
}

/// Plays the scenario in `world`; every message's content holds `marker`.
///
/// # Errors
///
/// When a step of the honest members fails.
pub async fn play(world: &World, marker: &str) -> anyhow::Result<Outcome> {
    let mut play = Play {
        world,
        marker,
        steps: Vec::new(),
        received: 0,
    };
    let played = async {
        play.register().await?;
        play.publish_and_retrieve().await?;
        play.subscribe_and_notify().await?;
        play.trigger().await?;
        play.share().await?;
        play.hijack().await
    };
    let hijacked = timeout(4 * PATIENCE, played)
        .await
        .context("the scenario hangs")??;
    Ok(Outcome {
        steps: play.steps,
        hijacked,
        received: play.received,
    })
}

struct Play<'a> {
    world: &'a World,
    marker: &'a str,
    steps: Vec<Step>,
    received: u64,
}

impl Play<'_> {
    async fn register(&mut self) -> anyhow::Result<()> {
        let code = self.world.gateway.register().await?;
        ensure!(
            code.number() == 2001,
            "the gateway's registration was answered {}",
            code.number()
        );
        self.step("Y", "the gateway registers with the core");
        let ae = json!({ "m2m:ae": {
            "rn": "sensor", "api": "Ncom.example.sensor", "rr": true, "lbl": [self.marker], "poa": [self.world.sensor_url],
        }});
        self.create(&self.world.sensor, "/cse-mn", 2, &ae)
            .await
            .context("the sensor's registration")?;
        self.step("X", "the sensor registers with the gateway");
        let ae =
            json!({ "m2m:ae": { "rn": "operator", "api": "Ncom.example.operator", "rr": false } });
        self.create(&self.world.operator, "/cse-in", 2, &ae)
            .await
            .context("the operator's registration")
    }

    async fn publish_and_retrieve(&mut self) -> anyhow::Result<()> {
        let sensor = &self.world.sensor;
        self.create(
            sensor,
            "/cse-mn/sensor",
            3,
            &json!({ "m2m:cnt": { "rn": "readings" } }),
        )
        .await?;
        for number in 0..10 {
            let reading = format!("{} {number}", self.marker);
            let instance = json!({ "m2m:cin": { "cnf": "text/plain:0", "con": reading } });
            self.create(sensor, "/cse-mn/sensor/readings", 4, &instance)
                .await
                .context("a reading")?;
        }
        self.step("X", "the sensor publishes 10 readings");
        let latest = self
            .world
            .operator
            .retrieve("/~/id-mn/cse-mn/sensor/readings/la")
            .await?;
        let content = &latest.content["m2m:cin"]["con"];
        ensure!(
            content == &Value::from(format!("{} 9", self.marker)),
            "the latest reading was answered {}",
            latest.code
        );
        self.received += 1;
        self.step(
            "Y",
            "the operator retrieves the latest one through the core from the gateway",
        );
        Ok(())
    }

    async fn subscribe_and_notify(&mut self) -> anyhow::Result<()> {
        let (sensor, operator) = (&self.world.sensor, &self.world.operator);
        self.create(
            operator,
            "/cse-in/operator",
            3,
            &json!({ "m2m:cnt": { "rn": "commands" } }),
        )
        .await?;
        let subscription = json!({ "m2m:sub": { "rn": "sub", "nu": ["/id-mn/CSensor1"], "nct": 1, "enc": { "net": [3] } } });
        self.create(
            sensor,
            "/~/id-in/cse-in/operator/commands",
            23,
            &subscription,
        )
        .await
        .context("the subscription")?;
        self.step(
            "X Y",
            "the sensor subscribes to the operator's commands, and confirms that it wants them",
        );
        let command = json!({ "m2m:cin": { "con": format!("open {}", self.marker) } });
        self.create(operator, "/cse-in/operator/commands", 4, &command)
            .await?;
        timeout(PATIENCE, sensor.notified(2))
            .await
            .context("the sensor was not notified")?;
        let got = sensor
            .notifications()
            .last()
            .map(Value::to_string)
            .unwrap_or_default();
        ensure!(
            got.contains(self.marker),
            "the sensor was notified of something else"
        );
        self.received += 1;
        self.step(
            "Y X",
            "the operator commands, and the sensor is notified through core and gateway",
        );
        Ok(())
    }

    async fn trigger(&mut self) -> anyhow::Result<()> {
        let request =
            json!({ "m2m:tr": { "mei": "sensor1@op.example.com", "tp": 1, "dp": self.marker } });
        let answer = self
            .world
            .trigger
            .create("/~/nse-scef/triggers", 47, &request)
            .await?;
        ensure!(
            answer.code / 1000 == 2,
            "the trigger was answered {}",
            answer.code
        );
        let got = self
            .world
            .network
            .notifications()
            .last()
            .map(Value::to_string)
            .unwrap_or_default();
        ensure!(got.contains(self.marker), "the network got something else");
        self.received += 1;
        self.step("Z", "the core has the network trigger the device");
        let operator = &self.world.operator;
        let reports = json!({ "m2m:cnt": { "rn": "reports" } });
        self.create(operator, "/cse-in/operator", 3, &reports)
            .await?;
        let report = json!({ "m2m:cin": { "con": format!("triggered, payload {}", self.marker) } });
        self.create(
            &self.world.network,
            "/~/id-in/cse-in/operator/reports",
            4,
            &report,
        )
        .await
        .context("the report")?;
        let got = operator.retrieve("/cse-in/operator/reports/la").await?;
        ensure!(
            got.content.to_string().contains(self.marker),
            "the core got another report"
        );
        self.received += 1;
        self.step(
            "Z",
            "the network reports to the core that the device was reached",
        );
        Ok(())
    }

    /// Two service providers use each other's resources.
    async fn share(&mut self) -> anyhow::Result<()> {
        let (analyst, operator) = (&self.world.analyst, &self.world.operator);
        let ae =
            json!({ "m2m:ae": { "rn": "analyst", "api": "Ncom.example.analyst", "rr": false } });
        self.create(analyst, "/cse-pin", 2, &ae)
            .await
            .context("the analyst's registration")?;
        let reading = "/_/sp.example.com/id-mn/cse-mn/sensor/readings/la";
        let latest = analyst.retrieve(reading).await?;
        ensure!(
            latest.content.to_string().contains(self.marker),
            "the partner's retrieval was answered {}",
            latest.code
        );
        self.received += 1;
        self.step(
            "Y' Y",
            "an analyst of another provider retrieves the latest reading through both cores",
        );
        let shared = "/_/partner.example.net/id-pin/cse-pin/analyst";
        let container = json!({ "m2m:cnt": { "rn": "shared" } });
        self.create(operator, shared, 3, &container).await?;
        let instance = json!({ "m2m:cin": { "con": format!("for you {}", self.marker) } });
        self.create(operator, &format!("{shared}/shared"), 4, &instance)
            .await
            .context("what the operator shares")?;
        let got = analyst.retrieve("/cse-pin/analyst/shared/la").await?;
        ensure!(
            got.content.to_string().contains(self.marker),
            "the analyst got something else"
        );
        self.received += 1;
        self.step(
            "Y'",
            "the operator shares something with the other provider",
        );
        Ok(())
    }

    /// Somebody claims to be the gateway and puts itself in its place at the core.
    async fn hijack(&mut self) -> anyhow::Result<usize> {
        let mut succeeded = 0;
        let world = self.world;
        for (link, name, claimant) in [
            ("Y", "another gateway", &world.insider),
            ("Y", "a stranger", &world.stranger),
            ("Y'", "the other provider's core", &world.foreigner),
        ] {
            let deleted = claimant.delete("/~/id-in/cse-in/id-mn").await?;
            let registration = json!({ "m2m:csr": { "rn": "id-mn", "csi": "/id-mn", "poa": ["http://127.0.0.1:9"] } });
            let created = claimant
                .create("/~/id-in/cse-in", 16, &registration)
                .await?;
            let codes = (deleted.code, created.code);
            let end = match codes {
                (2002, 2001) => "succeeds".to_owned(),
                (one, other) if one == other => format!("is refused with {}", meaning(one)),
                (one, other) => format!("is refused with {} and {}", meaning(one), meaning(other)),
            };
            let done = codes == (2002, 2001);
            succeeded += usize::from(done);
            let what = "claims to be the gateway, to delete its registration and take its place";
            self.step(link, &format!("{name} {what}: it {end}"));
        }
        Ok(succeeded)
    }

    async fn create(
        &self,
        ae: &super::Ae,
        target: &str,
        kind: u32,
        content: &Value,
    ) -> anyhow::Result<()> {
        let answer = ae.create(target, kind, content).await?;
        ensure!(answer.code == 2001, "{target} was answered {}", answer.code);
        Ok(())
    }

    fn step(&mut self, links: &'static str, what: &str) {
        self.steps.push(Step {
            links,
            what: what.to_owned(),
        });
    }
}

/// A result code in words.
pub(super) fn meaning(code: i32) -> String {
    let words = match code {
        4106 => "originator not authenticated",
        4107 => "security association required",
        5103 => "target not reachable",
        _ => return code.to_string(),
    };
    format!("{code} ({words})")
}
