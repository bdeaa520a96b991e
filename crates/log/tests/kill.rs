//! A process that appends is killed with SIGKILL; everything that it acknowledged is there.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use handfast_log::{Log, LogError, Sqlite};

use crate::{
    counter::{self, Effect, Input, to},
    scratch::Scratch,
};

const CHILD_DIR: &str = "HANDFAST_TEST_KILL";

/// In the child: adds 1 to one of three counters, turn by turn, and prints what each was told.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let log = Sqlite::open(dir.as_ref(), Default::default()).unwrap();
    let (mut partition, _) = counter::open(log);
    let mut out = std::io::stdout();
    for turn in 0.. {
        let stream = ["a", "b", "c"][turn % 3];
        let input = if turn % 4 == 0 { Input::Note(1) } else { Input::Add(1) };
        let forced = input == Input::Add(1);
        for (stream, effect) in counter::turn(&mut partition, [to(stream, input)]).unwrap() {
            if let (Effect::Tell(sum), true) = (effect, forced) {
                writeln!(out, "told {stream} {sum}").unwrap();
            }
        }
    }
}

fn start(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn what_was_told_before_a_kill_is_there_after_it() {
    let scratch = Scratch::new();
    let mut told = [0i64; 3];
    for round in 1..=8 {
        let mut child = start(&scratch.dir);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut count = 0;
        while let Some(Ok(line)) = lines.next() {
            let words: Vec<_> = line.split(' ').collect();
            if let ["told", stream, sum] = words[..] {
                told[["a", "b", "c"].iter().position(|s| *s == stream).unwrap()] =
                    sum.parse().unwrap();
                count += 1;
            }
            // At another moment of its turn each time, since it does not wait for us.
            if count == 40 * round {
                assert!(matches!(
                    Sqlite::open(&scratch.dir, Default::default()),
                    Err(LogError::Owned { .. })
                ));
                child.kill().unwrap();
            }
        }
        assert!(count >= 40 * round, "it ended by itself after {count}");
        child.wait().unwrap();

        let (mut partition, _) = counter::open(scratch.open().unwrap());
        for (stream, told) in ["a", "b", "c"].into_iter().zip(&mut told) {
            let there = counter::sum(&mut partition, stream).unwrap();
            assert!(there >= *told, "{stream}: told {told}, there is {there}");
            *told = there;
        }
        let all = told.iter().sum::<i64>();
        assert_eq!(partition.log().last_position(), u64::try_from(all).unwrap(), "none twice");
        assert_eq!(partition.log().epoch(), 2 * u32::try_from(round).unwrap());
    }
}
