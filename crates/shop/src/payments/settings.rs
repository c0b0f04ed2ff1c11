//! The `[shop.payments…]` settings.

use kernel::error::INTERNAL;
use kernel::settings::Secret;
use kernel::{App, Result};
use serde::{Deserialize, Serialize};

use crate::payments::{Method, Providers};

/// When authorised money is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureMode {
    /// At once.
    #[default]
    Automatic,
    /// When staff says so.
    Manual,
}

kernel::settings! {
    /// How orders are paid.
    pub struct PaymentSettings in "shop.payments" {
        /// The methods offered, each "provider" or "provider:kind", such as "offline:bank_transfer", "stripe" or "stripe:card".
        pub methods: Vec<String> = vec!["offline:bank_transfer".to_owned()],
        /// When authorised money is collected: "automatic" or "manual".
        pub capture: CaptureMode = CaptureMode::Automatic,
    }
}

kernel::settings! {
    /// Payments that happen elsewhere: bank transfer, cash, invoice.
    pub struct OfflineSettings in "shop.payments.offline" {
        /// How many days an unpaid order waits before it expires and its goods are sold to others.
        pub expire_days: u32 = 14,
        /// What to do to pay, as the buyer reads it in the order and its mail.
        pub instructions: String = String::new(),
    }
}

kernel::settings! {
    /// Stripe.
    pub struct StripeSettings in "shop.payments.stripe" {
        /// The secret key, sk_… or rk_…; empty: Stripe is off.
        pub secret_key: Secret = Secret::default(),
        /// The publishable key, which browsers get.
        pub publishable_key: String = String::new(),
        /// The secrets of your webhook endpoints, whsec_…; several while one is being replaced.
        pub webhook_secrets: Vec<Secret> = Vec::new(),
        /// The version of Stripe's API that requests ask for.
        pub api_version: String = "2025-03-31.basil".to_owned(),
        /// Where Stripe's API is.
        pub api_base: String = "https://api.stripe.com".to_owned(),
        /// Whether calls carry idempotency keys; off only to show what they prevent.
        pub idempotency_keys: bool = true,
    }
}

/// Refuses methods that nobody provides.
pub(crate) fn check(app: &App) -> Result<()> {
    let (settings, providers) = (app.settings::<PaymentSettings>(), app.state::<Providers>());
    for method in &settings.methods {
        if providers.get(Method::parse(method).provider).is_none() {
            return Err(INTERNAL.because(format!("shop.payments.methods names {method:?}, but that provider is not set up.")));
        }
    }
    let days = app.settings::<OfflineSettings>().expire_days;
    if !(1..=365).contains(&days) {
        return Err(INTERNAL.because("shop.payments.offline.expire_days must be 1 to 365."));
    }
    Ok(())
}
