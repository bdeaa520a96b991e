//! A shard, as those see it who load it and look into it; transactions reach it through a node.

use std::collections::BTreeMap;

use hyper::Method;

use serde::{Deserialize, Serialize};

use crate::{
    Builder, Error,
    link::{Link, escape, json},
};

/// What a key of a shard holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardValue {
    /// A 64-bit integer.
    Int(i64),
    /// Bytes; a string written by a transaction is its UTF-8.
    Bytes(Vec<u8>),
}

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

    /// Writes keys outside of any transaction; refused while a branch holds one of them.
    ///
    /// # Errors
    /// It is not known whether they were written, unless the error says that nothing has
    /// happened; writing them again is safe.
    pub async fn load(&self, keys: &BTreeMap<String, ShardValue>) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Load<'a> {
            keys: &'a BTreeMap<String, ShardValue>,
        }
        let body = Some(json(&Load { keys }));
        let call = self.link.call(Method::PUT, "/v1/keys".into(), body, self.link.timeout).await;
        self.link.done(call)
    }

    /// All keys that start with `prefix`, with their committed values.
    ///
    /// # Errors
    /// They could not all be read.
    pub async fn keys(&self, prefix: &str) -> Result<BTreeMap<String, ShardValue>, Error> {
        #[derive(Deserialize)]
        struct Page {
            keys: Vec<Key>,
            next: Option<String>,
        }
        #[derive(Deserialize)]
        struct Key {
            key: String,
            value: ShardValue,
        }
        let mut all = BTreeMap::new();
        let mut path = format!("/v1/keys?prefix={}", escape(prefix));
        loop {
            let page: Page = self.link.read(path).await?;
            all.extend(page.keys.into_iter().map(|key| (key.key, key.value)));
            let Some(next) = page.next else { return Ok(all) };
            path = format!("/v1/keys?prefix={}&after={}", escape(prefix), escape(&next));
        }
    }

    /// The ids of the branches that are prepared and wait for their decision.
    ///
    /// # Errors
    /// They could not all be read.
    pub async fn in_doubt(&self) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            in_doubt: Vec<Branch>,
            next: Option<String>,
        }
        #[derive(Deserialize)]
        struct Branch {
            branch: String,
        }
        let mut all = Vec::new();
        let mut path = "/v1/branches".to_owned();
        loop {
            let page: Page = self.link.read(path).await?;
            all.extend(page.in_doubt.into_iter().map(|branch| branch.branch));
            let Some(next) = page.next else { return Ok(all) };
            path = format!("/v1/branches?after={}", escape(&next));
        }
    }
}
