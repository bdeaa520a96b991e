//! `handfast serve`: settings, and a graceful end.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::{handfast, run};

#[test]
fn a_wrong_setting_is_named_with_the_nearest_known_one() {
    let (code, out, err) = run(&["serve", "--set", "recovery_intervall_ms=5"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("did you mean `recovery_interval_ms`?"), "{err}");
}

#[test]
fn a_port_that_is_taken_exits_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let (code, _, err) = run(&["serve", "--data-dir", data, "--listen", &listen]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(&listen), "{err}");
}

#[test]
fn sigterm_ends_it_well() {
    for kind in ["serve", "shard"] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let args = [kind, "--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
        let mut child = handfast(&args).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let seen = lines.find(|line| line.as_ref().unwrap().contains("listen"));
        assert!(seen.is_some(), "{kind} does not say that it listens");
        // The rest is read, so that it never waits for us.
        let rest = std::thread::spawn(move || lines.map(Result::unwrap).collect::<Vec<_>>());
        let process = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{kind}: {:?}", rest.join().unwrap());
    }
}
