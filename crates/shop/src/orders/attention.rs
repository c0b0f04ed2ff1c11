//! Why a person should look at an order, and when nobody needs to any more (INV-P7).
//!
//! Whoever finds a reason puts it onto the order. It goes when what it tells of is over, or when somebody acknowledges it; a reason
//! that was hidden behind it comes to the front then.

use kernel::{Id, Result, Tx};

use crate::ids::Order;
use crate::orders::{OrderRecord, OrderStatus};
use crate::payments::{self, PaymentRecord, PaymentState, RefundState, offline};
use crate::refunds::{self, RefundRecord};

/// A reason to look at an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attention {
    /// A buyer disputes a payment with their bank.
    Disputed,
    /// A person has to send money back.
    RefundToBeMade,
    /// Money could not go back, or came back again.
    RefundFailed,
    /// The provider gave something back that does not fit what came.
    RefundMismatch,
    /// What the provider says about a payment does not fit the payment.
    PaymentMismatch,
    /// Money came for an order that was over, and goes back.
    LatePayment,
    /// The order should be paid by now, and cannot end by itself.
    PaymentOverdue,
    /// The promised money was not collected in time.
    PaymentLapsed,
}

impl Attention {
    const ALL: [Attention; 8] = [
        Attention::Disputed,
        Attention::RefundToBeMade,
        Attention::RefundFailed,
        Attention::RefundMismatch,
        Attention::PaymentMismatch,
        Attention::LatePayment,
        Attention::PaymentOverdue,
        Attention::PaymentLapsed,
    ];
    /// What can be read from payments and refunds at any time; these come to the front by themselves.
    const DERIVED: [Attention; 3] = [Attention::Disputed, Attention::RefundToBeMade, Attention::RefundFailed];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Attention::Disputed => "disputed",
            Attention::RefundToBeMade => "refund_to_be_made",
            Attention::RefundFailed => "refund_failed",
            Attention::RefundMismatch => "refund_mismatch",
            Attention::PaymentMismatch => "payment_mismatch",
            Attention::LatePayment => "late_payment",
            Attention::PaymentOverdue => "payment_overdue",
            Attention::PaymentLapsed => "payment_lapsed",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Attention> {
        Attention::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether there still is what it tells of; what only a person or the provider's next answer can judge stays.
    fn holds(self, facts: &Facts<'_>) -> bool {
        let is_promised = || facts.payments.iter().any(|payment| payment.state() == PaymentState::Authorized);
        let is_open = matches!(facts.order.status(), OrderStatus::Pending | OrderStatus::Confirmed);
        match self {
            Attention::Disputed => facts.payments.iter().any(|payment| payment.is_disputed),
            Attention::RefundToBeMade => facts.refunds.iter().any(|refund| !refund.state().is_terminal() && facts.is_offline(refund)),
            Attention::RefundFailed => facts.has_unsettled_failure(),
            Attention::PaymentOverdue => is_open && facts.order.captured < facts.order.total,
            Attention::PaymentLapsed => is_open && facts.order.captured == 0 && !is_promised(),
            Attention::RefundMismatch | Attention::PaymentMismatch | Attention::LatePayment => true,
        }
    }
}

/// What decides whether a reason still holds.
struct Facts<'a> {
    order: &'a OrderRecord,
    payments: Vec<PaymentRecord>,
    refunds: Vec<RefundRecord>,
}

impl Facts<'_> {
    fn is_offline(&self, refund: &RefundRecord) -> bool {
        self.payments.iter().any(|payment| payment.id == refund.payment_id && payment.provider == offline::NAME)
    }

    /// Whether a refund failed and neither a later one of that size nor all of them together have made it good.
    fn has_unsettled_failure(&self) -> bool {
        let is_over = self.order.captured > 0 && self.order.refunded >= self.order.captured;
        let has_state = |refund: &&RefundRecord, state| refund.state() == state;
        let is_made_good = |failed: &RefundRecord| {
            let mut later = self.refunds.iter().filter(|refund| has_state(refund, RefundState::Succeeded) && refund.id > failed.id);
            later.any(|refund| refund.amount >= failed.amount)
        };
        !is_over && self.refunds.iter().filter(|refund| has_state(refund, RefundState::Failed)).any(|failed| !is_made_good(failed))
    }
}

fn facts<'a>(tx: &mut Tx<'_, '_>, order: &'a OrderRecord) -> Result<Facts<'a>> {
    let id: Id<Order> = order.id;
    Ok(Facts { order, payments: payments::store::of_order(tx, id)?, refunds: refunds::store::of_order(tx, id)? })
}

/// Takes the reason off a locked order when there is no more to it; the caller saves the order.
pub(crate) fn settle(tx: &mut Tx<'_, '_>, order: &mut OrderRecord) -> Result<()> {
    let Some(reason) = order.attention.as_deref().and_then(Attention::parse) else { return Ok(()) };
    let facts = facts(tx, order)?;
    if !reason.holds(&facts) {
        order.attention = next(&facts, reason);
    }
    Ok(())
}

/// Takes this reason off a locked order, whether or not there is more to it; the caller saves the order.
pub(crate) fn dismiss(tx: &mut Tx<'_, '_>, order: &mut OrderRecord) -> Result<()> {
    let Some(reason) = order.attention.as_deref().and_then(Attention::parse) else {
        order.attention = None;
        return Ok(());
    };
    order.attention = next(&facts(tx, order)?, reason);
    Ok(())
}

/// What was hidden behind this reason.
fn next(facts: &Facts<'_>, reason: Attention) -> Option<String> {
    let mut others = Attention::DERIVED.into_iter().filter(|other| *other != reason);
    others.find(|other| other.holds(facts)).map(|other| other.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_as_it_was_written() {
        for reason in Attention::ALL {
            assert_eq!(Attention::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(Attention::parse("of_next_year"), None);
    }
}
