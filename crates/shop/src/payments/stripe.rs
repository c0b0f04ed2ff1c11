//! Stripe: a client of the dozen calls that a shop needs, with keys on every call that moves money.
//!
//! Amounts cross the border by a table of Stripe's own: an unlisted currency is refused, not guessed (INV-M2). Retries happen only
//! where nothing can have been done twice: the same call with the same key.

use std::time::{Duration, Instant};

use ::http::{HeaderMap, StatusCode};
use kernel::money::{Currency, Money};
use kernel::settings::Secret;
use kernel::{Error, Id, Result, Timestamp};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::ids::{Payment, Refund};
use crate::payments::settings::StripeSettings;
use crate::payments::{
    Dispute, Fee, NewIntent, PaymentProvider, PaymentState, ProviderCaps, ProviderError, ProviderEvent, ProviderFuture, ProviderKey,
    RefundSnapshot, RefundState, SignatureError, Snapshot, signature,
};

/// The name of the provider.
pub const NAME: &str = "stripe";
/// The longest one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No further try begins after this long, so that a checkout ends within its own limit.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often one call is sent.
const TRIES: u32 = 3;
/// The largest answer that is read.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// How far the polling of events looks back over what it has seen: events are not listed strictly in order.
const OVERLAP_SECS: i64 = 600;
/// How many pages of events one poll reads at most; the next goes on from there.
const MAX_PAGES: u32 = 20;
/// How many pages of refunds of one intent are read at most.
const MAX_REFUND_PAGES: u32 = 20;

/// How many decimal places the amounts of a currency have at Stripe.
const PLACES: [(u32, &str); 3] = [
    (0, "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC CVE CZK DKK DOP DZD EGP \
         ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD \
         MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE \
         SOS SRD STN SZL THB TJS TOP TRY TTD TWD TZS UAH UGX USD UYU UZS WST XCD YER ZAR ZMW",
    ),
    (3, "BHD JOD KWD OMR TND"),
];

fn places(currency: Currency) -> Option<u32> {
    PLACES.iter().find(|(_, codes)| codes.split(' ').any(|code| code == currency.code())).map(|(places, _)| *places)
}

/// Our minor units as Stripe's, if Stripe can express them exactly.
fn to_stripe(amount: Money) -> Option<i64> {
    let (ours, theirs) = (amount.currency.places(), places(amount.currency)?);
    let minor = if theirs >= ours {
        amount.minor.checked_mul(10_i64.checked_pow(theirs - ours)?)?
    } else {
        let factor = 10_i64.checked_pow(ours - theirs)?;
        (amount.minor % factor == 0).then(|| amount.minor / factor)?
    };
    // Krona and shilling have cents at Stripe only, and three-place amounts must end in a zero.
    let step = match amount.currency.code() {
        "ISK" | "UGX" => 100,
        _ if theirs == 3 => 10,
        _ => 1,
    };
    (minor % step == 0).then_some(minor)
}

/// Stripe's units as our minor units.
fn from_stripe(minor: i64, currency: Currency) -> Result<i64, ProviderError> {
    let wrong = || ProviderError::OutcomeUnknown(format!("an amount of {minor} in {currency} cannot be read"));
    let (ours, theirs) = (currency.places(), places(currency).ok_or_else(wrong)?);
    if ours >= theirs {
        return minor.checked_mul(10_i64.pow(ours - theirs)).ok_or_else(wrong);
    }
    let factor = 10_i64.pow(theirs - ours);
    if minor % factor == 0 { Ok(minor / factor) } else { Err(wrong()) }
}

/// Stripe, with one key.
pub struct Stripe {
    http: reqwest::Client,
    base: String,
    secret_key: Secret,
    publishable_key: String,
    webhook_secrets: Vec<Secret>,
    api_version: String,
    sends_keys: bool,
}

impl std::fmt::Debug for Stripe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stripe").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Stripe {
    /// The provider with these settings; none when there is no key.
    ///
    /// # Errors
    /// When the system's certificates cannot be used.
    #[expect(clippy::disallowed_methods, reason = "a fixed host of the operator's choice, without redirects, bounded in time and size")]
    pub fn new(settings: &StripeSettings) -> Result<Option<Stripe>> {
        if settings.secret_key.expose().is_empty() {
            return Ok(None);
        }
        let is_plain = settings.api_base.starts_with("http://");
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(TIMEOUT);
        // Loading the system's roots takes longer than a test; a plain address never needs them.
        let builder = if is_plain { builder.tls_certs_only([]) } else { builder };
        Ok(Some(Stripe {
            http: builder.connect_timeout(Duration::from_secs(5)).build().map_err(Error::internal)?,
            base: settings.api_base.trim_end_matches('/').to_owned(),
            secret_key: settings.secret_key.clone(),
            publishable_key: settings.publishable_key.clone(),
            webhook_secrets: settings.webhook_secrets.clone(),
            api_version: settings.api_version.clone(),
            sends_keys: settings.idempotency_keys,
        }))
    }

    fn is_live(&self) -> bool {
        self.secret_key.expose().split('_').nth(1) == Some("live")
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/v1/{path}", self.base))
            .bearer_auth(self.secret_key.expose())
            .header("Stripe-Version", &self.api_version)
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, ProviderError> {
        self.send(|| self.request(Method::GET, path).query(query)).await
    }

    async fn post(&self, path: &str, form: &[(&str, String)], key: &ProviderKey) -> Result<Value, ProviderError> {
        self.send(|| {
            let request = self.request(Method::POST, path).form(form);
            if self.sends_keys { request.header("Idempotency-Key", &key.0) } else { request }
        })
        .await
    }

    /// Sends the same call until it is answered for good, or patience ends.
    async fn send(&self, make: impl Fn() -> RequestBuilder) -> Result<Value, ProviderError> {
        let started = Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = self.send_once(make()).await;
            match outcome {
                Err(error) if error.is_transient() && tries < TRIES && started.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(150) * tries * tries).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Value, ProviderError> {
        let mut answer = request.send().await.map_err(|error| match error.is_connect() {
            true => ProviderError::RetryLater { after: Duration::from_secs(5) },
            false => ProviderError::OutcomeUnknown(error.without_url().to_string()),
        })?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| ProviderError::OutcomeUnknown(error.without_url().to_string()))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(ProviderError::OutcomeUnknown("the answer is too large".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        match status.is_success() {
            true if value.is_object() => Ok(value),
            true => Err(ProviderError::OutcomeUnknown("the answer is no JSON".to_owned())),
            false => Err(refusal(status, &value)),
        }
    }

    async fn refunds_of(&self, reference: &str, currency: Currency) -> Result<Vec<RefundSnapshot>, ProviderError> {
        let mut refunds: Vec<RefundSnapshot> = Vec::new();
        for _ in 0..MAX_REFUND_PAGES {
            let mut query = vec![("payment_intent", reference.to_owned()), ("limit", "100".to_owned())];
            query.extend(refunds.last().map(|refund| ("starting_after", refund.reference.clone())));
            let page = self.get("refunds", &query).await?;
            for refund in items(&page) {
                refunds.push(refund_snapshot(refund, currency)?);
            }
            if page["has_more"] != true || items(&page).is_empty() {
                return Ok(refunds);
            }
        }
        Err(ProviderError::OutcomeUnknown(format!("{reference} has more refunds than can be read")))
    }

    async fn dispute_of(&self, reference: &str, currency: Currency) -> Result<Option<Dispute>, ProviderError> {
        let list = self.get("disputes", &[("payment_intent", reference.to_owned()), ("limit", "1".to_owned())]).await?;
        let Some(dispute) = items(&list).first() else { return Ok(None) };
        let status = dispute["status"].as_str().unwrap_or_default();
        Ok(Some(Dispute {
            reference: text(dispute, "id")?,
            amount: Money::new(from_stripe(dispute["amount"].as_i64().unwrap_or(0), currency)?, currency),
            is_won: status == "won" || status == "warning_closed",
            is_withdrawn: !status.starts_with("warning_"),
            fees: dispute["balance_transactions"].as_array().into_iter().flatten().filter_map(fee_of).collect(),
        }))
    }

    /// The intent as it stands, with what belongs to it.
    async fn snapshot(&self, intent: &Value, currency: Currency) -> Result<Snapshot, ProviderError> {
        let reference = text(intent, "id")?;
        let found = currency_of(intent)?;
        if found != currency {
            // Whose ever this is, it is not ours: its figures are not read by our exponents.
            return Ok(stranger(reference, Money::new(intent["amount"].as_i64().unwrap_or(0), found)));
        }
        let charge = charge_of(intent);
        let received = intent["amount_received"].as_i64().unwrap_or(0);
        let has_money = received > 0;
        let refunds = if has_money { self.refunds_of(&reference, currency).await? } else { Vec::new() };
        let is_disputed = charge.is_some_and(|charge| charge["disputed"] == true || !charge["dispute"].is_null());
        let dispute = if is_disputed { self.dispute_of(&reference, currency).await? } else { None };
        let state = state_of(intent, received);
        let amount = from_stripe(intent["amount"].as_i64().unwrap_or(0), currency)?;
        Ok(Snapshot {
            state,
            amount: Money::new(amount, currency),
            authorized: from_stripe(intent["amount_capturable"].as_i64().unwrap_or(0), currency)?,
            captured: from_stripe(received, currency)?,
            charge: has_money.then(|| charge_id(intent).unwrap_or_else(|| reference.clone())),
            fee: charge.and_then(|charge| fee_of(&charge["balance_transaction"])),
            refunds,
            dispute,
            // What an earlier card was refused for says nothing about money that has come since.
            decline_code: decline_of(intent).filter(|_| !matches!(state, PaymentState::Authorized | PaymentState::Captured)),
            client_data: self.client_data(intent),
            reference,
        })
    }

    fn client_data(&self, intent: &Value) -> Option<Value> {
        let secret = intent["client_secret"].as_str()?;
        Some(json!({ "client_secret": secret, "publishable_key": self.publishable_key }))
    }
}

/// What an answer that is no success means (Stripe's table of error types).
fn refusal(status: StatusCode, body: &Value) -> ProviderError {
    let error = &body["error"];
    let code = ["decline_code", "code", "type"].iter().find_map(|name| error[*name].as_str()).unwrap_or("unknown").to_owned();
    match status.as_u16() {
        402 => ProviderError::Declined { code },
        409 | 429 => ProviderError::RetryLater { after: Duration::from_secs(2) },
        401 | 403 => {
            tracing::error!(status = status.as_u16(), code, "Stripe refuses the secret key; check shop.payments.stripe.secret_key");
            ProviderError::RetryLater { after: Duration::from_secs(60) }
        }
        400..=499 => ProviderError::Invalid { code },
        _ => ProviderError::OutcomeUnknown(format!("status {}", status.as_u16())),
    }
}

fn text(value: &Value, member: &str) -> Result<String, ProviderError> {
    let found = value[member].as_str().map(str::to_owned);
    found.ok_or_else(|| ProviderError::OutcomeUnknown(format!("the answer lacks {member}")))
}

fn currency_of(object: &Value) -> Result<Currency, ProviderError> {
    let found = text(object, "currency")?.to_ascii_uppercase().parse();
    found.map_err(|_| ProviderError::OutcomeUnknown("the answer is in no currency that we know".to_owned()))
}

/// An intent of which nothing but its name and amount is taken notice.
fn stranger(reference: String, amount: Money) -> Snapshot {
    Snapshot {
        reference,
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

fn items(list: &Value) -> &[Value] {
    list["data"].as_array().map_or(&[], Vec::as_slice)
}

/// The charge, where the intent carries it whole.
fn charge_of(intent: &Value) -> Option<&Value> {
    let latest = &intent["latest_charge"];
    if latest.is_object() { Some(latest) } else { intent["charges"]["data"].as_array()?.first() }
}

fn charge_id(intent: &Value) -> Option<String> {
    intent["latest_charge"].as_str().or_else(|| charge_of(intent)?["id"].as_str()).map(str::to_owned)
}

/// What a balance transaction kept for Stripe.
fn fee_of(booking: &Value) -> Option<Fee> {
    let minor = booking["fee"].as_i64().filter(|fee| *fee != 0)?;
    let currency: Currency = booking["currency"].as_str()?.to_ascii_uppercase().parse().ok()?;
    Some(Fee { reference: booking["id"].as_str()?.to_owned(), amount: Money::new(from_stripe(minor, currency).ok()?, currency) })
}

fn state_of(intent: &Value, received: i64) -> PaymentState {
    match intent["status"].as_str().unwrap_or_default() {
        "succeeded" if received > 0 => PaymentState::Captured,
        "requires_capture" => PaymentState::Authorized,
        "canceled" => PaymentState::Canceled,
        _ => PaymentState::Pending,
    }
}

fn decline_of(intent: &Value) -> Option<String> {
    let error = &intent["last_payment_error"];
    ["decline_code", "code"].iter().find_map(|name| error[*name].as_str()).map(str::to_owned)
}

fn refund_snapshot(refund: &Value, currency: Currency) -> Result<RefundSnapshot, ProviderError> {
    let state = match refund["status"].as_str().unwrap_or_default() {
        "succeeded" => RefundState::Succeeded,
        "failed" | "canceled" => RefundState::Failed,
        _ => RefundState::Pending,
    };
    Ok(RefundSnapshot {
        reference: text(refund, "id")?,
        refund_id: refund["metadata"]["refund"].as_str().and_then(|id| id.parse().ok()),
        state,
        amount: match currency_of(refund) {
            // Not ours to read: the currency alone tells that it does not fit.
            Ok(other) if other != currency => Money::new(refund["amount"].as_i64().unwrap_or(0), other),
            _ => Money::new(from_stripe(refund["amount"].as_i64().unwrap_or(0), currency)?, currency),
        },
        code: refund["failure_reason"].as_str().map(str::to_owned),
    })
}

/// The event in a body that was signed.
fn event_of(event: &Value, payload: Vec<u8>) -> Option<ProviderEvent> {
    let object = &event["data"]["object"];
    let own = object["id"].as_str().filter(|id| id.starts_with("pi_"));
    Some(ProviderEvent {
        id: event["id"].as_str().filter(|id| !id.is_empty() && id.len() <= 190)?.to_owned(),
        kind: event["type"].as_str()?.chars().take(64).collect(),
        reference: own.or_else(|| object["payment_intent"].as_str()).map(str::to_owned),
        payment_id: object["metadata"]["payment"].as_str().and_then(|id| id.parse().ok()),
        created: event["created"].as_i64().unwrap_or(0),
        payload,
    })
}

impl PaymentProvider for Stripe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn caps(&self) -> ProviderCaps {
        ProviderCaps { is_online: true, manual_capture: true, partial_capture: true, refunds: true, events: true }
    }

    fn accepts(&self, amount: Money) -> bool {
        // Stripe takes eight digits.
        to_stripe(amount).is_some_and(|minor| (1..=99_999_999).contains(&minor))
    }

    fn create<'a>(&'a self, intent: &'a NewIntent, key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot> {
        Box::pin(async move {
            let amount = to_stripe(intent.amount).ok_or_else(|| ProviderError::Invalid { code: "currency_not_supported".to_owned() })?;
            let mut form = vec![
                ("amount", amount.to_string()),
                ("currency", intent.amount.currency.code().to_ascii_lowercase()),
                ("metadata[payment]", intent.payment_id.to_string()),
                ("metadata[order]", intent.order_id.to_string()),
                ("metadata[order_number]", intent.order_number.clone()),
            ];
            match intent.method.as_str() {
                "" => form.push(("automatic_payment_methods[enabled]", "true".to_owned())),
                kind => form.push(("payment_method_types[]", kind.to_owned())),
            }
            if intent.manual_capture {
                form.push(("capture_method", "manual".to_owned()));
            }
            let made = self.post("payment_intents", &form, key).await?;
            self.snapshot(&made, intent.amount.currency).await
        })
    }

    fn fetch<'a>(&'a self, reference: &'a str, currency: Currency) -> ProviderFuture<'a, Snapshot> {
        Box::pin(async move {
            let expand = [("expand[]", "latest_charge.balance_transaction".to_owned())];
            let intent = self.get(&format!("payment_intents/{reference}"), &expand).await?;
            self.snapshot(&intent, currency).await
        })
    }

    fn find<'a>(&'a self, payment: Id<Payment>, currency: Currency) -> ProviderFuture<'a, Option<Snapshot>> {
        Box::pin(async move {
            // Double quotes are the query language's own; some who speak it understand no others.
            let query = [("query", format!("metadata[\"payment\"]:\"{payment}\"")), ("limit", "1".to_owned())];
            let found = self.get("payment_intents/search", &query).await?;
            // A search finds what is alike; only what names this payment is its intent.
            match items(&found).iter().find(|intent| intent["metadata"]["payment"] == payment.to_string()) {
                Some(intent) => self.snapshot(intent, currency).await.map(Some),
                None => Ok(None),
            }
        })
    }

    fn capture<'a>(&'a self, reference: &'a str, amount: Money, key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot> {
        Box::pin(async move {
            let minor = to_stripe(amount).ok_or_else(|| ProviderError::Invalid { code: "amount_invalid".to_owned() })?;
            let form = [("amount_to_capture", minor.to_string())];
            self.post(&format!("payment_intents/{reference}/capture"), &form, key).await?;
            self.fetch(reference, amount.currency).await
        })
    }

    fn cancel<'a>(&'a self, reference: &'a str, currency: Currency, key: &'a ProviderKey) -> ProviderFuture<'a, Snapshot> {
        Box::pin(async move {
            match self.post(&format!("payment_intents/{reference}/cancel"), &[], key).await {
                // Too late, or canceled before: either way the intent itself tells.
                Ok(_) | Err(ProviderError::Invalid { .. }) => self.fetch(reference, currency).await,
                Err(error) => Err(error),
            }
        })
    }

    fn refund<'a>(
        &'a self,
        reference: &'a str,
        refund: Id<Refund>,
        amount: Money,
        key: &'a ProviderKey,
    ) -> ProviderFuture<'a, RefundSnapshot> {
        Box::pin(async move {
            let minor = to_stripe(amount).ok_or_else(|| ProviderError::Invalid { code: "amount_invalid".to_owned() })?;
            let form = [("payment_intent", reference.to_owned()), ("amount", minor.to_string()), ("metadata[refund]", refund.to_string())];
            let made = self.post("refunds", &form, key).await?;
            refund_snapshot(&made, amount.currency)
        })
    }

    fn verify_event(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<ProviderEvent, SignatureError> {
        let mut all = headers.get_all("stripe-signature").iter();
        let header = all.next().and_then(|value| value.to_str().ok()).ok_or(SignatureError::Malformed)?;
        if all.next().is_some() {
            return Err(SignatureError::Malformed);
        }
        let secrets: Vec<&str> = self.webhook_secrets.iter().map(|secret| secret.expose()).filter(|secret| !secret.is_empty()).collect();
        signature::verify(header, body, &secrets, now)?;
        let event: Value = serde_json::from_slice(body).map_err(|_| SignatureError::NotAnEvent)?;
        if event["livemode"].as_bool().unwrap_or(false) != self.is_live() {
            return Err(SignatureError::WrongMode);
        }
        event_of(&event, body.to_vec()).ok_or(SignatureError::NotAnEvent)
    }

    fn events_since<'a>(&'a self, position: Option<&'a str>) -> ProviderFuture<'a, (Vec<ProviderEvent>, Option<String>)> {
        Box::pin(async move {
            let mut place = Place::parse(position.unwrap_or_default());
            let mut events: Vec<ProviderEvent> = Vec::new();
            for page in 0..MAX_PAGES {
                let found = match self.get("events", &place.query()).await {
                    // The event after which the walk goes on is forgotten there: it begins anew.
                    Err(ProviderError::Invalid { .. }) if place.after.is_some() => {
                        place.after = None;
                        continue;
                    }
                    // What was read is kept; the next poll goes on from there.
                    Err(error) if page > 0 => {
                        tracing::warn!("polling the events of stripe broke off and goes on next time: {error}");
                        break;
                    }
                    found => found?,
                };
                events.extend(items(&found).iter().filter_map(|event| event_of(event, serde_json::to_vec(event).unwrap_or_default())));
                if !place.step(&found) {
                    break;
                }
            }
            events.reverse();
            Ok((events, place.text()))
        })
    }
}

/// Where the polling of events stands. Stripe lists the newest first, so that one walk goes back in time, over several polls if it is
/// long; only a walk that has reached its end moves the beginning of the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// Everything up to this second has been seen.
    seen: i64,
    /// The newest second of the walk that is under way.
    newest: i64,
    /// The event up to which the walk has come; none at its beginning.
    after: Option<String>,
}

impl Place {
    /// `seen`, or `seen;newest;after` amid a walk.
    fn parse(text: &str) -> Place {
        let mut parts = text.splitn(3, ';');
        let mut second = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        let (seen, newest) = (second(), second());
        Place { seen, newest, after: parts.next().map(str::to_owned) }
    }

    fn text(&self) -> Option<String> {
        match &self.after {
            Some(after) => Some(format!("{};{};{after}", self.seen, self.newest)),
            None => (self.seen > 0).then(|| self.seen.to_string()),
        }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("limit", "100".to_owned())];
        if self.seen > 0 {
            query.push(("created[gte]", (self.seen - OVERLAP_SECS).to_string()));
        }
        query.extend(self.after.clone().map(|id| ("starting_after", id)));
        query
    }

    /// Goes one page on; false when that was the last one.
    fn step(&mut self, page: &Value) -> bool {
        let found = items(page);
        let newest = found.iter().filter_map(|event| event["created"].as_i64()).max().unwrap_or(0);
        self.newest = self.newest.max(newest);
        let last = found.last().and_then(|event| event["id"].as_str());
        if page["has_more"] == true && last.is_some() {
            self.after = last.map(str::to_owned);
            return true;
        }
        *self = Place { seen: self.seen.max(self.newest), newest: 0, after: None };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripe(minor: i64, code: &str) -> Option<i64> {
        to_stripe(Money::new(minor, code.parse().unwrap()))
    }

    #[test]
    fn inv_m2_stripes_exponents_are_a_table_of_its_own() {
        for (minor, code, theirs) in [
            (1299, "EUR", Some(1299)),
            (1500, "JPY", Some(1500)),
            (12_990, "HUF", Some(12_990)),
            (1_230, "BHD", Some(1_230)),
            (1_234, "BHD", None),
            (500, "ISK", Some(50_000)),
            (500, "UGX", Some(50_000)),
            (1_000, "MGA", Some(10)),
            (1_001, "MGA", None),
            (100, "IQD", None),
            (100, "CLF", None),
            (i64::MAX, "ISK", None),
        ] {
            assert_eq!(stripe(minor, code), theirs, "{minor} {code}");
            if let Some(theirs) = theirs {
                assert_eq!(from_stripe(theirs, code.parse().unwrap()), Ok(minor));
            }
        }
        assert!(from_stripe(100, "IQD".parse().unwrap()).is_err());
        assert!(from_stripe(12_345, "ISK".parse().unwrap()).is_err());
    }

    #[test]
    fn inv_p5_a_long_walk_over_events_goes_on_where_it_stopped() {
        let page = |ids: &[(&str, i64)], has_more: bool| {
            let data: Vec<Value> = ids.iter().map(|(id, created)| json!({ "id": id, "created": created })).collect();
            json!({ "data": data, "has_more": has_more })
        };
        let mut place = Place::parse("1000");
        assert!(place.step(&page(&[("evt_9", 2_000), ("evt_8", 1_990)], true)));
        assert_eq!(place.text().as_deref(), Some("1000;2000;evt_8"));
        let mut place = Place::parse("1000;2000;evt_8");
        assert_eq!(place.query()[1..], [("created[gte]", "400".to_owned()), ("starting_after", "evt_8".to_owned())]);
        assert!(!place.step(&page(&[("evt_7", 1_500)], false)));
        assert_eq!(place.text().as_deref(), Some("2000"));
        assert_eq!(Place::default().text(), None);
    }

    #[test]
    fn an_unlisted_answer_is_never_taken_for_a_success() {
        for (status, body, expected) in [
            (402, json!({"error": {"decline_code": "insufficient_funds", "code": "card_declined"}}), Some("insufficient_funds")),
            (400, json!({"error": {"type": "idempotency_error"}}), Some("idempotency_error")),
            (404, json!({"error": {"code": "resource_missing"}}), Some("resource_missing")),
            (409, Value::Null, None),
            (429, Value::Null, None),
            (401, Value::Null, None),
            (500, Value::Null, None),
            (503, json!("<html>"), None),
        ] {
            let error = refusal(StatusCode::from_u16(status).unwrap(), &body);
            match expected {
                Some(code) => assert!(
                    matches!(&error, ProviderError::Declined { code: found } | ProviderError::Invalid { code: found } if found == code)
                ),
                None => assert!(error.is_transient(), "{status}"),
            }
        }
    }

    #[test]
    fn inv_p3_only_received_money_is_a_success() {
        assert_eq!(state_of(&json!({"status": "succeeded"}), 0), PaymentState::Pending);
        assert_eq!(state_of(&json!({"status": "succeeded"}), 5), PaymentState::Captured);
        assert_eq!(state_of(&json!({"status": "a_state_of_next_year"}), 0), PaymentState::Pending);
    }
}
