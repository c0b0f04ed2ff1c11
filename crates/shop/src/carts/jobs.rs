//! Carts that nobody uses any more: they end, and are forgotten some time later.

use std::time::Duration;

use kernel::{Ctx, Job, Result};
use serde::{Deserialize, Serialize};

use crate::carts::store;

/// How long an ended cart is kept, so that its owner learns what became of it.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Ends and forgets unused carts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExpireCarts {}

impl Job for ExpireCarts {
    const KIND: &'static str = "shop.expire_carts";
}

pub(crate) async fn expire_carts(ctx: Ctx, _: ExpireCarts) -> Result<()> {
    let now = ctx.now();
    ctx.write_in_batches(500, move |tx| Ok(store::expire(tx, now)?)).await?;
    ctx.write_in_batches(200, move |tx| {
        let ids = store::forgotten(tx, now - KEPT)?;
        for id in &ids {
            store::delete(tx, *id)?;
        }
        Ok(ids.len() as u64)
    })
    .await
}
