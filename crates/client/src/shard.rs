//! A shard, as those see it who load it and look into it; transactions reach it through a node.

use std::collections::BTreeMap;

use hyper::Method;

use crate::{
    Builder, Error, Value,
    link::{Link, escape, json},
};

/// Handfast's own key-value participant, reached over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Shard {
    link: Link,
}

impl Shard {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Says how to reach a shard; ends with [`Builder::build_shard`].
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    /// Whether the shard has recovered and takes branches.
    ///
    /// # Errors
    /// It does not, or nothing answers there. One attempt is made.
    pub async fn ready(&self) -> Result<(), Error> {
        self.link.probe("/readyz").await
    }

    /// Writes integers and strings, outside of any transaction.
    ///
    /// # Errors
    /// It is not known which of them were written; writing them again is safe.
    pub async fn load(&self, values: &BTreeMap<String, Value>) -> Result<(), Error> {
        let body = Some(json(values));
        let call = self.link.call(Method::PUT, "/v1/keys".into(), body, self.link.timeout).await;
        self.link.done(call)
    }

    /// All keys that start with `prefix`, with their committed values.
    ///
    /// # Errors
    /// They could not all be read.
    pub async fn keys(&self, prefix: &str) -> Result<BTreeMap<String, Value>, Error> {
        #[derive(serde::Deserialize)]
        struct Page {
            keys: Vec<Entry>,
            #[serde(default)]
            next: Option<String>,
        }
        #[derive(serde::Deserialize)]
        struct Entry {
            key: String,
            value: Value,
        }
        let mut all = BTreeMap::new();
        let mut path = format!("/v1/keys?prefix={}", escape(prefix));
        loop {
            let page: Page = self.link.read(path).await?;
            all.extend(page.keys.into_iter().map(|entry| (entry.key, entry.value)));
            let Some(next) = page.next else { return Ok(all) };
            path = format!("/v1/keys?prefix={}&after={}", escape(prefix), escape(&next));
        }
    }

    /// The ids of the branches that are prepared and wait for their decision.
    ///
    /// # Errors
    /// The list could not be read.
    pub async fn in_doubt(&self) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Branches {
            in_doubt: Vec<Branch>,
        }
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Branch {
            Id(String),
            Entry { id: String },
        }
        let branches: Branches = self.link.read("/v1/branches".into()).await?;
        let id = |branch| match branch {
            Branch::Id(id) | Branch::Entry { id } => id,
        };
        Ok(branches.in_doubt.into_iter().map(id).collect())
    }
}
