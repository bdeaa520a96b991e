//! The one table of codes: what a refused request or an aborted transaction is told.
//!
//! docs/errors.md is generated from here. A participant of a later version may use a code that is
//! not in the table: then the answer is 409 with its own words.

use std::fmt::Write as _;

/// A stable code and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// The code.
    pub name: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The code in a few words.
    pub title: &'static str,
    /// What leads to it.
    pub cause: &'static str,
    /// What to do.
    pub cure: &'static str,
}

impl Code {
    /// Whether the same request may succeed later, unless the answer itself says otherwise.
    pub fn retryable(&self) -> bool {
        PASSING.contains(&self.name) || self.status == 503
    }
}

macro_rules! codes {
    ($($name:ident $text:literal $status:literal $title:literal $cause:literal
        $cure:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code {
                name: $text, status: $status, title: $title, cause: $cause, cure: $cure,
            };
        )*
        /// Every code, in the order of the page.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    MALFORMED_JSON "malformed_json" 400 "The body is not JSON"
        "The text breaks the rules of JSON at the line and column given, or ends early."
        "Mend the text there.";
    BAD_QUERY "bad_query" 400 "The query is wrong"
        "A filter of the list is unknown, has a wrong type, or names no state."
        "Use the filters that /openapi.json describes.";
    BAD_BRANCH_ID "bad_branch_id" 400 "Not a branch id"
        "The text is not the name that Handfast gives to a branch at a participant."
        "Ask with the branch's `id`, such as `hf1_bank_1_2s_0`.";
    DECIDE_UNSUPPORTED "decide_unsupported" 400 "It cannot be decided in this way"
        "`three_phase` and `paxos` need branches on shards that know each other: started with a \
         `--name` that is the resource's, and with `--peer` for each other. They cannot be held, \
         and `paxos` needs its acceptors."
        "See the message; decide by `log`, or see docs/operating.md for how to start the shards.";
    UNAUTHORIZED "unauthorized" 401 "No valid token"
        "Tokens are configured, and the request has none of them."
        "Send `Authorization: Bearer …` with one of the configured tokens.";
    FORBIDDEN "forbidden" 403 "The token's role does not allow it"
        "The token is valid, but its role is lower than the request needs."
        "Use a token of the role that is named.";
    CROSS_ORIGIN "cross_origin" 403 "Sent by a page of another origin"
        "A browser sends it for a page that is not the node's own, or under a name that is not \
        this \
         machine's while the node lets in whoever is on it."
        "Call the API from a program, under its own address; or configure tokens.";
    NO_SUCH_ROUTE "no_such_route" 404 "No such path"
        "The API has nothing at this path."
        "See /openapi.json for the paths.";
    NO_SUCH_TRANSACTION "no_such_transaction" 404 "No such transaction"
        "No transaction of that gid is known: it never began, was aborted by a crash before it was \
         recorded, or finished longer ago than `retention_ms`."
        "Check the gid. A transaction that is not known did not commit, unless it is that old.";
    NO_SUCH_BRANCH "no_such_branch" 404 "No such branch"
        "The transaction has no branch of that name."
        "Use a name from the transaction's `branches`.";
    NO_SUCH_RESOURCE "no_such_resource" 404 "No such resource"
        "No resource of that name is configured."
        "Use a name from /v1/resources.";
    WRONG_METHOD "wrong_method" 405 "The path does not take this method"
        "The path exists, but not for this method."
        "Use a method from the `Allow` header.";
    SLOW_BODY "slow_body" 408 "The body took too long"
        "The request's body was not there in time; nothing of it was used."
        "Send it again, over a better connection.";
    BODY_TOO_LARGE "body_too_large" 413 "The body is too large"
        "The body is longer than `limits.body_bytes_max`."
        "Send less, or raise the setting.";
    WRONG_CONTENT_TYPE "wrong_content_type" 415 "The body is not declared as JSON"
        "The `Content-Type` of a request with a body is not `application/json`."
        "Send `Content-Type: application/json`.";

    WRONG_SHAPE "wrong_shape" 422 "The JSON is not what the request needs"
        "A field is unknown, missing, or has a wrong type, at the line and column given."
        "Compare with /openapi.json.";
    NO_BRANCHES "no_branches" 422 "No branches"
        "`branches` is empty."
        "Give at least one branch.";
    TOO_MANY_BRANCHES "too_many_branches" 422 "Too many branches"
        "There are more than `limits.branches_max`."
        "Split the transaction, or raise the setting.";
    DUPLICATE_BRANCH "duplicate_branch" 422 "Two branches have one name"
        "A name stands for one branch in answers and commands."
        "Give every branch a name of its own.";
    BAD_NAME "bad_name" 422 "A name cannot be used"
        "A gid or branch name is empty, too long, or holds more than letters, digits and `. _ - :`."
        "Use another name.";
    UNKNOWN_RESOURCE "unknown_resource" 422 "The branch names no resource"
        "No resource of that name is configured. A request cannot bring an address of its own."
        "Use a name from /v1/resources, or configure the resource.";
    WRONG_WORK "wrong_work" 422 "The branch's work does not fit"
        "A branch has `sql` for a database or `keys` for a shard: exactly one, the one its \
        resource \
         understands; `isolation` and timeouts go with `sql`."
        "Give what the resource's kind needs.";
    NO_STATEMENTS "no_statements" 422 "The branch does nothing"
        "`sql` or `keys` is empty."
        "Give it work, or leave the branch out.";
    TOO_MANY_STATEMENTS "too_many_statements" 422 "Too many statements"
        "The branch has more statements or key operations than `limits.statements_max`."
        "Do more with one statement, or raise the setting.";
    TOO_MANY_PARAMS "too_many_params" 422 "Too many parameters"
        "A statement has more parameters than `limits.params_max`."
        "Use several statements, or raise the setting.";
    BAD_TEXT "bad_text" 422 "A statement's text cannot be used"
        "It is empty, longer than `limits.text_bytes_max`, or holds a NUL."
        "Move data into parameters.";
    BAD_PARAMETER "bad_parameter" 422 "A parameter cannot be bound"
        "A parameter is null, a boolean, a number, a string, or `{\"bytes\": \"<base64>\"}`; whole \
         numbers have 64 bits with sign."
        "Send large numbers, decimals, dates and JSON as strings.";
    BAD_KEY "bad_key" 422 "A key or value of a shard cannot be used"
        "A key has 1 to 256 bytes; a value is a 64-bit integer, a string, or `{\"bytes\": \
        \"<base64>\"}` \
         of at most 65,536 bytes; null only where a key is expected to be absent."
        "Use another key or value.";
    TIMEOUT_OUT_OF_RANGE "timeout_out_of_range" 422 "A timeout is out of range"
        "A timeout is 0 or more than `transaction.timeout_ms_max`."
        "Use one within the range, or raise the setting.";
    BAD_REASON "bad_reason" 422 "The reason cannot be kept"
        "`:resolve` needs a reason; reasons have at most 1,024 bytes."
        "Say in a sentence why.";
    BAD_OUTCOME "bad_outcome" 422 "A branch cannot be resolved as unknown"
        "To resolve a branch is to say what was seen there: `committed` or `aborted`."
        "Look at the participant first.";
    OTHER_CONTENT "other_content" 422 "The gid was used with other content"
        "A transaction of this gid exists, and its branches, `hold` or `decide` differ from this \
         request's. \
         A gid names one transaction for ever."
        "Use a new gid for a new transaction.";

    SQL_SYNTAX "sql_syntax" 422 "The database does not understand a statement"
        "A syntax error, or a table, column or function that does not exist."
        "Try the statement in the database's own client.";
    SQL_PARAMETER "sql_parameter" 422 "The database does not take a parameter"
        "The number or the types of the parameters do not fit the statement."
        "Fit them to the placeholders, or cast in the statement.";
    SQL_NOT_ALLOWED "sql_not_allowed" 422 "The statement cannot take part"
        "It would end or leave the transaction (such as COMMIT or most DDL on MariaDB), or it uses \
         what cannot be prepared, such as temporary tables on PostgreSQL."
        "Leave the statement out, or run it outside of transactions.";
    RESULT_TYPE "result_type" 422 "A returned column has a type that cannot be handed back"
        "The result holds a type without a form in JSON here."
        "Cast the column to text in the statement.";
    RESULT_TOO_LARGE "result_too_large" 422 "The returned rows are too many"
        "A statement returns more than can be handed back with an outcome."
        "Return less; read large results outside of the transaction.";
    PERMISSION "permission" 422 "The database's user lacks a right"
        "The configured user may not run the statement."
        "Grant the right; `handfast resource check` names what two-phase commit needs.";

    NOT_AN_INTEGER "not_an_integer" 422 "The key holds no integer"
        "`add` works on integers, and the key holds bytes."
        "Use `put`, or another key.";
    OVERFLOW "overflow" 422 "The sum does not fit"
        "`add` would leave the range of 64-bit integers."
        "Add less.";
    REQUEST_REFUSED "request_refused" 422 "The participant refuses the request"
        "A service or shard answers that the branch's request is wrong; the message is its own."
        "See the message.";

    WRONG_STATE "wrong_state" 409 "Not in this state"
        "The transaction's state does not allow it: for example, it is decided, or not held."
        "Look at the transaction, and at docs/operating.md.";
    CALLER_ABORT "caller_abort" 409 "Aborted as asked"
        "A caller or an operator aborted it."
        "Nothing is left to do.";
    ROWS_MISMATCH "rows_mismatch" 409 "Another number of rows than expected"
        "A statement affected or returned another number of rows than its `rows` requires: often \
        too \
         little balance, or no such row."
        "Handle it as a no of the business.";
    CONDITION_FAILED "condition_failed" 409 "A condition on a key does not hold"
        "`expect` found another value, or `add` would leave its bounds."
        "Read again and decide anew.";
    CONSTRAINT "constraint" 409 "A constraint of the database says no"
        "A unique, foreign key, check or not-null constraint is violated."
        "Handle it as a no of the business.";
    SQL_VALUE "sql_value" 409 "A value cannot be computed or kept"
        "A value is out of range or too long for its column, or cannot be computed, such as a \
         division by zero."
        "Send a value that fits the data.";
    SQL_ERROR "sql_error" 409 "The database refuses a statement"
        "An error without a code of its own here; the message is the database's."
        "See the message.";
    BRANCH_REUSED "branch_reused" 409 "The branch's name is taken at the participant"
        "Something is prepared there already under this branch's id."
        "Look for two nodes that share a cluster name.";
    DEADLOCK "deadlock" 409 "A deadlock was broken"
        "The database chose this branch to end a deadlock."
        "Send it again under a new gid; touch rows in one order everywhere.";
    SERIALIZATION "serialization" 409 "It collided with another transaction"
        "The database cannot order this branch among those that run at the same time."
        "Send it again under a new gid.";
    LOCK_TIMEOUT "lock_timeout" 409 "A lock was not free in time"
        "Another transaction held a row for longer than the lock timeout."
        "Send it again under a new gid; see who holds locks if it lasts.";
    STATEMENT_TIMEOUT "statement_timeout" 409 "A statement took too long"
        "It ran longer than the statement timeout and was cancelled."
        "Send it again under a new gid, with a longer timeout or a faster statement.";
    VOTE_TIMEOUT "vote_timeout" 409 "Not all branches voted in time"
        "`timeout_ms` was over before every branch had prepared, or before a held one was told."
        "Send it again under a new gid, perhaps with a longer timeout.";
    HOLD_TIMEOUT "hold_timeout" 409 "Held, and not told in time"
        "A held transaction was neither committed nor aborted before `timeout_ms` was over."
        "Send it again under a new gid, and tell it sooner.";
    TIMEOUT "timeout" 409 "The branch did not vote in time"
        "The participant worked on the branch for longer than the transaction may take."
        "Send it again under a new gid, perhaps with a longer timeout.";
    ABORTED "aborted" 409 "The branch was aborted while it worked"
        "Something else ended the transaction first, such as another branch's no."
        "See the other branches.";
    NO_ANSWER "no_answer" 409 "The participant did not answer"
        "The call was sent, and its answer never came. The branch is rolled back, now or when the \
         participant returns."
        "Send it again under a new gid.";
    BAD_ANSWER "bad_answer" 409 "The participant's answer makes no sense"
        "It does not speak the participant protocol as it should."
        "See the message, and the participant's log.";
    CALL_STOPPED "call_stopped" 409 "The call to the participant was stopped"
        "The node ended the call before it had an answer. The branch is rolled back."
        "Send it again under a new gid.";
    UNREACHABLE "unreachable" 409 "The participant does not answer"
        "No connection could be made, or it broke before the branch had prepared."
        "Send it again under a new gid when the participant is back.";
    LOGIN_REFUSED "login_refused" 409 "The participant does not let the node in"
        "The configured user, password or token is refused there."
        "Mend the resource's settings; see `handfast resource check`.";
    RESOURCE_DOWN "resource_down" 409 "The participant is down"
        "It has not answered lately, so new branches are refused at once until it does."
        "Send it again under a new gid when /v1/resources shows it up.";
    PARTICIPANT_LOST "participant_lost" 409 "The participant was lost while it prepared"
        "The connection broke between the work and the vote. The branch is rolled back, now or \
        when \
         the participant returns."
        "Send it again under a new gid.";
    PREPARED_SLOTS "prepared_slots" 409 "The database has no free place for a prepared transaction"
        "`max_prepared_transactions` of PostgreSQL is used up, or 0."
        "Raise it; see /v1/resources for who is prepared there.";

    BUG_HERE "bug_here" 500 "A bug in Handfast"
        "The node met what must not be. What became of the request is unknown."
        "Ask for the transaction by its gid. Report the bug with the request id and the log.";
    BUSY "busy" 503 "The node is busy"
        "The queue, or the number of requests at once, is at its limit. Nothing has happened."
        "Send the same request again after the time in `Retry-After`.";
    STOPPING "stopping" 503 "The node is stopping"
        "It takes no new requests. Nothing has happened."
        "Send the same request again after the time in `Retry-After`.";
    DAMAGED "damaged" 500 "The transaction's records are damaged"
        "What the node's log holds of this gid is not as it was written. Nothing has happened now; \
         what the transaction did long ago, this node cannot tell. Others are not affected."
        "See the node's own log lines, and look for faults of the disk. Use another gid. Restore \
         an old copy of the data directory only if nothing was decided since.";
    NOT_READY "not_ready" 503 "The node is not ready"
        "It is still reading its log and looking for prepared branches, or it is stopping; or a \
         shard that could be an acceptor has not answered since the node started."
        "Wait for /readyz, and for /v1/resources to show the shards up.";
}

/// Codes of aborts that pass by themselves.
const PASSING: &[&str] = &[
    "deadlock",
    "serialization",
    "lock_timeout",
    "statement_timeout",
    "vote_timeout",
    "hold_timeout",
    "timeout",
    "aborted",
    "no_answer",
    "bad_answer",
    "call_stopped",
    "unreachable",
    "login_refused",
    "resource_down",
    "participant_lost",
    "prepared_slots",
    "slow_body",
];

/// The code of that name.
pub fn find(name: &str) -> Option<&'static Code> {
    ALL.iter().find(|code| code.name == name)
}

/// The page of all codes, docs/errors.md.
pub fn markdown() -> String {
    let mut page = String::from(PREFACE);
    for code in ALL {
        let Code { name, status, title, cause, cure } = code;
        let again = if code.retryable() { "May pass by itself. " } else { "" };
        let _ = write!(
            page,
            "\n## {name}\n\n**{title}.** Status {status}.\n\n{cause}\n\n{again}Cure: {cure}\n"
        );
    }
    page
}

const PREFACE: &str = "# Errors

<!-- Generated from crates/server/src/api/codes.rs. \
Do not edit; run its tests with HANDFAST_BLESS=1. -->

An answer says exactly what is known.

| status | what is known |
|---|---|
| 200 | The transaction is committed. |
| 202 | Not known yet: the `Location` header is the place to ask. |
| 409 with `transaction` | It is aborted: nothing of it happened anywhere. |
| 422 | The request itself is wrong and fails again as it is; with `transaction`, a participant \
found that and it is aborted. |
| other 4xx | The request was not taken: nothing happened. |
| 503 | The node did not take it: nothing happened. Send it again after `Retry-After`. |
| 500 | A bug: not known. Ask with the gid. |

The body of an error is `application/problem+json` with `code`, `detail` (what was wrong this \
time), \
`cure`, `branch` where it concerns one, and `retryable`.
Codes are stable; words may change.
A gid that was aborted stays aborted: to try again is to send the same under a new gid.
Participants of later versions may bring codes that are not listed here, with status 409.
";
