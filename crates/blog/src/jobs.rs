//! Housekeeping: due changes, the trash, stale HTML, hashes of addresses.

use kernel::{Ctx, Job, Parts, Result};
use serde::{Deserialize, Serialize};

use crate::transitions::service::{TransitionsDue, make_due};
use crate::{comments, posts};

/// Deletes for good what has been in the trash for long enough, and forgets addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PurgeTrash {}

impl Job for PurgeTrash {
    const KIND: &'static str = "blog.purge_trash";
}

async fn purge_trash(ctx: Ctx, _job: PurgeTrash) -> Result<()> {
    comments::service::forget_addresses(&ctx).await?;
    posts::lifecycle::purge_trash(&ctx).await
}

/// Makes HTML anew that another version of the renderer made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rerender {}

impl Job for Rerender {
    const KIND: &'static str = "blog.rerender";
}

async fn rerender(ctx: Ctx, _job: Rerender) -> Result<()> {
    comments::service::rerender(&ctx).await?;
    posts::lifecycle::rerender(&ctx).await
}

pub(crate) fn register(parts: &mut Parts<'_>) {
    parts
        .job(make_due)
        .job(purge_trash)
        .job(rerender)
        // Each due time has a job of its own; this one finds what was missed.
        .every("*/5 * * * *", TransitionsDue {})
        .every("23 3 * * *", PurgeTrash {})
        .every("7 * * * *", Rerender {});
}
