//! What selling brings: checkout, payments, orders, refunds, parcels, the books. Registered in one call.

use std::sync::Arc;

use kernel::{App, Finding, Parts, Result};

use crate::checkout::numbers::OrderNumbers;
use crate::checkout::settings::CheckoutSettings;
use crate::order_events as events;
use crate::payments::offline::Offline;
use crate::payments::settings::{OfflineSettings, PaymentSettings, StripeSettings};
use crate::payments::stripe::Stripe;
use crate::payments::{PaymentProvider, Providers};
use crate::{audit, checkout, fulfilments, ledger, mails, orders, payments, refunds, reports, selling_problems};

/// Registers everything of selling.
pub(crate) fn checkout_parts(parts: &mut Parts<'_>) {
    parts
        .settings::<CheckoutSettings>()
        .settings::<PaymentSettings>()
        .settings::<OfflineSettings>()
        .settings::<StripeSettings>()
        .problems(selling_problems::PROBLEMS)
        .state(|_| Ok(OrderNumbers::default()))
        .state(|setup| providers(setup.settings()))
        .job(payments::inbox::process)
        .job(payments::reconciler::recover)
        .job(payments::reconciler::reconcile)
        .job(refunds::service::run_job)
        .job(orders::jobs::expire)
        .job(mails::send)
        .job(reports::roll_up)
        .job(checkout::service::purge)
        .every("*/10 * * * * *", payments::reconciler::Recover {})
        .every("* * * * *", payments::reconciler::Reconcile {})
        .every("*/10 * * * * *", orders::jobs::ExpireOrders {})
        .every("*/5 * * * * *", mails::SendOrderMails {})
        .every("*/10 * * * *", reports::RollUp {})
        .every("23 * * * *", checkout::service::PurgeCheckouts {})
        .samples(orders::samples::fill)
        .routes(checkout::http::operations())
        .routes(orders::http::operations())
        .routes(payments::http::operations())
        .routes(refunds::http::operations())
        .routes(fulfilments::http::operations())
        .routes(ledger::http::operations())
        .routes(reports::http::operations())
        .routes(audit::http::operations());
    register_events(parts);
    register_templates(parts);
    audit::service::register(parts);
}

fn providers(stripe: &StripeSettings) -> Result<Providers> {
    let mut all: Vec<Arc<dyn PaymentProvider>> = vec![Arc::new(Offline)];
    if let Some(stripe) = Stripe::new(stripe)? {
        all.push(Arc::new(stripe));
    }
    Ok(Providers::new(all))
}

/// Refuses settings that contradict each other; the module's `start` asks it.
pub(crate) fn check(app: &App) -> Result<()> {
    payments::settings::check(app)
}

/// What `undercroft doctor` should say about payments.
pub(crate) fn findings(app: &App) -> Vec<Finding> {
    let stripe = app.settings::<StripeSettings>();
    let key = stripe.secret_key.expose();
    let is_test = key.split('_').nth(1) == Some("test");
    let has_secret = stripe.webhook_secrets.iter().any(|secret| !secret.expose().is_empty());
    let checks = [
        (app.is_production() && is_test, "shop.payments.stripe.secret_key is a test key: nobody really pays. Set the live key."),
        (
            !key.is_empty() && !has_secret,
            "shop.payments.stripe.webhook_secrets is empty: payments are only noticed by polling, up to a minute late.",
        ),
        (
            !key.is_empty() && !stripe.idempotency_keys,
            "shop.payments.stripe.idempotency_keys is off: a lost answer can charge a buyer twice.",
        ),
    ];
    let finding = |(_, text): (bool, &str)| Finding { is_serious: !text.contains("polling"), text: text.to_owned() };
    checks.into_iter().filter(|(is_found, _)| *is_found).map(finding).collect()
}

fn register_events(parts: &mut Parts<'_>) {
    parts
        .emits::<events::OrderCreated>()
        .emits::<events::OrderConfirmed>()
        .emits::<events::OrderPaid>()
        .emits::<events::OrderCompleted>()
        .emits::<events::OrderCanceled>()
        .emits::<events::OrderExpired>()
        .emits::<events::OrderUpdated>()
        .emits::<events::PaymentAuthorized>()
        .emits::<events::PaymentCaptured>()
        .emits::<events::PaymentFailed>()
        .emits::<events::PaymentDisputed>()
        .emits::<events::RefundRequested>()
        .emits::<events::RefundSucceeded>()
        .emits::<events::RefundFailed>()
        .emits::<events::FulfilmentCreated>()
        .emits::<events::FulfilmentShipped>()
        .emits::<events::FulfilmentDelivered>()
        .emits::<events::FulfilmentCanceled>();
}

fn register_templates(parts: &mut Parts<'_>) {
    parts
        .template(kernel::template!("shop/order_placed", "en", "../emails/order_placed/en"))
        .template(kernel::template!("shop/order_placed", "de", "../emails/order_placed/de"))
        .template(kernel::template!("shop/order_paid", "en", "../emails/order_paid/en"))
        .template(kernel::template!("shop/order_paid", "de", "../emails/order_paid/de"))
        .template(kernel::template!("shop/order_shipped", "en", "../emails/order_shipped/en"))
        .template(kernel::template!("shop/order_shipped", "de", "../emails/order_shipped/de"))
        .template(kernel::template!("shop/order_refunded", "en", "../emails/order_refunded/en"))
        .template(kernel::template!("shop/order_refunded", "de", "../emails/order_refunded/de"))
        .template(kernel::template!("shop/order_canceled", "en", "../emails/order_canceled/en"))
        .template(kernel::template!("shop/order_canceled", "de", "../emails/order_canceled/de"))
        .template(kernel::template!("shop/order_expired", "en", "../emails/order_expired/en"))
        .template(kernel::template!("shop/order_expired", "de", "../emails/order_expired/de"));
}
