//! Private PostgreSQL and MariaDB servers: in temporary directories, on free loopback ports, gone
//! with whoever started them.
//!
//! They sync to disk as in production: what is tested and measured here is durable.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, geteuid};
use tempfile::TempDir;

use crate::{
    Result,
    install::{self, Programs, find_in_path},
    process::{Interrupt, Running, output},
};

/// Most time from the start of a server to its first answer.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often a server is tried whose port was taken between choosing and binding it.
const TRIES: u32 = 3;

/// What to start.
pub struct Options {
    /// How many PostgreSQL servers.
    pub postgres: usize,
    /// How many MariaDB servers.
    pub mariadb: usize,
    /// Connections that each server takes.
    pub connections_max: u32,
    /// Prepared transactions that each PostgreSQL keeps.
    pub prepared_max: u32,
    /// Leave directories and logs behind.
    pub keep: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { postgres: 2, mariadb: 1, connections_max: 300, prepared_max: 2_500, keep: false }
    }
}

/// Running servers; dropping them stops them and removes their directories.
pub struct Servers {
    /// In the order of `HANDFAST_TEST_POSTGRES`.
    pub postgres: Vec<Server>,
    /// In the order of `HANDFAST_TEST_MYSQL`.
    pub mariadb: Vec<Server>,
}

/// One server. The process is dropped, and so stopped, before its directory is.
pub struct Server {
    /// Product and version, as the server itself says.
    pub version: String,
    /// How to reach it.
    pub url: String,
    /// Starts it; it may be started again over the same data.
    command: Command,
    /// The signal that stops it at once.
    stop: Signal,
    /// Asks for its version.
    ask: Command,
    process: Running,
    directory: TempDir,
}

impl Servers {
    /// Installs the servers if they are missing, starts them, and returns when all of them answer.
    ///
    /// Must be called on a thread that lives as long as the servers: they are killed by the kernel
    /// when it ends, so that not even a SIGKILL of ours leaves them behind.
    pub fn start(options: &Options, interrupt: &Interrupt) -> Result<Self> {
        let starter = Starter { programs: install::programs()?, user: User::choose()?, options };
        let postgres = starter.many(options.postgres, Starter::postgres, interrupt)?;
        let mariadb = starter.many(options.mariadb, Starter::mariadb, interrupt)?;
        Ok(Self { postgres, mariadb })
    }

    /// The variables by which tests find them.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let urls = |servers: &[Server]| {
            servers.iter().map(|server| server.url.as_str()).collect::<Vec<_>>().join(",")
        };
        vec![
            ("HANDFAST_TEST_POSTGRES", urls(&self.postgres)),
            ("HANDFAST_TEST_MYSQL", urls(&self.mariadb)),
            ("HANDFAST_TEST_REQUIRED", "1".into()),
        ]
    }

    /// All of them.
    pub fn each(&self) -> impl Iterator<Item = &Server> {
        self.postgres.iter().chain(&self.mariadb)
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        self.postgres.iter_mut().chain(&mut self.mariadb)
    }
}

/// The task `servers`: for developers who run single tests again and again.
pub fn run(keep: bool) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let mut servers = Servers::start(&Options { keep, ..Options::default() }, &interrupt)?;
    for server in servers.each() {
        println!("# {} in {}", server.version, server.directory.path().display());
    }
    for (name, value) in servers.variables() {
        println!("export {name}='{value}'");
    }
    eprintln!("running until Ctrl-C");
    let mut dead = None;
    interrupt.wait_while(|| {
        dead = servers.each_mut().find_map(|server| match server.process.ended() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("{} ended: {status}", server.version)),
            Err(error) => Some(error.to_string()),
        });
        dead.is_none()
    });
    dead.map_or(Ok(()), |dead| Err(dead.into()))
}

/// Who the servers run as: PostgreSQL refuses root.
struct User {
    /// `None` if we are not root: then they run as we do.
    other: Option<(u32, u32)>,
    /// Runs a program as another user, and has the kernel kill it when we die.
    setpriv: Option<PathBuf>,
}

impl User {
    fn choose() -> Result<Self> {
        let setpriv = find_in_path("setpriv");
        if !geteuid().is_root() {
            return Ok(Self { other: None, setpriv });
        }
        if setpriv.is_none() {
            return Err("PostgreSQL refuses to run as root, and `setpriv` is missing".into());
        }
        let id = |flag| -> Result<u32> {
            Ok(output(Command::new("id").args([flag, "nobody"]))?.trim().parse()?)
        };
        Ok(Self { other: Some((id("-u")?, id("-g")?)), setpriv })
    }

    fn command(&self, program: &Path) -> Command {
        let Some(setpriv) = &self.setpriv else { return Command::new(program) };
        let mut command = Command::new(setpriv);
        if let Some((user, group)) = self.other {
            command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
            command.arg("--clear-groups");
        }
        command.args(["--pdeathsig=KILL", "--"]).arg(program);
        command
    }

    /// A directory of its own for a server.
    fn directory(&self, keep: bool) -> Result<TempDir> {
        let directory =
            tempfile::Builder::new().prefix("handfast-").disable_cleanup(keep).tempdir()?;
        if let Some((user, group)) = self.other {
            chown(directory.path(), Some(user), Some(group))?;
        }
        Ok(directory)
    }
}

struct Starter<'a> {
    programs: Programs,
    user: User,
    options: &'a Options,
}

impl Starter<'_> {
    fn many(
        &self,
        count: usize,
        start: fn(&Self) -> Result<Server>,
        interrupt: &Interrupt,
    ) -> Result<Vec<Server>> {
        (0..count).map(|_| interrupt.check().and_then(|()| self.tried(start))).collect()
    }

    fn tried(&self, start: fn(&Self) -> Result<Server>) -> Result<Server> {
        let mut started = start(self);
        for _ in 1..TRIES {
            let Err(error) = &started else { break };
            eprintln!("{error}\ntrying again");
            started = start(self);
        }
        started
    }

    fn postgres(&self) -> Result<Server> {
        let directory = self.user.directory(self.options.keep)?;
        let (path, port) = (directory.path(), free_port()?);
        let data = path.join("data");
        output(
            self.command(&self.programs.initdb, path)
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
                .arg("-D")
                .arg(&data),
        )?;
        let mut command = self.command(&self.programs.postgres, path);
        command.arg("-D").arg(&data).arg("-k").arg(path).args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            "fsync=on".to_owned(),
            format!("max_connections={}", self.options.connections_max),
            format!("max_prepared_transactions={}", self.options.prepared_max),
        ] {
            command.arg("-c").arg(setting);
        }
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let mut ask = Command::new(&self.programs.psql);
        ask.args(["-XAtq", "-c", "SHOW server_version"]).arg(&url);
        // SIGQUIT: at once, without a last checkpoint; nobody needs the data any more.
        let (version, stop) = ("PostgreSQL".into(), Signal::QUIT);
        let process = self.spawn(&mut command, path, stop)?;
        Server { version, url, command, stop, ask, process, directory }.answering()
    }

    fn mariadb(&self) -> Result<Server> {
        let directory = self.user.directory(self.options.keep)?;
        let (path, port) = (directory.path(), free_port()?);
        let data = format!("--datadir={}", path.join("data").display());
        output(self.command(&self.programs.mariadb_install_db, path).args([
            "--no-defaults",
            &data,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ]))?;
        let mut command = self.command(&self.programs.mariadbd, path);
        command.args(["--no-defaults", &data, "--bind-address=127.0.0.1", "--skip-name-resolve"]);
        command.args([
            format!("--port={port}"),
            format!("--socket={}", path.join("socket").display()),
            format!("--pid-file={}", path.join("pid").display()),
            format!("--max-connections={}", self.options.connections_max),
            "--innodb-buffer-pool-size=64M".into(),
            "--innodb-flush-log-at-trx-commit=1".into(),
        ]);
        let mut ask = Command::new(&self.programs.mariadb);
        ask.args(["--no-defaults", "--host=127.0.0.1", &format!("--port={port}"), "--user=root"]);
        ask.args(["-Ne", "CREATE DATABASE IF NOT EXISTS test; SELECT VERSION()"]);
        let (version, stop) = ("MariaDB".into(), Signal::KILL);
        let process = self.spawn(&mut command, path, stop)?;
        let url = format!("mysql://root@127.0.0.1:{port}/test");
        Server { version, url, command, stop, ask, process, directory }.answering()
    }

    /// A program as the servers' user, in the server's directory.
    fn command(&self, program: &Path, directory: &Path) -> Command {
        let mut command = self.user.command(program);
        command.current_dir(directory).env("HOME", directory).env("LC_ALL", "C");
        command
    }

    fn spawn(&self, command: &mut Command, directory: &Path, stop: Signal) -> Result<Running> {
        let log = File::create(directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Running::spawn(command, stop)
    }
}

impl Server {
    /// The number of its process.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// How its process ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Starts a server that has ended again, over what it left on disk, and returns when it
    /// answers. To be called on the thread that started it.
    pub fn restart(&mut self) -> Result<()> {
        self.process = Running::spawn(&mut self.command, self.stop)?;
        self.first_answer().map(drop)
    }

    /// Waits for its first answer, and notes the version.
    fn answering(mut self) -> Result<Self> {
        let version = self.first_answer()?;
        self.version = format!("{} {version}", self.version);
        Ok(self)
    }

    /// Asks until the server itself answers; what it says is its version.
    fn first_answer(&mut self) -> Result<String> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let failed = match output(&mut self.ask) {
                Ok(answer) => {
                    return Ok(answer.split_whitespace().next().unwrap_or_default().into());
                }
                Err(error) => error,
            };
            let ended = self.process.ended()?;
            if ended.is_some() || Instant::now() > until {
                let log = fs::read_to_string(self.directory.path().join("log"));
                let log = log.unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(10).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                let what = ended.map_or("does not answer".into(), |status| status.to_string());
                return Err(format!("{}: {what}; {failed}\n{}", self.url, tail.join("\n")).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
