use std::sync::Arc;

use refpoint_primitive::{Failure, ResourceType, ResultCode};
use serde_json::{Map, Value, json};

use super::attributes::strings;
use super::route::{Route, split_url};
use super::{Cse, VERIFICATION_FAILED, lock};
use crate::http::Authority;

/// Stands for 'no type', which makes a POST a Notify.
const NOTIFY: ResourceType = ResourceType::new(0);

impl Cse {
    /// Asks every notification target of a subscription whether it wants it.
    pub(super) async fn verify_targets(
        &self,
        parent: &str,
        from: &str,
        given: &Map<String, Value>,
    ) -> Result<(), ResultCode> {
        let targets = strings(given.get("nu"));
        if targets.is_empty() {
            return Err(ResultCode::BAD_REQUEST);
        }
        let asked = json!({ "m2m:sgn": { "vrq": true, "sur": parent, "cr": from } });
        for target in targets {
            if self.notify(&target, &asked).await.is_err() {
                return Err(VERIFICATION_FAILED);
            }
        }
        Ok(())
    }

    /// Tells the subscribers of `parent` of a new child, each in a task of its own.
    pub(super) fn notify_all(
        self: &Arc<Self>,
        parent: &str,
        subscriptions: Vec<(String, Vec<String>)>,
        child: &Value,
    ) {
        for (subscription, targets) in subscriptions {
            let told = json!({ "m2m:sgn": {
                "nev": { "net": 3, "rep": child },
                "sur": format!("{}/{subscription}", self.options.id.to_sp_relative()),
            }});
            for target in targets {
                let (cse, told, parent) = (Arc::clone(self), told.clone(), parent.to_owned());
                tokio::spawn(async move {
                    if let Err(failure) = cse.notify(&target, &told).await {
                        tracing::warn!(%failure, %target, %parent, "a notification was not delivered");
                    }
                });
            }
        }
    }

    /// Sends a notification to a URL or an entity's id.
    async fn notify(&self, target: &str, content: &Value) -> Result<(), Failure> {
        let (next, path) = self.way_to(target).ok_or(Failure::PeerUnreachable)?;
        let code = self
            .ask(&next, "POST", &path, Some((NOTIFY, content)))
            .await?;
        if code.is_success() {
            Ok(())
        } else {
            Err(Failure::UnusableAnswer)
        }
    }

    fn way_to(&self, target: &str) -> Option<(Authority, String)> {
        if target.starts_with("http://") {
            return split_url(target);
        }
        match self.route(target) {
            Route::Here(path) => {
                let tree = lock(&self.tree);
                let ae = tree.at(&tree.resolve(&path)?)?;
                split_url(strings(ae.attributes.get("poa")).first()?)
            }
            Route::Away(next) => match target.strip_prefix("//") {
                Some(absolute) => Some((next, format!("/_/{absolute}"))),
                None => Some((next, format!("/~{target}"))),
            },
            Route::Nowhere => None,
        }
    }
}
