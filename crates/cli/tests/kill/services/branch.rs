//! The branches of these transactions, and what each must have done in the end.

use handfast_client::{Value, wire, wire::Retry};
use handfast_example_kit::victim::REFUSED;
use serde_json::json;

use super::ledger::Ledger;

/// A service that is away for a moment is called again soon.
const RETRY: Retry = Retry {
    attempts: Some(100),
    within_ms: None,
    first_ms: Some(20),
    cap_ms: Some(500),
    call_ms: Some(5_000),
};

/// A branch, by the name under which the service writes it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    Step(&'static str),
    /// A step that is called with what step `a` has put out.
    Fed,
    Reserve(&'static str),
    /// A reservation that is refused when the one before it has been made.
    Refused,
    /// A row in a database.
    Ledger,
    /// One that the database refuses, when the reservation before it has been made.
    Overdraft,
    Deliver(&'static str),
    Message(&'static str),
}

impl Branch {
    pub fn name(self) -> &'static str {
        match self {
            Self::Step(name) | Self::Reserve(name) | Self::Deliver(name) | Self::Message(name) => {
                name
            }
            Self::Fed => "of-a",
            Self::Refused => REFUSED,
            Self::Ledger | Self::Overdraft => "ledger",
        }
    }

    /// It, as a part of the transaction `gid`.
    pub fn of(self, gid: &str, ledger: Option<&Ledger>) -> wire::Branch {
        let name = self.name();
        let path = if self == Self::Fed { "of-{{a.id}}" } else { name };
        let [post, put, delete] = ["POST", "PUT", "DELETE"].map(|verb| format!("{verb} /{path}"));
        let (post, put, delete) = (post.as_str(), put.as_str(), delete.as_str());
        match self {
            Self::Step(_) | Self::Fed => {
                let step = wire::Branch::step(name, "service", post).undo(delete);
                step.retry(RETRY).undo_retry(RETRY)
            }
            Self::Reserve(_) => wire::Branch::reserve(name, "service", post, put, delete),
            Self::Refused => {
                wire::Branch::reserve(name, "service", post, put, delete).after(["room"])
            }
            Self::Ledger => ledger.expect("it is there if it is used").entry(gid, name),
            Self::Overdraft => {
                let ledger = ledger.expect("it is there if it is used");
                ledger.overdraft(gid, name).after(["room"])
            }
            Self::Deliver(_) => wire::Branch::deliver(name, "service", post).retry(RETRY),
            Self::Message(_) => {
                let path = Some(format!("/{name}"));
                let message = wire::Message { path, ..wire::Message::new("told", json!({})) };
                wire::Branch::message(name, "service", message).retry(RETRY)
            }
        }
    }

    /// What whoever adds it is answered.
    pub fn output(self) -> Value {
        match self {
            Self::Step(_) | Self::Fed => json!({ "id": self.name() }),
            _ => Value::Null,
        }
    }

    /// Whether what took effect, in this order, is what must have: nothing is there twice, nothing
    /// is missing, and what is not to be was done and taken back. Only a reservation may never have
    /// been made, unless it `was_tried`.
    pub fn holds(self, committed: bool, was_tried: bool, effects: &[String]) -> bool {
        let allowed: &[&[&str]] = match (self, committed) {
            (Self::Refused | Self::Overdraft | Self::Step(REFUSED), _) => &[&[]],
            (Self::Ledger | Self::Deliver(_) | Self::Message(_), false) => &[&[]],
            (Self::Step(_) | Self::Fed | Self::Deliver(_) | Self::Message(_), true) => &[&["do"]],
            (Self::Step(_) | Self::Fed, false) => &[&["do", "undo"]],
            (Self::Reserve(_), true) => &[&["try", "confirm"]],
            (Self::Reserve(_), false) if was_tried => &[&["try", "cancel"]],
            (Self::Reserve(_), false) => &[&[], &["try", "cancel"]],
            (Self::Ledger, true) => &[&["entry"]],
        };
        allowed.contains(&effects.iter().map(String::as_str).collect::<Vec<_>>().as_slice())
    }
}
