//! The pages of second factors: the code after the password, and the authenticator app of somebody who is logged in.

use askama::Template;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use kernel::http::Fields;
use kernel::{Error, Result, Timestamp};

use crate::logins::device::SentDevice;
use crate::mfa::service::{self, Enrolment, ShownCodes};
use crate::mfa::{Method, challenge};
use crate::pages::entry::landing;
use crate::pages::own::require_recent;
use crate::pages::view::{Field, FormPage, Kind, rendered};
use crate::pages::visit::{Form, Frame, Visit, see, see_with};
use crate::problems::CHALLENGE_EXPIRED;
use crate::sessions::http::cookies_of;
use crate::sessions::service::Started;

fn code_page(visit: &Visit, next: &str) -> FormPage {
    let t = visit.t;
    let page = FormPage::new(visit, "/account/code", t.second_title, t.login_button)
        .lead(t.second_lead)
        .field(Field::new(Kind::Text, "factor", t.second_code, "one-time-code").help(t.second_help))
        .link("/account/login", t.second_again);
    match visit.next(next) {
        Some(next) => page.hidden("next", next),
        None => page,
    }
}

pub(crate) async fn code(visit: Visit) -> Result<Response> {
    code_page(&visit, visit.asked("next")).shown(&visit)
}

pub(crate) async fn submit_code(visit: Visit, device: SentDevice, posted: Fields) -> Result<Response> {
    let form = visit.open("/account/code", posted, &["factor", "next"])?;
    match answer(&visit, device, &form).await {
        Ok(started) => {
            let cookies = cookies_of(&visit.ctx, &started).into_iter().chain([visit.no_challenge_cookie()]);
            Ok(see_with(&landing(&visit, &form, &started), cookies))
        }
        Err(error) if error.is(&CHALLENGE_EXPIRED) => Ok(see_with("/account/login?done=late", [visit.no_challenge_cookie()])),
        Err(error) => code_page(&visit, form.get("next")).failed(&visit, &form, error),
    }
}

async fn answer(visit: &Visit, device: SentDevice, form: &Form) -> Result<Started> {
    form.require(&["factor"])?;
    let challenge = visit.challenge.as_deref().ok_or(&CHALLENGE_EXPIRED)?;
    let (method, code) = typed(form);
    challenge::answer(&visit.ctx, challenge, method, code, device.verified(&visit.ctx)).await
}

/// Digits are of the app; whatever holds a letter is a recovery code.
fn typed(form: &Form) -> (Method, &str) {
    let code = form.get("factor").trim();
    let is_digits = code.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ');
    (if is_digits { Method::Totp } else { Method::RecoveryCode }, code)
}

/// The authenticator app of somebody, in one of its states.
#[derive(Template)]
#[template(path = "authenticator.html")]
struct AuthenticatorPage {
    frame: Frame,
    /// Since when it counts.
    since: Option<Timestamp>,
    codes_left: usize,
    /// A seed to be put into the app, shown once.
    enrolment: Option<Shown>,
    /// Recovery codes, shown once.
    codes: ShownCodes,
    begin_token: String,
    confirm_token: String,
    renew_token: String,
    remove_token: String,
}

/// A seed as the page shows it.
struct Shown {
    image: String,
    secret: String,
    uri: String,
}

impl Shown {
    fn of(enrolment: &Enrolment) -> Result<Shown> {
        let image = format!("data:image/svg+xml;base64,{}", STANDARD.encode(enrolment.qr_svg()?));
        // In groups of four, as people read it.
        let groups: Vec<&str> = (0..enrolment.secret.len()).step_by(4).filter_map(|at| enrolment.secret.get(at..at + 4)).collect();
        Ok(Shown { image, secret: groups.join(" "), uri: enrolment.uri.to_string() })
    }
}

async fn page(visit: &Visit) -> Result<AuthenticatorPage> {
    let factors = service::mine(&visit.ctx).await?;
    Ok(AuthenticatorPage {
        frame: Frame::new(&visit.ctx.app, visit.t),
        since: factors.totp_since,
        codes_left: factors.codes_left,
        enrolment: None,
        codes: Vec::new(),
        begin_token: visit.form_token("/account/authenticator/begin"),
        confirm_token: visit.form_token("/account/authenticator/confirm"),
        renew_token: visit.form_token("/account/authenticator/codes"),
        remove_token: visit.form_token("/account/authenticator/remove"),
    })
}

fn answered(visit: &Visit, page: &AuthenticatorPage) -> Result<Response> {
    Ok(visit.page(StatusCode::OK, rendered(page)?))
}

pub(crate) async fn authenticator(visit: Visit) -> Result<Response> {
    require_recent(&visit)?;
    answered(&visit, &page(&visit).await?)
}

/// The seed is in the answer and nowhere else, so this form leads to no other page.
pub(crate) async fn begin(visit: Visit, posted: Fields) -> Result<Response> {
    visit.open("/account/authenticator/begin", posted, &[])?;
    let enrolment = service::enrol(&visit.ctx).await?;
    answered(&visit, &AuthenticatorPage { enrolment: Some(Shown::of(&enrolment)?), ..page(&visit).await? })
}

fn confirmation_page(visit: &Visit) -> FormPage {
    let t = visit.t;
    FormPage::new(visit, "/account/authenticator/confirm", t.authenticator_confirm, t.authenticator_confirm)
        .field(Field::new(Kind::Text, "factor", t.authenticator_code, "one-time-code").help(t.authenticator_code_help))
        .again(visit, "/account/authenticator/begin", t.authenticator_lost, t.authenticator_restart)
        .link("/account", t.to_overview)
}

/// The codes are in the answer and nowhere else, too.
pub(crate) async fn confirm(visit: Visit, posted: Fields) -> Result<Response> {
    let form = visit.open("/account/authenticator/confirm", posted, &["factor"])?;
    match confirmed(&visit, &form).await {
        Ok(codes) => answered(&visit, &AuthenticatorPage { codes, ..page(&visit).await? }),
        Err(error) => confirmation_page(&visit).failed(&visit, &form, error),
    }
}

async fn confirmed(visit: &Visit, form: &Form) -> Result<ShownCodes, Error> {
    form.require(&["factor"])?;
    service::confirm(&visit.ctx, form.get("factor")).await
}

pub(crate) async fn renew_codes(visit: Visit, posted: Fields) -> Result<Response> {
    visit.open("/account/authenticator/codes", posted, &[])?;
    let codes = service::renew_codes(&visit.ctx).await?;
    answered(&visit, &AuthenticatorPage { codes, ..page(&visit).await? })
}

pub(crate) async fn remove(visit: Visit, posted: Fields) -> Result<Response> {
    visit.open("/account/authenticator/remove", posted, &[])?;
    service::remove(&visit.ctx).await?;
    Ok(see("/account?done=unguarded"))
}
