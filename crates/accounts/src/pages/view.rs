//! The pages as templates: one for all forms, one for messages, one for the overview.

use askama::Template;
use axum::response::Response;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use kernel::error::{Location, RATE_LIMITED, VALIDATION_FAILED};
use kernel::http::status_of;
use kernel::{Error, Result, Timestamp};
use uuid::Uuid;

use crate::pages::texts::Texts;
use crate::pages::visit::{Form, Frame, Visit};
use crate::passwords::policy::PasswordPolicy;
use crate::problems::{CHALLENGE_REQUIRED, CODE_INVALID, HASHER_BUSY, INVALID_CREDENTIALS, TOKEN_INVALID, TOKEN_SPENT, USERNAME_TAKEN};

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Email,
    Password,
    /// A mailed token, which the script takes from the address.
    Mailed,
    Check,
}

impl Kind {
    fn attribute(self) -> &'static str {
        match self {
            Kind::Email => "email",
            Kind::Password => "password",
            Kind::Text | Kind::Mailed => "text",
            Kind::Check => "checkbox",
        }
    }
}

/// One field of a form.
pub(crate) struct Field {
    name: &'static str,
    label: &'static str,
    kind: Kind,
    autocomplete: &'static str,
    help: Option<String>,
    is_optional: bool,
    value: String,
    error: Option<String>,
}

impl Field {
    pub(crate) fn new(kind: Kind, name: &'static str, label: &'static str, autocomplete: &'static str) -> Field {
        Field { name, label, kind, autocomplete, help: None, is_optional: false, value: String::new(), error: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Field {
        Field { help: Some(help.into()), ..self }
    }

    pub(crate) fn optional(self) -> Field {
        Field { is_optional: true, ..self }
    }

    fn is_secret(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Whether the browser should leave what is typed as it is.
    fn is_plain(&self) -> bool {
        self.kind != Kind::Text || self.name != "display_name"
    }

    /// A password never comes back, whoever put it there.
    fn shown_value(&self) -> &str {
        if self.is_secret() { "" } else { &self.value }
    }

    fn described_by(&self) -> Option<String> {
        let ids = [self.error.as_ref().map(|_| format!("e-{}", self.name)), self.help.as_ref().map(|_| format!("h-{}", self.name))];
        let ids: Vec<String> = ids.into_iter().flatten().collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}

/// The field of a new password.
pub(crate) fn new_password(visit: &Visit, name: &'static str, label: &'static str) -> Field {
    let min_length = visit.ctx.state::<PasswordPolicy>().min_length().to_string();
    Field::new(Kind::Password, name, label, "new-password").help(visit.t.password_help.replace("{}", &min_length))
}

/// A line above a form.
pub(crate) struct Line {
    text: &'static str,
    /// Shown by the script when the mailed link is for this: `confirm` or `undo`.
    when: Option<&'static str>,
    /// Hidden by the script when it found a mailed link.
    is_without_script: bool,
}

/// A link below a form.
pub(crate) struct Link {
    text: &'static str,
    target: &'static str,
}

/// A second form of one button.
pub(crate) struct Again {
    action: &'static str,
    form_token: String,
    lead: &'static str,
    button: &'static str,
}

/// Something wrong, in the summary.
struct Trouble {
    field: Option<&'static str>,
    text: String,
}

/// A page with one form.
#[derive(Template)]
#[template(path = "form.html")]
pub(crate) struct FormPage {
    frame: Frame,
    title: &'static str,
    lead: Vec<Line>,
    done: Option<&'static str>,
    problems: Vec<Trouble>,
    action: &'static str,
    form_token: String,
    hidden: Vec<(&'static str, String)>,
    fields: Vec<Field>,
    button: &'static str,
    /// Another way to answer: what the field `act` then says, and the button.
    other: Option<(&'static str, &'static str)>,
    again: Option<Again>,
    links: Vec<Link>,
}

impl FormPage {
    pub(crate) fn new(visit: &Visit, action: &'static str, title: &'static str, button: &'static str) -> FormPage {
        FormPage {
            frame: Frame::new(&visit.ctx.app, visit.t),
            title,
            lead: Vec::new(),
            done: None,
            problems: Vec::new(),
            action,
            form_token: visit.form_token(action),
            hidden: Vec::new(),
            fields: Vec::new(),
            button,
            other: None,
            again: None,
            links: Vec::new(),
        }
    }

    pub(crate) fn lead(mut self, text: &'static str) -> FormPage {
        self.lead.push(Line { text, when: None, is_without_script: false });
        self
    }

    /// A line for whoever has no script, or came without a mailed link.
    pub(crate) fn lead_unlinked(mut self, text: &'static str) -> FormPage {
        self.lead.push(Line { text, when: None, is_without_script: true });
        self
    }

    /// A line for whoever came with a mailed link that does this.
    pub(crate) fn lead_linked(mut self, act: &'static str, text: &'static str) -> FormPage {
        self.lead.push(Line { text, when: Some(act), is_without_script: false });
        self
    }

    pub(crate) fn done(self, done: Option<&'static str>) -> FormPage {
        FormPage { done, ..self }
    }

    pub(crate) fn hidden(mut self, name: &'static str, value: String) -> FormPage {
        self.hidden.push((name, value));
        self
    }

    pub(crate) fn field(mut self, field: Field) -> FormPage {
        self.fields.push(field);
        self
    }

    pub(crate) fn or(self, act: &'static str, button: &'static str) -> FormPage {
        FormPage { other: Some((act, button)), ..self }
    }

    pub(crate) fn link(mut self, target: &'static str, text: &'static str) -> FormPage {
        self.links.push(Link { text, target });
        self
    }

    pub(crate) fn again(self, visit: &Visit, action: &'static str, lead: &'static str, button: &'static str) -> FormPage {
        FormPage { again: Some(Again { action, form_token: visit.form_token(action), lead, button }), ..self }
    }

    /// The page for somebody who comes to it.
    pub(crate) fn shown(&self, visit: &Visit) -> Result<Response> {
        Ok(visit.page(StatusCode::OK, rendered(self)?))
    }

    /// The page after a form that failed, with what was typed; errors that are nobody's typing go on to the error page.
    pub(crate) fn failed(mut self, visit: &Visit, form: &Form, error: Error) -> Result<Response> {
        if !belongs_to_form(&error) {
            return Err(error);
        }
        for field in &mut self.fields {
            field.value = form.get(field.name).to_owned();
        }
        let min_password = visit.ctx.state::<PasswordPolicy>().min_length();
        for wrong in error.fields() {
            let Location::Pointer(pointer) = &wrong.location else { continue };
            self.blame(visit.t, pointer.trim_start_matches('/'), &wrong.code, min_password);
        }
        if let Some(text) = visit.t.problem(&error) {
            self.problems.push(Trouble { field: None, text });
        }
        let mut response = visit.page(status_of(error.kind()), rendered(&self)?);
        if let Some(seconds) = error.retry_after_secs() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Ok(response)
    }

    fn blame(&mut self, t: &Texts, name: &str, code: &str, min_password: usize) {
        // The API calls a mailed token by its own name.
        let name = if matches!(name, "token" | "code") { "proof" } else { name };
        let text = t.field(code, name, min_password);
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => {
                self.problems.push(Trouble { field: Some(field.name), text: format!("{}: {text}", field.label) });
                field.error = Some(text);
            }
            None => self.problems.push(Trouble { field: None, text }),
        }
    }
}

/// What somebody can mend by typing something else, or by waiting.
fn belongs_to_form(error: &Error) -> bool {
    [
        &VALIDATION_FAILED,
        &INVALID_CREDENTIALS,
        &CODE_INVALID,
        &CHALLENGE_REQUIRED,
        &TOKEN_INVALID,
        &TOKEN_SPENT,
        &USERNAME_TAKEN,
        &RATE_LIMITED,
        &HASHER_BUSY,
    ]
    .into_iter()
    .any(|problem| error.is(problem))
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct Message<'a> {
    frame: Frame,
    title: &'static str,
    text: String,
    link: Link,
    code: &'static str,
    request_id: &'a str,
}

impl<'a> Message<'a> {
    pub(crate) fn new(frame: Frame, (title, text): (&'static str, String), (target, link): (&'static str, &'static str)) -> Message<'a> {
        Message { frame, title, text, link: Link { text: link, target }, code: "", request_id: "" }
    }

    pub(crate) fn of(self, code: &'static str, request_id: &'a str) -> Message<'a> {
        Message { code, request_id, ..self }
    }
}

/// Somebody's account.
pub(crate) struct Me {
    pub(crate) display_name: String,
    pub(crate) username: Option<String>,
    pub(crate) email: String,
    pub(crate) created_at: Timestamp,
}

/// One login of theirs.
pub(crate) struct Login {
    pub(crate) id: Uuid,
    pub(crate) program: String,
    pub(crate) address: String,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) is_current: bool,
}

/// A change of address that waits.
pub(crate) struct Change {
    pub(crate) id: Uuid,
    pub(crate) email: String,
}

/// Who is logged in, and where.
#[derive(Template)]
#[template(path = "overview.html")]
pub(crate) struct Overview {
    pub(crate) frame: Frame,
    pub(crate) done: Option<&'static str>,
    pub(crate) user: Me,
    pub(crate) changes: Vec<Change>,
    pub(crate) logins: Vec<Login>,
    pub(crate) logout_token: String,
    pub(crate) revoke_token: String,
    pub(crate) revoke_others_token: String,
    pub(crate) cancel_token: String,
}

/// The page as HTML.
pub(crate) fn rendered(page: &impl Template) -> Result<String> {
    page.render().map_err(Error::internal)
}

/// What a program that logged in is called, by its `User-Agent`: enough for its owner to know it again.
pub(crate) fn program(t: &Texts, user_agent: Option<&str>) -> String {
    // The order matters: most programs also name those that they resemble.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let Some(text) = user_agent.filter(|text| !text.trim().is_empty()) else { return t.unknown_program.to_owned() };
    let known = |list: &[(&str, &'static str)]| list.iter().find(|(mark, _)| text.contains(mark)).map(|(_, name)| *name);
    match (known(&BROWSERS), known(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => text.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ses5_a_program_is_called_by_its_name() {
        let t = Texts::of("en");
        for (agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0 Safari/537.36 Edg/143.0",
                "Edge, Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/604.1",
                "Safari, iPhone",
            ),
            ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0 Mobile Safari/537.36", "Chrome, Android"),
            ("curl/8.5", "curl/8.5"),
            (" ", "Unknown program"),
        ] {
            assert_eq!(program(t, Some(agent)), name);
        }
        assert_eq!(program(t, None), "Unknown program");
    }
}
