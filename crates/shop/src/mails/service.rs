//! The verbs of order mails.

use kernel::error::NOT_FOUND;
use kernel::{Ctx, Error, Id, Job, LogAndContinue as _, Result, Tx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ids::{Fulfilment, Order, Refund};
use crate::mails::{DueMail, MailKind, store};
use crate::orders::{self, OrderRecord};
use crate::{fulfilments, refunds};

/// Queues the mails that are due.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SendOrderMails {}

impl Job for SendOrderMails {
    const KIND: &'static str = "shop.order_mail";
}

/// Notes that the buyer is to be told, once per order and occasion; `source` tells occasions of one kind apart.
pub(crate) fn queue(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: Id<Order>, kind: MailKind, source: Option<Uuid>) -> Result<()> {
    let dedup_key = match source {
        Some(source) => format!("order:{order}:{}:{source}", kind.as_str()),
        None => format!("order:{order}:{}", kind.as_str()),
    };
    store::insert(tx, ctx.new_id(), &dedup_key, order, kind.as_str(), source.map(Id::from_uuid), ctx.now())?;
    Ok(())
}

/// Hands every due mail to the mailbox, each in one transaction with the note that it was.
pub(crate) async fn send(ctx: Ctx, _job: SendOrderMails) -> Result<()> {
    loop {
        let due = ctx.read(|c| Ok(store::due(c)?)).await?;
        let count = due.len();
        let mut sent = 0;
        for mail in due {
            sent += usize::from(send_one(&ctx, mail).await.log_and_continue("queueing a mail about an order").is_some());
        }
        // One that always fails stays at the head; the others behind it are taken next time.
        if count < 50 || sent == 0 {
            return Ok(());
        }
    }
}

async fn send_one(ctx: &Ctx, mail: DueMail) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        if !store::take(tx, mail.id, context.now())? {
            return Ok(());
        }
        let order = orders::store::find(tx, mail.order_id)?.ok_or(&NOT_FOUND)?;
        let data = data_of(tx, &context, &order, &mail)?;
        tx.mail(MailKind::template(&mail.kind), &order.email, &order.locale, &data)
    })
    .await
}

/// What the templates show.
fn data_of(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &OrderRecord, mail: &DueMail) -> Result<Value> {
    let lines: Vec<Value> = orders::store::lines(tx, order.id)?
        .into_iter()
        .map(|line| {
            let title = if line.variant_title.is_empty() { line.title.clone() } else { format!("{} ({})", line.title, line.variant_title) };
            json!({ "title": title, "quantity": line.quantity, "total": order.money(line.gross).to_string() })
        })
        .collect();
    let (mut amount, mut carrier, mut tracking) = (order.money(order.total).to_string(), None, None);
    match (mail.kind.as_str(), mail.source_id) {
        ("refunded", Some(id)) => {
            if let Some(refund) = refunds::store::find(tx, Id::<Refund>::from_uuid(id.uuid()))? {
                amount = refund.money().to_string();
            }
        }
        ("shipped", Some(id)) => {
            if let Some(parcel) = fulfilments::store::find(tx, Id::<Fulfilment>::from_uuid(id.uuid()))? {
                (carrier, tracking) = (parcel.carrier, parcel.tracking);
            }
        }
        _ => {}
    }
    Ok(json!({
        "number": order.number,
        "lines": lines,
        "total": order.money(order.total).to_string(),
        "amount": amount,
        "shipping": order.shipping_title,
        "instructions": orders::views::instructions(ctx, order),
        "link": link(ctx, order)?,
        "carrier": carrier,
        "tracking": tracking,
    }))
}

/// Where the buyer sees the order; the secret stands in the fragment, which no server log and no `Referer` ever sees (INV-O7).
fn link(ctx: &Ctx, order: &OrderRecord) -> Result<String> {
    let secret = ctx.app.keyring().open(&crate::checkout::secret_context(order.id), &order.secret_sealed)?;
    let secret = String::from_utf8(secret.to_vec()).map_err(Error::internal)?;
    let page = &ctx.settings::<crate::checkout::settings::CheckoutSettings>().order_page;
    let base = if page.is_empty() { format!("{}/account/orders", ctx.app.public_url()) } else { page.clone() };
    Ok(format!("{base}/{}#{secret}", order.id))
}
