//! Where messages go: an SMTP server, an SMS gateway later, or the development mailbox.

use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, NOT_IMPLEMENTED, Result, UPSTREAM_FAILED};
use crate::messages::store::StoredMessage;
use crate::messages::{Channel, Content};

/// How mail leaves the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Nothing leaves: messages are read at `/api/v1/messages`. For development.
    #[default]
    Mailbox,
    /// Through the SMTP server of `smtp_url`.
    Smtp,
}

crate::settings! {
    /// How mail and text messages are sent.
    pub struct MailSettings in "mail" {
        /// Where mail goes: "mailbox" keeps it in the development mailbox, "smtp" sends it.
        pub transport: Transport = Transport::Mailbox,
        /// The SMTP server, such as smtps://user:password@mail.example.com or smtp://127.0.0.1:1025.
        pub smtp_url: crate::settings::Secret = crate::settings::Secret::default(),
        /// The sender, such as "Shop <shop@example.com>".
        pub from: String = "Undercroft <undercroft@localhost>".to_owned(),
        /// How long one SMTP command may take.
        pub timeout: crate::settings::Span = crate::settings::Span::secs(20),
    }
}

/// Sends messages the way the settings say.
pub struct Mailer {
    from: Mailbox,
    smtp: Option<AsyncSmtpTransport<Tokio1Executor>>,
}

impl Mailer {
    /// The sender for these settings.
    ///
    /// # Errors
    /// When the sender's address or the server's URL cannot be read.
    pub fn new(settings: &MailSettings) -> Result<Mailer> {
        let from = settings.from.parse().map_err(|error| Error::internal(format!("the setting mail.from is not a mailbox: {error}")))?;
        let smtp = match settings.transport {
            Transport::Mailbox => None,
            Transport::Smtp => Some(smtp(settings)?),
        };
        Ok(Mailer { from, smtp })
    }

    /// Whether messages stay in the development mailbox.
    pub fn is_mailbox(&self) -> bool {
        self.smtp.is_none()
    }

    /// Delivers a message; says whether its content stays readable.
    pub(crate) async fn send(&self, message: &StoredMessage) -> Result<bool> {
        let Some(smtp) = &self.smtp else {
            return Ok(true);
        };
        let Some(content) = &message.content else {
            return Ok(false);
        };
        match message.channel {
            Channel::Sms => Err(NOT_IMPLEMENTED.because("No SMS gateway is configured.")),
            Channel::Mail => {
                smtp.send(self.compose(message, content)?).await.map_err(|error| UPSTREAM_FAILED.error().with_source(error))?;
                Ok(false)
            }
        }
    }

    /// The mail with an id of its own: the same for every attempt, so that a second delivery can be recognised.
    fn compose(&self, message: &StoredMessage, content: &Content) -> Result<lettre::Message> {
        let to: Address = message.recipient.parse().map_err(Error::internal)?;
        let builder = lettre::Message::builder()
            .from(self.from.clone())
            .message_id(Some(format!("<{}@{}>", message.id, self.from.email.domain())))
            .to(Mailbox::new(None, to))
            .subject(content.subject.clone().unwrap_or_default());
        let html = content.html.clone().unwrap_or_default();
        builder.multipart(MultiPart::alternative_plain_html(content.text.clone(), html)).map_err(Error::internal)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one transport")]
fn smtp(settings: &MailSettings) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.smtp_url.expose())
        .map_err(|_| Error::internal("the setting mail.smtp_url is not an SMTP address"))?;
    let timeout: Duration = *settings.timeout;
    Ok(builder.timeout(Some(timeout)).build())
}
