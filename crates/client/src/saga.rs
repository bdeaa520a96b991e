//! Sagas as definitions: applied once, run often.

use std::time::Duration;

use hyper::Method;

use crate::{
    Error, Handfast, Outcome,
    link::{escape, json},
    wire::{RunSaga, Saga, SagaDefinition, SagaLine},
};

/// The sagas that a node keeps.
#[derive(Clone)]
pub struct Sagas {
    handfast: Handfast,
}

impl Handfast {
    /// The sagas that the node keeps.
    pub fn sagas(&self) -> Sagas {
        Sagas { handfast: self.clone() }
    }
}

impl Sagas {
    /// Keeps a definition. Applying the same again changes nothing.
    ///
    /// # Errors
    /// [`Error::BadRequest`]: it cannot run, or its version is taken by another content. After
    /// silence it may be kept or not; applying it again is safe.
    pub async fn apply(&self, definition: &SagaDefinition) -> Result<Saga, Error> {
        let link = &self.handfast.link;
        let path = format!("/v1/sagas/{}", escape(&definition.name));
        link.parsed(link.call(Method::PUT, path, Some(json(definition)), link.timeout).await)
    }

    /// All sagas, by name.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn list(&self) -> Result<Vec<SagaLine>, Error> {
        self.handfast.link.read("/v1/sagas".into()).await
    }

    /// One version of a saga; the last if none is given.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is none.
    pub async fn get(&self, name: &str, version: Option<u32>) -> Result<Saga, Error> {
        let version = version.map(|version| format!("?version={version}")).unwrap_or_default();
        self.handfast.link.read(format!("/v1/sagas/{}{version}", escape(name))).await
    }

    /// Runs a saga; a gid is made if it has none. With the same gid and input it is the same
    /// transaction, as [`Transaction::run`](crate::Transaction::run) promises. The node is waited
    /// for as long as `patience`; then the outcome is unknown.
    ///
    /// # Errors
    /// The transaction did not start, so nothing of it can happen.
    pub async fn run(
        &self,
        name: &str,
        run: &RunSaga,
        patience: Duration,
    ) -> Result<Outcome, Error> {
        let mut run = run.clone();
        let gid = run.gid.get_or_insert_with(|| uuid::Uuid::now_v7().to_string()).clone();
        let path = format!("/v1/sagas/{}:run", escape(name));
        let link = &self.handfast.link;
        let call = link.call_within(Method::POST, path, Some(json(&run)), patience).await;
        self.handfast.outcome_of(&gid, call)
    }
}
