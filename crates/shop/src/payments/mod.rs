//! Payments: one contract for every place that moves money, and what became of each attempt to be paid.
//!
//! * [`PaymentProvider`]: what a provider can be asked; implementations are [`offline::Offline`] and [`stripe::Stripe`]
//! * [`Snapshot`]: what a provider says about an intent right now; `service` applies it, forward only (INV-P3)
//! * `inbox`: what providers tell us by themselves, durable before they hear 200 (INV-P2)

pub(crate) mod http;
pub(crate) mod inbox;
pub mod offline;
pub(crate) mod reconciler;
pub(crate) mod service;
pub mod settings;
pub mod signature;
pub(crate) mod store;
pub mod stripe;

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use futures_util::future::BoxFuture;
use kernel::money::{Currency, Money};
use kernel::{App, Error, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{Order, Payment, Refund};

/// How long a provider may take to forget an idempotency key; older ones are never sent again (shop.md §5).
pub const KEY_LIFE: Duration = Duration::from_secs(23 * 3600);

/// A key under which a provider carries out a call at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderKey(pub String);

impl ProviderKey {
    /// The key of making the intent of a payment.
    pub fn create(payment: Id<Payment>, attempt: i64) -> ProviderKey {
        ProviderKey(format!("pay:{payment}:create:{attempt}"))
    }

    /// The key of capturing a payment.
    pub fn capture(payment: Id<Payment>, amount: i64) -> ProviderKey {
        ProviderKey(format!("pay:{payment}:capture:{amount}"))
    }

    /// The key of canceling a payment; another one each minute, since providers keep a refusal as long as any answer.
    pub fn cancel(payment: Id<Payment>, now: Timestamp) -> ProviderKey {
        ProviderKey(format!("pay:{payment}:cancel:{}", now.as_millis() / 60_000))
    }

    /// The key of a refund.
    pub fn refund(refund: Id<Refund>, attempt: i64) -> ProviderKey {
        ProviderKey(format!("refund:{refund}:{attempt}"))
    }
}

/// What a provider can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderCaps {
    /// Whether a payment needs a call to the provider; an offline one is confirmed by a person.
    pub is_online: bool,
    /// Whether a payment can be authorised first and captured later.
    pub manual_capture: bool,
    /// Whether less than the authorised amount can be captured.
    pub partial_capture: bool,
    /// Whether refunds are carried out by the provider; otherwise a person confirms them.
    pub refunds: bool,
    /// Whether the provider lists its events, so that they can be polled.
    pub events: bool,
}

/// What a provider is asked to collect.
#[derive(Clone, Debug)]
pub struct NewIntent {
    /// Our payment; goes along as metadata, by which the intent is found again.
    pub payment_id: Id<Payment>,
    /// Our order.
    pub order_id: Id<Order>,
    /// The number of the order, for the buyer's statement and the merchant's list.
    pub order_number: String,
    /// How much, in our own minor units.
    pub amount: Money,
    /// The method within the provider, such as `card`; empty for the provider's own choice.
    pub method: String,
    /// Whether to only authorise now.
    pub manual_capture: bool,
}

/// Where an attempt to be paid stands; only ever moves towards an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// The provider has not been reached yet.
    Created,
    /// The provider waits for the buyer, or for the money.
    Pending,
    /// The money is promised and waits to be captured.
    Authorized,
    /// The money is there.
    Captured,
    /// The provider refused it.
    Failed,
    /// It was called off before any money came.
    Canceled,
}

impl PaymentState {
    /// Every state.
    pub const ALL: [PaymentState; 6] = [
        PaymentState::Created,
        PaymentState::Pending,
        PaymentState::Authorized,
        PaymentState::Captured,
        PaymentState::Failed,
        PaymentState::Canceled,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            PaymentState::Created => "created",
            PaymentState::Pending => "pending",
            PaymentState::Authorized => "authorized",
            PaymentState::Captured => "captured",
            PaymentState::Failed => "failed",
            PaymentState::Canceled => "canceled",
        }
    }

    pub(crate) fn parse(text: &str) -> PaymentState {
        PaymentState::ALL.into_iter().find(|state| state.as_str() == text).unwrap_or(PaymentState::Failed)
    }

    /// Whether nothing more comes of it.
    pub fn is_terminal(self) -> bool {
        matches!(self, PaymentState::Captured | PaymentState::Failed | PaymentState::Canceled)
    }

    /// Whether it holds the one live place of its order: it may still bring money, or has (INV-I7).
    pub fn is_live(self) -> bool {
        !matches!(self, PaymentState::Failed | PaymentState::Canceled)
    }

    /// The state after a provider said `news`: captured money outlives everything, and nothing goes back (INV-P3).
    #[must_use]
    pub fn after(self, news: PaymentState) -> PaymentState {
        let rank = |state| match state {
            PaymentState::Created => 0,
            PaymentState::Pending => 1,
            PaymentState::Authorized => 2,
            PaymentState::Failed | PaymentState::Canceled => 3,
            PaymentState::Captured => 4,
        };
        if rank(news) > rank(self) { news } else { self }
    }
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Claimed here; the provider or a person has not carried it out yet.
    Requested,
    /// The provider is at it.
    Pending,
    /// The money went back.
    Succeeded,
    /// It did not, or it came again; the claim was given back.
    Failed,
}

impl RefundState {
    /// Every state, in the order in which they may follow each other.
    const ALL: [RefundState; 4] = [RefundState::Requested, RefundState::Pending, RefundState::Succeeded, RefundState::Failed];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RefundState::Requested => "requested",
            RefundState::Pending => "pending",
            RefundState::Succeeded => "succeeded",
            RefundState::Failed => "failed",
        }
    }

    pub(crate) fn parse(text: &str) -> RefundState {
        RefundState::ALL.into_iter().find(|state| state.as_str() == text).unwrap_or(RefundState::Failed)
    }

    /// Whether nobody waits for it any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, RefundState::Succeeded | RefundState::Failed)
    }

    /// The state after a provider said `news`: nothing goes back, and what failed, failed, even after it had succeeded (INV-P3).
    #[must_use]
    pub fn after(self, news: RefundState) -> RefundState {
        let rank = |state| RefundState::ALL.iter().position(|other| *other == state);
        if rank(news) > rank(self) { news } else { self }
    }
}

/// Money that the provider kept for its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// The provider's own id of the booking.
    pub reference: String,
    /// How much, in the currency in which the provider keeps our balance; negative when it gave some back.
    pub amount: Money,
}

/// A payment that its buyer disputes with their bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The provider's id of the dispute.
    pub reference: String,
    /// How much was taken back.
    pub amount: Money,
    /// Whether the money has come back to us.
    pub is_won: bool,
    /// Whether the money has left our balance; inquiries take none.
    pub is_withdrawn: bool,
    /// What the provider kept for the dispute itself, or gave back.
    pub fees: Vec<Fee>,
}

/// What a provider says about a refund right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundSnapshot {
    /// The provider's id of the refund.
    pub reference: String,
    /// Our refund, if the provider knows it.
    pub refund_id: Option<Id<Refund>>,
    /// Where it stands.
    pub state: RefundState,
    /// How much.
    pub amount: Money,
    /// Why it failed.
    pub code: Option<String>,
}

/// What a provider says about an intent right now: the whole truth, fetched fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The provider's id of the intent.
    pub reference: String,
    /// Where it stands.
    pub state: PaymentState,
    /// How much is asked.
    pub amount: Money,
    /// How much can be captured.
    pub authorized: i64,
    /// How much has come, refunds not taken off.
    pub captured: i64,
    /// The provider's id of the movement that brought the money.
    pub charge: Option<String>,
    /// What the provider kept.
    pub fee: Option<Fee>,
    /// Every refund of it.
    pub refunds: Vec<RefundSnapshot>,
    /// The dispute about it.
    pub dispute: Option<Dispute>,
    /// Why the last try was refused.
    pub decline_code: Option<String>,
    /// What the buyer's browser needs to go on; a secret.
    pub client_data: Option<serde_json::Value>,
}

/// Why a provider did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The payment was refused, with the provider's own code.
    #[error("the provider refused it: {code}")]
    Declined {
        /// The provider's own code.
        code: String,
    },
    /// The request itself is wrong, and will be so again.
    #[error("the provider cannot do this: {code}")]
    Invalid {
        /// The provider's own code.
        code: String,
    },
    /// Nothing was done; asking again later may help.
    #[error("the provider asks to be called later")]
    RetryLater {
        /// After this long.
        after: Duration,
    },
    /// The answer was lost: it may have been done. Asking again with the same key tells.
    #[error("the answer of the provider was lost: {0}")]
    OutcomeUnknown(String),
}

impl ProviderError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, ProviderError::RetryLater { .. } | ProviderError::OutcomeUnknown(_))
    }
}

/// An event as a provider sent it, after its signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEvent {
    /// The provider's id of the event; a duplicate has the same.
    pub id: String,
    /// What it says happened, in the provider's words.
    pub kind: String,
    /// The intent it is about, if it names one.
    pub reference: Option<String>,
    /// Our payment, if it names it.
    pub payment_id: Option<Id<Payment>>,
    /// When it was made, in the provider's seconds.
    pub created: i64,
    /// The event itself.
    pub payload: Vec<u8>,
}

/// An event that nobody we trust has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature, or one that cannot be read.
    #[error("the signature header is missing or malformed")]
    Malformed,
    /// Signed at another time than now.
    #[error("the signature is too old or from the future")]
    OutOfTime,
    /// No secret of ours made it.
    #[error("the signature does not match")]
    Mismatch,
    /// A test event at a live shop, or the other way round.
    #[error("the event is from the other mode")]
    WrongMode,
    /// Signed well, but not an event.
    #[error("the body is no event")]
    NotAnEvent,
    /// The provider sends no events.
    #[error("the provider sends no events")]
    NoEvents,
}

/// What a provider's answer becomes.
pub type ProviderFuture<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// A place that moves money. Amounts cross this border in our own minor units; each provider has its own table of exponents.
pub trait PaymentProvider: Send + Sync + 'static {
    /// The name in payment methods, settings and the path of its events.
    fn name(&self) -> &'static str;
    /// What it can do.
    fn caps(&self) -> ProviderCaps;
    /// Whether it can be paid in this amount; an unlisted currency is refused, not guessed (INV-M2).
    fn accepts(&self, amount: Money) -> bool;
    /// Makes an intent, at most once per key.
    fn create<'a>(&'a self, intent: &'a NewIntent, key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot>;
    /// Reads an intent.
    fn fetch<'a>(&'a self, reference: &'a str, currency: Currency) -> ProviderFuture<'a, Snapshot>;
    /// Finds the intent of a payment by its metadata, after a lost answer.
    fn find<'a>(&'a self, payment: Id<Payment>, currency: Currency) -> ProviderFuture<'a, Option<Snapshot>>;
    /// Captures an authorised amount.
    fn capture<'a>(&'a self, reference: &'a str, amount: Money, key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot>;
    /// Calls an intent off; answers with the truth when it is too late.
    fn cancel<'a>(&'a self, reference: &'a str, currency: Currency, key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot>;
    /// Gives money back, at most once per key.
    fn refund<'a>(
        &'a self,
        reference: &'a str,
        refund: Id<Refund>,
        amount: Money,
        key: &'a ProviderKey,
    ) -> ProviderFuture<'a, RefundSnapshot>;
    /// Checks who sent an event, over its raw bytes, before anything of it is read (INV-P1).
    fn verify_event(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<ProviderEvent, SignatureError>;
    /// Some of the events since this position, with an overlap; and the position after them, from which the rest follows.
    fn events_since<'a>(&'a self, position: Option<&'a str>) -> ProviderFuture<'a, (Vec<ProviderEvent>, Option<String>)>;
}

/// Every provider of this shop.
#[derive(Clone, Default)]
pub struct Providers(Vec<Arc<dyn PaymentProvider>>);

impl Providers {
    /// These providers.
    pub fn new(all: Vec<Arc<dyn PaymentProvider>>) -> Providers {
        Providers(all)
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn PaymentProvider>> {
        self.0.iter().find(|provider| provider.name() == name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn PaymentProvider>> {
        self.0.iter()
    }

    /// The provider of a stored payment.
    ///
    /// # Errors
    /// `internal` when the provider was switched off while payments of it are open.
    pub(crate) fn of(app: &App, name: &str) -> Result<Arc<dyn PaymentProvider>> {
        let found = app.state::<Providers>().get(name).cloned();
        found.ok_or_else(|| {
            Error::internal(format!("the payment provider {name} is not set up; its settings are needed to finish its payments"))
        })
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|provider| provider.name())).finish()
    }
}

/// A payment method as settings and requests write it: `offline:bank_transfer`, `stripe`, `stripe:card`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method<'a> {
    /// The provider.
    pub provider: &'a str,
    /// What of it; empty for its own choice.
    pub kind: &'a str,
}

impl<'a> Method<'a> {
    /// Takes the two parts of a method apart.
    pub fn parse(text: &'a str) -> Method<'a> {
        let (provider, kind) = text.split_once(':').unwrap_or((text, ""));
        Method { provider, kind }
    }
}

db::row! {
    /// An attempt to be paid, as it is stored.
    #[derive(Clone, Debug)]
    pub(crate) struct PaymentRecord {
        pub(crate) id: Id<Payment>,
        pub(crate) order_id: Id<Order>,
        pub(crate) provider: String,
        pub(crate) method: String,
        pub(crate) reference: Option<String>,
        pub(crate) state: String,
        pub(crate) currency: Currency,
        pub(crate) amount: i64,
        pub(crate) authorized: i64,
        pub(crate) captured: i64,
        pub(crate) refund_claimed: i64,
        pub(crate) refunded: i64,
        pub(crate) is_disputed: bool,
        pub(crate) attempt: i64,
        pub(crate) live_slot: Option<i64>,
        pub(crate) provider_code: Option<String>,
        pub(crate) client_data_sealed: Option<Vec<u8>>,
        pub(crate) check_at: Option<Timestamp>,
        pub(crate) checks: i64,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) version: i64,
    }
}

impl PaymentRecord {
    pub(crate) fn state(&self) -> PaymentState {
        PaymentState::parse(&self.state)
    }

    pub(crate) fn money(&self) -> Money {
        Money::new(self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_p3_a_payment_only_moves_forward_and_money_outlives_everything() {
        for from in PaymentState::ALL {
            for news in PaymentState::ALL {
                let after = from.after(news);
                assert!(after == from || after == news);
                assert_eq!(after == PaymentState::Captured, from == PaymentState::Captured || news == PaymentState::Captured);
                assert!(!from.is_terminal() || after == from || after == PaymentState::Captured, "{from:?} {news:?}");
            }
        }
    }

    #[test]
    fn inv_p3_every_order_of_news_about_a_refund_ends_in_the_last_state() {
        use RefundState::{Failed, Pending, Requested, Succeeded};
        let mut orders = vec![vec![]];
        for _ in 0..4 {
            orders = orders
                .iter()
                .flat_map(|order: &Vec<RefundState>| RefundState::ALL.map(|news| [order.as_slice(), &[news]].concat()))
                .collect();
        }
        for news in orders {
            let end = news.iter().fold(Requested, |state, news| state.after(*news));
            let expected = [Failed, Succeeded, Pending].into_iter().find(|state| news.contains(state)).unwrap_or(Requested);
            assert_eq!(end, expected, "{news:?}");
        }
    }

    #[test]
    fn a_method_is_a_provider_and_perhaps_a_kind() {
        assert_eq!(Method::parse("offline:bank_transfer"), Method { provider: "offline", kind: "bank_transfer" });
        assert_eq!(Method::parse("stripe"), Method { provider: "stripe", kind: "" });
    }
}
