//! Mail and text messages: queued in a transaction, sealed at rest, sent by a job, or kept in the development mailbox.

mod http;
mod mailer;
mod service;
pub(crate) mod store;
pub(crate) mod texts;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::jobs::Job;
use crate::module::Parts;
use crate::templates::RenderedMail;

use http::{READ_MESSAGES, operations};
pub use mailer::{MailSettings, Mailer, Transport};
pub(crate) use store::StoredMessage;

/// The texts of a mail in one language. Subject and text are plain; `html` is escaped.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// `module/name`; the same for every language.
    pub name: &'static str,
    /// The language, BCP 47.
    pub locale: &'static str,
    /// The subject, one line.
    pub subject: &'static str,
    /// The plain body.
    pub text: &'static str,
    /// The HTML body.
    pub html: &'static str,
    /// A JSON object with an example of everything that the texts may show; the same for every language.
    pub sample: &'static str,
}

/// Embeds a template folder with `subject.txt`, `body.txt` and `body.html`, and the `sample.json` beside the folder.
///
/// `kernel::template!("accounts/confirm_signup", "en", "../emails/confirm_signup/en")`
#[macro_export]
macro_rules! template {
    ($name:literal, $locale:literal, $folder:literal) => {
        $crate::Template {
            name: $name,
            locale: $locale,
            subject: include_str!(concat!($folder, "/subject.txt")),
            text: include_str!(concat!($folder, "/body.txt")),
            html: include_str!(concat!($folder, "/body.html")),
            sample: include_str!(concat!($folder, "/../sample.json")),
        }
    };
}

/// The marker of a message's identifier.
#[derive(Debug)]
pub(crate) enum Message {}

/// Declares the mailbox and the texts of mails.
pub(crate) fn register(parts: &mut Parts<'_>) {
    parts.permissions(&[&READ_MESSAGES]).job(send).routes(operations());
    texts::register(parts);
}

/// How a message reaches its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By e-mail.
    Mail,
    /// By text message.
    Sms,
}

impl Channel {
    fn as_str(self) -> &'static str {
        match self {
            Channel::Mail => "mail",
            Channel::Sms => "sms",
        }
    }
}

/// What a message says; sealed at rest, since it may carry one-time links.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) subject: Option<String>,
    pub(crate) text: String,
    pub(crate) html: Option<String>,
}

/// A message about to be queued.
#[derive(Debug)]
pub(crate) struct NewMessage {
    pub(crate) channel: Channel,
    pub(crate) template: &'static str,
    pub(crate) recipient: String,
    pub(crate) content: Content,
}

impl NewMessage {
    pub(crate) fn mail(template: &'static str, to: &str, mail: RenderedMail) -> Self {
        let content = Content { subject: Some(mail.subject), text: mail.text, html: Some(mail.html) };
        NewMessage { channel: Channel::Mail, template, recipient: to.to_owned(), content }
    }

    pub(crate) fn sms(template: &'static str, to: &str, text: &str) -> Self {
        let content = Content { subject: None, text: text.to_owned(), html: None };
        NewMessage { channel: Channel::Sms, template, recipient: to.to_owned(), content }
    }
}

/// Sends one queued message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SendMessage {
    pub(crate) message_id: Id<Message>,
}

impl Job for SendMessage {
    const KIND: &'static str = "platform.send_message";
}

/// Sends the message unless that was done before; sending twice is possible only when the process dies between.
pub(crate) async fn send(ctx: Ctx, job: SendMessage) -> Result<()> {
    let (id, app) = (job.message_id, ctx.app.clone());
    let Some(message) = ctx.read(move |c| store::find_queued(c, &app, id)).await? else {
        return Ok(());
    };
    match ctx.state::<Mailer>().send(&message).await {
        Ok(kept) => {
            let now = ctx.now();
            ctx.write(move |tx| Ok(store::mark_sent(tx, id, now, kept)?)).await
        }
        Err(error) => {
            let text = error.causes().unwrap_or_else(|| error.to_string());
            ctx.write(move |tx| Ok(store::note_error(tx, id, &text)?)).await?;
            Err(Error::internal(error))
        }
    }
}
