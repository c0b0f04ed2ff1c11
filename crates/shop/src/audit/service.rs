//! The verb of the audit, and the command line's verbs of the shop.

use std::collections::BTreeMap;
use std::fmt::Display;

use clap::{Arg, ArgAction, ArgMatches, Command};
use kernel::error::CONFLICT;
use kernel::{Ctx, Id, Parts, Result};

use crate::audit::{Finding, store};
use crate::ids::Order;
use crate::payments::reconciler::{self, Reconcile, Recover};
use crate::stock;

pub(crate) fn register(parts: &mut Parts<'_>) {
    parts.command("shop", "The shop's books and payments", shape(), run);
}

fn shape() -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, one object a line");
    Command::new("shop")
        .subcommand_required(true)
        .subcommand(
            Command::new("audit")
                .about("Computes totals, stock, reservations, ledger, refunds and coupons anew and lists what differs")
                .arg(json)
                .after_help("Example: undercroft shop audit"),
        )
        .subcommand(
            Command::new("reconcile")
                .about("Asks the payment providers about everything that is open, and applies it")
                .after_help("Example: undercroft shop reconcile"),
        )
}

async fn run(ctx: Ctx, matches: ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("audit", matches)) => print(&audit(&ctx).await?, matches.get_flag("json")),
        _ => reconcile(&ctx).await,
    }
}

fn print(findings: &[Finding], is_json: bool) -> Result<()> {
    for finding in findings {
        if is_json {
            let line = serde_json::json!({
                "check": finding.check, "subject": finding.subject, "expected": finding.expected, "found": finding.found
            });
            println!("{line}");
        } else {
            println!("{}: {} should be {}, but is {}", finding.check, finding.subject, finding.expected, finding.found);
        }
    }
    if !findings.is_empty() {
        return Err(CONFLICT.because(format!("{} differences.", findings.len())));
    }
    if !is_json {
        println!("The books agree.");
    }
    Ok(())
}

async fn reconcile(ctx: &Ctx) -> Result<()> {
    reconciler::reconcile(ctx.clone(), Reconcile {}).await?;
    reconciler::recover(ctx.clone(), Recover {}).await
}

/// Compares everything that is kept twice, in one state of the database.
pub(crate) async fn audit(ctx: &Ctx) -> Result<Vec<Finding>> {
    ctx.read_long(|c| {
        let mut findings = Vec::new();
        order_figures(&mut findings, "order_total", store::totals(c)?);
        order_figures(&mut findings, "order_lines", store::lines(c)?);
        order_figures(&mut findings, "order_taxes", store::taxes(c)?);
        order_figures(&mut findings, "order_captured", store::captured(c)?);
        order_figures(&mut findings, "order_refunded", store::refunded(c)?);
        order_figures(&mut findings, "refunded_units", store::refunded_units(c)?);
        order_figures(&mut findings, "refunded_amounts", store::refunded_amounts(c)?);
        order_figures(&mut findings, "refunded_shipping", store::refunded_shipping(c)?);
        order_figures(&mut findings, "money_without_order", store::orphans(c)?);
        order_figures(&mut findings, "paid_but_pending", store::paid_and_pending(c)?);
        for (id, expected, found) in store::payments(c)? {
            findings.push(finding("payment_captured", format!("payment:{id}"), expected, found));
        }
        for (id, expected, found) in store::claims(c)? {
            findings.push(finding("payment_claims", format!("payment:{id}"), expected, found));
        }
        for (id, expected, found) in store::given_back(c)? {
            findings.push(finding("payment_refunded", format!("payment:{id}"), expected, found));
        }
        for (id, sum) in store::unbalanced(c)? {
            findings.push(finding("ledger_balance", format!("transaction:{id}"), 0, sum));
        }
        for (id, units) in store::held_by_the_dead(c)? {
            findings.push(finding("reservation_of_ended_order", format!("order:{id}"), 0, units));
        }
        for (id, units) in store::held_by_nobody(c)? {
            findings.push(finding("reservation_without_order", format!("order:{id}"), 0, units));
        }
        for (id, expected, found) in store::coupons(c)? {
            findings.push(finding("coupon_uses", format!("coupon:{id}"), expected, found));
        }
        for (id, expected, found) in store::logs(c)? {
            findings.push(finding("order_log", format!("order:{id}"), expected, found));
        }
        for level in stock::store::differences(c)? {
            let subject = format!("item:{} at location:{}", level.item_id, level.location_id);
            findings.push(finding("stock_on_hand", subject.clone(), level.moved, level.on_hand));
            findings.push(finding("stock_reserved", subject, level.held, level.reserved));
        }
        findings.extend(held_by_the_living(c)?);
        findings.retain(|finding| finding.expected != finding.found);
        Ok(findings)
    })
    .await
}

fn finding(check: &'static str, subject: String, expected: impl Display, found: impl Display) -> Finding {
    Finding { check, subject, expected: expected.to_string(), found: found.to_string() }
}

fn order_figures(findings: &mut Vec<Finding>, check: &'static str, rows: Vec<(Id<Order>, i64, i64)>) {
    findings.extend(rows.into_iter().map(|(id, expected, found)| finding(check, format!("order:{id}"), expected, found)));
}

/// Open orders hold exactly what they still have to ship.
fn held_by_the_living(c: &mut db::Conn) -> Result<Vec<Finding>> {
    let mut due: BTreeMap<Id<Order>, i64> = BTreeMap::new();
    store::open_lines(c, |line| {
        let left = line.quantity - line.fulfilled_quantity - line.dropped();
        let units: i64 = line.demand().iter().map(|part| part.quantity.saturating_mul(left)).sum();
        *due.entry(line.order_id).or_default() += units;
        Ok(())
    })?;
    let mut findings = Vec::new();
    for (id, held) in store::held_by_the_living(c)? {
        let expected = due.remove(&id).unwrap_or(0);
        findings.push(finding("reservation_of_open_order", format!("order:{id}"), expected, held));
    }
    findings.extend(due.into_iter().map(|(id, units)| finding("reservation_of_open_order", format!("order:{id}"), units, 0)));
    Ok(findings)
}
