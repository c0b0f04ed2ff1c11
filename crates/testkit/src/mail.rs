//! What was mailed, and the one-time secrets in it.

use kernel::App;
use serde::Deserialize;

use crate::store::MailRow;

/// A mail as its recipient reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The address it goes to.
    pub to: String,
    /// The template it was made from, `module/name`.
    pub template: String,
    /// One line.
    pub subject: String,
    /// The plain body.
    pub text: String,
    /// The HTML body.
    pub html: String,
}

#[derive(Default, Deserialize)]
struct Content {
    subject: Option<String>,
    text: String,
    html: Option<String>,
}

impl Mail {
    pub(crate) fn unseal(app: &App, row: MailRow) -> Mail {
        let content = row.content_sealed.map_or_else(Content::default, |sealed| {
            let plain = app.keyring().open(&format!("platform_messages.content/{}", row.id), &sealed);
            serde_json::from_slice(&plain.expect("a queued mail opens")).expect("a queued mail is JSON")
        });
        Mail {
            to: row.recipient,
            template: row.template,
            subject: content.subject.unwrap_or_default(),
            text: content.text,
            html: content.html.unwrap_or_default(),
        }
    }
}

/// The one-time token of a mail: 43 characters of base64url in the fragment of a link, or anywhere in its plain body.
///
/// # Panics
/// When there is none.
pub fn token_in(mail: &Mail) -> String {
    find_token(&mail.text).unwrap_or_else(|| panic!("the mail has no token: {mail:#?}"))
}

/// The code of a mail: a line of its own with eight characters, perhaps in two groups of four.
///
/// # Panics
/// When there is none.
pub fn code_in(mail: &Mail) -> String {
    let code = |line: &str| -> Option<String> {
        let code: String = line.trim().chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        let is_code = code.len() == 8 && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        is_code.then_some(code)
    };
    mail.text.lines().find_map(code).unwrap_or_else(|| panic!("the mail has no code: {mail:#?}"))
}

/// The first 43 characters of base64url that stand alone; those behind a `#` come first.
pub(crate) fn find_token(text: &str) -> Option<String> {
    let fragments = text.split('#').skip(1);
    fragments.chain([text]).find_map(|part| words(part).find(|word| word.len() == 43).map(str::to_owned))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE";

    #[test]
    fn a_token_is_found_behind_the_hash_first() {
        let other = TOKEN.replace('a', "z");
        assert_eq!(find_token(&format!("{other} and https://x.test/account/confirm#token={TOKEN}&x=1.")).as_deref(), Some(TOKEN));
        assert_eq!(find_token(&format!("https://x.test/#{TOKEN}\nBye")).as_deref(), Some(TOKEN));
        assert_eq!(find_token(&format!("Token: {TOKEN}.")).as_deref(), Some(TOKEN));
        assert_eq!(find_token(&format!("{TOKEN}x")), None);
    }

    #[test]
    fn a_code_stands_on_a_line_of_its_own() {
        let mail = |text: &str| Mail {
            to: String::new(),
            template: String::new(),
            subject: String::new(),
            text: text.to_owned(),
            html: String::new(),
        };
        assert_eq!(code_in(&mail("Your code:\n\n  ABCD-2345\n\nBye")), "ABCD2345");
        assert_eq!(code_in(&mail("THIS IS NO CODE\nABCD2345\n")), "ABCD2345");
    }
}
