//! A service with rooms to book, right or wrong in one way.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use handfast_client::{
    barrier::CallKind,
    testing::{Answer, Request, Unanswered},
};
use serde_json::{Value, json};

/// In which way it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// In none.
    Nothing,
    /// A second do books once more.
    DoTwice,
    /// A second do has another answer.
    DoAnswers,
    /// A second undo gives back once more.
    UndoTwice,
    /// A second undo is refused.
    UndoOnce,
    /// An undo gives back nothing.
    UndoNothing,
    /// An undo fails.
    UndoFails,
    /// An undo of nothing gives back.
    EmptyUndo,
    /// An undo of nothing is refused.
    EmptyRefused,
    /// A do after its undo books.
    LateDo,
    /// Two calls at the same time do not see each other.
    Races,
    /// Two calls at the same time: one of them fails.
    Fails,
    /// It has no room at all.
    SoldOut,
    /// A cancel after a confirm gives back.
    CancelConfirmed,
    /// A confirm after a cancel is refused, and books all the same.
    ConfirmCancelled,
    /// It remembers what is booked, and nothing else: an undo of anything else gets 404.
    Forgets,
}

/// By what it knows calls that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// Transaction and branch.
    Both,
    /// The branch's id alone, which is never used for another.
    Branch,
    /// The key of a call alone, up to the call's name.
    Call,
}

#[derive(Default)]
struct Row {
    answer: Option<Value>,
    barred: bool,
    undone: bool,
    confirmed: bool,
}

pub struct Toy {
    fault: Fault,
    keyed: Keyed,
    state: Mutex<State>,
}

struct State {
    free: i64,
    bookings: u64,
    busy: bool,
    rows: BTreeMap<(String, String), Row>,
}

impl Toy {
    pub fn new(fault: Fault) -> Self {
        Self::keyed(Keyed::Both, fault)
    }

    pub fn keyed(keyed: Keyed, fault: Fault) -> Self {
        let state = State { free: 100, bookings: 0, busy: false, rows: BTreeMap::new() };
        Self { fault, keyed, state: Mutex::new(state) }
    }

    pub fn free(&self) -> i64 {
        self.state().free
    }

    pub async fn call(&self, request: Request) -> Result<Answer, Unanswered> {
        let seen = match self.fault {
            Fault::Races => self.known(&request),
            _ => false,
        };
        if self.fault == Fault::Fails && std::mem::replace(&mut self.state().busy, true) {
            return Ok(Answer::new(500, "deadlock"));
        }
        // Others come in between.
        tokio::task::yield_now().await;
        self.state().busy = false;
        let blind = self.fault == Fault::Races && !seen;
        Ok(match request.kind {
            CallKind::Do | CallKind::Try => self.book(&request, blind),
            CallKind::Undo | CallKind::Cancel => self.give_back(&request, blind),
            CallKind::Confirm => self.confirm(&request),
            CallKind::Ask => Answer::new(400, "nobody asks"),
        })
    }

    fn book(&self, request: &Request, blind: bool) -> Answer {
        let mut state = self.state();
        let State { free, bookings, rows, .. } = &mut *state;
        let row = rows.entry(self.key(request)).or_default();
        let fault = self.fault;
        match &row.answer {
            _ if fault == Fault::SoldOut => return Answer::new(409, "sold out"),
            _ if blind => {}
            Some(_) if fault == Fault::DoTwice && !row.undone => {}
            Some(_) if fault == Fault::DoAnswers => return Answer::new(200, json!({ "id": 0 })),
            Some(answer) => return Answer::new(200, answer.clone()),
            None if row.barred && fault != Fault::LateDo => return Answer::new(409, "too late"),
            None => {}
        }
        *free -= 1;
        *bookings += 1;
        let answer = json!({ "id": *bookings });
        row.answer = Some(answer.clone());
        Answer::new(200, answer)
    }

    fn give_back(&self, request: &Request, blind: bool) -> Answer {
        let mut state = self.state();
        let State { free, rows, .. } = &mut *state;
        let row = rows.entry(self.key(request)).or_default();
        let fault = self.fault;
        let done = row.answer.is_some();
        let back = match (done, row.undone) {
            _ if fault == Fault::UndoFails => return Answer::new(500, "no"),
            _ if row.confirmed && fault != Fault::CancelConfirmed => {
                return Answer::new(412, "confirmed");
            }
            (false, _) if fault == Fault::Forgets => return Answer::new(404, Value::Null),
            (true, _) if fault == Fault::Forgets => {
                *free += 1;
                rows.remove(&self.key(request));
                return Answer::new(200, Value::Null);
            }
            (true, true) if fault == Fault::UndoOnce => return Answer::new(400, "undone"),
            (true, true) => fault == Fault::UndoTwice || blind,
            (true, false) => fault != Fault::UndoNothing,
            (false, _) if fault == Fault::EmptyRefused => return Answer::new(404, "what?"),
            (false, _) => fault == Fault::EmptyUndo,
        };
        *free += i64::from(back);
        row.undone = true;
        row.barred = !done;
        Answer::new(200, Value::Null)
    }

    fn confirm(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let State { free, rows, .. } = &mut *state;
        let row = rows.entry(self.key(request)).or_default();
        if row.answer.is_none() || row.undone {
            *free -= i64::from(self.fault == Fault::ConfirmCancelled);
            return Answer::new(412, "there is nothing to confirm");
        }
        row.confirmed = true;
        Answer::new(200, Value::Null)
    }

    fn known(&self, request: &Request) -> bool {
        let state = self.state();
        let row = state.rows.get(&self.key(request));
        row.is_some_and(|row| match request.kind {
            CallKind::Do | CallKind::Try => row.answer.is_some() || row.barred,
            _ => row.undone,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn key(&self, request: &Request) -> (String, String) {
        let none = String::new();
        match self.keyed {
            Keyed::Both => (request.gid.clone(), request.branch.clone()),
            Keyed::Branch => (none, request.branch.clone()),
            Keyed::Call => {
                let headers = request.headers().unwrap();
                let key = headers["idempotency-key"].to_str().unwrap();
                (none, key.rsplit_once('/').unwrap().0.into())
            }
        }
    }
}
