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
        "It has a parameter that the path does not take, or one of a wrong type, or a `state` that \
         is none; or it says otherwise than the body."
        "Use the parameters that /openapi.json describes.";
    NO_FILTER "no_filter" 400 "It is not said which transactions are meant"
        "One word to many needs a filter; `limit` and `after` are none."
        "Give the filter a `state`, `resource`, `saga` or `prefix`.";
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
        "No transaction of that gid is known to this node: it never began here, was aborted by a \
         crash before it was recorded, or finished longer ago than `retention_ms`."
        "Check the gid. What was sent to this node, and is not known, did not commit, unless it is \
         that old. Of what was sent to another node this one knows nothing: ask that one, and do \
         not send it again before it has answered.";
    NO_SUCH_BRANCH "no_such_branch" 404 "No such branch"
        "The transaction has no branch of that name."
        "Use a name from the transaction's `branches`.";
    NO_SUCH_SAGA "no_such_saga" 404 "No such saga"
        "No saga of that name, or no such version of it, is kept here."
        "Use a name and version from /v1/sagas, or apply the definition first.";
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
        "A field is unknown, missing, or has a wrong type, at the line and column given; or two \
         fields exclude each other."
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
        "A branch has `sql` for a database, `keys` for a shard, or for a service the calls that go \
         with its kind: `do` and `undo` for a step, `do` or `message` for a delivery, `try`, \
         `confirm` and `cancel` for one that prepares. `isolation` and timeouts go with `sql`."
        "Give what the kinds of the resource and of the branch need.";
    BAD_CALL "bad_call" 422 "A call cannot be made"
        "A call is `METHOD /path`, with POST, PUT, PATCH, DELETE or GET; the path has no spaces \
         and no `.` or `..` as segments. Headers that Handfast sets, that belong to the \
         connection, or that hold credentials are not the call's to set. Bodies have at most \
         `limits.text_bytes_max` bytes; types, subjects and order keys 1 to 256."
        "Mend what the message names. Headers that are not the call's to set go into the \
         resource's settings.";
    UNKNOWN_AFTER "unknown_after" 422 "`after` names no branch"
        "A branch is said to come after one that the transaction does not have."
        "Use the names of the transaction's branches.";
    AFTER_DELIVERY "after_delivery" 422 "A branch cannot come after a delivery"
        "Deliveries leave after the decision, steps and branches that prepare are done before it."
        "Leave the delivery out of `after`, or make the branch a delivery too.";
    CYCLE "cycle" 422 "Branches wait for each other"
        "By what `after` says, or by the order of the list where it says nothing, each would have \
         to wait for the other."
        "Leave one of the names out of `after`.";
    BAD_TEMPLATE "bad_template" 422 "A template cannot be read"
        "`{{` has no `}}`, or what is between them is not `branch`, `branch.field` or \
         `input.field`."
        "Mend the template.";
    UNKNOWN_NAME "unknown_name" 422 "A template names no branch"
        "`{{name.field}}` begins with the name of a branch, or with `input`."
        "Use the name of one of the transaction's branches.";
    NO_OUTPUT "no_output" 422 "A template names a branch that puts nothing out"
        "Only steps and reservations of services put something out that others may use."
        "Use the output of a step, or put the value into the transaction's `input`.";
    USED_TOO_EARLY "used_too_early" 422 "An output is used before it is there"
        "A branch may use the outputs of those that come before it; `undo`, `confirm` and `cancel` \
         may use the branch's own, and deliveries every one."
        "Name the other branch in `after`.";
    MISSING_INPUT "missing_input" 422 "A template names what the input does not have"
        "`{{input.field}}` must be in the transaction's `input` when it begins."
        "Give the field.";
    BAD_INPUT "bad_input" 422 "The input does not fit"
        "`input` is an object of at most 65,536 bytes as JSON; that of a saga fits its schema."
        "Mend the input at the place that is named.";
    BAD_ASK "bad_ask" 422 "It cannot be asked back"
        "`ask` goes with `open` and with steps and deliveries only, names a service, and its call \
         uses the input only."
        "Begin the transaction with `open`, and ask the service that keeps the marker.";
    RETRY_OUT_OF_RANGE "retry_out_of_range" 422 "A retry is out of range"
        "`attempts` are 1 to 1,000; `call_ms` is at most a minute, and other times are at most a \
         day; `cap_ms` is not less than `first_ms`."
        "Use a number within the range.";
    NOT_EDITABLE "not_editable" 422 "An edit cannot change that"
        "An edit gives a branch of a service other calls. Its resource, kind, place and retries \
         stay as they are, and a step that can be undone stays so."
        "Change calls alone; or resolve the branch, or abort the transaction.";
    BAD_SAGA "bad_saga" 422 "The definition cannot run"
        "The message says what is wrong, each with a code that docs/sagas.md explains."
        "Mend it; `handfast saga lint` says the same without a node.";
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
        "A parameter is null, a boolean, a number, a string, or `{\"bytes\": \"<base64>\"}`, or \
         `{\"output\": \"branch.field\"}`; whole numbers have 64 bits with sign."
        "Send large numbers, decimals, dates and JSON as strings.";
    BAD_KEY "bad_key" 422 "A key or value of a shard cannot be used"
        "A key has 1 to 256 bytes; a value is a 64-bit integer, a string, or `{\"bytes\": \
        \"<base64>\"}` \
         of at most 65,536 bytes; null only where a key is expected to be absent."
        "Use another key or value.";
    TIMEOUT_OUT_OF_RANGE "timeout_out_of_range" 422 "A timeout is out of range"
        "A timeout is 0 or more than `transaction.timeout_ms_max`; `deadline_ms` is at most \
         30 days."
        "Use one within the range, or raise the setting.";
    BAD_REASON "bad_reason" 422 "The reason cannot be kept"
        "`:resolve` and `:edit` need a reason; reasons have at most 1,024 bytes."
        "Say in a sentence why.";
    BAD_OUTCOME "bad_outcome" 422 "A branch cannot be resolved as unknown"
        "To resolve a branch is to say what was seen there: `committed` or `aborted`."
        "Look at the participant first.";
    OTHER_CONTENT "other_content" 422 "The gid was used with other content"
        "A transaction of this gid exists, and its branches, `hold`, `decide`, `open`, `input` or \
         `ask` differ from this request's; or a branch of that name was added with other content. \
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
         what cannot be prepared, such as temporary tables on PostgreSQL and MySQL."
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
    CALL_UNDER_WAY "call_under_way" 409 "A call of the branch is under way"
        "What its service answers may change what there is to edit or to resolve. Nothing was \
         changed."
        "Say it again when the call has ended: `tx show` tells.";
    SAGA_VERSION_TAKEN "saga_version_taken" 409 "The saga's version has another content"
        "A version never changes, so that what runs is what was applied."
        "Apply it as the next version.";
    SAGAS_FULL "sagas_full" 409 "No more sagas are kept"
        "The definition has more than 256 KiB, or 1,000 versions are kept already."
        "Shorten it; or remove files of old versions from `sagas` in the data directory while the \
         node is stopped.";
    SERVICE_REFUSED "service_refused" 409 "A service refused"
        "A service answered a step or reservation with 409 or 422; `body` is what it said."
        "Handle it as a no of the business.";
    SERVICE_BROKEN "service_broken" 409 "A service's answer makes no sense"
        "A service answered a reservation with a status that is neither success, refusal nor \
         passing trouble; the message shows it."
        "Mend the call, or the service.";
    MISSING_OUTPUT "missing_output" 409 "An output has not what is used of it"
        "A call uses a field that an earlier branch's output does not have. It was not made, and \
         an edit that asks for it changes nothing."
        "Use what the service really answers; `handfast tx show` prints outputs.";
    STEP_TIMEOUT "step_timeout" 409 "A step was not done in time"
        "Its service did not answer with success before `retry` was over. What may be done is \
         undone."
        "Send it again under a new gid when the service is well, or give the step more patience.";
    DEADLINE "deadline" 409 "Not decided in time"
        "`deadline_ms` was over before the decision, or before an open transaction was told."
        "Send it again under a new gid, perhaps with a longer deadline.";
    NOT_SUBMITTED "not_submitted" 409 "The caller's local transaction did not commit"
        "The caller's word did not come, and the service that was asked says that it never will."
        "Nothing is left to do.";
    DECLARED_UNDONE "declared_undone" 409 "An operator declared a step not done"
        "The step's answer did not come or made no sense, and an operator looked."
        "See the reason that the operator gave.";
    NODE_RESTARTED "node_restarted" 409 "The node restarted while branches prepared"
        "Votes are not recorded, and a branch is not prepared twice, so it was aborted."
        "Send it again under a new gid.";
    TAKEN_OVER "taken_over" 409 "Decided by the shards"
        "The shards of the transaction finished it without this node, or after its restart, before \
         all had voted."
        "Send it again under a new gid.";
    RESOLVED "resolved" 409 "An operator declared a branch rolled back"
        "The branch's own end is the decision, nobody could tell it any more, and an operator \
         looked."
        "See the reason that the operator gave.";
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
        "`timeout_ms` was over before every branch had prepared; the message says who had not."
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
        "It has not answered lately, so statements and operations there are refused at once until \
         it does."
        "Send it again under a new gid when /v1/resources shows it up.";
    PARTICIPANT_LOST "participant_lost" 409 "The participant was lost while it prepared"
        "The connection broke between the work and the vote. The branch is rolled back, now or \
        when \
         the participant returns."
        "Send it again under a new gid.";
    PREPARED_SLOTS "prepared_slots" 409 "The database has no free place for a prepared transaction"
        "`max_prepared_transactions` of PostgreSQL is used up, or 0."
        "Raise it; see /v1/resources for who is prepared there.";

    NOT_WRITTEN "not_written" 500 "The node's disk did not take it"
        "A file in the data directory could not be written or synced. Whether the saga is kept is \
         not known."
        "Mend the disk, or make room on it; then apply the same again: it is kept once.";
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

/// Codes of what passes by itself.
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
    "step_timeout",
    "deadline",
    "node_restarted",
    "taken_over",
    "slow_body",
    "call_under_way",
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
| 500 | A bug, or a fault of the node's disk: not known. Ask with the gid. |

The body of an error is `application/problem+json` with `code`, `detail` (what was wrong this \
time), \
`cure`, `branch` where it concerns one, and `retryable`.
Codes are stable; words may change.
A gid that was aborted stays aborted: to try again is to send the same under a new gid.
Participants of later versions may bring codes that are not listed here, with status 409.
";
