//! Mail texts over HTTP.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{MailText, READ_MAIL_TEXTS, UPDATE_MAIL_TEXTS, service};
use crate::actor::UserId;
use crate::ctx::Ctx;
use crate::error::{QUOTA_EXCEEDED, Result};
use crate::http::{Body, Etag, IfMatch, Json, NoContent, Operation, Path};
use crate::templates::Sources;
use crate::time::Timestamp;

const ONE: &str = "/api/v1/mail-texts/{module}/{name}/{locale}";

pub(super) fn operations() -> [Operation; 5] {
    [
        Operation::get("/api/v1/mail-texts", "listMailTexts", list)
            .tag("Messages")
            .summary("List the texts of all mails")
            .describe("Every mail that modules send, in every language that it has, and whether somebody changed it.")
            .requires(&READ_MAIL_TEXTS),
        Operation::get(ONE, "getMailText", get)
            .tag("Messages")
            .summary("Read the text of a mail")
            .describe("A language without a text of its own shows the one that is sent instead.")
            .requires(&READ_MAIL_TEXTS),
        Operation::put(ONE, "putMailText", put)
            .tag("Messages")
            .summary("Change the text of a mail")
            .describe("In one language, or in a new one. The texts are templates (Jinja); they are tried with the sample first.")
            .raises(&[&QUOTA_EXCEEDED])
            .requires(&UPDATE_MAIL_TEXTS),
        Operation::delete(ONE, "deleteMailText", delete)
            .tag("Messages")
            .summary("Go back to the built-in text")
            .describe("A language that only you added goes back to the one that was sent instead.")
            .requires(&UPDATE_MAIL_TEXTS),
        Operation::post("/api/v1/mail-texts/{module}/{name}/actions/preview", "previewMailText", preview)
            .tag("Messages")
            .summary("Try the text of a mail")
            .describe("Answers the mail that these texts make of the sample; nothing is kept or sent.")
            .requires(&READ_MAIL_TEXTS),
    ]
}

/// The text of a mail in one language.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "template": "accounts/invitation", "locale": "en", "subject": "You are invited", "text": "To accept, open {{ link }}",
    "html": "<p>To accept, open <a href=\"{{ link }}\">{{ link }}</a></p>", "sample": { "link": "https://example.com/", "days": 7 },
    "is_edited": false, "version": 0, "changed_at": null, "changed_by": null
}))]
struct MailTextView {
    /// The mail, as `module/name`.
    template: String,
    /// The language, BCP 47.
    locale: String,
    /// The subject, one line.
    subject: String,
    /// The plain body.
    text: String,
    /// The HTML body; what it shows is escaped.
    html: String,
    /// What the texts may show, with an example of each.
    #[schema(value_type = Object)]
    sample: Value,
    /// Whether somebody changed it.
    is_edited: bool,
    /// Counts the changes; 0 for a built-in text.
    version: i64,
    /// When it was changed.
    changed_at: Option<Timestamp>,
    /// Who changed it; null for the system and for built-in texts.
    #[schema(value_type = Option<uuid::Uuid>)]
    changed_by: Option<UserId>,
}

impl MailTextView {
    fn of(ctx: &Ctx, text: MailText) -> MailTextView {
        MailTextView {
            sample: ctx.app.templates().sample(&text.template).cloned().unwrap_or_default(),
            template: text.template,
            locale: text.locale,
            subject: text.sources.subject,
            text: text.sources.text,
            html: text.sources.html,
            is_edited: text.edit.is_some(),
            version: text.edit.map_or(0, |edit| edit.version),
            changed_at: text.edit.map(|edit| edit.changed_at),
            changed_by: text.edit.and_then(|edit| edit.changed_by),
        }
    }
}

/// One line of the list of mail texts.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "template": "accounts/invitation", "locale": "en", "subject": "You are invited", "is_edited": false, "changed_at": null }))]
struct MailTextLine {
    /// The mail, as `module/name`.
    template: String,
    /// The language, BCP 47.
    locale: String,
    /// The subject, as a template.
    subject: String,
    /// Whether somebody changed it.
    is_edited: bool,
    /// When it was changed.
    changed_at: Option<Timestamp>,
}

/// The texts of all mails.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "items": [
    { "template": "accounts/invitation", "locale": "en", "subject": "You are invited", "is_edited": false, "changed_at": null }
] }))]
struct MailTextLines {
    /// By name and language.
    items: Vec<MailTextLine>,
}

/// Texts of a mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "subject": "You are invited", "text": "To accept, open {{ link }}", "html": "<p>To accept, open <a href=\"{{ link }}\">{{ link }}</a></p>"
}))]
struct MailTextBody {
    /// The subject, one line.
    #[schema(min_length = 1, max_length = 500)]
    subject: String,
    /// The plain body.
    #[schema(min_length = 1, max_length = 50000)]
    text: String,
    /// The HTML body; what it shows is escaped.
    #[schema(min_length = 1, max_length = 100000)]
    html: String,
}

impl MailTextBody {
    fn into_sources(self) -> Sources {
        Sources { subject: self.subject, text: self.text, html: self.html }
    }
}

/// A mail made of the sample.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "subject": "You are invited", "text": "To accept, open https://example.com/", "html": "<p>To accept, open …</p>" }))]
struct MailPreview {
    /// The subject.
    subject: String,
    /// The plain body.
    text: String,
    /// The HTML body.
    html: String,
}

type Names = (String, String, String);

async fn list(ctx: Ctx) -> Result<Json<MailTextLines>> {
    let line = |text: MailText| MailTextLine {
        template: text.template,
        locale: text.locale,
        subject: text.sources.subject,
        is_edited: text.edit.is_some(),
        changed_at: text.edit.map(|edit| edit.changed_at),
    };
    Ok(Json(MailTextLines { items: service::list(&ctx).await?.into_iter().map(line).collect() }))
}

fn with_etag(ctx: &Ctx, text: MailText) -> Etag<Json<MailTextView>> {
    Etag { version: text.edit.map_or(0, |edit| edit.version), answer: Json(MailTextView::of(ctx, text)) }
}

async fn get(ctx: Ctx, Path((module, name, locale)): Path<Names>) -> Result<Etag<Json<MailTextView>>> {
    let text = service::find(&ctx, format!("{module}/{name}"), locale).await?;
    Ok(with_etag(&ctx, text))
}

async fn put(
    ctx: Ctx,
    Path((module, name, locale)): Path<Names>,
    if_match: IfMatch,
    Body(body): Body<MailTextBody>,
) -> Result<Etag<Json<MailTextView>>> {
    let text = MailText { template: format!("{module}/{name}"), locale, sources: body.into_sources(), edit: None };
    let text = service::put(&ctx, text, if_match).await?;
    Ok(with_etag(&ctx, text))
}

async fn delete(ctx: Ctx, Path((module, name, locale)): Path<Names>, if_match: IfMatch) -> Result<NoContent> {
    service::take_back(&ctx, format!("{module}/{name}"), locale, if_match).await?;
    Ok(NoContent)
}

async fn preview(ctx: Ctx, Path((module, name)): Path<(String, String)>, Body(body): Body<MailTextBody>) -> Result<Json<MailPreview>> {
    let mail = service::preview(&ctx, &format!("{module}/{name}"), &body.into_sources())?;
    Ok(Json(MailPreview { subject: mail.subject, text: mail.text, html: mail.html }))
}
