//! The proof: every answer against the books of both banks.

use handfast_example_kit::Answer;

use super::{
    bank::{Bank, Books},
    plan::{BALANCE, Plan, Transfer},
};

/// All the money in both banks.
pub async fn total(banks: &[Bank; 2]) -> Result<i64, String> {
    Ok(sum(&banks[0].books().await?) + sum(&banks[1].books().await?))
}

pub fn sum(books: &Books) -> i64 {
    books.balances.values().sum()
}

/// Everything in which answers and books, or the books among themselves, disagree.
pub fn disagreements(plan: &Plan, answers: &[Answer], books: &[Books; 2]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, (transfer, answer)) in plan.transfers.iter().zip(answers).enumerate() {
        let gid = plan.gid(number);
        wrong.extend(about(&gid, transfer, answer, books).map(|what| format!("{gid}: {what}")));
    }
    for (bank, books) in books.iter().enumerate() {
        wrong.extend(accounts(plan, bank, books));
    }
    wrong
}

fn about(gid: &str, of: &Transfer, answer: &Answer, books: &[Books; 2]) -> Option<String> {
    let debit = books[of.payer].entries.get(gid);
    let credit = books[1 - of.payer].entries.get(gid);
    let happened = match (debit, credit) {
        (None, None) => false,
        (Some(debit), Some(credit)) if (*debit, *credit) == (-of.amount, of.amount) => true,
        (debit, credit) => {
            let amount = of.amount;
            return Some(format!("SPLIT: of {amount}, debited {debit:?}, credited {credit:?}"));
        }
    };
    let told = match answer {
        Answer::Unknown(Some(later)) => later,
        told => told,
    };
    let fits = match told {
        Answer::Committed => happened,
        Answer::Aborted(_) | Answer::NotSent => !happened,
        // Reported as unknown, or as wrong, elsewhere.
        Answer::Unknown(_) | Answer::Wrong(_) => true,
    };
    (!fits).then(|| format!("the caller was told {told:?}, but in the books it is {happened}"))
}

/// Every account must hold what its ledger says.
fn accounts(plan: &Plan, bank: usize, books: &Books) -> Vec<String> {
    let mut expected = books.balances.clone();
    expected.values_mut().for_each(|balance| *balance = BALANCE);
    let mut known = 0;
    for (number, transfer) in plan.transfers.iter().enumerate() {
        let Some(amount) = books.entries.get(&plan.gid(number)) else { continue };
        known += 1;
        let account = if transfer.payer == bank { transfer.from } else { transfer.to };
        *expected.entry(account).or_default() += amount;
    }
    let mut wrong = Vec::new();
    if known != books.entries.len() {
        let strange = books.entries.len() - known;
        wrong.push(format!("bank {bank}: {strange} entries of transfers that nobody asked for"));
    }
    for (account, balance) in &books.balances {
        let ledger = expected[account];
        if *balance != ledger || *balance < 0 {
            wrong.push(format!("bank {bank}: account {account} holds {balance}, not {ledger}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Decide, Demo};

    /// Two transfers, one done and one not; `break_it` then spoils the books.
    fn found(answers: [Answer; 2], break_it: impl FnOnce(&Plan, &mut [Books; 2])) -> Vec<String> {
        let (transfers, clients, kills, seed) = (2, 1, 0, Some(3));
        let (resource, decide, keep) = (Vec::new(), Decide::Log, false);
        let plan = Plan::new(&Demo { transfers, clients, kills, seed, resource, decide, keep });
        let of = &plan.transfers[0];
        let mut books: [Books; 2] = Default::default();
        for books in &mut books {
            books.balances = (0..super::super::plan::ACCOUNTS).map(|n| (n, BALANCE)).collect();
        }
        for (bank, account, by) in
            [(of.payer, of.from, -of.amount), (1 - of.payer, of.to, of.amount)]
        {
            *books[bank].balances.get_mut(&account).unwrap() += by;
            books[bank].entries.insert(plan.gid(0), by);
        }
        break_it(&plan, &mut books);
        disagreements(&plan, &answers, &books)
    }

    fn aborted() -> Answer {
        Answer::Aborted("no".into())
    }

    #[test]
    fn books_that_agree_are_not_complained_about() {
        assert_eq!(found([Answer::Committed, aborted()], |_, _| {}), [""; 0]);
        let later = Answer::Unknown(Some(Box::new(Answer::Committed)));
        assert_eq!(found([later, Answer::NotSent], |_, _| {}), [""; 0]);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_found() {
        assert_eq!(found([aborted(), aborted()], |_, _| {}).len(), 1);
        assert_eq!(found([Answer::Committed, Answer::Committed], |_, _| {}).len(), 1);
        let later = Answer::Unknown(Some(Box::new(aborted())));
        assert_eq!(found([later, aborted()], |_, _| {}).len(), 1);
    }

    #[test]
    fn a_split_transfer_is_found() {
        let wrong = found([Answer::Committed, aborted()], |plan, books| {
            let payer = plan.transfers[0].payer;
            books[payer].entries.clear();
            *books[payer].balances.get_mut(&plan.transfers[0].from).unwrap() = BALANCE;
        });
        assert!(wrong.len() == 1 && wrong[0].contains("SPLIT"), "{wrong:?}");
    }

    #[test]
    fn a_balance_without_its_entry_is_found() {
        let wrong = found([Answer::Committed, aborted()], |_, books| {
            *books[0].balances.get_mut(&99).unwrap() += 1;
        });
        assert!(wrong.len() == 1 && wrong[0].contains("account 99"), "{wrong:?}");
    }

    #[test]
    fn an_entry_that_nobody_asked_for_is_found() {
        let wrong = found([Answer::Committed, aborted()], |_, books| {
            books[0].entries.insert("stranger".into(), 1);
        });
        assert_eq!(wrong.len(), 1);
    }
}
