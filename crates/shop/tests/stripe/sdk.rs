//! Stripe's own library, in a process of its own: it signs as Stripe does, and judges as others do.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::told;

struct Library {
    process: Child,
    answers: BufReader<ChildStdout>,
}

/// Ends with the tests: its standard input is closed then.
static LIBRARY: LazyLock<Mutex<Library>> = LazyLock::new(|| {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stripe/sdk.py");
    let mut command = Command::new(told("TEST_STRIPE_PYTHON"));
    let mut process = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let answers = BufReader::new(process.stdout.take().unwrap());
    Mutex::new(Library { process, answers })
});

fn ask(question: &Value) -> Value {
    let mut library = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(library.process.stdin.as_mut().unwrap(), "{question}").unwrap();
    let mut line = String::new();
    library.answers.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("the library does not answer {question}"))
}

/// The header `Stripe-Signature` of a body.
pub(crate) fn sign(secret: &str, seconds: i64, body: &str) -> String {
    ask(&json!({ "do": "sign", "secret": secret, "seconds": seconds, "body": body }))["header"].as_str().unwrap().to_owned()
}

/// The id of the event, if the library believes at this time that Stripe has sent it; else why not.
pub(crate) fn judge(secret: &str, seconds: i64, header: &str, body: &str) -> Result<String, String> {
    let said = ask(&json!({ "do": "judge", "secret": secret, "seconds": seconds, "header": header, "body": body }));
    said["id"].as_str().map(str::to_owned).ok_or_else(|| said["refused"].as_str().unwrap_or("no event").to_owned())
}
