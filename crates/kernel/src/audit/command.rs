//! The command line's verb of the audit trail: `audit verify`.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use crate::audit::chain::hex;
use crate::audit::verify::{self, KnownHead, Report};
use crate::ctx::Ctx;
use crate::error::{CONFLICT, MALFORMED_REQUEST, Result};
use crate::module::Parts;

pub(super) fn register(parts: &mut Parts<'_>) {
    parts.command("audit", "The audit trail", shape(), run);
}

fn shape() -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
    let head = Arg::new("head").long("head").value_name("SEQ:HASH").help("A head from a mail or a log that must be part of the chain");
    let verify = Command::new("verify")
        .about("Walks the whole chain and names the first row that is not as it was written; exit code 1 if there is one")
        .arg(head)
        .arg(json)
        .after_help("Changes nothing; the server may run.\n\nExample:\n  undercroft audit verify");
    Command::new("audit").subcommand_required(true).subcommand(verify).after_help("Example:\n  undercroft audit verify --json")
}

/// After how many rows somebody who waits is told.
const TELL: u64 = 100_000;

async fn run(ctx: Ctx, matches: ArgMatches) -> Result<()> {
    let Some(options) = matches.subcommand_matches("verify") else {
        return Err(MALFORMED_REQUEST.because("Say what to do: verify."));
    };
    let known = match options.get_one::<String>("head") {
        Some(text) => {
            Some(KnownHead::parse(text).ok_or_else(|| MALFORMED_REQUEST.because("A head looks like 4711:64 hexadecimal digits."))?)
        }
        None => None,
    };
    let mut told = 0;
    let report = verify::verify(&ctx.app, known, |rows| {
        if rows / TELL > told {
            told = rows / TELL;
            eprintln!("{rows} rows …");
        }
    });
    let report = report.await?;
    print(&report, known, options.get_flag("json"));
    match report.fault {
        None => Ok(()),
        Some(fault) => Err(CONFLICT.because(format!("The audit trail is broken at row {}: {}.", fault.seq, fault.kind.sentence()))),
    }
}

fn print(report: &Report, known: Option<KnownHead>, is_json: bool) {
    let (first, last, count, hash) = (report.first_seq, report.last_seq, report.row_count, hex(&report.last_hash));
    if is_json {
        let fault = report.fault.map(|fault| json!({ "seq": fault.seq, "kind": fault.kind.as_str() }));
        let line = json!({
            "first_seq": first, "last_seq": last, "last_hash": hash, "row_count": count, "erased_count": report.erased_count,
            "has_waiting": report.has_waiting, "fault": fault,
        });
        return println!("{line}");
    }
    if count > 0 {
        println!("{count} rows are whole, from {first} to {last}; {} of them were erased in part.", report.erased_count);
        println!("The last is {last}:{hash}");
    } else {
        println!("No row is sealed.");
    }
    if known.is_some_and(|known| known.seq < first) {
        println!("The head that you gave is older than the first row that is kept: it cannot be compared.");
    }
    if report.has_waiting {
        println!("Some rows are not sealed yet. A server that runs seals them within two seconds.");
    }
}
