//! `handfast shard`: Handfast's own key-value participant.

use std::net::SocketAddr;

use handfast_server::{
    config::Config,
    logging,
    shard::{self, ShardConfig},
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
    let config = ShardConfig {
        data_dir: args.data_dir,
        listen: address(&args.listen)?,
        coordinator: args.coordinator,
        token: args.token_file.as_deref().map(token).transpose()?,
        coordinator_token: args.coordinator_token_file.as_deref().map(token).transpose()?,
    };
    let ended = shard::serve(config, super::stop_signal()?).await;
    ended.map(|()| Exit::Ok).map_err(|e| Failure::new(Exit::No, format!("failed to serve: {e}")))
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    let with_number = text.replacen("localhost:", "127.0.0.1:", 1);
    with_number.parse().map_err(|_| {
        let cure = "an address with a port, such as 127.0.0.1:7500";
        Failure::new(Exit::Usage, format!("cannot listen on `{text}`")).cure(cure)
    })
}
