//! The processes and banks of one demo, in a directory of their own.

use std::{ffi::OsString, fmt::Write as _, path::Path, sync::Arc};

use handfast_client::{Handfast, Shard, wire::FindingLevel};
use handfast_example_kit::{Process, Screen, fresh_name, process::free_ports};
use tempfile::TempDir;

use super::bank::{Bank, ShardBank};

const STARTS: usize = 5;
/// What the first of two nodes is called.
pub const FIRST_NODE: &str = "the first node";

pub struct World {
    /// Declared first, so that the processes are gone when the directory is removed. One or two;
    /// the last one is there to the end.
    pub nodes: Vec<Process>,
    /// What the ids of the first node's branches start with.
    pub first_branches: String,
    /// The banks' processes; none for databases, which are not ours to start.
    pub shards: Vec<Process>,
    pub banks: Arc<[Bank; 2]>,
    directory: TempDir,
}

/// The names under which the demo keeps its things in a database.
#[derive(Clone)]
pub struct Own {
    /// The schema, or what tables start with.
    pub name: String,
    /// What the ids of the node's branches start with.
    pub branches: String,
}

impl World {
    /// A node over the resources or over two banks of its own.
    pub async fn start(resources: &[(String, String)], screen: &Screen) -> Result<Self, String> {
        Self::start_nodes(1, resources, screen).await
    }

    /// Two nodes over two banks of their own.
    pub async fn start_two(screen: &Screen) -> Result<Self, String> {
        Self::start_nodes(2, &[], screen).await
    }

    async fn start_nodes(
        nodes: usize,
        resources: &[(String, String)],
        screen: &Screen,
    ) -> Result<Self, String> {
        let mut why = String::new();
        for _ in 0..STARTS {
            // Somebody may take a port between our look and the start: then look again.
            match Self::start_once(nodes, resources, screen).await {
                Err(e) if e.contains("in use") => why = e,
                started => return started,
            }
        }
        Err(why)
    }

    async fn start_once(
        nodes: usize,
        resources: &[(String, String)],
        screen: &Screen,
    ) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("handfast-demo-").tempdir();
        let directory = directory.map_err(|e| format!("failed to make a directory: {e}"))?;
        let path = directory.path();
        let [port_a, port_b, of_nodes @ ..] = free_ports::<4>()?;
        let names: &[_] = if nodes == 1 { &["the node"] } else { &[FIRST_NODE, "the second node"] };
        let nodes = names.iter().zip(of_nodes);
        let nodes: Vec<NodeAt> =
            nodes.map(|(name, port)| NodeAt { name, port, cluster: fresh_name() }).collect();
        let (shards, banks) = match resources {
            [first, second] => {
                let cluster = &nodes[0].cluster;
                (Vec::new(), [database(0, first, cluster), database(1, second, cluster)])
            }
            _ => {
                let a = shard(("bank-a", port_a), ("bank-b", port_b), &nodes, path);
                let b = shard(("bank-b", port_b), ("bank-a", port_a), &nodes, path);
                let banks = [shard_bank(&a)?, shard_bank(&b)?];
                (vec![a, b], banks)
            }
        };
        let first_branches = format!("hf1_{}_", nodes[0].cluster);
        let nodes = nodes.iter().map(|at| node(at, path, &banks)).collect::<Result<_, _>>()?;
        let mut world = Self { nodes, first_branches, shards, banks: Arc::new(banks), directory };
        match world.open(screen).await {
            Ok(()) => Ok(world),
            Err(why) => {
                world.end(false).await;
                Err(why)
            }
        }
    }

    async fn open(&mut self, screen: &Screen) -> Result<(), String> {
        for shard in &mut self.shards {
            shard.start().await?;
        }
        for bank in self.banks.iter() {
            bank.open().await?;
        }
        for node in &mut self.nodes {
            node.start().await?;
        }
        for node in &self.nodes {
            for bank in self.banks.iter() {
                Self::check(node, bank, screen).await?;
            }
        }
        let nodes = if self.nodes.len() == 1 { "a node" } else { "two nodes" };
        let names = [self.banks[0].name(), self.banks[1].name()];
        screen.say(&format!("{nodes} and two banks, {} and {}, are running", names[0], names[1]));
        Ok(())
    }

    async fn check(node: &Process, bank: &Bank, screen: &Screen) -> Result<(), String> {
        let hf = Handfast::builder(&node.url).build().map_err(|e| e.to_string())?;
        let findings = hf.check(bank.name()).await.map_err(|e| e.to_string())?;
        let mut missing = String::new();
        for finding in findings {
            let line = format!("{}: {}", bank.name(), finding.message);
            match finding.level {
                FindingLevel::Ok => {}
                FindingLevel::Warning => screen.say(&line),
                FindingLevel::Error => {
                    let _ = write!(missing, "\n  {line}\n    mend: {}", finding.cure);
                }
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(format!("a resource cannot take part:{missing}")),
        }
    }

    /// Stops and removes everything, or says what is kept where.
    pub async fn end(mut self, keep: bool) -> Option<String> {
        for process in self.nodes.iter_mut().chain(&mut self.shards) {
            process.kill().await;
        }
        let mut said = Vec::new();
        if !keep {
            for bank in self.banks.iter() {
                said.extend(bank.remove().await.err());
            }
        } else if self.shards.is_empty() {
            // The directory stays, and this file may hold passwords.
            for node in &self.nodes {
                let _ = std::fs::remove_file(node.log.with_extension("toml"));
            }
            for bank in self.banks.iter() {
                let own = bank.own().map(|own| &own.name);
                said.extend(own.map(|own| format!("kept in {}: {own}", bank.name())));
            }
        }
        if keep {
            said.push(format!("kept: {}", self.directory.keep().display()));
        }
        (!said.is_empty()).then(|| said.join("\n"))
    }
}

/// Where a node will be.
struct NodeAt {
    name: &'static str,
    port: u16,
    cluster: String,
}

impl NodeAt {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn node(at: &NodeAt, directory: &Path, banks: &[Bank; 2]) -> Result<Process, String> {
    let file = at.name.replace(' ', "-");
    let config = directory.join(format!("{file}.toml"));
    std::fs::write(&config, settings(&directory.join(&file), at, banks))
        .map_err(|e| format!("failed to write settings: {e}"))?;
    Ok(Process {
        name: at.name.into(),
        args: ["serve".into(), "--config".into(), config.into()].into(),
        url: at.url(),
        log: directory.join(format!("{file}.log")),
        child: None,
    })
}

fn shard(
    (name, port): (&str, u16),
    (peer, peer_port): (&str, u16),
    nodes: &[NodeAt],
    directory: &Path,
) -> Process {
    let listen = format!("127.0.0.1:{port}");
    let mut args: Vec<OsString> = vec!["shard".into()];
    let mut flag = |flag: &str, value: OsString| args.extend([flag.into(), value]);
    flag("--data-dir", directory.join(name).into());
    flag("--listen", listen.clone().into());
    flag("--name", name.into());
    flag("--peer", format!("{peer}=http://127.0.0.1:{peer_port}").into());
    for node in nodes {
        flag("--coordinator", format!("{}={}", node.cluster, node.url()).into());
    }
    Process {
        name: name.into(),
        args,
        url: format!("http://{listen}"),
        log: directory.join(format!("{name}.log")),
        child: None,
    }
}

fn shard_bank(process: &Process) -> Result<Bank, String> {
    let shard = Shard::builder(&process.url).build_shard().map_err(|e| e.to_string())?;
    let (name, url) = (process.name.clone(), process.url.clone());
    Ok(Bank::Shard(ShardBank { name, url, shard }))
}

fn database(number: usize, (name, url): &(String, String), cluster: &str) -> Bank {
    let own = Own {
        // Both banks may be in one database.
        name: format!("handfast_{}_{number}", cluster.replace('-', "_")),
        branches: format!("hf1_{cluster}_"),
    };
    Bank::database(name.clone(), url.clone(), own)
}

/// The node's settings. A file and not flags, because everybody can see a process's flags.
fn settings(data: &Path, at: &NodeAt, banks: &[Bank; 2]) -> String {
    let data = quoted(&data.to_string_lossy());
    let (port, cluster) = (at.port, quoted(&at.cluster));
    let mut text = format!(
        "data_dir = {data}\nlisten = \"127.0.0.1:{port}\"\ncluster = {cluster}\n\
         recovery_interval_ms = 1000\n"
    );
    for bank in banks {
        let (name, url) = (quoted(bank.name()), quoted(bank.url()));
        let _ = write!(text, "\n[resources.{name}]\nurl = {url}\nlock_timeout_ms = 1000\n");
        if let Bank::Mysql(bank) = bank {
            let _ = writeln!(text, "marker_table = {}", quoted(&bank.marker_table()));
        }
    }
    text
}

/// What JSON writes as a string, TOML reads as the same string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
