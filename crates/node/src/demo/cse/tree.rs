use std::collections::{BTreeMap, BTreeSet};

use refpoint_primitive::{ResourceType, ResultCode};
use serde_json::{Map, Value};

use super::attributes::{may_hold, prefix, strings};

/// The resources of a CSE by their structured path, such as `cse-mn/ae1/c1`.
#[derive(Debug)]
pub(super) struct Tree {
    base: String,
    resources: BTreeMap<String, Resource>,
    /// The paths of those that are subscriptions.
    subscriptions: BTreeSet<String>,
    created: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) path: String,
    pub(super) kind: ResourceType,
    pub(super) attributes: Map<String, Value>,
    /// Grows with every resource: the latest instance has the highest.
    age: u64,
}

impl Tree {
    pub(super) fn new(base: &str, mut attributes: Map<String, Value>) -> Self {
        attributes.insert("rn".to_owned(), base.into());
        attributes.insert("ri".to_owned(), "cb".into());
        attributes.insert("ty".to_owned(), 5.into());
        let root = Resource {
            path: base.to_owned(),
            kind: ResourceType::new(5),
            attributes,
            age: 0,
        };
        Self {
            base: base.to_owned(),
            resources: BTreeMap::from([(base.to_owned(), root)]),
            subscriptions: BTreeSet::new(),
            created: 0,
        }
    }

    pub(super) fn at(&self, path: &str) -> Option<&Resource> {
        self.resources.get(path)
    }

    /// The path of the resource that `to` names: by its path, by `-` for the CSEBase, by an AE-ID stem or resource
    /// id in place of the first names, and with `la` for a container's latest instance.
    pub(super) fn resolve(&self, to: &str) -> Option<String> {
        let to = to.trim_matches('/');
        if let Some(container) = to.strip_suffix("/la") {
            let container = self.resolve(container)?;
            let instances = self
                .children(&container)
                .filter(|child| child.kind == ResourceType::CONTENT_INSTANCE);
            return instances
                .max_by_key(|instance| instance.age)
                .map(|instance| instance.path.clone());
        }
        let (first, rest) = to
            .split_once('/')
            .map_or((to, ""), |(first, rest)| (first, rest));
        let first = match first {
            "" | "-" => self.base.clone(),
            name if name == self.base => self.base.clone(),
            id => {
                let is_named = |resource: &&Resource| {
                    ["aei", "ri"].iter().any(|key| {
                        resource.attributes.get(*key).and_then(Value::as_str) == Some(id)
                    })
                };
                self.resources.values().find(is_named)?.path.clone()
            }
        };
        let path = if rest.is_empty() {
            first
        } else {
            format!("{first}/{rest}")
        };
        self.resources.contains_key(&path).then_some(path)
    }

    /// Adds a resource below `parent` and returns it.
    pub(super) fn insert(
        &mut self,
        parent: &str,
        kind: ResourceType,
        mut attributes: Map<String, Value>,
    ) -> Result<Resource, ResultCode> {
        let parent = self.resources.get(parent).ok_or(ResultCode::NOT_FOUND)?;
        if !may_hold(parent.kind, kind) {
            return Err(ResultCode::new(4108));
        }
        let number = self.created + 1;
        let id = match attributes.get("aei").and_then(Value::as_str) {
            Some(stem) => stem.to_owned(),
            None => format!("{}{number}", prefix(kind)),
        };
        let name = attributes
            .get("rn")
            .and_then(Value::as_str)
            .unwrap_or(&id)
            .to_owned();
        if name.is_empty() || name == "la" || name.contains('/') {
            return Err(ResultCode::BAD_REQUEST);
        }
        let path = format!("{}/{name}", parent.path);
        if self.resources.contains_key(&path) {
            return Err(ResultCode::CONFLICT);
        }
        let parent_id = parent.attributes.get("ri").cloned().unwrap_or_default();
        for (key, value) in [
            ("rn", name.into()),
            ("ri", id.into()),
            ("pi", parent_id),
            ("ty", kind.number().into()),
        ] {
            attributes.insert(key.to_owned(), value);
        }
        self.created = number;
        if kind == ResourceType::SUBSCRIPTION {
            self.subscriptions.insert(path.clone());
        }
        let resource = Resource {
            path: path.clone(),
            kind,
            attributes,
            age: number,
        };
        self.resources.insert(path, resource.clone());
        Ok(resource)
    }

    /// Removes a resource and what lies below it.
    pub(super) fn remove(&mut self, path: &str) -> Result<(), ResultCode> {
        if path == self.base {
            return Err(ResultCode::OPERATION_NOT_ALLOWED);
        }
        let below = format!("{path}/");
        let stays = |other: &String| other != path && !other.starts_with(&below);
        self.resources.retain(|other, _| stays(other));
        self.subscriptions.retain(stays);
        Ok(())
    }

    /// The notification targets of the subscriptions to `path`.
    pub(super) fn subscribers(&self, path: &str) -> Vec<(String, Vec<String>)> {
        self.subscriptions
            .iter()
            .filter(|subscription| is_child(path, subscription))
            .filter_map(|subscription| self.resources.get(subscription))
            .map(|subscription| {
                (
                    subscription.path.clone(),
                    strings(subscription.attributes.get("nu")),
                )
            })
            .collect()
    }

    /// The pointOfAccess of the registered CSE `csi`.
    pub(super) fn remote_cse(&self, csi: &str) -> Option<String> {
        self.resources
            .values()
            .filter(|resource| resource.kind == ResourceType::REMOTE_CSE)
            .find(|resource| {
                let is = |key| {
                    strings(resource.attributes.get(key))
                        .iter()
                        .any(|id| id == csi)
                };
                is("csi") || is("dcse")
            })
            .and_then(|resource| strings(resource.attributes.get("poa")).into_iter().next())
    }

    fn children<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources
            .values()
            .filter(move |resource| is_child(path, &resource.path))
    }
}

/// Whether the resource at `path` lies directly below `parent`.
fn is_child(parent: &str, path: &str) -> bool {
    path.strip_prefix(parent)
        .and_then(|rest| rest.strip_prefix('/'))
        .is_some_and(|name| !name.contains('/'))
}
