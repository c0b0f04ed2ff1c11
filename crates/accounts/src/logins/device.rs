//! The signed cookie of a device on which somebody logged in before (LOG-2).
//!
//! Whoever attacks a name slows down everybody who types it, except on such a device, which has a counter of its own. The cookie
//! opens nothing: it says which counter to use, for one person, for a year.

use std::time::Duration;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderValue, header};
use kernel::http::{Describe, OperationDoc};
use kernel::{App, Ctx, Error, Id, Result, Timestamp, UserId};
use uuid::Uuid;

/// How long a device is known after a login on it.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Device, person and time.
const BODY_BYTES: usize = 16 + 16 + 8;
const MAC_BYTES: usize = 32;
const PURPOSE: &str = "device cookie";

/// A device on which this person logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    id: [u8; 16],
    pub(crate) user: UserId,
    at: Timestamp,
}

impl Device {
    /// A device that is seen for the first time.
    pub(crate) fn new(ctx: &Ctx, user: UserId) -> Device {
        Device { id: ctx.app.random().bytes(), user, at: ctx.now() }
    }

    /// The same device after another login.
    #[must_use]
    pub(crate) fn seen_again(self, ctx: &Ctx) -> Device {
        Device { at: ctx.now(), ..self }
    }

    /// Its name in the audit trail.
    pub(crate) fn label(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id)
    }

    /// Device and person, whenever it was.
    pub(crate) fn body(&self) -> [u8; 32] {
        let mut body = [0; 32];
        body[..16].copy_from_slice(&self.id);
        body[16..].copy_from_slice(self.user.uuid().as_bytes());
        body
    }

    /// The `Set-Cookie` that makes the browser remember.
    pub(crate) fn cookie(&self, ctx: &Ctx) -> HeaderValue {
        let mut bytes = self.body().to_vec();
        bytes.extend(self.at.as_millis().to_be_bytes());
        bytes.extend(ctx.app.keyring().mac(PURPOSE, &bytes));
        let (name, value, max_age) = (cookie_name(ctx.request.is_secure), URL_SAFE_NO_PAD.encode(&bytes), LIFE.as_secs());
        let secure = if ctx.request.is_secure { " Secure;" } else { "" };
        let text = format!("{name}={value}; Path=/;{secure} HttpOnly; SameSite=Strict; Max-Age={max_age}");
        let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// The device that a cookie names, unless it is forged or too old.
    pub(crate) fn parse(ctx: &Ctx, cookie: &str) -> Option<Device> {
        let mut bytes = [0; BODY_BYTES + MAC_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(cookie, &mut bytes).ok()?;
        let (body, mac) = bytes.split_at(BODY_BYTES);
        if length != bytes.len() || !ctx.app.keyring().verify_mac(PURPOSE, body, mac) {
            return None;
        }
        let user = Id::from_uuid(Uuid::from_bytes(body[16..32].try_into().ok()?));
        let at = Timestamp::from_millis(i64::from_be_bytes(body[32..].try_into().ok()?));
        (ctx.now().since(at) < LIFE).then_some(Device { id: body[..16].try_into().ok()?, user, at })
    }
}

/// The name of the cookie: bound to the host on encrypted connections, like that of the session (SES-2).
fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-device" } else { "device" }
}

/// The device cookie as it was sent, believed by nobody yet.
pub(crate) struct SentDevice(Option<String>);

impl SentDevice {
    /// The device, if the cookie is one of ours.
    pub(crate) fn verified(&self, ctx: &Ctx) -> Option<Device> {
        self.0.as_deref().and_then(|cookie| Device::parse(ctx, cookie))
    }
}

impl FromRequestParts<App> for SentDevice {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let is_secure = parts.extensions.get::<Ctx>().is_some_and(|ctx| ctx.request.is_secure);
        let lines = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        Ok(SentDevice(pairs.find(|(name, _)| *name == cookie_name(is_secure)).map(|(_, value)| value.to_owned())))
    }
}

impl Describe for SentDevice {
    fn describe(_: &mut OperationDoc) {}
}
