//! The turn: what leaves when, what a crash forgets, who stays in memory.

use std::collections::BTreeMap;

use handfast_core::machine::{Machine, Output, Summary};
use handfast_log::{
    Addressed, Log, LogError, Memory, Partition,
    partition::{AWAKE_MAX, NOTES_MAX, SNAPSHOT_RECORDS_MIN},
};

use crate::counter::{Counter, Effect, Faulty, Input, Record, Saved, open, sum, to, turn};

/// The log as a crash leaves it.
fn crash(partition: &mut Partition<Counter, Memory>) -> Memory {
    let mut log = partition.log().clone();
    log.crash(true);
    log
}

#[test]
fn nothing_is_durable_before_commit() {
    let (mut partition, _) = open(Memory::default());
    let staged = partition.stage([to("a", Input::Add(1))]).unwrap();
    assert!(staged.is_forced() && !staged.is_empty());
    assert_eq!(crash(&mut partition), Memory::default());
    // The effects can be had from commit alone, so none has left.
    let effects = partition.commit(staged, 1_000).unwrap();
    assert_eq!(effects, [("a".into(), Effect::Tell(1))]);
    assert_eq!(crash(&mut partition).read("a").unwrap().len(), 1);
}

#[test]
fn a_step_sees_what_the_same_turn_has_promised() {
    let (mut partition, _) = open(Memory::default());
    let inputs = [1, 2, 4].map(|by| to("a", Input::Add(by)));
    let effects = turn(&mut partition, inputs).unwrap();
    let told: Vec<_> = effects.into_iter().map(|(_, effect)| effect).collect();
    assert_eq!(told, [1, 3, 7].map(Effect::Tell));
    assert_eq!(partition.log().last_position(), 3);
}

#[test]
fn effects_wait_also_for_the_forced_records_of_an_earlier_turn() {
    let (mut partition, _) = open(Memory::default());
    let first = partition.stage([to("a", Input::Add(1))]).unwrap();
    let second = partition.stage([to("a", Input::Ask)]).unwrap();
    assert!(!second.is_forced());
    let effects = partition.commit(second, 1_000).unwrap();
    assert_eq!(effects, [("a".into(), Effect::Tell(1))]);
    assert_eq!(sum(&mut open(crash(&mut partition)).0, "a"), Some(1), "it told what is durable");
    assert_eq!(partition.commit(first, 1_000).unwrap().len(), 1);
    assert_eq!(partition.log().last_position(), 1, "and it is written once");
}

#[test]
fn what_leaves_ahead_waits_for_nothing_but_what_was_recorded_before() {
    let (mut partition, _) = open(Memory::default());
    let hello = |stream: &str| (stream.into(), Effect::Hello);
    let tell = |stream: &str, sum| (stream.into(), Effect::Tell(sum));
    // Of `b` and `c` something is not in the log that came before, a note or a promise.
    turn(&mut partition, [to("b", Input::Note(1))]).unwrap();
    let inputs = [("a", 1), ("b", 1), ("c", 1), ("c", 1)];
    let mut staged = partition.stage(inputs.map(|(to_, by)| to(to_, Input::Greet(by)))).unwrap();
    assert_eq!(staged.take_ahead(), [hello("a"), hello("c")]);
    assert_eq!(crash(&mut partition), Memory::default(), "nothing is durable yet");
    let effects = partition.commit(staged, 1_000).unwrap();
    let rest = [tell("a", 1), tell("b", 2), hello("b"), tell("c", 1), tell("c", 2), hello("c")];
    assert_eq!(effects, rest);
    // Who does not take it gets it all the same.
    let effects = turn(&mut partition, [to("a", Input::Greet(1))]).unwrap();
    assert_eq!(effects, [hello("a"), tell("a", 2)]);
}

#[test]
fn notes_ride_with_the_next_forced_record() {
    let (mut partition, _) = open(Memory::default());
    let effects = turn(&mut partition, [to("a", Input::Note(1)), to("b", Input::Note(2))]).unwrap();
    assert_eq!(effects.len(), 2, "their effects do not wait");
    assert!(partition.has_notes());
    assert_eq!(crash(&mut partition), Memory::default(), "a crash forgets them");
    turn(&mut partition, [to("c", Input::Add(3))]).unwrap();
    assert!(!partition.has_notes());
    let (mut after, _) = open(crash(&mut partition));
    assert_eq!(["a", "b", "c"].map(|s| sum(&mut after, s)), [Some(1), Some(2), Some(3)]);
}

#[test]
fn notes_are_written_by_flush_by_close_and_when_they_are_many() {
    let (mut partition, _) = open(Memory::default());
    turn(&mut partition, [to("a", Input::Note(1))]).unwrap();
    partition.flush(1_000).unwrap();
    partition.retire();
    assert!(!partition.has_notes());
    assert_eq!(sum(&mut open(crash(&mut partition)).0, "a"), Some(1));

    turn(&mut partition, (0..NOTES_MAX).map(|_| to("b", Input::Note(1)))).unwrap();
    assert!(partition.has_notes());
    turn(&mut partition, [to("b", Input::Note(1))]).unwrap();
    assert!(!partition.has_notes(), "they are bounded");

    let log = std::rc::Rc::new(std::cell::RefCell::new(Memory::default()));
    let (mut partition, _) = open(Shared(log.clone()));
    turn(&mut partition, [to("a", Input::Note(5))]).unwrap();
    partition.close(1_000).unwrap();
    assert_eq!(sum(&mut open(log.borrow().clone()).0, "a"), Some(5));
}

#[test]
fn finished_machines_leave_memory_only_when_the_log_gives_them_back_unchanged() {
    let (mut partition, _) = open(Memory::default());
    let in_memory =
        |p: &Partition<Counter, Memory>| p.machines().map(|m| m.0.to_string()).collect::<Vec<_>>();
    turn(&mut partition, [to("even", Input::Add(2)), to("odd", Input::Add(1))]).unwrap();
    assert_eq!(in_memory(&partition), ["odd"], "closed and idle has left, open stays");
    assert_eq!(sum(&mut partition, "even"), Some(2), "and can be looked at");

    turn(&mut partition, [to("even", Input::Note(2))]).unwrap();
    assert_eq!(in_memory(&partition), ["even", "odd"], "its note is not written");
    let told = turn(&mut partition, [to("even", Input::Ask)]).unwrap();
    assert_eq!(told, [("even".into(), Effect::Tell(4))], "so it is never read back older");
    partition.flush(1_000).unwrap();
    partition.retire();
    assert_eq!(in_memory(&partition), ["odd"]);

    turn(&mut partition, [to("even", Input::Wait(true))]).unwrap();
    assert_eq!(in_memory(&partition), ["even", "odd"], "someone waits");
    turn(&mut partition, [to("even", Input::Wait(false)), to("nobody", Input::Ask)]).unwrap();
    assert_eq!(in_memory(&partition), ["odd"], "strangers leave nothing behind");
    assert_eq!(sum(&mut partition, "nobody"), None);
}

#[test]
fn start_up_brings_back_the_open_machines_alone() {
    let (mut partition, _) = open(Memory::default());
    turn(&mut partition, [("a", 1), ("b", 2), ("c", 3)].map(|(s, by)| to(s, Input::Add(by))))
        .unwrap();
    let (partition, effects) = open(crash(&mut partition));
    assert_eq!(effects, [("a", 1), ("c", 3)].map(|(s, sum)| (s.into(), Effect::Restarted(sum))));
    assert_eq!(partition.machines().count(), 2);
}

#[test]
fn a_machine_read_back_on_demand_is_restarted_like_after_a_crash() {
    let (mut partition, _) = open(Memory::default());
    turn(&mut partition, [to("a", Input::Add(2))]).unwrap();
    let effects = turn(&mut partition, [to("a", Input::Ask), to("a", Input::Ask)]).unwrap();
    let told: Vec<_> = effects.into_iter().map(|(_, effect)| effect).collect();
    assert_eq!(told, [Effect::Restarted(2), Effect::Tell(2), Effect::Tell(2)]);
    let fresh = Addressed { fresh: true, ..to("b", Input::Add(2)) };
    assert_eq!(turn(&mut partition, [fresh]).unwrap(), [("b".into(), Effect::Tell(2))]);
}

/// A partition of one more open machine than stay awake; returns the name of the one that sleeps.
fn one_asleep<L: Log>(partition: &mut Partition<Counter, L>) -> String {
    let name = |at: usize| format!("odd-{at}");
    let all = 0..=AWAKE_MAX;
    let waiting = all.flat_map(|at| [Input::Add(1), Input::Wait(true)].map(|it| to(&name(at), it)));
    turn(partition, waiting.collect::<Vec<_>>()).unwrap();
    let awake = partition.machines().count();
    assert_eq!(awake, AWAKE_MAX);
    (0..=AWAKE_MAX).map(name).find(|name| partition.machine(name).is_none()).unwrap()
}

#[test]
fn a_machine_that_sleeps_wakes_as_it_was_and_is_not_restarted() {
    let (mut partition, _) = open(Memory::default());
    let sleeper = one_asleep(&mut partition);
    let as_it_was = (Saved { sum: 1, additions: 1 }, true);
    assert_eq!(partition.look(&sleeper).unwrap(), Some(as_it_was), "it can be looked at");
    assert_eq!(partition.machines().count(), AWAKE_MAX, "which does not wake it");

    let told = turn(&mut partition, [to(&sleeper, Input::Ask)]).unwrap();
    assert_eq!(told, [(sleeper.as_str().into(), Effect::Tell(1))], "no Restarted");
    assert_eq!(partition.machines().count(), AWAKE_MAX, "it sleeps again");

    turn(&mut partition, [to(&sleeper, Input::Note(4)), to(&sleeper, Input::Wait(false))]).unwrap();
    assert!(partition.machine(&sleeper).is_some(), "the log would not give back its note");
    partition.flush(1_000).unwrap();
    partition.retire();
    assert!(partition.machine(&sleeper).is_none());
    let as_it_is = (Saved { sum: 5, additions: 2 }, false);
    assert_eq!(partition.look(&sleeper).unwrap(), Some(as_it_is));

    turn(&mut partition, [to(&sleeper, Input::Add(1))]).unwrap();
    let told = turn(&mut partition, [to(&sleeper, Input::Ask)]).unwrap();
    let restarted = [Effect::Restarted(6), Effect::Tell(6)];
    assert!(told.into_iter().map(|(_, effect)| effect).eq(restarted), "closed, it has left");

    let (after, effects) = open(crash(&mut partition));
    assert_eq!(effects.len(), AWAKE_MAX, "a start brings all open ones back, as ever");
    assert_eq!(after.machines().count(), AWAKE_MAX);
}

#[test]
fn one_that_cannot_be_woken_sleeps_on_and_its_input_is_refused() {
    let (mut partition, _) = open(Faulty::default());
    let sleeper = one_asleep(&mut partition);
    let (whole, input) = (partition.log().inner.clone(), || to(&sleeper, Input::Ask));
    partition.log().inner = Memory::default();
    let mut staged = partition.stage([input(), to("other", Input::Add(2))]).unwrap();
    let refused = staged.take_refused();
    assert_eq!((refused.len(), &*refused[0].input.stream), (1, sleeper.as_str()));
    assert_eq!(partition.commit(staged, 1_000).unwrap(), [("other".into(), Effect::Tell(2))]);
    partition.log().inner = whole;
    let told = turn(&mut partition, [input()]).unwrap();
    assert_eq!(told, [(sleeper.as_str().into(), Effect::Tell(1))]);
    assert!(partition.look(&sleeper).unwrap().unwrap().1, "someone waits, as before");
}

#[test]
fn a_failed_append_releases_nothing_and_ends_the_partition() {
    for fails_late in [false, true] {
        let log = Faulty { fails_after: Some(1), fails_late, ..Faulty::default() };
        let (mut partition, _) = open(log);
        turn(&mut partition, [to("a", Input::Add(1))]).unwrap();
        let failed = turn(&mut partition, [to("a", Input::Add(2))]);
        assert!(matches!(failed, Err(LogError::Full { .. })));
        assert!(matches!(partition.stage([to("a", Input::Ask)]), Err(LogError::Broken)));
        assert!(matches!(partition.flush(1), Err(LogError::Broken)));
        assert!(matches!(partition.look("a"), Err(LogError::Broken)));
        assert_eq!(partition.log().appends, 2, "it is not tried again");

        // Only the log knows, and reading it back is sound either way.
        let mut after = open(std::mem::take(&mut partition.log().inner)).0;
        assert_eq!(sum(&mut after, "a"), Some(if fails_late { 3 } else { 1 }));
        assert!(matches!(partition.close(1), Err(LogError::Broken)));
    }
}

#[test]
fn a_turn_staged_before_the_log_failed_stays_sealed() {
    let (mut partition, _) = open(Faulty { fails_after: Some(0), ..Faulty::default() });
    let first = partition.stage([to("a", Input::Add(1))]).unwrap();
    let second = partition.stage([to("a", Input::Ask)]).unwrap();
    assert!(partition.commit(first, 1).is_err());
    assert!(matches!(partition.commit(second, 1), Err(LogError::Broken)));
}

#[test]
fn a_log_that_cannot_be_read_takes_no_input_of_the_turn() {
    let (mut partition, _) = open(Faulty { unreadable: Some("bad"), ..Faulty::default() });
    let inputs = || ["good", "bad"].map(|s| to(s, Input::Add(2)));
    assert!(matches!(turn(&mut partition, inputs()), Err(LogError::Io { .. })));
    assert!(!partition.has_notes());
    assert_eq!(sum(&mut partition, "good"), None, "nor the others'");
    turn(&mut partition, [to("good", Input::Add(2))]).unwrap();
    assert_eq!(sum(&mut partition, "good"), Some(2), "and the partition goes on");
}

#[test]
fn long_streams_fold_from_a_snapshot() {
    let (mut partition, _) = open(Memory::default());
    let turns = SNAPSHOT_RECORDS_MIN / 100 + 3;
    for _ in 0..turns {
        turn(&mut partition, (0..100).map(|_| to("a", Input::Add(1)))).unwrap();
    }
    // One more, so that the machine is open and comes back at the start.
    turn(&mut partition, [to("a", Input::Add(1))]).unwrap();
    let mut log = crash(&mut partition);
    let entries = log.read("a").unwrap();
    assert!(entries.len() < 1_000, "{} records are read", entries.len());
    assert!(entries[0].body.contains("Counted"), "{}", entries[0].body);
    let (after, _) = open(log);
    let all = i64::try_from(turns * 100 + 1).unwrap();
    let (_, saved, _) = after.machines().next().unwrap();
    assert_eq!(*saved, Saved { sum: all, additions: turns * 100 + 1 });
}

/// Schedules of turns and crashes, from a seed. The property: after a crash every sum that was
/// told durably is there, and what is in memory is what the log folds to.
fn told_is_durable<M>(new_log: fn() -> Faulty, seed: u64) -> Result<(), String>
where
    M: Machine<Saved = Saved, Live = bool, Input = Input, Record = Record, Effect = Effect>,
{
    let mut random = Random(seed);
    let (mut partition, _) = Partition::<M, Faulty>::open(new_log()).unwrap();
    let mut promised = BTreeMap::<&str, i64>::new();
    for _ in 0..60 {
        let stream = ["a", "b", "c"][random.below(3)];
        let by = i64::try_from(random.below(4)).unwrap();
        let (input, forced) = match random.below(3) {
            0 => (Input::Note(by), false),
            1 => (Input::Add(by), true),
            _ => (Input::Ask, false),
        };
        let staged =
            partition.stage([Addressed { stream: stream.into(), input, fresh: false }]).unwrap();
        for (_, effect) in partition.commit(staged, 1).unwrap() {
            if let (Effect::Tell(sum), true) = (effect, forced) {
                promised.insert(stream, sum);
            }
        }
        if random.below(5) == 0 {
            let mut log = std::mem::take(&mut partition.log().inner);
            log.crash(true);
            let forgets = partition.log().forgets;
            let faulty = Faulty { inner: log, forgets, ..Faulty::default() };
            partition = Partition::open(faulty).unwrap().0;
            for (stream, sum) in &promised {
                let found = partition.look(stream).unwrap().map_or(0, |(saved, _)| saved.sum);
                if found < *sum {
                    return Err(format!("seed {seed}: {stream} told {sum}, the log says {found}"));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn what_was_told_survives_every_crash_and_known_wrong_variants_are_caught() {
    let seeds = 0..200;
    for seed in seeds.clone() {
        told_is_durable::<Counter>(Faulty::default, seed).unwrap();
    }
    let forgetful = || Faulty { forgets: true, ..Faulty::default() };
    assert!(seeds.clone().any(|seed| told_is_durable::<Counter>(forgetful, seed).is_err()));
    assert!(seeds.clone().any(|seed| told_is_durable::<Careless>(Faulty::default, seed).is_err()));
}

/// Wrong: it tells what it has only noted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Careless;

impl Machine for Careless {
    type Saved = Saved;
    type Live = bool;
    type Asleep = bool;
    type Input = Input;
    type Record = Record;
    type Effect = Effect;

    fn step(saved: &Saved, _: &mut bool, input: Input, out: &mut Output<Self>) {
        if let Input::Add(by) | Input::Note(by) = input {
            out.note(Record::Added { by });
            out.effect(Effect::Tell(saved.sum + by));
        }
    }
    fn apply(saved: &mut Saved, record: &Record) {
        Counter::apply(saved, record);
    }
    fn restart(_: &Saved, _: &mut bool, _: &mut Output<Self>) {}
    fn is_open(saved: &Saved) -> bool {
        Counter::is_open(saved)
    }
    fn is_idle(live: &bool) -> bool {
        Counter::is_idle(live)
    }
    fn sleep(_: &Saved, _: &bool) -> Option<bool> {
        None
    }
    fn wake(_: &Saved, asleep: bool) -> bool {
        asleep
    }
    fn summary(saved: &Saved) -> Summary {
        Counter::summary(saved)
    }
    fn snapshot(_: &Saved) -> Option<Record> {
        None
    }
}

/// A log that can be looked at after the partition has closed it.
struct Shared(std::rc::Rc<std::cell::RefCell<Memory>>);

impl Log for Shared {
    fn append(&mut self, batch: &handfast_log::Batch, now_ms: u64) -> Result<u64, LogError> {
        self.0.borrow_mut().append(batch, now_ms)
    }
    fn read(&mut self, stream: &str) -> Result<Vec<handfast_log::Entry>, LogError> {
        self.0.borrow_mut().read(stream)
    }
    fn open_streams(&mut self) -> Result<Vec<std::sync::Arc<str>>, LogError> {
        self.0.borrow_mut().open_streams()
    }
    fn last_position(&self) -> u64 {
        self.0.borrow().last_position()
    }
    fn prune(&mut self, cutoff_ms: u64, limit: usize) -> Result<usize, LogError> {
        self.0.borrow_mut().prune(cutoff_ms, limit)
    }
    fn close(self) -> Result<(), LogError> {
        Ok(())
    }
}

struct Random(u64);

impl Random {
    /// SplitMix64: small, and the same everywhere.
    fn below(&mut self, bound: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound).unwrap()
    }
}

/// A finished stream is damaged. Whoever names it is refused; everybody else is served.
#[test]
fn a_damaged_stream_refuses_its_own_inputs_only() {
    let mut log = Memory::default();
    log.append(&crate::counter::batch("bad", &["nonsense"], false), 1).unwrap();
    let (mut partition, _) = open(log);
    for told in [[1, 2], [3, 4]] {
        let inputs = [
            to("good", Input::Add(1)),
            to("bad", Input::Add(1)),
            to("good", Input::Add(1)),
            to("bad", Input::Ask),
        ];
        let mut staged = partition.stage(inputs).unwrap();
        let refused = staged.take_refused();
        let named: Vec<_> =
            refused.iter().map(|one| (&*one.input.stream, one.input.input.clone())).collect();
        assert_eq!(named, [("bad", Input::Add(1)), ("bad", Input::Ask)]);
        assert!(refused.iter().all(|one| one.why.contains("`bad`")), "{}", refused[0].why);
        let effects = partition.commit(staged, 2).unwrap();
        for sum in told {
            assert!(effects.contains(&("good".into(), Effect::Tell(sum))), "{effects:?}");
        }
    }
    assert!(matches!(partition.look("bad"), Err(LogError::DamagedStream { .. })));
    let mut log = crash(&mut partition);
    assert_eq!(log.read("bad").unwrap().len(), 1, "nothing was added to it");
    assert_eq!(sum(&mut open(log).0, "good"), Some(4));
}
