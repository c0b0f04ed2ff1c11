//! The pages of people who are not logged in: log in, sign up, set a new password, confirm an address.

use axum::response::Response;
use kernel::http::Fields;
use kernel::{Error, Result};
use url::form_urlencoded::byte_serialize;

use crate::emails;
use crate::emails::address::EmailAddress;
use crate::invitations;
use crate::invitations::service::Acceptance;
use crate::logins;
use crate::logins::device::SentDevice;
use crate::logins::service::LoginOutcome;
use crate::pages::view::{Field, FormPage, Kind, new_password};
use crate::pages::visit::{Form, Visit, see, see_with};
use crate::passwords;
use crate::problems::{SIGNUP_CLOSED, TOKEN_INVALID};
use crate::secrets::Code;
use crate::sessions::SessionKind;
use crate::sessions::http::cookies_of;
use crate::sessions::service::Started;
use crate::settings::{AccountSettings, SignupMode};
use crate::signups;
use crate::signups::service::Completion;
use crate::users::names::{DisplayName, Username};

/// Where a login leads that asked for nothing else.
const HOME: &str = "/account";

fn login_page(visit: &Visit, next: &str) -> FormPage {
    let t = visit.t;
    let page = FormPage::new(visit, "/account/login", t.login_title, t.login_button)
        .field(Field::new(Kind::Text, "identifier", t.identifier, "username"))
        .field(Field::new(Kind::Password, "password", t.password, "current-password"))
        .field(Field::new(Kind::Check, "remember", t.remember, "off").optional())
        .link("/account/reset", t.to_reset);
    let page = if may_sign_up(visit) { page.link("/account/signup", t.to_signup) } else { page };
    match visit.next(next) {
        Some(next) => page.hidden("next", next),
        None => page,
    }
}

fn may_sign_up(visit: &Visit) -> bool {
    matches!(visit.ctx.settings::<AccountSettings>().signup, SignupMode::Open | SignupMode::Domains)
}

pub(crate) async fn login(visit: Visit) -> Result<Response> {
    let done = match visit.asked("done") {
        "logout" => Some(visit.t.logout_done),
        "reset" => Some(visit.t.reset_done),
        "late" => Some(visit.t.second_late),
        _ => None,
    };
    login_page(&visit, visit.asked("next")).done(done).shown(&visit)
}

pub(crate) async fn log_in(visit: Visit, device: SentDevice, posted: Fields) -> Result<Response> {
    let mut form = visit.open("/account/login", posted, &["identifier", "password", "remember", "next"])?;
    match check_login(&visit, device, &mut form).await {
        Ok(LoginOutcome::Started(started)) => Ok(see_with(&landing(&visit, &form, &started), cookies_of(&visit.ctx, &started))),
        Ok(LoginOutcome::Challenged(challenge)) => {
            let next = visit.next(form.get("next")).map(|next| format!("?next={}", byte_serialize(next.as_bytes()).collect::<String>()));
            let target = format!("/account/code{}", next.unwrap_or_default());
            Ok(see_with(&target, [visit.challenge_cookie(&challenge.token)]))
        }
        Err(error) => login_page(&visit, form.get("next")).failed(&visit, &form, error),
    }
}

/// Where a login leads: to a password that must be changed, to what was asked for, or to the account.
pub(crate) fn landing(visit: &Visit, form: &Form, started: &Started) -> String {
    if started.must_change {
        return "/account/password".to_owned();
    }
    visit.next(form.get("next")).unwrap_or_else(|| HOME.to_owned())
}

async fn check_login(visit: &Visit, device: SentDevice, form: &mut Form) -> Result<LoginOutcome> {
    form.require(&["identifier", "password"])?;
    let (ctx, password, is_remembered) = (&visit.ctx, form.password("password"), form.get("remember") == "yes");
    let identifier = form.get("identifier").trim();
    logins::service::log_in(ctx, identifier, &password, SessionKind::Browser, device.verified(ctx), is_remembered).await
}

fn signup_page(visit: &Visit) -> FormPage {
    let t = visit.t;
    FormPage::new(visit, "/account/signup", t.signup_title, t.signup_button)
        .lead(t.signup_lead)
        // Under which a password manager keeps the password.
        .field(Field::new(Kind::Email, "email", t.email, "username"))
        .field(new_password(visit, "password", t.password))
        .link("/account/login", t.to_login)
}

pub(crate) async fn signup(visit: Visit) -> Result<Response> {
    if may_sign_up(&visit) { signup_page(&visit).shown(&visit) } else { Err(SIGNUP_CLOSED.error()) }
}

pub(crate) async fn sign_up(visit: Visit, posted: Fields) -> Result<Response> {
    let mut form = visit.open("/account/signup", posted, &["email", "password"])?;
    match begin_signup(&visit, &mut form).await {
        Ok(begun) => Ok(see_with("/account/complete", [visit.signup_cookie(&begun.handle)])),
        Err(error) => signup_page(&visit).failed(&visit, &form, error),
    }
}

async fn begin_signup(visit: &Visit, form: &mut Form) -> Result<signups::service::Begun> {
    form.require(&["email", "password"])?;
    let (email, password) = (address_in(form)?, form.password("password"));
    signups::service::begin(&visit.ctx, email, Some(password), None).await
}

fn address_in(form: &Form) -> Result<EmailAddress> {
    EmailAddress::from_body(form.get("email").trim(), "/email").map_err(|error| Error::invalid(vec![error]))
}

/// Who began elsewhere, or whose cookie is another sign-up's, types the password again (SGN-3).
fn completion_page(visit: &Visit, asks_password: bool) -> FormPage {
    let t = visit.t;
    let mut page = FormPage::new(visit, "/account/complete", t.complete_title, t.complete_button)
        .lead_unlinked(t.complete_lead)
        .lead_linked("confirm", t.complete_linked)
        .field(Field::new(Kind::Mailed, "proof", t.proof, "one-time-code"));
    if asks_password {
        let field = Field::new(Kind::Password, "password", t.signup_password, "current-password");
        page = page.field(field.help(t.signup_password_help));
    }
    let page = with_names(visit, page);
    match visit.signup {
        Some(_) => page.again(visit, "/account/complete/resend", t.again_lead, t.again_button),
        None => page.link("/account/signup", t.to_signup),
    }
}

fn with_names(visit: &Visit, page: FormPage) -> FormPage {
    let t = visit.t;
    page.field(Field::new(Kind::Text, "display_name", t.display_name, "name").help(t.display_name_help).optional())
        .field(Field::new(Kind::Text, "username", t.username, "username").help(t.username_help).optional())
}

pub(crate) async fn completion(visit: Visit) -> Result<Response> {
    let done = (visit.asked("done") == "resent").then_some(visit.t.again_done);
    completion_page(&visit, visit.signup.is_none()).done(done).shown(&visit)
}

pub(crate) async fn complete(visit: Visit, posted: Fields) -> Result<Response> {
    let mut form = visit.open("/account/complete", posted, &["proof", "password", "display_name", "username"])?;
    let outcome = match completion_in(&visit, &mut form) {
        Ok(completion) => signups::service::complete(&visit.ctx, completion, SessionKind::Browser).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(started) => {
            let cookies = cookies_of(&visit.ctx, &started).into_iter().chain([visit.no_signup_cookie()]);
            Ok(see_with("/account?done=welcome", cookies))
        }
        Err(error) => {
            let asks_password = visit.signup.is_none() || error.is(&TOKEN_INVALID);
            completion_page(&visit, asks_password).failed(&visit, &form, error)
        }
    }
}

fn completion_in(visit: &Visit, form: &mut Form) -> Result<Completion> {
    form.require(&["proof"])?;
    let password = form.optional_password("password");
    let proof = form.get("proof");
    let (code, token) = match Code::parse(proof) {
        Some(_) => (Some(proof.to_owned()), None),
        None => (None, Some(token_in(proof).to_owned())),
    };
    let (username, display_name) = names_in(form)?;
    Ok(Completion { token, code, handle: visit.signup.clone(), password, username, display_name })
}

/// Username and display name, where they were typed; everything wrong with them at once.
fn names_in(form: &Form) -> Result<(Option<Username>, Option<DisplayName>)> {
    let mut errors = Vec::new();
    let typed = |name| Some(form.get(name)).filter(|typed| !typed.trim().is_empty());
    let username = typed("username").map(|typed| Username::from_body(typed.trim(), "/username"));
    let display_name = typed("display_name").map(|typed| DisplayName::from_body(typed, "/display_name"));
    let username = username.and_then(|name| name.map_err(|error| errors.push(error)).ok());
    let display_name = display_name.and_then(|name| name.map_err(|error| errors.push(error)).ok());
    if errors.is_empty() { Ok((username, display_name)) } else { Err(Error::invalid(errors)) }
}

/// The token in what was pasted: a whole link, what stands behind its #, or the token alone.
fn token_in(pasted: &str) -> &str {
    let behind = pasted.trim().rsplit('#').next().unwrap_or_default();
    behind.strip_prefix("token=").unwrap_or(behind)
}

pub(crate) async fn resend(visit: Visit, posted: Fields) -> Result<Response> {
    visit.open("/account/complete/resend", posted, &[])?;
    if let Some(handle) = &visit.signup {
        signups::service::resend(&visit.ctx, handle).await?;
    }
    Ok(see("/account/complete?done=resent"))
}

fn invitation_page(visit: &Visit) -> FormPage {
    let t = visit.t;
    let page = FormPage::new(visit, "/account/invitation", t.invitation_title, t.complete_button)
        .lead(t.invitation_lead)
        .field(Field::new(Kind::Mailed, "proof", t.mailed_link, "off").help(t.mailed_link_help))
        .field(new_password(visit, "password", t.password))
        .or("decline", t.invitation_decline);
    with_names(visit, page)
}

pub(crate) async fn invitation(visit: Visit) -> Result<Response> {
    let done = (visit.asked("done") == "declined").then_some(visit.t.invitation_declined);
    invitation_page(&visit).done(done).shown(&visit)
}

pub(crate) async fn answer_invitation(visit: Visit, posted: Fields) -> Result<Response> {
    let mut form = visit.open("/account/invitation", posted, &["proof", "password", "display_name", "username", "act"])?;
    let answered = match form.get("act") {
        "decline" => decline_invitation(&visit, &form).await.map(|()| see("/account/invitation?done=declined")),
        _ => accept_invitation(&visit, &mut form).await.map(|started| see_with("/account?done=welcome", cookies_of(&visit.ctx, &started))),
    };
    match answered {
        Ok(response) => Ok(response),
        Err(error) => invitation_page(&visit).failed(&visit, &form, error),
    }
}

async fn accept_invitation(visit: &Visit, form: &mut Form) -> Result<Started> {
    form.require(&["proof", "password"])?;
    let password = Some(form.password("password"));
    let (username, display_name) = names_in(form)?;
    let acceptance = Acceptance { password, username, display_name };
    invitations::service::accept(&visit.ctx, token_in(form.get("proof")), acceptance, SessionKind::Browser).await
}

async fn decline_invitation(visit: &Visit, form: &Form) -> Result<()> {
    form.require(&["proof"])?;
    invitations::service::decline(&visit.ctx, token_in(form.get("proof"))).await
}

fn reset_request_page(visit: &Visit) -> FormPage {
    let t = visit.t;
    FormPage::new(visit, "/account/reset", t.reset_title, t.reset_button)
        .lead(t.reset_lead)
        .field(Field::new(Kind::Email, "email", t.email, "email"))
        .link("/account/reset/confirm", t.to_reset_confirm)
        .link("/account/login", t.to_login)
}

pub(crate) async fn reset_request(visit: Visit) -> Result<Response> {
    let done = (visit.asked("done") == "sent").then_some(visit.t.reset_sent);
    reset_request_page(&visit).done(done).shown(&visit)
}

pub(crate) async fn request_reset(visit: Visit, posted: Fields) -> Result<Response> {
    let form = visit.open("/account/reset", posted, &["email"])?;
    match ask_reset(&visit, &form).await {
        Ok(()) => Ok(see("/account/reset?done=sent")),
        Err(error) => reset_request_page(&visit).failed(&visit, &form, error),
    }
}

async fn ask_reset(visit: &Visit, form: &Form) -> Result<()> {
    form.require(&["email"])?;
    passwords::service::request_reset(&visit.ctx, &address_in(form)?).await
}

fn reset_page(visit: &Visit) -> FormPage {
    let t = visit.t;
    FormPage::new(visit, "/account/reset/confirm", t.reset_confirm_title, t.reset_confirm_button)
        .lead(t.reset_confirm_lead)
        .field(Field::new(Kind::Mailed, "proof", t.mailed_link, "off").help(t.mailed_link_help))
        .field(new_password(visit, "password", t.new_password))
        .link("/account/reset", t.to_reset_again)
}

pub(crate) async fn reset(visit: Visit) -> Result<Response> {
    reset_page(&visit).shown(&visit)
}

pub(crate) async fn confirm_reset(visit: Visit, posted: Fields) -> Result<Response> {
    let mut form = visit.open("/account/reset/confirm", posted, &["proof", "password"])?;
    match set_password(&visit, &mut form).await {
        Ok(()) => Ok(see("/account/login?done=reset")),
        Err(error) => reset_page(&visit).failed(&visit, &form, error),
    }
}

async fn set_password(visit: &Visit, form: &mut Form) -> Result<()> {
    form.require(&["proof", "password"])?;
    let password = form.password("password");
    passwords::service::confirm_reset(&visit.ctx, token_in(form.get("proof")).to_owned(), password).await
}

fn email_page(visit: &Visit) -> FormPage {
    let t = visit.t;
    FormPage::new(visit, "/account/email", t.email_title, t.email_button)
        .lead_unlinked(t.email_lead)
        .lead_linked("confirm", t.email_confirm_lead)
        .lead_linked("undo", t.email_undo_lead)
        .field(Field::new(Kind::Mailed, "proof", t.mailed_link, "off").help(t.mailed_link_help))
        .link(HOME, t.to_overview)
}

pub(crate) async fn email(visit: Visit) -> Result<Response> {
    let done = match visit.asked("done") {
        "confirmed" => Some(visit.t.email_confirmed),
        "undone" => Some(visit.t.email_undone),
        _ => None,
    };
    email_page(&visit).done(done).shown(&visit)
}

pub(crate) async fn confirm_email(visit: Visit, posted: Fields) -> Result<Response> {
    let form = visit.open("/account/email", posted, &["proof"])?;
    match follow_email_link(&visit, &form).await {
        Ok(done) => Ok(see(done)),
        Err(error) => email_page(&visit).failed(&visit, &form, error),
    }
}

/// The link says what it is for: `#undo=token` takes the account back, `#token` agrees to the change.
async fn follow_email_link(visit: &Visit, form: &Form) -> Result<&'static str> {
    form.require(&["proof"])?;
    let token = token_in(form.get("proof"));
    match token.strip_prefix("undo=") {
        Some(token) => emails::service::undo(&visit.ctx, token).await.map(|()| "/account/email?done=undone"),
        None => emails::service::confirm(&visit.ctx, token).await.map(|()| "/account/email?done=confirmed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rst5_a_pasted_link_is_as_good_as_its_token() {
        for pasted in ["abc", " abc\n", "#abc", "https://x.test/account/reset/confirm#abc", "https://x.test/#token=abc", "token=abc"] {
            assert_eq!(token_in(pasted), "abc", "{pasted:?}");
        }
        assert_eq!(token_in("https://x.test/account/email#undo=abc"), "undo=abc");
    }
}
