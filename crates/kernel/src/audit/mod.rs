//! The audit trail: who did what to whom, with which result.

use serde_json::Value;

use crate::ctx::Ctx;
use crate::error::Result;

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
}

impl<'a> AuditEntry<'a> {
    /// Something that succeeded.
    pub fn ok(action: &'static str, subject: &'a str) -> Self {
        AuditEntry { action, subject: Some(subject), result: "ok", detail: None }
    }

    /// Something that was refused with this code.
    pub fn refused(action: &'static str, subject: Option<&'a str>, code: &'a str) -> Self {
        AuditEntry { action, subject, result: code, detail: None }
    }

    /// The same entry with ids and settings that explain it.
    #[must_use]
    pub fn with_detail(self, detail: Value) -> Self {
        AuditEntry { detail: Some(detail), ..self }
    }
}

mod store;

pub(crate) fn insert(tx: &mut db::Tx<'_>, ctx: &Ctx, entry: &AuditEntry<'_>) -> Result<()> {
    let (actor, ip) = (ctx.actor.label(), ctx.request.client_address.to_string());
    let detail = explained(ctx, entry).map(|detail| detail.to_string());
    store::insert(tx, ctx, entry, &actor, &ip, detail.as_deref())
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
