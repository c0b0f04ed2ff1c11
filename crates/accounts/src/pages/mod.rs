//! The hosted pages under `/account`, for those who want none of their own (accounts.md §5.3).
//!
//! * `entry`: log in, sign up, set a new password, confirm an address: what people do who are not logged in
//! * `own`: the account of somebody who is
//! * `second`: the second factor, at the login and in the account
//! * `visit`: who asks, and the proof that a form is ours; `next`: where to go after a login
//! * `view`, `texts`: templates, and what they say in English and German
//! * `errors`: what went wrong, as a page
//!
//! They call the same verbs as the REST operations and work without JavaScript.

mod entry;
mod errors;
pub(crate) mod next;
mod own;
mod second;
mod texts;
mod view;
mod visit;

use axum::response::Response;
use kernel::Parts;
use kernel::assets::Asset;
use kernel::http::{Draft, Operation, RateClass};

use crate::pages::visit::see;

static STYLE: Asset = Asset::new("account", "css", include_str!("../../assets/account.css"));
static SCRIPT: Asset = Asset::new("account", "js", include_str!("../../assets/account.js"));

/// The most bytes of a form: three long passwords, every character percent-encoded.
const MAX_FORM_BYTES: usize = 16 * 1024;

pub(crate) fn register(parts: &mut Parts<'_>) {
    parts.asset(&STYLE).asset(&SCRIPT).routes(entries()).routes(own_pages());
}

/// What every page has in common: its answers are nobody else's, and its errors are pages too.
fn page(draft: Draft) -> Draft {
    draft.answers_secrets().errors_as(errors::page)
}

fn form(draft: Draft) -> Draft {
    page(draft).body_limit(|_| MAX_FORM_BYTES)
}

/// Whoever is not logged in. They ignore a login, so that an old one never stands in their way.
fn entries() -> Vec<Operation> {
    let shown = |draft: Draft| page(draft).ignores_credential().public();
    let sent = |draft: Draft| form(draft).ignores_credential().rate(RateClass::Auth).public();
    vec![
        shown(Operation::page("/account/login", "showLogin", entry::login)),
        sent(Operation::form("/account/login", "submitLogin", entry::log_in)),
        shown(Operation::page("/account/code", "showLoginCode", second::code)),
        sent(Operation::form("/account/code", "submitLoginCode", second::submit_code)),
        shown(Operation::page("/account/signup", "showSignup", entry::signup)),
        sent(Operation::form("/account/signup", "submitSignup", entry::sign_up)),
        shown(Operation::page("/account/complete", "showSignupCompletion", entry::completion)),
        sent(Operation::form("/account/complete", "submitSignupCompletion", entry::complete)),
        sent(Operation::form("/account/complete/resend", "submitSignupResend", entry::resend)),
        shown(Operation::page("/account/reset", "showResetRequest", entry::reset_request)),
        sent(Operation::form("/account/reset", "submitResetRequest", entry::request_reset)),
        shown(Operation::page("/account/reset/confirm", "showReset", entry::reset)),
        sent(Operation::form("/account/reset/confirm", "submitReset", entry::confirm_reset)),
        shown(Operation::page("/account/email", "showEmailConfirmation", entry::email)),
        sent(Operation::form("/account/email", "submitEmailConfirmation", entry::confirm_email)),
        shown(Operation::page("/account/invitation", "showInvitation", entry::invitation)),
        sent(Operation::form("/account/invitation", "submitInvitation", entry::answer_invitation)),
        shown(Operation::page("/.well-known/change-password", "findPasswordChange", change_password)),
    ]
}

/// Whoever is.
fn own_pages() -> Vec<Operation> {
    let shown = |draft: Draft| page(draft).authenticated();
    let sent = |draft: Draft| form(draft).authenticated();
    vec![
        shown(Operation::page("/account", "showAccount", own::overview)),
        sent(Operation::form("/account/logout", "submitLogout", own::log_out)),
        sent(Operation::form("/account/sessions/revoke", "submitSessionRevocation", own::revoke)),
        sent(Operation::form("/account/sessions/revoke-others", "submitOtherSessionsRevocation", own::revoke_others)),
        shown(Operation::page("/account/confirm", "showReauthentication", own::confirmation)),
        sent(Operation::form("/account/confirm", "submitReauthentication", own::confirm).rate(RateClass::Auth)),
        shown(Operation::page("/account/password", "showPasswordChange", own::password)),
        sent(Operation::form("/account/password", "submitPasswordChange", own::change_password)),
        shown(Operation::page("/account/authenticator", "showAuthenticator", second::authenticator)),
        sent(Operation::form("/account/authenticator/begin", "submitAuthenticator", second::begin)),
        sent(Operation::form("/account/authenticator/confirm", "submitAuthenticatorCode", second::confirm).rate(RateClass::Auth)),
        sent(Operation::form("/account/authenticator/codes", "submitRecoveryCodes", second::renew_codes)),
        sent(Operation::form("/account/authenticator/remove", "submitAuthenticatorRemoval", second::remove)),
        shown(Operation::page("/account/email/new", "showEmailChange", own::new_email)),
        sent(Operation::form("/account/email/new", "submitEmailChange", own::begin_email_change).rate(RateClass::Auth)),
        sent(Operation::form("/account/email/cancel", "submitEmailChangeCancellation", own::cancel_email_change)),
    ]
}

/// Where password managers look for the page that changes a password (W3C "A Well-Known URL for Changing Passwords").
async fn change_password() -> Response {
    see("/account/password")
}
