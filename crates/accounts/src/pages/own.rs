//! The pages of somebody who is logged in: the account, its password, its address, its logins.

use std::str::FromStr;

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use kernel::error::NOT_FOUND;
use kernel::http::Fields;
use kernel::page::PageRequest;
use kernel::{Error, Id, Result};
use uuid::Uuid;

use crate::emails;
use crate::emails::address::EmailAddress;
use crate::pages::texts::Texts;
use crate::pages::view::{Change, Field, FormPage, Kind, Login, Me, Overview, new_password, program, rendered};
use crate::pages::visit::{Form, Frame, Visit, see, see_with};
use crate::passwords;
use crate::passwords::http::cookie_of;
use crate::passwords::service::Renewed;
use crate::sessions;
use crate::sessions::http::cookie_removal;
use crate::settings::SessionSettings;
use crate::users;

/// How many logins the overview shows: the newest, of a hundred at most.
const SHOWN_LOGINS: u32 = 100;

pub(crate) async fn overview(visit: Visit) -> Result<Response> {
    let (ctx, t) = (&visit.ctx, visit.t);
    let current = ctx.actor.identity()?.session_id;
    let (user, _) = users::service::me(ctx).await?;
    let logins = sessions::service::list(ctx, PageRequest::new(Some(SHOWN_LOGINS), None)).await?;
    let changes = emails::service::list(ctx).await?;
    let page = Overview {
        frame: Frame::new(&ctx.app, t),
        done: done(t, visit.asked("done")),
        user: Me { display_name: user.display_name, username: user.username, email: user.email, created_at: user.created_at },
        changes: changes.into_iter().map(|change| Change { id: change.id.uuid(), email: change.email }).collect(),
        logins: logins
            .items
            .into_iter()
            .map(|session| Login {
                id: session.id.uuid(),
                program: program(t, session.user_agent.as_deref()),
                is_current: session.id == current,
                address: session.ip,
                last_seen_at: session.last_seen_at,
            })
            .collect(),
        logout_token: visit.form_token("/account/logout"),
        revoke_token: visit.form_token("/account/sessions/revoke"),
        revoke_others_token: visit.form_token("/account/sessions/revoke-others"),
        cancel_token: visit.form_token("/account/email/cancel"),
    };
    Ok(visit.page(StatusCode::OK, rendered(&page)?))
}

fn done(t: &Texts, what: &str) -> Option<&'static str> {
    let t = Texts::of(t.lang);
    match what {
        "welcome" => Some(t.welcome),
        "password" => Some(t.password_done),
        "email" => Some(t.email_new_done),
        "canceled" => Some(t.change_canceled),
        "ended" => Some(t.end_login_done),
        "others" => Some(t.end_others_done),
        "unguarded" => Some(t.authenticator_removed),
        _ => None,
    }
}

pub(crate) async fn log_out(visit: Visit, posted: Fields) -> Result<Response> {
    visit.open("/account/logout", posted, &[])?;
    sessions::service::log_out(&visit.ctx).await?;
    let mut response = see_with("/account/login?done=logout", [cookie_removal(&visit.ctx)]);
    // Not the cookies: that of the device stays (LOG-2, SES-4).
    let clear = HeaderValue::from_static("\"cache\", \"storage\"");
    response.headers_mut().insert(HeaderName::from_static("clear-site-data"), clear);
    Ok(response)
}

pub(crate) async fn revoke(visit: Visit, posted: Fields) -> Result<Response> {
    let form = visit.open("/account/sessions/revoke", posted, &["session_id"])?;
    sessions::service::revoke(&visit.ctx, id_in(&form, "session_id")?).await?;
    Ok(see("/account?done=ended"))
}

/// What cannot be an id is simply not there (ENU-8).
fn id_in<T>(form: &Form, name: &str) -> Result<Id<T>> {
    Uuid::from_str(form.get(name)).map(Id::from_uuid).map_err(|_| NOT_FOUND.error())
}

pub(crate) async fn revoke_others(visit: Visit, posted: Fields) -> Result<Response> {
    visit.open("/account/sessions/revoke-others", posted, &[])?;
    sessions::service::revoke_mine(&visit.ctx, true).await?;
    Ok(see("/account?done=others"))
}

fn confirmation_page(visit: &Visit, next: &str) -> FormPage {
    let t = visit.t;
    let page = FormPage::new(visit, "/account/confirm", t.confirm_title, t.confirm_button)
        .lead(t.confirm_lead)
        .field(Field::new(Kind::Password, "password", t.password, "current-password"))
        .link("/account/reset", t.to_reset);
    match visit.next(next) {
        Some(next) => page.hidden("next", next),
        None => page,
    }
}

pub(crate) async fn confirmation(visit: Visit) -> Result<Response> {
    confirmation_page(&visit, visit.asked("next")).shown(&visit)
}

pub(crate) async fn confirm(visit: Visit, posted: Fields) -> Result<Response> {
    let mut form = visit.open("/account/confirm", posted, &["password", "next"])?;
    match reauthenticate(&visit, &mut form).await {
        Ok(renewed) => {
            let next = visit.next(form.get("next"));
            Ok(see_with(next.as_deref().unwrap_or("/account"), cookie_of(&visit.ctx, &renewed)))
        }
        Err(error) => confirmation_page(&visit, form.get("next")).failed(&visit, &form, error),
    }
}

async fn reauthenticate(visit: &Visit, form: &mut Form) -> Result<Renewed> {
    form.require(&["password"])?;
    passwords::service::reauthenticate(&visit.ctx, form.password("password")).await
}

fn password_page(visit: &Visit) -> FormPage {
    let t = visit.t;
    FormPage::new(visit, "/account/password", t.password_title, t.password_button)
        .lead(t.password_lead)
        .field(Field::new(Kind::Password, "current_password", t.present_password, "current-password"))
        .field(new_password(visit, "new_password", t.new_password))
        .link("/account/reset", t.to_first_password)
        .link("/account", t.to_overview)
}

/// Asked before anything is typed: an old login is confirmed first (SES-10).
pub(crate) fn require_recent(visit: &Visit) -> Result<()> {
    visit.ctx.require_recent(*visit.ctx.settings::<SessionSettings>().fresh_auth)
}

pub(crate) async fn password(visit: Visit) -> Result<Response> {
    require_recent(&visit)?;
    password_page(&visit).shown(&visit)
}

pub(crate) async fn change_password(visit: Visit, posted: Fields) -> Result<Response> {
    let mut form = visit.open("/account/password", posted, &["current_password", "new_password"])?;
    match set_password(&visit, &mut form).await {
        Ok(renewed) => Ok(see_with("/account?done=password", cookie_of(&visit.ctx, &renewed))),
        Err(error) => password_page(&visit).failed(&visit, &form, error),
    }
}

async fn set_password(visit: &Visit, form: &mut Form) -> Result<Renewed> {
    form.require(&["current_password", "new_password"])?;
    let (current, new) = (form.password("current_password"), form.password("new_password"));
    passwords::service::change(&visit.ctx, current, new).await
}

fn new_email_page(visit: &Visit) -> FormPage {
    let t = visit.t;
    FormPage::new(visit, "/account/email/new", t.email_new_title, t.email_new_button)
        .lead(t.email_new_lead)
        .field(Field::new(Kind::Email, "email", t.email_new, "email"))
        .link("/account", t.to_overview)
}

pub(crate) async fn new_email(visit: Visit) -> Result<Response> {
    require_recent(&visit)?;
    new_email_page(&visit).shown(&visit)
}

pub(crate) async fn begin_email_change(visit: Visit, posted: Fields) -> Result<Response> {
    let form = visit.open("/account/email/new", posted, &["email"])?;
    match ask_change(&visit, &form).await {
        Ok(()) => Ok(see("/account?done=email")),
        Err(error) => new_email_page(&visit).failed(&visit, &form, error),
    }
}

async fn ask_change(visit: &Visit, form: &Form) -> Result<()> {
    form.require(&["email"])?;
    let email = EmailAddress::from_body(form.get("email").trim(), "/email").map_err(|error| Error::invalid(vec![error]))?;
    emails::service::begin(&visit.ctx, email).await.map(|_| ())
}

pub(crate) async fn cancel_email_change(visit: Visit, posted: Fields) -> Result<Response> {
    let form = visit.open("/account/email/cancel", posted, &["change_id"])?;
    emails::service::cancel(&visit.ctx, id_in(&form, "change_id")?).await?;
    Ok(see("/account?done=canceled"))
}
