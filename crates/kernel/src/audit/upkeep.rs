//! What is done to rows that exist: erasing, pruning, and writing down where the chain is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit::chain;
use crate::audit::settings::AuditSettings;
use crate::audit::store::{self, Checkpoint, DAILY, Place, Rows};
use crate::audit::{attempts, sealer, verify};
use crate::ctx::Ctx;
use crate::error::Result;
use crate::id::Id;
use crate::jobs::Job;
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Rows that one purging statement takes; the store's SQL says the same number.
const BATCH: u64 = 500;
/// How long the outcomes of verifications are kept.
const OUTCOMES_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Erases what the trail tells about a person: where they called from, and what is personal in what was done to them.
///
/// `label` is that of [`Actor::label`](crate::Actor::label), `user:…`. The chain stays whole: what is erased was never in it, only its
/// salted hash, and the salt goes too. Where somebody tried to log in as the person is erased with it. What the person did to others
/// still says what and when, under the bare id. Running it again changes nothing; it may be stopped anywhere.
pub async fn erase(ctx: &Ctx, label: &str) -> Result<()> {
    attempts::flush(&ctx.app).await?;
    erase_rows(ctx, Scope::Of(label.to_owned()), BEGINNING).await?;
    erase_rows(ctx, Scope::About(label.to_owned()), BEGINNING).await
}

const BEGINNING: Place = (Timestamp::from_millis(i64::MIN), Id::from_uuid(uuid::Uuid::nil()));

/// [`Rows`] that a closure owns.
#[derive(Clone, Debug)]
enum Scope {
    Of(String),
    About(String),
    Before(Timestamp),
}

impl Scope {
    fn rows(&self) -> Rows<'_> {
        match self {
            Scope::Of(label) => Rows::Of(label),
            Scope::About(label) => Rows::About(label),
            Scope::Before(before) => Rows::Before(*before),
        }
    }
}

/// Goes forward through the index, a transaction for each 500 rows, so that nothing is looked at twice.
async fn erase_rows(ctx: &Ctx, scope: Scope, mut after: Place) -> Result<()> {
    loop {
        let of = scope.clone();
        let found = ctx.read_long(move |c| Ok(store::erasable(c, of.rows(), after)?)).await?;
        let Some(last) = found.last().copied() else { return Ok(()) };
        after = last;
        let (of, ids) = (scope.clone(), found.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        ctx.write(move |tx| Ok(store::erase(tx, of.rows(), &ids)?)).await?;
    }
}

/// Writes down where the chain is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PublishHead {}

impl Job for PublishHead {
    const KIND: &'static str = "platform.publish_audit_head";
}

/// Writes down the head, logs it, and mails it to whom `audit.head_mail` names; nothing when the chain has not grown.
pub(super) async fn publish_head(ctx: Ctx, _job: PublishHead) -> Result<()> {
    sealer::seal(&ctx.app).await?;
    let Some(head) = ctx.read(|c| Ok(store::head(c)?)).await?.filter(|head| head.seq > 0) else { return Ok(()) };
    let (now, to) = (ctx.now(), ctx.settings::<AuditSettings>().head_mail.clone());
    let mac = chain::head_mac(ctx.app.keyring(), DAILY, head.seq, &head.hash, now);
    let checkpoint = Checkpoint { kind: DAILY.to_owned(), seq: head.seq, hash: head.hash, at: now, mac };
    let text = format!("{}:{}", head.seq, chain::hex(&head.hash));
    let (data, site) = (text.clone(), ctx.app.public_url());
    let is_new = ctx
        .write(move |tx| {
            if !store::insert_checkpoint(tx, &checkpoint)? {
                return Ok(false);
            }
            if !to.is_empty() {
                tx.mail("platform/audit_head", &to, "en", &json!({ "head": data, "at": now, "site": site }))?;
            }
            Ok(true)
        })
        .await?;
    if is_new {
        tracing::info!(audit.head = text, "the audit trail ends at {text}");
    }
    Ok(())
}

/// Erases addresses and prunes rows that are past their retention.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Thin {}

impl Job for Thin {
    const KIND: &'static str = "platform.thin_audit";
}

pub(super) async fn thin(ctx: Ctx, _job: Thin) -> Result<()> {
    let (now, settings) = (ctx.now(), ctx.settings::<AuditSettings>());
    erase_addresses(&ctx, now - DAY * settings.address_retention_days).await?;
    if settings.retention_days > 0 {
        prune(&ctx, now - DAY * settings.retention_days).await?;
    }
    ctx.write_in_batches(BATCH, move |tx| Ok(store::purge_verifications(tx, now - OUTCOMES_KEPT)?)).await
}

/// Erases where callers before this time called from (POS-11); goes on where the last run ended.
async fn erase_addresses(ctx: &Ctx, before: Timestamp) -> Result<()> {
    let until = ctx.read(|c| Ok(store::head(c)?)).await?.map(|head| head.addresses_until);
    erase_rows(ctx, Scope::Before(before), (until.unwrap_or(BEGINNING.0), BEGINNING.1)).await?;
    if until.is_some_and(|until| until < before) {
        ctx.write(move |tx| Ok(store::set_addresses_until(tx, before)?)).await?;
    }
    Ok(())
}

/// Deletes rows from the beginning of the chain as far as they are older than this; a checkpoint stands where the chain begins then.
async fn prune(ctx: &Ctx, before: Timestamp) -> Result<()> {
    loop {
        let oldest = ctx.read_long(|c| {
            let base = store::base(c)?.map_or(0, |base| base.seq);
            Ok(store::oldest(c, base)?)
        });
        let oldest = oldest.await?;
        let old: Vec<_> = oldest.iter().take_while(|(_, at, _)| *at < before).collect();
        let Some((seq, _, hash)) = old.last() else { return Ok(()) };
        let (checkpoint, up_to) = (verify::pruned_at(ctx.app.keyring(), *seq, *hash, ctx.now()), *seq);
        let is_all = old.len() < BATCH as usize;
        ctx.write(move |tx| {
            // Another node may have done it meanwhile; then there is nothing left to delete.
            store::insert_checkpoint(tx, &checkpoint)?;
            store::prune(tx, up_to)?;
            Ok(store::delete_checkpoints_before(tx, up_to)?)
        })
        .await?;
        if is_all {
            return Ok(());
        }
    }
}
