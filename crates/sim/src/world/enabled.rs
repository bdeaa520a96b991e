//! What can happen next.

use std::sync::Arc;

use handfast_core::{
    shard,
    transaction::{Decision, Fate, Known, Live, Saved},
};

use super::{
    Action, Branch, Call, Cast, Message, Packet, Patience, Person, Place, SHARD, Search, Searches,
    State, Step, Timer, World, index_of, known::awaits_vote, transaction,
};

/// Most callers who wait for one transaction: more teach nothing.
const WAITERS_MAX: usize = 3;

impl World {
    /// Everything that can happen next, in an order that is always the same.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.steps(&mut |action| actions.push(action));
        let torn = self.torn(&actions);
        actions.extend(torn);
        self.troubles(&mut |action| actions.push(action));
        actions
    }

    /// What is no fault, and what is it only because somebody does not wait.
    pub fn steps(&self, put: &mut impl FnMut(Action)) {
        for (at, packet) in self.network.iter().enumerate() {
            // Of copies it does not matter which one arrives.
            if !self.network[..at].contains(packet) {
                self.arrivals(packet, put);
            }
        }
        self.steps_but_arrivals(put);
    }

    /// Those of [`World::steps`] that are not about a message under way.
    pub fn steps_but_arrivals(&self, put: &mut impl FnMut(Action)) {
        let nodes = self.coordinators.len() + self.shards.len();
        (0..nodes).for_each(|subject| self.steps_about(subject, put));
        for (run, states) in self.states_by_run() {
            // One look for all branches of a run.
            let machine = self.machine(transaction(run));
            states.iter().for_each(|(branch, state)| self.waits(*branch, *state, machine, put));
        }
        let branches = nodes + self.states.len();
        (branches..self.subjects()).for_each(|subject| self.steps_about(subject, put));
    }

    /// How many there are about whom something can happen: nodes, branches, transactions, searches.
    pub fn subjects(&self) -> usize {
        let searches = self.coordinators.len();
        searches + self.shards.len() + self.states.len() + self.plan.transactions.len() + searches
    }

    /// Those of [`World::steps_but_arrivals`] that are about one of them.
    pub fn steps_about(&self, subject: usize, put: &mut impl FnMut(Action)) {
        let mut at = subject;
        let nodes = self.coordinators.len() + self.shards.len();
        if at < nodes {
            let place = self.nodes().nth(at).expect("there are so many nodes");
            if self.is_up(place) {
                self.timers(place, put);
            } else if !self.plan.dead_for_good {
                put(Action::Step(Step::Restart(place)));
            }
            return;
        }
        at -= nodes;
        if let Some((branch, state)) = self.states.get(at) {
            return self.waits(*branch, *state, self.machine(branch.transaction()), put);
        }
        at -= self.states.len();
        if at < self.plan.transactions.len() {
            return self.people(at, put);
        }
        let number = (at - self.plan.transactions.len()) as u8;
        if self.searches(number) {
            put(Action::Step(Step::Search(number)));
        }
    }

    fn searches(&self, number: u8) -> bool {
        let coordinator = self.coordinator(number);
        let is_orphan = |branch: Branch| !coordinator.active.contains(&branch.run);
        let begins = || match self.plan.searches {
            Searches::Never => false,
            Searches::ForOrphans => self.prepared(number).any(is_orphan),
            Searches::Always => self.prepared(number).next().is_some(),
        };
        coordinator.node.is_up() && (coordinator.search != Search::None || begins())
    }

    /// The nodes, up or down.
    pub fn nodes(&self) -> impl Iterator<Item = Place> + use<> {
        let coordinators = (0..self.plan.coordinators).map(Place::Coordinator);
        coordinators.chain((0..self.plan.shards).map(Place::Shard))
    }

    fn arrivals(&self, packet: &Packet, put: &mut impl FnMut(Action)) {
        if !self.is_reached(packet.from(&self.plan), packet.to(&self.plan)) {
            return put(Action::Lose(Arc::clone(packet)));
        }
        for cast in self.casts(packet) {
            put(Action::Step(Step::Deliver(Arc::clone(packet), *cast)));
        }
    }

    /// What may be voted if this message arrives.
    pub fn casts(&self, packet: &Packet) -> &[Cast] {
        match **packet {
            Message::Call(branch, Call::Prepare { .. } | Call::Do)
                if matches!(self.plan.branch(branch).at, Place::Database(_))
                    && self.state(branch) == State::Fresh =>
            {
                &self.plan.casts
            }
            _ => &[Cast::Yes],
        }
    }

    fn timers(&self, place: Place, put: &mut impl FnMut(Action)) {
        if self.has_notes(place) {
            put(Action::Step(Step::Flush(place)));
        }
        let may_fire = |timer: &Timer| match self.plan.patience {
            // Those who lead claim again and again: how often is bounded.
            _ if timer.leads() && self.left.ballots == 0 => false,
            Patience::None => true,
            Patience::Inquiries => !timer.inquires() || !self.is_in_touch(place),
            Patience::Suspicion => !timer.inquires(),
            Patience::All => self.network.is_empty(),
        };
        self.armed(place).filter(may_fire).for_each(|timer| {
            put(Action::Step(Step::Fire(place, timer)));
        });
    }

    /// The timers of a node.
    pub fn armed(&self, place: Place) -> impl Iterator<Item = Timer> {
        let (coordinator, shard) = match place {
            Place::Coordinator(number) => (Some(&self.coordinator(number).timers), None),
            Place::Shard(number) => (None, Some(&self.shard(number).timers)),
            Place::Database(_) => (None, None),
        };
        let of_transactions = coordinator.into_iter().flatten();
        let of_transactions = of_transactions.map(|(at, timer)| Timer::Transaction(*at, *timer));
        of_transactions.chain(shard.into_iter().flatten().cloned().map(Timer::Shard))
    }

    fn has_notes(&self, place: Place) -> bool {
        match place {
            Place::Coordinator(number) => self.coordinator(number).node.has_notes(),
            Place::Shard(number) => self.shard(number).node.has_notes(),
            Place::Database(_) => false,
        }
    }

    /// Whether something is under way to or from somebody.
    fn is_in_touch(&self, place: Place) -> bool {
        let touches =
            |packet: &Packet| packet.to(&self.plan) == place || packet.from(&self.plan) == place;
        self.network.iter().any(touches)
    }

    /// Whether an answer to a call may still come.
    fn may_answer(&self, branch: Branch) -> bool {
        let plan = &self.plan;
        self.network.iter().any(|packet| {
            packet.is_about(branch) && self.is_reached(packet.from(plan), packet.to(plan))
        })
    }

    /// Whether a coordinator's driver waits for a branch's answer.
    pub fn can_give_up(&self, branch: Branch) -> bool {
        is_waited_for(self.machine(branch.transaction()), branch)
    }

    /// What can happen because somebody waits for a branch, or it for somebody.
    fn waits(
        &self,
        branch: Branch,
        state: State,
        machine: Option<(&Saved, &Live)>,
        put: &mut impl FnMut(Action),
    ) {
        self.silences(branch, is_waited_for(machine, branch), put);
        if state == State::Held && self.is_deserted(branch) {
            put(Action::SessionDies(branch));
        }
    }

    /// Whether somebody may finish a branch by hand, and be found out: not one that has been rolled
    /// back, and that a crash or a late prepare has brought back.
    pub fn can_meddle(&self, branch: Branch) -> bool {
        let known = self.known(branch.transaction()).filter(|known| known.run == branch.run);
        let may_return = self.left.revivals > 0 || !self.plan.fences;
        let is_back = known.is_some_and(|known| match known.decision {
            Some(Decision::Abort(_)) => may_return || known.finished,
            _ => known.finished,
        });
        self.state(branch) == State::Prepared && !is_back
    }

    /// Whether nobody will say anything to a branch that is held open: its database sees that at
    /// last, and lets it go.
    fn is_deserted(&self, branch: Branch) -> bool {
        let known = self.known(branch.transaction());
        let is_over = |known: &Known| known.run != branch.run || known.finished;
        !self.is_voting(branch.run) && known.is_none_or(is_over)
    }

    /// Whether what could be done when it was listed, or in another schedule, can be done now.
    pub fn still_can(&self, action: &Action) -> bool {
        let left = &self.left;
        match action {
            Action::Step(step) => self.can_step(step),
            Action::Torn(step, _) => left.crashes > 0 && self.can_step(step),
            Action::Delayed(step) => left.delays > 0 && self.can_step(step),
            Action::Crash(place) => left.crashes > 0 && self.is_up(*place),
            Action::Lose(packet) => self.network.contains(packet),
            Action::Drop(packet) => left.drops > 0 && self.network.contains(packet),
            Action::Duplicate(packet) => left.duplicates > 0 && self.network.contains(packet),
            Action::CutOff(_) => left.cuts > 0 && self.cut_off.is_none(),
            Action::Heal => self.cut_off.is_some(),
            Action::Meddle(branch, _) => left.meddles > 0 && self.can_meddle(*branch),
            Action::SessionDies(branch) => self.state(*branch) == State::Held,
            Action::Revive(branch) => left.revivals > 0 && self.state(*branch) == State::RolledBack,
            Action::Break(branch) => {
                left.breaks > 0 && self.can_give_up(*branch) && !self.awaits_vote(*branch)
            }
        }
    }

    fn can_step(&self, step: &Step) -> bool {
        match step {
            Step::Deliver(packet, _) => {
                self.network.contains(packet)
                    && self.is_reached(packet.from(&self.plan), packet.to(&self.plan))
            }
            Step::Fire(place, timer) => {
                let in_time = self.plan.patience != Patience::All || self.network.is_empty();
                let may_lead = !timer.leads() || self.left.ballots > 0;
                let is_armed = || self.armed(*place).any(|armed| armed == *timer);
                in_time && may_lead && self.is_up(*place) && is_armed()
            }
            Step::Flush(place) => self.has_notes(*place),
            Step::Restart(place) => !self.is_up(*place),
            Step::GiveUp(branch) => {
                let in_time = self.plan.patience != Patience::All || !self.may_answer(*branch);
                in_time && self.can_give_up(*branch)
            }
            Step::Silence(branch) => match self.plan.patience {
                Patience::Suspicion => self.suspects(*branch),
                _ => self.awaits_inquiry(*branch),
            },
            Step::Ask(transaction, person) => {
                let mut can = false;
                self.people(*transaction, &mut |action| {
                    can |= action == Action::Step(Step::Ask(*transaction, *person));
                });
                can
            }
            Step::Search(number) => self.is_up(Place::Coordinator(*number)),
        }
    }

    /// Whoever waits for an answer about a branch may stop waiting.
    fn silences(&self, branch: Branch, is_waited_for: bool, put: &mut impl FnMut(Action)) {
        if is_waited_for {
            self.silence(Step::GiveUp(branch), self.may_answer(branch), put);
        }
        if self.plan.patience == Patience::Suspicion {
            if self.suspects(branch) {
                let is_alive = self.is_up(Place::Coordinator(branch.coordinator));
                self.silence(Step::Silence(branch), is_alive, put);
            }
        } else if self.awaits_inquiry(branch) {
            let plan = &self.plan;
            let may_come = self.network.iter().any(|packet| {
                matches!(**packet, Message::Inquiry(about) | Message::Told(about, _)
                    if about == branch)
                    && self.is_reached(packet.from(plan), packet.to(plan))
            });
            self.silence(Step::Silence(branch), may_come, put);
        }
    }

    /// Whether a branch may take its coordinator for dead without asking it, and has not yet.
    fn suspects(&self, branch: Branch) -> bool {
        let Place::Shard(number) = self.plan.branch(branch).at else { return false };
        let live = || self.shard(number).node.live(SHARD);
        let inquiry = || live()?.inquiries.get(&self.plan.id(branch));
        self.left.takeovers != Some(0) && inquiry().is_some_and(|it| it.lead.is_none())
    }

    fn silence(&self, step: Step, may_come: bool, put: &mut impl FnMut(Action)) {
        if !may_come {
            put(Action::Step(step));
        } else if self.left.delays > 0 {
            put(Action::Delayed(step));
        }
    }

    /// Whether a shard has asked about a branch, and waits.
    pub fn awaits_inquiry(&self, branch: Branch) -> bool {
        let Place::Shard(number) = self.plan.branch(branch).at else { return false };
        let shard = self.shard(number);
        let live = shard.node.live(SHARD).filter(|live| !live.inquiries.is_empty());
        let Some(live) = live else { return false };
        let Some(id) = self.id(branch).filter(|id| live.inquiries.contains_key(*id)) else {
            return false;
        };
        !shard.timers.contains(&shard::Timer::Inquire(id.clone()))
    }

    fn people(&self, transaction: usize, put: &mut impl FnMut(Action)) {
        let wish = &self.plan.transactions[transaction];
        let facts = &self.ledger.facts[transaction];
        if !self.is_up(Place::Coordinator(wish.coordinator)) {
            return;
        }
        let mut put = |person| put(Action::Step(Step::Ask(transaction, person)));
        let waiters = || self.live(transaction).map_or(0, |live| live.waiters.len());
        if facts.begins < wish.begins && waiters() < WAITERS_MAX {
            put(Person::Begins);
        }
        if facts.begins == 0 {
            return;
        }
        if facts.aborts < wish.aborts && waiters() < WAITERS_MAX {
            put(Person::Aborts);
        }
        if wish.hold && (1..WAITERS_MAX).contains(&waiters()) {
            put(Person::Commits);
        }
        if wish.asks && facts.local.is_none() && facts.runs.len() == 1 {
            put(Person::CommitsLocally);
        }
        let is_open = || {
            let voting = self.live(transaction).and_then(|live| live.voting.as_ref());
            voting.is_some_and(|voting| voting.open)
        };
        if facts.local == Some(true) && is_open() {
            put(Person::Commits);
        }
        let Some(known) = self.known(transaction).filter(|known| !known.finished) else { return };
        for (index, branch) in known.branches.iter().enumerate() {
            let of =
                Branch { coordinator: wish.coordinator, run: known.run, index: index_of(index) };
            let needs = matches!(branch.fate, Fate::Heuristic(_) | Fate::Stuck(_));
            match self.state(of) {
                State::Committed | State::Meddled { committed: true } if needs => {
                    put(Person::Resolves(of, true));
                }
                State::Aborted | State::RolledBack | State::Meddled { committed: false }
                    if needs =>
                {
                    put(Person::Resolves(of, false));
                }
                _ => {}
            }
        }
    }
}

/// Faults.
impl World {
    /// Every step again, with the death of the node in it.
    fn torn(&self, actions: &[Action]) -> Vec<Action> {
        if self.plan.torn_max.is_none() || self.left.crashes == 0 {
            return Vec::new();
        }
        let steps = actions.iter().filter_map(|action| match action {
            Action::Step(step) => {
                self.turn_at(step).filter(|at| self.plan.may_die(*at)).map(|_| step)
            }
            _ => None,
        });
        let deaths = self.plan.deaths();
        let of_step = |step: &Step| {
            let step = step.clone();
            deaths.clone().into_iter().map(move |death| Action::Torn(step.clone(), death))
        };
        steps.flat_map(of_step).collect()
    }

    /// Whose machines take a turn in a step, if any do.
    pub fn turn_at(&self, step: &Step) -> Option<Place> {
        match step {
            Step::Deliver(packet, _) => {
                Some(packet.to(&self.plan)).filter(|to| !matches!(to, Place::Database(_)))
            }
            Step::Flush(_) | Step::Search(_) => None,
            Step::Fire(place, _) | Step::Restart(place) => Some(*place),
            Step::GiveUp(branch) => Some(Place::Coordinator(branch.coordinator)),
            Step::Silence(branch) => Some(self.plan.branch(*branch).at),
            Step::Ask(number, _) => {
                Some(Place::Coordinator(self.plan.transactions[*number].coordinator))
            }
        }
    }

    fn troubles(&self, put: &mut impl FnMut(Action)) {
        for (at, packet) in self.network.iter().enumerate() {
            let reached = self.is_reached(packet.from(&self.plan), packet.to(&self.plan));
            if self.network[..at].contains(packet) || !reached {
                continue;
            }
            if self.left.drops > 0 {
                put(Action::Drop(Arc::clone(packet)));
            }
            if self.left.duplicates > 0 {
                put(Action::Duplicate(Arc::clone(packet)));
            }
        }
        if self.left.crashes > 0 {
            let mortals =
                self.nodes().filter(|place| self.is_up(*place) && self.plan.may_die(*place));
            mortals.for_each(|place| put(Action::Crash(place)));
        }
        if self.cut_off.is_some() {
            put(Action::Heal);
        } else if self.left.cuts > 0 {
            self.nodes().for_each(|place| put(Action::CutOff(place)));
        }
        self.at_databases(put);
        if self.left.breaks > 0 {
            let asked = |branch: &Branch| {
                self.telling(*branch).is_some_and(|telling| telling.is_asked)
                    && self.is_up(Place::Coordinator(branch.coordinator))
            };
            self.branches().filter(asked).for_each(|branch| put(Action::Break(branch)));
        }
    }

    fn at_databases(&self, put: &mut impl FnMut(Action)) {
        for database in &self.databases {
            if self.left.meddles > 0 {
                for branch in database.prepared().filter(|branch| self.can_meddle(*branch)) {
                    put(Action::Meddle(branch, true));
                    put(Action::Meddle(branch, false));
                }
            }
            if self.left.revivals > 0 {
                database.rolled_back().for_each(|branch| put(Action::Revive(branch)));
            }
            let held = database.held().filter(|branch| !self.is_deserted(*branch));
            held.for_each(|branch| put(Action::SessionDies(branch)));
        }
    }
}

/// Whether a coordinator's driver waits for a branch's answer, by its machine if that is in memory.
fn is_waited_for(machine: Option<(&Saved, &Live)>, branch: Branch) -> bool {
    let Some((saved, live)) = machine else { return false };
    let telling = live.telling.get(usize::from(branch.index));
    let is_known = || saved.known.as_ref().is_some_and(|known| known.run == branch.run);
    awaits_vote(live, branch) || telling.is_some_and(|it| it.is_asked) && is_known()
}
