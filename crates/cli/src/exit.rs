//! Exit codes, the same for every command. docs/cli.md lists them.

use std::process::ExitCode;

use handfast_client::Error;

/// What a finished command says to the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; committed, where there is an outcome.
    Ok = 0,
    /// Aborted, or the answer is no: a check found an error, a demo found a discrepancy, a server
    /// could not start.
    No = 1,
    /// The command line, the configuration or the request is wrong. Nothing has happened.
    Usage = 2,
    /// The outcome is not known: ask again.
    Unknown = 3,
    /// The node is not reachable, too busy, or silent.
    Unreachable = 4,
    /// The token is missing, not known, or has not the role that this needs.
    Refused = 5,
    /// There is no such transaction, branch or resource.
    NotFound = 6,
    /// A fault of Handfast's own. Please report it.
    Bug = 70,
}

impl Exit {
    /// Of `sim` and `check`: all holds as far as was looked, and there is more to look at. They
    /// have codes of their own, 0 holds, 1 violated, 2 not finished, which scripts go by.
    pub const NOT_FINISHED: Self = Self::Usage;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    /// For the shell.
    pub exit: Exit,
    /// For programs, where there is one: a code of docs/errors.md.
    pub code: Option<String>,
    /// For people.
    pub message: String,
    /// What to do; may be empty.
    pub cure: String,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, code: None, message: message.into(), cure: String::new() }
    }

    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = cure.into();
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Setup(_) | Error::BadRequest(_) => Exit::Usage,
            Error::Refused(_) => Exit::Refused,
            Error::NotFound(_) => Exit::NotFound,
            Error::Busy(_) | Error::Unreachable { .. } | Error::NoAnswer { .. } => {
                Exit::Unreachable
            }
            Error::NotHandfast { .. } => Exit::Unreachable,
            Error::Broken(_) => Exit::Bug,
            _ => Exit::Bug,
        };
        let problem = error.problem();
        let cure = match (problem, &error) {
            (Some(problem), _) => problem.cure.clone(),
            (None, Error::Unreachable { .. }) => {
                "start a node with `handfast serve`, or name one with --server".into()
            }
            (None, _) => String::new(),
        };
        let code = problem.map(|problem| problem.code.clone());
        Self { exit, code, message: error.to_string(), cure }
    }
}
