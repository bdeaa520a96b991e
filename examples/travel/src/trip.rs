//! One trip, as one transaction.

use std::{sync::Arc, time::Duration};

use handfast_client::{Call, Handfast, Message, Transaction, output, params, wire::Retry};
use handfast_example_kit::Chance;
use serde_json::{Value, json};

use crate::{
    agency::{self, BROKE},
    car::NO_CAR,
    flight::NO_FLIGHT,
    hotel::ROOMS,
};

/// What can go wrong by the rules of somebody's business.
pub const WHO_CAN_REFUSE: [&str; 4] = ["flight", "car", "hotel", "invoice"];

const TRAVELLERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Services that are away for a moment are tried again soon.
const RETRY: Retry = Retry {
    attempts: Some(500),
    within_ms: None,
    first_ms: Some(50),
    cap_ms: Some(1_000),
    call_ms: Some(5_000),
};

/// All trips; every choice is made from one seed before anything starts.
#[derive(Clone)]
pub struct Trips(Arc<[Trip]>);

struct Trip {
    traveller: &'static str,
    /// Who will refuse it.
    doomed: Option<String>,
}

impl Trips {
    pub fn new(seed: u64, count: u32, fail: &[String], refused: f64) -> Self {
        let mut chance = Chance(seed);
        let any = WHO_CAN_REFUSE.map(String::from);
        let failing = if fail.is_empty() { &any[..] } else { fail };
        let trip = |_| {
            let is_doomed = chance.in_share(refused);
            let by = &failing[chance.below(failing.len() as u64) as usize];
            let traveller = TRAVELLERS[chance.below(TRAVELLERS.len() as u64) as usize];
            Trip { traveller, doomed: is_doomed.then(|| by.clone()) }
        };
        Self((0..count).map(trip).collect())
    }

    /// Flight and car are booked side by side. Then the room is reserved while the invoice is
    /// written and prepared; both wait for the decision, so they come last. The mail leaves when it
    /// is sure that there is something to tell.
    ///
    /// The trip's own name is used to undo, because the answer that told a booking's number may
    /// never have arrived.
    pub fn transaction(
        &self,
        node: &Handfast,
        gid: String,
        number: usize,
        schema: &str,
    ) -> Transaction {
        let input = self.0[number].input(&gid);
        let traveller = input["traveller"].clone();
        let flight = json!({
            "trip": "{{input.trip}}", "traveller": "{{input.traveller}}", "day": "{{input.day}}",
        });
        let car = json!({ "trip": "{{input.trip}}", "class": "{{input.class}}" });
        let room = json!({ "trip": "{{input.trip}}", "rooms": "{{input.rooms}}" });
        let mail = json!({ "to": "{{input.traveller}}", "seat": "{{flight.seat}}" });
        let [pay, invoice] = agency::statements(schema);
        node.transaction(&gid)
            .input(input)
            .deadline(Duration::from_secs(60))
            .step("flight", "flight", Call::post("/seats").body(flight))
            .undo("DELETE /seats/{{input.trip}}")
            .retry(RETRY)
            .undo_retry(RETRY)
            .step("car", "car", Call::post("/rentals").body(car))
            .undo("DELETE /rentals/{{input.trip}}")
            .after([])
            .retry(RETRY)
            .undo_retry(RETRY)
            .reserve(
                "hotel",
                "hotel",
                Call::post("/rooms").body(room),
                "PUT /rooms/{{input.trip}}/confirmed",
                "DELETE /rooms/{{input.trip}}",
            )
            .sql("invoice", "agency", &pay, params![output("flight.price"), traveller.clone()])
            .expect_rows(1)
            .sql(
                "invoice",
                "agency",
                &invoice,
                params![gid.as_str(), traveller, output("flight.price")],
            )
            .expect_rows(1)
            .message(
                "mail",
                "mailer",
                Message {
                    subject: Some(gid.clone()),
                    path: Some("/events".into()),
                    ..Message::new("com.example.trip.booked", mail)
                },
            )
            .retry(RETRY)
    }
}

impl Trip {
    fn input(&self, gid: &str) -> Value {
        let fails = |who| self.doomed.as_deref() == Some(who);
        json!({
            "trip": gid,
            "traveller": if fails("invoice") { BROKE } else { self.traveller },
            "day": if fails("flight") { NO_FLIGHT } else { "2027-05-01" },
            "class": if fails("car") { NO_CAR } else { "compact" },
            "rooms": if fails("hotel") { ROOMS + 1 } else { 1 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_fail_that_shall() {
        let doomed = |fail: &[&str], share| -> Vec<String> {
            let fail: Vec<String> = fail.iter().map(ToString::to_string).collect();
            let trips = Trips::new(7, 1_000, &fail, share);
            trips.0.iter().filter_map(|trip| trip.doomed.clone()).collect()
        };
        assert!(doomed(&[], 0.0).is_empty());
        assert_eq!(doomed(&["hotel"], 1.0), ["hotel"; 1_000]);
        let some = doomed(&[], 0.2);
        assert!((150..250).contains(&some.len()), "{}", some.len());
        assert!(WHO_CAN_REFUSE.iter().all(|who| some.iter().any(|one| one == who)));
    }
}
