//! The node and the services, in a directory of their own.

use std::{ffi::OsString, fmt::Write as _, path::Path, time::Duration};

use handfast_server::config::Config;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    Options, Process, Role, ServiceArgs, fresh_name,
    process::{free_ports, wait_until_ready},
};

const STARTS: usize = 5;
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Most services of an example.
const ROLES_MAX: usize = 4;

/// What is started.
pub struct Setup {
    /// What callers ask for, such as `orders`.
    pub what: &'static str,
    /// The services, at most four.
    pub roles: &'static [Role],
    /// Other resources, by name and address, which may hold a password.
    pub resources: Vec<(&'static str, String)>,
}

/// The words with which this very program is a node, or a service.
pub struct Words {
    /// Before the file with the node's settings.
    pub node: &'static [&'static str],
    /// Before those of [`ServiceArgs`].
    pub service: &'static [&'static str],
}

/// The node and the services.
pub struct World {
    /// Declared first, so that what runs is gone when the directory is removed.
    running: Running,
    url: String,
    directory: TempDir,
}

enum Running {
    /// The node, then the services.
    Apart(Vec<Process>),
    Together(JoinSet<()>),
}

impl World {
    /// Starts them, and waits until they are ready.
    pub async fn start(setup: &Setup, words: &Words, options: &Options) -> Result<Self, String> {
        let mut why = String::new();
        for _ in 0..STARTS {
            // Somebody may take a port between our look and the start: then look again.
            match Self::start_once(setup, words, options).await {
                Err(e) if e.contains("in use") => why = e,
                started => return started,
            }
        }
        Err(why)
    }

    async fn start_once(setup: &Setup, words: &Words, options: &Options) -> Result<Self, String> {
        let prefix = format!("handfast-{}-", setup.what);
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir();
        let directory = directory.map_err(|e| format!("failed to make a directory: {e}"))?;
        let path = directory.path();
        let [port, ports @ ..] = free_ports::<{ ROLES_MAX + 1 }>()?;
        let config = path.join("node.toml");
        std::fs::write(&config, settings(setup, path, port, ports))
            .map_err(|e| format!("failed to write settings: {e}"))?;
        let url = format!("http://127.0.0.1:{port}");
        let services = setup.roles.iter().zip(ports).map(|(role, port)| ServiceArgs {
            role: role.name.into(),
            listen: format!("127.0.0.1:{port}"),
            data: path.join(role.name).with_extension("db"),
            flaky: options.flaky,
            slow: options.slow,
        });
        let running = match options.together {
            true => together(&config, services, setup.roles, &url).await?,
            false => apart(words, &config, services, path, &url).await?,
        };
        Ok(Self { running, url, directory })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The node and the services, if they are processes of their own.
    pub fn processes(&mut self) -> &mut [Process] {
        match &mut self.running {
            Running::Apart(processes) => processes,
            Running::Together(_) => &mut [],
        }
    }

    /// Stops and removes everything, or says what is kept where.
    pub async fn end(mut self, keep: bool) -> Option<String> {
        match &mut self.running {
            Running::Apart(processes) => {
                for process in processes {
                    process.kill().await;
                }
            }
            Running::Together(tasks) => tasks.shutdown().await,
        }
        if keep {
            // The directory stays, and this file may hold passwords.
            let _ = std::fs::remove_file(self.directory().join("node.toml"));
        }
        keep.then(|| format!("kept: {}", self.directory.keep().display()))
    }
}

/// The node's settings: each service is a resource.
fn settings(setup: &Setup, directory: &Path, port: u16, ports: [u16; ROLES_MAX]) -> String {
    // What Rust writes as a string, TOML reads as the same string.
    let (data, cluster) = (directory.join("node"), fresh_name());
    let mut text =
        format!("data_dir = {data:?}\nlisten = \"127.0.0.1:{port}\"\ncluster = \"{cluster}\"\n");
    let service =
        |(role, port): (&Role, u16)| (role.name, format!("service+http://127.0.0.1:{port}"));
    let services = setup.roles.iter().zip(ports).map(service);
    for (name, url) in services.chain(setup.resources.iter().cloned()) {
        let _ = write!(text, "\n[resources.{name}]\nurl = {url:?}\n");
    }
    text
}

async fn together(
    config: &Path,
    services: impl Iterator<Item = ServiceArgs>,
    roles: &'static [Role],
    url: &str,
) -> Result<Running, String> {
    let mut tasks = JoinSet::new();
    for service in services {
        let url = format!("http://{}", service.listen);
        tasks.spawn(say(service.serve(roles)));
        // Before the node looks for it, and finds that it is down.
        wait_until_ready(&url, READY_WITHIN).await?;
    }
    let config = Config::load(Some(config), std::iter::empty(), &[]).map_err(|e| e.to_string())?;
    let node = handfast_server::serve(config, std::future::pending());
    tasks.spawn(say(async { node.await.map_err(|e| e.to_string()) }));
    wait_until_ready(url, READY_WITHIN).await?;
    Ok(Running::Together(tasks))
}

/// What ends by itself has something to say.
async fn say(ends: impl Future<Output = Result<(), String>>) {
    if let Err(why) = ends.await {
        eprintln!("error: {why}");
    }
}

async fn apart(
    words: &Words,
    config: &Path,
    services: impl Iterator<Item = ServiceArgs>,
    directory: &Path,
    url: &str,
) -> Result<Running, String> {
    let mut args: Vec<OsString> = words.node.iter().map(Into::into).collect();
    args.push(config.into());
    let (name, log) = ("the node".into(), directory.join("node.log"));
    let node = Process { name, args, url: url.into(), log, child: None };
    let services = services.map(|service| process(words, service, directory));
    let mut processes: Vec<Process> = std::iter::once(node).chain(services).collect();
    for process in processes.iter_mut().rev() {
        process.start().await?;
    }
    Ok(Running::Apart(processes))
}

fn process(words: &Words, service: ServiceArgs, directory: &Path) -> Process {
    let ServiceArgs { role, listen, data, flaky, slow } = service;
    let url = format!("http://{listen}");
    let mut args: Vec<OsString> = words.service.iter().map(Into::into).collect();
    args.push(role.clone().into());
    let mut flag = |flag: &str, value: OsString| args.extend([flag.into(), value]);
    flag("--listen", listen.into());
    flag("--data", data.into());
    flag("--flaky", flaky.to_string().into());
    flag("--slow", slow.to_string().into());
    let log = directory.join(&role).with_extension("log");
    Process { name: role, args, url, log, child: None }
}
