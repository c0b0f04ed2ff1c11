//! What happens to orders by themselves: they expire.

use kernel::{Ctx, Job, LogAndContinue as _, Result};
use serde::{Deserialize, Serialize};

use crate::orders::{service, store};

/// Ends orders that were not paid in time, and so gives their goods back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExpireOrders {}

impl Job for ExpireOrders {
    const KIND: &'static str = "shop.expire_reservations";
}

pub(crate) async fn expire(ctx: Ctx, _job: ExpireOrders) -> Result<()> {
    let now = ctx.now();
    for id in ctx.read(move |c| Ok(store::overdue(c, now)?)).await? {
        if service::expire(&ctx, id).await.log_and_continue("ending an unpaid order").is_none() {
            // So that one whose provider is away does not stand before the others for ever.
            service::postpone(&ctx, id).await.log_and_continue("putting off the end of an unpaid order");
        }
    }
    Ok(())
}
