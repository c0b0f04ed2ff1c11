//! What happens without anybody asking: lost answers are found, silent payments looked at, events polled (INV-P5).

use kernel::{Ctx, Job, LogAndContinue as _, Result};
use serde::{Deserialize, Serialize};

use crate::payments::{Providers, inbox, service, store};
use crate::refunds;

/// Looks after payments and refunds whose time has come: recovers interrupted checkouts, asks about silent intents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recover {}

impl Job for Recover {
    const KIND: &'static str = "shop.checkout_recover";
}

/// Polls the events of every provider, so that nothing is missed while webhooks are off or lost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reconcile {}

impl Job for Reconcile {
    const KIND: &'static str = "shop.reconcile";
}

/// Carries on whatever is due; one that fails never stops the others.
pub(crate) async fn recover(ctx: Ctx, _job: Recover) -> Result<()> {
    let now = ctx.now();
    for id in ctx.read(move |c| Ok(store::due(c, now)?)).await? {
        let until = ctx.now() + service::TURN * 2;
        if ctx.write(move |tx| Ok(store::take_turn(tx, id, now, until)?)).await? {
            service::refresh(&ctx, id).await.log_and_continue("looking after a payment");
        }
    }
    refunds::service::carry_on(&ctx).await
}

/// Polls events into the inbox, where they meet their twins from the webhook.
pub(crate) async fn reconcile(ctx: Ctx, _job: Reconcile) -> Result<()> {
    let pollable: Vec<_> = ctx.state::<Providers>().iter().filter(|provider| provider.caps().events).cloned().collect();
    for provider in pollable {
        let name = provider.name();
        let position = ctx.read(move |c| Ok(store::cursor(c, name)?)).await?;
        match provider.events_since(position.as_deref()).await {
            Ok((mut events, next)) => {
                // What is about nothing of ours would only fill the inbox: nobody waits for an answer to it.
                events.retain(|event| event.reference.is_some() || event.payment_id.is_some());
                for batch in events.chunks(100) {
                    inbox::keep(&ctx, name, batch.to_vec()).await?;
                }
                let now = ctx.now();
                ctx.write(move |tx| Ok(store::set_cursor(tx, name, next.as_deref(), now)?)).await?;
            }
            Err(error) => tracing::warn!(provider = name, "polling the events of {name} failed and is tried again: {error}"),
        }
    }
    inbox::purge(&ctx).await
}
