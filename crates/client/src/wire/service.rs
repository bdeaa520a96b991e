//! What branches of services do: calls, messages, and how they are tried again.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// An HTTP request at the branch's resource: `"POST /bookings"`, or an object with headers and
/// body.
///
/// Path, headers and body may hold `{{branch.field}}`, from what a branch before it has put out,
/// and `{{input.field}}`. In a path a value is percent-encoded; a string of the body that is
/// nothing but one of these becomes the value itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Call {
    /// Method and path: `POST /bookings`.
    pub call: String,
    /// Headers, beside those of the resource and Handfast's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON; no body if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

impl Call {
    /// With a method and a path.
    pub fn new(method: &str, path: &str) -> Self {
        Self { call: format!("{method} {path}"), ..Self::default() }
    }

    /// GET.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// POST.
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// PUT.
    pub fn put(path: &str) -> Self {
        Self::new("PUT", path)
    }

    /// DELETE.
    pub fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    /// With a header more.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// With that body.
    pub fn body(mut self, body: impl Into<serde_json::Value>) -> Self {
        self.body = Some(body.into());
        self
    }
}

impl From<&str> for Call {
    fn from(call: &str) -> Self {
        Self { call: call.into(), ..Self::default() }
    }
}

impl<'de> Deserialize<'de> for Call {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            call: String,
            #[serde(default)]
            headers: BTreeMap<String, String>,
            body: Option<serde_json::Value>,
        }
        struct LineOrWhole;
        impl<'de> Visitor<'de> for LineOrWhole {
            type Value = Call;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`METHOD /path`, or an object with `call`, `headers` and `body`")
            }

            fn visit_str<E>(self, line: &str) -> Result<Call, E> {
                Ok(Call::from(line))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Call, M::Error> {
                let Whole { call, headers, body } =
                    Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Call { call, headers, body })
            }
        }
        from.deserialize_any(LineOrWhole)
    }
}

/// What a delivery sends: a CloudEvent 1.0, in structured mode.
///
/// Its `id` is the branch's, so that a receiver knows a duplicate; its `source` is the node's
/// cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// What happened, such as `com.example.order.placed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// More about it; may hold `{{branch.field}}` like a call's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
    /// Where it is posted to at the resource; default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Message {
    /// That something happened, and more about it.
    pub fn new(kind: &str, data: impl Into<serde_json::Value>) -> Self {
        Self { kind: kind.into(), data: Some(data.into()), ..Self::default() }
    }
}

/// How something is tried again. What is absent has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Most tries whose result stayed unknown: then a step's transaction is aborted (default 5),
    /// and an undo or delivery is stuck, which goes on slowly (default 15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Most time for all tries: default 30 s for a step, no limit for undo and delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
    /// The wait after the first try, doubled after each; default 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ms: Option<u64>,
    /// The longest wait: default 10 s for a step, 5 min for undo and delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_ms: Option<u64>,
    /// Most time of one call; default 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_ms: Option<u64>,
}

/// Where to ask whether the caller's local transaction committed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The configured resource.
    pub resource: String,
    /// What to call there.
    pub call: Call,
}
