//! What networks and services do to calls, made on purpose.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::Chance;

/// Which trouble a service makes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Trouble {
    /// Which share of calls is answered with 500: half of them before the work, half when it is
    /// done, so that the caller cannot know.
    pub flaky: f64,
    /// Calls take up to so long.
    pub slow_ms: u64,
}

/// Passes a call on, with that trouble.
pub(crate) async fn make(State(trouble): State<Trouble>, call: Request, next: Next) -> Response {
    let mut chance = Chance(Chance::fresh_seed());
    if trouble.slow_ms > 0 {
        tokio::time::sleep(Duration::from_millis(chance.below(trouble.slow_ms + 1))).await;
    }
    let (flaky, early) = (chance.in_share(trouble.flaky), chance.below(2) == 0);
    if flaky && early {
        return lost("before the work");
    }
    let answer = next.run(call).await;
    if flaky { lost("after the work") } else { answer }
}

fn lost(when: &str) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("trouble made on purpose {when}")).into_response()
}
