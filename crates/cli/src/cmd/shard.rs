//! `handfast shard`: Handfast's own key-value participant.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use handfast_server::{
    config::{Config, TlsFiles},
    logging,
    shard::{self, Remote, ShardConfig},
};

use super::token;
use crate::{
    args::Shard,
    exit::{Exit, Failure},
};

pub async fn run(args: Shard) -> Result<Exit, Failure> {
    // Of a node's settings, a shard has those of the log lines.
    let of_log = super::settings().filter(|(name, _)| name.starts_with("HANDFAST_LOG_"));
    let lines = Config::load(None, of_log, &[]);
    logging::start(&lines.map_err(|e| Failure::new(Exit::Usage, e.to_string()))?);
    let listen = address(&args.listen)?;
    let config = ShardConfig {
        token: args.token_file.as_deref().map(token).transpose()?,
        tls: args.tls_cert_file.clone().zip(args.tls_key_file.clone()).map(files),
        ca_file: args.ca_file.clone(),
        coordinators: coordinators(&args)?,
        peers: peers(&args)?,
        name: args.name,
        ..ShardConfig::new(args.data_dir, listen)
    };
    let ended = shard::serve(config, super::stop_signal()?).await;
    ended.map(|()| Exit::Ok).map_err(|e| Failure::new(Exit::No, format!("failed to serve: {e}")))
}

fn files((cert, key): (PathBuf, PathBuf)) -> TlsFiles {
    TlsFiles { cert, key }
}

fn coordinators(args: &Shard) -> Result<BTreeMap<Option<String>, Remote>, Failure> {
    let mut coordinators = BTreeMap::new();
    for text in &args.coordinator {
        let (cluster, url) = named(text);
        let remote = Remote { url: url.into(), token: None };
        if coordinators.insert(cluster.map(Into::into), remote).is_some() {
            return Err(usage("--coordinator is given twice for one cluster".into()));
        }
    }
    for text in general_first(&args.coordinator_token_file) {
        let (cluster, file) = named(text);
        let token = token(Path::new(file))?;
        let wants = |own: &Option<String>| cluster.is_none() || own.as_deref() == cluster;
        give(&mut coordinators, wants, &token).ok_or_else(|| {
            usage(format!("no --coordinator for --coordinator-token-file {text}"))
        })?;
    }
    Ok(coordinators)
}

fn peers(args: &Shard) -> Result<BTreeMap<String, Remote>, Failure> {
    let mut peers = BTreeMap::new();
    for pair in args.peer.iter().cloned() {
        let (name, url) = pair.parts("--peer")?;
        if peers.insert(name.clone(), Remote { url, token: None }).is_some() {
            return Err(usage(format!("--peer is given twice for {name}")));
        }
    }
    for text in general_first(&args.peer_token_file) {
        let (name, file) = named(text);
        let token = token(Path::new(file))?;
        give(&mut peers, |own| name.is_none_or(|name| own == name), &token)
            .ok_or_else(|| usage(format!("no --peer for --peer-token-file {text}")))?;
    }
    Ok(peers)
}

/// Gives a token to those who want it; `None` if nobody does.
fn give<K: Ord>(
    remotes: &mut BTreeMap<K, Remote>,
    wants: impl Fn(&K) -> bool,
    token: &str,
) -> Option<()> {
    let wanting = remotes.iter_mut().filter(|(own, _)| wants(own));
    let given = wanting.map(|(_, remote)| remote.token = Some(token.into())).count();
    (given > 0).then_some(())
}

/// `name=rest`, or `rest` alone. No name has a slash or a colon, which addresses and paths do.
fn named(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, rest)) if !name.contains(['/', ':']) => (Some(name), rest),
        _ => (None, text),
    }
}

/// What holds for all comes before what holds for one.
fn general_first(texts: &[String]) -> impl Iterator<Item = &str> {
    let of = |named_ones| {
        let texts = texts.iter().map(String::as_str);
        texts.filter(move |text| named(text).0.is_some() == named_ones)
    };
    of(false).chain(of(true))
}

fn usage(what: String) -> Failure {
    Failure::new(Exit::Usage, what)
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    let with_number = text.replacen("localhost:", "127.0.0.1:", 1);
    with_number.parse().map_err(|_| {
        let cure = "an address with a port, such as 127.0.0.1:7500";
        Failure::new(Exit::Usage, format!("cannot listen on `{text}`")).cure(cure)
    })
}
