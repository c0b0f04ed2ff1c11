//! The offline provider: bank transfer, cash, invoice. A person says that the money has come.

use kernel::money::{Currency, Money};
use kernel::{Id, Timestamp};

use crate::ids::{Payment, Refund};
use crate::payments::{
    NewIntent, PaymentProvider, PaymentState, ProviderCaps, ProviderError, ProviderEvent, ProviderFuture, ProviderKey, RefundSnapshot,
    SignatureError, Snapshot,
};

/// The name of the provider.
pub const NAME: &str = "offline";

/// Payments that happen elsewhere. It calls nobody, so that a checkout with it is one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Offline;

/// What is known of an offline payment before anybody has said anything.
pub(crate) fn opened(payment: Id<Payment>, amount: Money) -> Snapshot {
    Snapshot {
        reference: reference(payment),
        state: PaymentState::Pending,
        amount,
        authorized: 0,
        captured: 0,
        charge: None,
        fee: None,
        refunds: Vec::new(),
        dispute: None,
        decline_code: None,
        client_data: None,
    }
}

/// The name under which an offline payment stands in the ledger.
pub(crate) fn reference(payment: Id<Payment>) -> String {
    format!("offline:{payment}")
}

impl PaymentProvider for Offline {
    fn name(&self) -> &'static str {
        NAME
    }

    fn caps(&self) -> ProviderCaps {
        ProviderCaps { is_online: false, manual_capture: false, partial_capture: false, refunds: false, events: false }
    }

    fn accepts(&self, _amount: Money) -> bool {
        true
    }

    fn create<'a>(&'a self, intent: &'a NewIntent, _key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot> {
        Box::pin(async move { Ok(opened(intent.payment_id, intent.amount)) })
    }

    fn fetch<'a>(&'a self, _reference: &'a str, _currency: Currency) -> ProviderFuture<'a, Snapshot> {
        Box::pin(async { Err(person_decides()) })
    }

    fn find<'a>(&'a self, _payment: Id<Payment>, _currency: Currency) -> ProviderFuture<'a, Option<Snapshot>> {
        Box::pin(async { Ok(None) })
    }

    fn capture<'a>(&'a self, _reference: &'a str, _amount: Money, _key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot> {
        Box::pin(async { Err(person_decides()) })
    }

    fn cancel<'a>(&'a self, reference: &'a str, currency: Currency, _key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot> {
        Box::pin(async move {
            let payment = reference.strip_prefix("offline:").and_then(|id| id.parse().ok()).ok_or_else(person_decides)?;
            Ok(Snapshot { state: PaymentState::Canceled, ..opened(payment, Money::zero(currency)) })
        })
    }

    fn refund<'a>(
        &'a self,
        _reference: &'a str,
        _refund: Id<Refund>,
        _amount: Money,
        _key: &'a ProviderKey,
    ) -> ProviderFuture<'a, RefundSnapshot> {
        Box::pin(async { Err(person_decides()) })
    }

    fn verify_event(&self, _headers: &::http::HeaderMap, _body: &[u8], _now: Timestamp) -> Result<ProviderEvent, SignatureError> {
        Err(SignatureError::NoEvents)
    }

    fn events_since<'a>(&'a self, _position: Option<&'a str>) -> ProviderFuture<'a, (Vec<ProviderEvent>, Option<String>)> {
        Box::pin(async { Ok((Vec::new(), None)) })
    }
}

/// There is nobody to ask: what happens to an offline payment is said by staff.
fn person_decides() -> ProviderError {
    ProviderError::Invalid { code: "offline".to_owned() }
}
