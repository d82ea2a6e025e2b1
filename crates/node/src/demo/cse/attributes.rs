use refpoint_primitive::ResourceType;
use serde_json::{Map, Value};

/// The name under which a resource of this type stands in JSON, for the types that can be created.
pub(super) fn tag(kind: ResourceType) -> Option<&'static str> {
    Some(match kind {
        ResourceType::AE => "m2m:ae",
        ResourceType::CONTAINER => "m2m:cnt",
        ResourceType::CONTENT_INSTANCE => "m2m:cin",
        ResourceType::REMOTE_CSE => "m2m:csr",
        ResourceType::SUBSCRIPTION => "m2m:sub",
        _ => return None,
    })
}

/// The prefix of the resource ids of a type.
pub(super) fn prefix(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::AE => "ae",
        ResourceType::CONTAINER => "cnt",
        ResourceType::CONTENT_INSTANCE => "cin",
        ResourceType::REMOTE_CSE => "csr",
        ResourceType::SUBSCRIPTION => "sub",
        _ => "cb",
    }
}

/// Whether a resource of type `child` may lie below one of type `parent`.
pub(super) fn may_hold(parent: ResourceType, child: ResourceType) -> bool {
    const BASE: ResourceType = ResourceType::new(5);
    match child {
        ResourceType::AE | ResourceType::REMOTE_CSE => parent == BASE,
        ResourceType::CONTAINER => matches!(
            parent,
            BASE | ResourceType::AE | ResourceType::CONTAINER | ResourceType::REMOTE_CSE
        ),
        ResourceType::CONTENT_INSTANCE => parent == ResourceType::CONTAINER,
        ResourceType::SUBSCRIPTION => {
            matches!(parent, BASE | ResourceType::AE | ResourceType::CONTAINER)
        }
        _ => false,
    }
}

/// The object that `value` is known to be.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The strings of a list, or the one string in its place.
pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}
