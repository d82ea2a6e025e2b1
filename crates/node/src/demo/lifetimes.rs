//! That keys do not last: they are ratcheted while they are used, and end when their time is over.

use core::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::scenario::{Step, meaning};
use super::secured::VISIT;
use super::world::World;

/// Longer than the demo's policy keeps a key.
const RATCHET: Duration = Duration::from_millis(2500);

/// Lets time pass in `world` and says what came of it; `marker` is in what is sent meanwhile.
///
/// # Errors
///
/// When the honest members cannot go on, or the visitor still can when its key has expired.
pub async fn age(world: &World, marker: &str) -> anyhow::Result<Vec<Step>> {
    let begun = Instant::now();
    let visitor = world
        .visitor
        .as_ref()
        .context("without nodes, nothing ages")?;
    let ae = json!({ "m2m:ae": { "rn": "visitor", "api": "Ncom.example.visitor", "rr": false, "lbl": [marker] } });
    let created = visitor.create("/cse-mn", 2, &ae).await?;
    ensure!(
        created.code == 2001,
        "the visitor's registration was answered {}",
        created.code
    );
    let mut steps = vec![Step {
        links: "X",
        what: format!("a visitor, whose key is valid for {VISIT:?}, registers with the gateway"),
    }];
    for number in 0..2 {
        sleep(RATCHET).await;
        let content = json!({ "m2m:cin": { "con": format!("{marker} late {number}") } });
        let published = world
            .sensor
            .create("/cse-mn/sensor/readings", 4, &content)
            .await?;
        let retrieved = world
            .operator
            .retrieve("/~/id-mn/cse-mn/sensor/readings/la")
            .await?;
        let report = "/~/id-in/cse-in/operator/reports";
        let reported = world.network.create(report, 4, &content).await?;
        let reading = "/_/sp.example.com/id-mn/cse-mn/sensor/readings/la";
        let shared = world.analyst.retrieve(reading).await?;
        let codes = [published.code, retrieved.code, reported.code, shared.code];
        ensure!(
            codes == [2001, 2000, 2001, 2000],
            "after a ratchet: answered {codes:?}"
        );
    }
    steps.push(Step {
        links: "all",
        what: "readings and reports go on while keys are ratcheted every 2 s".to_owned(),
    });

    sleep((VISIT + Duration::from_secs(1)).saturating_sub(begun.elapsed())).await;
    let refused = visitor.retrieve("/cse-mn/visitor").await?;
    ensure!(
        refused.code == 4107,
        "the visitor is still answered: {}",
        refused.code
    );
    steps.push(Step {
        links: "X",
        what: format!(
            "the visitor's key has expired, and its association with it: it is refused with {}",
            meaning(refused.code)
        ),
    });
    Ok(steps)
}
