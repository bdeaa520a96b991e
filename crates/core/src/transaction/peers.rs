//! A run with a pact at its coordinator: hearing peers, and leading again.

use super::{Decision, Effect, Known, Lead, Reason, Step};
use crate::{
    id::RunId,
    pact::{Message, Pact, Way, Word},
    vote::Cause,
};

impl Step<'_> {
    /// A peer speaks. Only of this gid's run and pact; what else it may mean is nothing to us.
    pub(super) fn received(&mut self, message: &Message) {
        let known = self.known.filter(|known| known.run == message.pact.run);
        let voting = self.live.voting.as_ref();
        let pact = known.map_or(voting.and_then(|v| v.pact.as_ref()), |known| known.pact.as_ref());
        if pact != Some(&message.pact) {
            return;
        }
        let undecided = known.is_none_or(Known::is_left_to_pact);
        match (message.word, message.pact.way) {
            (Word::Decided { to: 0, commit }, _) if undecided => self.told_decision(commit),
            (word @ (Word::Told { .. } | Word::Forgotten { .. }), _) if undecided => {
                self.member_word(&message.pact, word);
            }
            (word, Way::Paxos) => self.paxos_word(&message.pact, word),
            (word, Way::ThreePhase) if undecided => self.member_word(&message.pact, word),
            (_, Way::ThreePhase) => {}
        }
    }

    /// The members have decided without this node.
    pub(super) fn told_decision(&mut self, commit: bool) {
        let decision = if commit { Decision::Commit } else { Decision::Abort(taken_over()) };
        self.decide(decision);
    }

    pub(super) fn lead_timed_out(&mut self, run: RunId) {
        let Some(known) = self.known.filter(|k| k.run == run && k.is_left_to_pact()) else {
            return;
        };
        match &known.pact {
            Some(pact) if matches!(self.live.lead, Some(Lead::Paxos { .. })) => {
                self.ballot_over(known, pact);
            }
            Some(pact) => self.members_over(pact),
            None => {}
        }
    }

    /// After a restart: a run that those of the pact decide.
    pub(super) fn lead_again(&mut self) {
        let Some(known) = self.known.filter(|known| known.is_left_to_pact()) else { return };
        match &known.pact {
            Some(pact) if pact.way == Way::Paxos => self.lead_ballot(known, pact, None),
            Some(pact) => self.ask_members(pact),
            None => {}
        }
    }

    pub(super) fn send(&mut self, pact: &Pact, word: Word) {
        if let Some(to) = word.to(pact) {
            self.out.effect(Effect::Send { to, message: Message { pact: pact.clone(), word } });
        }
    }
}

/// Why it was aborted when this node cannot know better.
pub(super) fn taken_over() -> Reason {
    let message = "decided without this node, or after its restart, before all had voted";
    Reason::own(None, "taken_over", message.into(), Cause::Passing)
}
