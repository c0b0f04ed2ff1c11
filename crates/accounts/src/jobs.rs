//! Housekeeping: what has ended is forgotten, and there is always a signing key for tomorrow.

use std::time::Duration;

use kernel::{Ctx, Job, Result};
use serde::{Deserialize, Serialize};

use crate::{api_keys, emails, invitations, logins, one_time, sessions, signups, tokens};

/// How long ended sessions and tokens are kept, so that their reuse is told apart from nonsense.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Rows that one purging statement takes; the stores' SQL says the same number.
const BATCH: u64 = 500;
/// How long failures are remembered after the last one.
const FAILURES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Forgets expired sessions, tokens, API keys, sign-ups, changes of address, invitations and throttles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Purge {}

impl Job for Purge {
    const KIND: &'static str = "accounts.purge";
}

pub(crate) async fn purge(ctx: Ctx, _job: Purge) -> Result<()> {
    let now = ctx.now();
    ctx.write_in_batches(BATCH, move |tx| Ok(tokens::store::purge_refresh(tx, now - KEPT)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(sessions::store::purge(tx, now - KEPT)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(one_time::store::purge(tx, now - KEPT)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(signups::store::purge(tx, now - KEPT)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(emails::store::purge(tx, now - KEPT)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(api_keys::store::purge(tx, now - KEPT)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(invitations::store::purge(tx, now - KEPT)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(logins::store::purge(tx, now - FAILURES_KEPT)?)).await?;
    ctx.write(move |tx| Ok(tokens::store::purge_keys(tx, now)?)).await?;
    Ok(())
}

/// Makes the next signing key a day before it is needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SupplySigningKeys {}

impl Job for SupplySigningKeys {
    const KIND: &'static str = "accounts.supply_signing_keys";
}

pub(crate) async fn supply_signing_keys(ctx: Ctx, _job: SupplySigningKeys) -> Result<()> {
    tokens::signing::keep_supplied(&ctx.app).await
}
