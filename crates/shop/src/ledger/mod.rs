//! The ledger: every movement of money, twice, append-only (INV-P6).
//!
//! The rows of one transaction sum to nothing per currency. Each is keyed by the provider's own id of the movement, so that the
//! same news books once, however often and in whatever order it comes. Accounts: `customer` (what buyers have paid, negative),
//! `clearing:{provider}` (what providers hold for us, before fees), `fees:{provider}` against `clearing_fees:{provider}`, and
//! `disputes:{provider}`.

pub(crate) mod http;
pub(crate) mod store;

use kernel::money::{Currency, Money};
use kernel::{Ctx, Error, Id, Result, Timestamp, Tx};

use crate::ids::{Order, Payment};

/// The marker of an entry's identifier.
#[derive(Debug)]
pub(crate) enum Entry {}

/// The account of buyers: what they have paid, negative.
pub(crate) const CUSTOMER: &str = "customer";

/// What kind of movement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// Money came.
    Capture,
    /// Money went back.
    Refund,
    /// Money that had gone back came again.
    RefundFailed,
    /// The provider kept something.
    Fee,
    /// A bank took money back.
    Dispute,
    /// A bank gave it back again.
    DisputeWon,
}

impl EntryKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            EntryKind::Capture => "capture",
            EntryKind::Refund => "refund",
            EntryKind::RefundFailed => "refund_failed",
            EntryKind::Fee => "fee",
            EntryKind::Dispute => "dispute",
            EntryKind::DisputeWon => "dispute_won",
        }
    }
}

/// A movement of money from one account to another.
#[derive(Clone, Debug)]
pub(crate) struct Posting<'a> {
    pub(crate) kind: EntryKind,
    /// The provider's own id of the movement.
    pub(crate) reference: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) amount: Money,
    pub(crate) order_id: Id<Order>,
    pub(crate) payment_id: Id<Payment>,
}

db::row! {
    /// One side of a movement.
    #[derive(Clone, Debug)]
    pub(crate) struct EntryRow {
        pub(crate) id: Id<Entry>,
        pub(crate) tx_id: Id<Entry>,
        pub(crate) kind: String,
        pub(crate) account: String,
        pub(crate) amount: i64,
        pub(crate) currency: Currency,
        pub(crate) order_id: Option<Id<Order>>,
        pub(crate) payment_id: Option<Id<Payment>>,
        pub(crate) provider_reference: String,
        pub(crate) at: Timestamp,
    }
}

/// Books a movement once; false when it was booked before.
pub(crate) fn post(tx: &mut Tx<'_, '_>, ctx: &Ctx, posting: &Posting<'_>) -> Result<bool> {
    let amount = posting.amount.minor;
    if amount <= 0 {
        return Err(Error::internal(format!("a movement of {} cannot be booked", posting.amount)));
    }
    let tx_id: Id<Entry> = ctx.new_id();
    let entry = |account: &str, minor: i64| EntryRow {
        id: ctx.new_id(),
        tx_id,
        kind: posting.kind.as_str().to_owned(),
        account: account.to_owned(),
        amount: minor,
        currency: posting.amount.currency,
        order_id: Some(posting.order_id),
        payment_id: Some(posting.payment_id),
        provider_reference: posting.reference.to_owned(),
        at: ctx.now(),
    };
    if !store::insert(tx, &entry(posting.from, -amount))? {
        return Ok(false);
    }
    match store::insert(tx, &entry(posting.to, amount))? {
        true => Ok(true),
        false => Err(Error::internal(format!("half of the movement {} was booked before", posting.reference))),
    }
}

/// Entries, newest first.
pub(crate) async fn list(ctx: &Ctx, order: Option<Id<Order>>, after: Option<(Timestamp, Id<Entry>)>, limit: u32) -> Result<Vec<EntryRow>> {
    ctx.read(move |c| Ok(store::newest(c, order, after, limit)?)).await
}
