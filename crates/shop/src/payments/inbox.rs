//! The inbox: what providers tell us by themselves. An event is durable before its sender hears 200, and a job works on it (INV-P2).
//!
//! An event is only a hint: whatever it says, the intent is fetched fresh and applied forward only, so that order, duplicates and
//! losses of events do not matter (INV-P3). One about an intent that nobody knows yet is parked and tried again (INV-P4).

use std::time::Duration;

use ::http::HeaderMap;
use kernel::error::NOT_FOUND;
use kernel::{Ctx, Error, Id, Job, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::Payment;
use crate::payments::{ProviderEvent, Providers, service, store};
use crate::selling_problems::SIGNATURE_INVALID;

/// The marker of an event's identifier.
#[derive(Debug)]
pub(crate) enum InboxEvent {}

db::row! {
    /// An event in the inbox, without its sealed payload.
    #[derive(Clone, Debug)]
    pub(crate) struct InboxRow {
        pub(crate) id: Id<InboxEvent>,
        pub(crate) provider: String,
        pub(crate) event_id: String,
        pub(crate) kind: String,
        pub(crate) reference: Option<String>,
        pub(crate) payment_id: Option<Id<Payment>>,
        pub(crate) state: String,
        pub(crate) attempts: i64,
        pub(crate) received_at: Timestamp,
        pub(crate) processed_at: Option<Timestamp>,
    }
}

/// How long done events are kept.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often an event about an unknown intent is tried before it is left alone.
const MAX_ATTEMPTS: i64 = 8;
const BATCH: u64 = 500;

/// Works on one event of the inbox.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProcessEvent {
    pub(crate) event_id: Id<InboxEvent>,
}

impl Job for ProcessEvent {
    const KIND: &'static str = "shop.provider_event";
}

/// Takes an event that a provider delivered.
pub(crate) async fn receive(ctx: &Ctx, provider: &str, headers: &HeaderMap, body: &[u8]) -> Result<()> {
    let provider = ctx.state::<Providers>().get(provider).filter(|provider| provider.caps().events).cloned().ok_or(&NOT_FOUND)?;
    let event = provider.verify_event(headers, body, ctx.now()).map_err(|error| SIGNATURE_INVALID.error().with_source(error))?;
    keep(ctx, provider.name(), vec![event]).await.map(|_| ())
}

/// Keeps events and puts a job for each new one into the same transaction; tells how many were new.
pub(crate) async fn keep(ctx: &Ctx, provider: &'static str, events: Vec<ProviderEvent>) -> Result<usize> {
    let rows: Vec<(InboxRow, Vec<u8>)> = events.into_iter().map(|event| row_of(ctx, provider, event)).collect();
    ctx.write(move |tx| {
        let mut new = 0;
        for (row, sealed) in &rows {
            if store::insert_event(tx, row, sealed)? {
                tx.enqueue(&ProcessEvent { event_id: row.id })?;
                new += 1;
            }
        }
        Ok(new)
    })
    .await
}

fn row_of(ctx: &Ctx, provider: &str, event: ProviderEvent) -> (InboxRow, Vec<u8>) {
    let id: Id<InboxEvent> = ctx.new_id();
    let sealed = ctx.app.keyring().seal(ctx.app.random(), &format!("shop_provider_events.payload/{id}"), &event.payload);
    let row = InboxRow {
        id,
        provider: provider.to_owned(),
        event_id: event.id,
        kind: event.kind,
        reference: event.reference.filter(|reference| reference.len() <= 190),
        payment_id: event.payment_id,
        state: "received".to_owned(),
        attempts: 0,
        received_at: ctx.now(),
        processed_at: None,
    };
    (row, sealed)
}

/// Works on one event: fetches what it is about and applies it.
pub(crate) async fn process(ctx: Ctx, job: ProcessEvent) -> Result<()> {
    let id = job.event_id;
    let Some(row) = ctx.read(move |c| Ok(store::find_event(c, id)?)).await? else { return Ok(()) };
    if row.state == "processed" || row.state == "ignored" {
        return Ok(());
    }
    process_row(&ctx, &row).await
}

/// Works on an event again because a person asks for it.
pub(crate) async fn process_again(ctx: &Ctx, id: Id<InboxEvent>) -> Result<InboxRow> {
    let row = ctx.read(move |c| Ok(store::find_event(c, id)?)).await?.ok_or(&NOT_FOUND)?;
    process_row(ctx, &row).await?;
    ctx.read(move |c| store::find_event(c, id)?.ok_or_else(|| NOT_FOUND.error())).await
}

async fn process_row(ctx: &Ctx, row: &InboxRow) -> Result<()> {
    let (reference, hinted) = (row.reference.clone(), row.payment_id);
    if reference.is_none() && hinted.is_none() {
        return settle(ctx, row.id, "ignored").await;
    }
    let found = ctx
        .read(move |c| {
            let by_reference = match &reference {
                Some(reference) => store::id_of_reference(c, reference)?,
                None => None,
            };
            match (by_reference, hinted) {
                (Some(id), _) => Ok(Some(id)),
                // It may precede the moment at which we store the intent's name (INV-P4).
                (None, Some(id)) => Ok(store::find(c, id)?.map(|payment| payment.id)),
                (None, None) => Ok(None),
            }
        })
        .await?;
    match found {
        Some(payment) => {
            service::refresh(ctx, payment).await?;
            settle(ctx, row.id, "processed").await
        }
        None if row.attempts + 1 >= MAX_ATTEMPTS => settle(ctx, row.id, "ignored").await,
        None => park(ctx, row).await,
    }
}

/// Events, newest first.
pub(crate) async fn list(
    ctx: &Ctx,
    state: Option<&'static str>,
    after: Option<(Timestamp, Id<InboxEvent>)>,
    limit: u32,
) -> Result<Vec<InboxRow>> {
    ctx.read(move |c| Ok(store::newest_events(c, state, after, limit)?)).await
}

async fn settle(ctx: &Ctx, id: Id<InboxEvent>, state: &'static str) -> Result<()> {
    let now = ctx.now();
    ctx.write(move |tx| Ok(store::set_event_state(tx, id, state, Some(now))?)).await
}

/// Leaves an event for later, with growing patience.
async fn park(ctx: &Ctx, row: &InboxRow) -> Result<()> {
    let (id, attempts) = (row.id, u32::try_from(row.attempts).unwrap_or(0));
    let wait = Duration::from_secs(5) * 3_u32.saturating_pow(attempts.min(8));
    ctx.write(move |tx| {
        store::set_event_state(tx, id, "parked", None).map_err(Error::from)?;
        tx.enqueue_after(&ProcessEvent { event_id: id }, wait)
    })
    .await
}

/// Forgets events that are long done with.
pub(crate) async fn purge(ctx: &Ctx) -> Result<()> {
    let before = ctx.now() - RETENTION;
    ctx.write_in_batches(BATCH, move |tx| Ok(store::purge_events(tx, before)?)).await
}
