//! One visit to a page: who asks, in which language, and the proof that a form is ours (SES-6).

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use kernel::error::CSRF_FAILED;
use kernel::http::Fields;
use kernel::{App, Ctx, Error, FieldError, Result, assets};
use url::Url;

use crate::pages::texts::Texts;
use crate::pages::{SCRIPT, STYLE, next};
use crate::secrets::{Password, Token};
use crate::settings::AccountSettings;

/// The field with the synchroniser token.
const FORM_TOKEN: &str = "form_token";
const PURPOSE: &str = "form token";
/// How long a browser remembers a sign-up that it began, in seconds: as long as the mailed link is good.
const SIGNUP_COOKIE_SECS: u64 = 24 * 3600;
/// How long a browser remembers a login that waits for its second factor, in seconds: as long as the challenge is good.
const CHALLENGE_COOKIE_SECS: u64 = 10 * 60;

/// Somebody looks at a page or posts a form.
pub(crate) struct Visit {
    pub(crate) ctx: Ctx,
    pub(crate) t: &'static Texts,
    query: Vec<(String, String)>,
    /// What tells this browser from others before it has a session.
    visitor: Token,
    is_new: bool,
    /// The handle of a sign-up that this browser began (SGN-3).
    pub(crate) signup: Option<String>,
    /// The challenge of a login of this browser that waits for its second factor (MFA-2).
    pub(crate) challenge: Option<String>,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let ctx = Ctx::from_request_parts(parts, app).await?;
        let sent = |name| cookie(&parts.headers, &cookie_name(&ctx, name));
        let known = sent("form").as_deref().and_then(Token::parse);
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Ok(Visit {
            t: Texts::of(&ctx.request.locale),
            is_new: known.is_none(),
            visitor: known.unwrap_or_else(|| Token::generate(ctx.app.random())),
            signup: sent("signup").filter(|handle| Token::parse(handle).is_some()),
            challenge: sent("challenge").filter(|challenge| Token::parse(challenge).is_some()),
            query,
            ctx,
        })
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn cookie_name(ctx: &Ctx, name: &str) -> String {
    if ctx.request.is_secure { format!("__Host-{name}") } else { name.to_owned() }
}

/// Lax, since whoever comes from a mail must not lose it.
fn set_cookie(ctx: &Ctx, name: &str, value: &str, max_age_secs: Option<u64>) -> HeaderValue {
    let secure = if ctx.request.is_secure { " Secure;" } else { "" };
    let max_age = max_age_secs.map(|secs| format!("; Max-Age={secs}")).unwrap_or_default();
    let text = format!("{}={value}; Path=/;{secure} HttpOnly; SameSite=Lax{max_age}", cookie_name(ctx, name));
    let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

impl Visit {
    /// The value of a query parameter; empty when there is none.
    pub(crate) fn asked(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Proves that a form came from a page that this browser, or this session, was shown for this action.
    pub(crate) fn form_token(&self, action: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.ctx.app.keyring().mac(PURPOSE, self.bound(action).as_bytes()))
    }

    fn bound(&self, action: &str) -> String {
        match self.ctx.actor.identity() {
            Ok(identity) => format!("session {}\n{action}", identity.session_id),
            Err(_) => format!("visitor {}\n{action}", self.visitor.as_str()),
        }
    }

    /// The fields of a form that was posted to `action`: only these, each once, and with a proof that the form is ours.
    pub(crate) fn open(&self, action: &str, posted: Fields, known: &[&str]) -> Result<Form> {
        let (tokens, fields): (Vec<_>, Vec<_>) = posted.0.into_iter().partition(|(name, _)| name == FORM_TOKEN);
        let proof = tokens.first().and_then(|(_, token)| URL_SAFE_NO_PAD.decode(token).ok()).unwrap_or_default();
        let is_ours = tokens.len() == 1 && self.ctx.app.keyring().verify_mac(PURPOSE, self.bound(action).as_bytes(), &proof);
        if !is_ours {
            return Err(CSRF_FAILED.because("The form has no valid token: open its page again."));
        }
        let mut form = Form::default();
        for (name, value) in fields {
            let is_known = known.contains(&name.as_str());
            if !is_known || form.0.insert(name.clone(), value).is_some() {
                return Err(Error::invalid(vec![FieldError::body(
                    format!("/{name:.40}"),
                    "unknown_field",
                    "This form has no such field.",
                )]));
            }
        }
        Ok(form)
    }

    /// A page, with every header of SES-11 that the edge does not add by itself.
    pub(crate) fn page(&self, status: StatusCode, html: String) -> Response {
        let mut response = page(&self.ctx.app, self.t, status, html);
        if self.is_new && self.ctx.actor.is_anonymous() {
            response.headers_mut().append(SET_COOKIE, set_cookie(&self.ctx, "form", self.visitor.as_str(), None));
        }
        response
    }

    /// The cookie by which this browser completes the sign-up it began.
    pub(crate) fn signup_cookie(&self, handle: &Token) -> HeaderValue {
        set_cookie(&self.ctx, "signup", handle.as_str(), Some(SIGNUP_COOKIE_SECS))
    }

    /// The same, gone.
    pub(crate) fn no_signup_cookie(&self) -> HeaderValue {
        set_cookie(&self.ctx, "signup", "", Some(0))
    }

    /// The cookie by which this browser goes on with the login that it began.
    pub(crate) fn challenge_cookie(&self, challenge: &Token) -> HeaderValue {
        set_cookie(&self.ctx, "challenge", challenge.as_str(), Some(CHALLENGE_COOKIE_SECS))
    }

    /// The same, gone.
    pub(crate) fn no_challenge_cookie(&self) -> HeaderValue {
        set_cookie(&self.ctx, "challenge", "", Some(0))
    }

    /// Where the login form asked to go, if we go there (FED-6).
    pub(crate) fn next(&self, typed: &str) -> Option<String> {
        next::target(&self.ctx, typed)
    }
}

/// A page in this language.
pub(crate) fn page(app: &App, t: &Texts, status: StatusCode, html: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_LANGUAGE, HeaderValue::from_static(t.lang)),
        (VARY, HeaderValue::from_static("Accept-Language, Cookie")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, policy(app.settings())),
    ];
    (status, headers, html).into_response()
}

/// Browsers apply `form-action` to the redirect after a form too, so the origins a login may lead to are named (FED-6).
fn policy(settings: &AccountSettings) -> HeaderValue {
    let mut actions = "'self'".to_owned();
    for origin in &settings.allowed_redirect_origins {
        actions.push(' ');
        actions.push_str(origin);
    }
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action {actions}; object-src 'none'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// 303: what was posted is done, look there (PRG).
pub(crate) fn see(target: &str) -> Response {
    let location = HeaderValue::try_from(target).unwrap_or_else(|_| HeaderValue::from_static("/account"));
    let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The same with cookies.
pub(crate) fn see_with(target: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let mut response = see(target);
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// What every page has around its content.
pub(crate) struct Frame {
    pub(crate) t: &'static Texts,
    pub(crate) site: String,
    pub(crate) theme: &'static str,
    pub(crate) style: &'static str,
    pub(crate) script: &'static str,
}

impl Frame {
    pub(crate) fn new(app: &App, t: &'static Texts) -> Frame {
        let host = Url::parse(&app.public_url()).ok().and_then(|url| url.host_str().map(str::to_owned));
        Frame {
            t,
            site: host.unwrap_or_else(|| "Undercroft".to_owned()),
            theme: assets::THEME.path(),
            style: STYLE.path(),
            script: SCRIPT.path(),
        }
    }
}

/// The fields of a posted form.
#[derive(Default)]
pub(crate) struct Form(BTreeMap<String, String>);

/// The longest value of a field that is no password, as in the API.
const MAX_CHARS: usize = 320;

impl Form {
    /// A value as it was typed; empty when the field is missing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether all of these are there, and none of the others is too long; everything wrong is told at once.
    pub(crate) fn require(&self, names: &[&'static str]) -> Result<()> {
        let missing = names.iter().filter(|name| self.get(name).trim().is_empty());
        let missing = missing.map(|name| FieldError::body(format!("/{name}"), "required", "This is needed."));
        // A password and a target have limits of their own.
        let is_bounded = |name: &str| !name.contains("password") && name != "next";
        let long = self.0.iter().filter(|(name, value)| is_bounded(name) && value.chars().count() > MAX_CHARS);
        let long = long.map(|(name, _)| FieldError::body(format!("/{name}"), "too_long", "At most 320 characters."));
        let wrong: Vec<FieldError> = missing.chain(long).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::invalid(wrong)) }
    }

    /// A password as it was typed, which leaves the form with it: no page shows it again.
    pub(crate) fn password(&mut self, name: &str) -> Password {
        Password::new(self.0.remove(name).unwrap_or_default())
    }

    /// A password that may be missing.
    pub(crate) fn optional_password(&mut self, name: &str) -> Option<Password> {
        self.0.remove(name).filter(|typed| !typed.is_empty()).map(Password::new)
    }
}
