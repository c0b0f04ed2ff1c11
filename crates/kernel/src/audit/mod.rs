//! The audit trail: who did what to whom, with which result, in a chain that shows whoever changes it (PRV-2).
//!
//! * A row is inserted unsealed in the transaction of the change: one statement, no lock that others wait for.
//! * `sealer` gives each row its place and its hash within two seconds, one sealer at a time over all nodes. The order of sealing
//!   is the order of the chain: a transaction that commits late is sealed late, and none is passed over.
//! * `chain` says which bytes are hashed. `verify` walks the chain and names the first row that is not as it was.
//! * `attempts` writes what strangers try in batches, and a flood as one row.
//! * `upkeep` erases what the law wants erased, prunes what is old, and writes down every day where the chain is.
//!
//! The order of a list is that of `at`; the chain has its own. Lists by time, actor or subject are answered by an index, a filter
//! by action, result or request alone walks back through time.

mod attempts;
pub(crate) mod chain;
mod command;
mod events;
mod http;
mod sealer;
mod service;
mod settings;
mod store;
mod upkeep;
mod verify;

use serde_json::Value;

use crate::actor::CredentialKind;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::module::Parts;

pub(crate) use attempts::Attempts;
pub use events::{AuditBroken, AuditVerified};
pub(crate) use sealer::Sealer;
pub use service::{Activity, ActivityBy, activity};
pub use settings::AuditSettings;
pub(crate) use store::{AuditRow, Narrowed, VerificationRow};
pub use upkeep::erase;
pub use verify::{Fault, FaultKind, KnownHead, Report};

pub(crate) use attempts::run as write_attempts;
pub(crate) use sealer::{run as seal_rows, seal_own};
pub(crate) use settings::check;

/// One row of the audit trail. It names ids, never secrets or what people typed.
#[derive(Clone, Debug)]
pub struct AuditEntry<'a> {
    /// What was done, `module.thing.verb`.
    pub action: &'static str,
    /// To whom or what, `user:…`.
    pub subject: Option<&'a str>,
    /// `ok`, or the code of the problem.
    pub result: &'a str,
    /// Ids and settings that explain it.
    pub detail: Option<Value>,
    /// Names and the like of the subject, before and after; erased with the person.
    pub personal: Option<Value>,
}

impl<'a> AuditEntry<'a> {
    /// Something that succeeded.
    pub fn ok(action: &'static str, subject: &'a str) -> Self {
        AuditEntry { action, subject: Some(subject), result: "ok", detail: None, personal: None }
    }

    /// Something that was refused with this code.
    pub fn refused(action: &'static str, subject: Option<&'a str>, code: &'a str) -> Self {
        AuditEntry { action, subject, result: code, detail: None, personal: None }
    }

    /// The same entry with ids and settings that explain it.
    #[must_use]
    pub fn with_detail(self, detail: Value) -> Self {
        AuditEntry { detail: Some(detail), ..self }
    }

    /// The same entry with what is personal about its subject, such as a name before and after.
    #[must_use]
    pub fn with_personal(self, personal: Value) -> Self {
        AuditEntry { personal: Some(personal), ..self }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, ctx: &Ctx, entry: &AuditEntry<'_>) -> Result<()> {
    let (actor, ip) = (ctx.actor.label(), ctx.request.client_address.to_string());
    let (detail, personal) = (explained(ctx, entry).map(|detail| detail.to_string()), entry.personal.as_ref().map(Value::to_string));
    // The system calls from nowhere.
    let is_system = ctx.actor.credential() == CredentialKind::System;
    let row = store::NewRow {
        id: ctx.new_id(),
        at: ctx.now(),
        actor: &actor,
        action: entry.action,
        subject: entry.subject,
        result: entry.result,
        ip: (!is_system).then_some(&ip),
        user_agent: ctx.request.user_agent.as_deref().filter(|_| !is_system),
        request_id: Some(&ctx.request.id),
        detail: detail.as_deref(),
        personal: personal.as_deref(),
        salts: store::salts(ctx.app.random()),
    };
    Ok(store::insert(tx, &row)?)
}

pub(crate) fn register(parts: &mut Parts<'_>) {
    parts
        .settings::<AuditSettings>()
        .permissions(&[&http::READ_AUDIT_EVENTS, &http::EXPORT_AUDIT_EVENTS, &http::VERIFY_AUDIT_EVENTS])
        .emits::<AuditVerified>()
        .emits::<AuditBroken>()
        .state(|_| Ok(Sealer::default()))
        .state(|_| Ok(Attempts::default()))
        .template(crate::template!("platform/audit_head", "en", "../../emails/audit_head/en"))
        .template(crate::template!("platform/audit_head", "de", "../../emails/audit_head/de"))
        .job(upkeep::publish_head)
        .job(upkeep::thin)
        .job(service::carry_out)
        .every("3 0 * * *", upkeep::PublishHead {})
        .every("47 2 * * *", upkeep::Thin {})
        .routes(http::operations());
    command::register(parts);
}

/// The detail of the entry, with the API key that was used if it was one (KEY-1).
fn explained(ctx: &Ctx, entry: &AuditEntry<'_>) -> Option<Value> {
    let Some(key) = ctx.actor.key_id() else { return entry.detail.clone() };
    let mut members = match &entry.detail {
        Some(Value::Object(members)) => members.clone(),
        Some(other) => [("detail".to_owned(), other.clone())].into_iter().collect(),
        None => serde_json::Map::new(),
    };
    members.insert("api_key_id".to_owned(), key.to_string().into());
    Some(Value::Object(members))
}
