//! `handfast serve`: a node.

use handfast_server::config::Config;

use crate::{
    args::Serve,
    exit::{Exit, Failure},
};

pub async fn run(args: Serve) -> Result<Exit, Failure> {
    let mut flags = Vec::new();
    if let Some(directory) = args.data_dir {
        flags.push(("data_dir".into(), directory.to_string_lossy().into_owned()));
    }
    if let Some(listen) = args.listen {
        flags.push(("listen".into(), listen));
    }
    for resource in args.resource {
        let (name, url) = resource.parts("--resource")?;
        flags.push((format!("resources.{name}.url"), url));
    }
    for setting in args.set {
        flags.push(setting.parts("--set")?);
    }
    let config = Config::load(args.config.as_deref(), super::settings(), &flags)
        .map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
    handfast_server::logging::start(&config);
    let stop = super::stop_signal()?;
    let ended = handfast_server::serve(config, stop).await;
    ended.map(|()| Exit::Ok).map_err(|e| Failure::new(Exit::No, format!("failed to serve: {e}")))
}
