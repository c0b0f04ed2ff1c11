//! Passwords that say what everybody can read: the site, the address, the username (PWD-4).
//!
//! What is known about an account is taken out of the password; too little may not be left. That finds `Undercroft2026!`,
//! `ada-ada-ada`, `3xample.com` and `tforcrednu`, and lets a sentence be that merely mentions a name.

use kernel::Ctx;
use kernel::messages::MailSettings;
use zeroize::Zeroizing;

use crate::emails::address::EmailAddress;
use crate::users::UserRecord;

/// The product's own name.
const PRODUCT: &str = "undercroft";

/// Shorter words occur in anything.
const SHORTEST_WORD: usize = 3;

/// What a password must hold beside the known words, in letters and digits.
const LEAST_REST: usize = 6;

/// What everybody can know about an account, as words without case and signs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    words: Vec<String>,
}

impl Known {
    /// What is known of every account here: the product, the site's name and address.
    pub(crate) fn of_site(ctx: &Ctx) -> Known {
        let mut known = Known::default();
        known.add(PRODUCT);
        let from = &ctx.settings::<MailSettings>().from;
        let (name, address) = from.split_once('<').unwrap_or(("", from));
        known.add_all(name);
        if let Ok(address) = EmailAddress::parse(address.trim_end_matches('>').trim()) {
            known.add_domain(address.domain());
        }
        if let Some(host) = url::Url::parse(&ctx.app.public_url()).ok().as_ref().and_then(url::Url::host_str) {
            known.add_domain(host);
        }
        known.ordered()
    }

    /// With somebody's address.
    #[must_use]
    pub(crate) fn and_email(mut self, email: &EmailAddress) -> Known {
        let (local, domain) = email.norm().rsplit_once('@').unwrap_or_default();
        self.add(email.norm());
        self.add_all(local);
        self.add_domain(domain);
        self.ordered()
    }

    /// With somebody's username.
    #[must_use]
    pub(crate) fn and_username(mut self, username: &str) -> Known {
        self.add_all(username);
        self.ordered()
    }

    /// With what an account shows of its owner.
    #[must_use]
    pub(crate) fn and_user(self, user: &UserRecord) -> Known {
        let known = match EmailAddress::parse(&user.email) {
            Ok(email) => self.and_email(&email),
            Err(_) => self,
        };
        match &user.username {
            Some(username) => known.and_username(username),
            None => known,
        }
    }

    /// Whether a password is hardly more than these words, whichever way they are written.
    pub(crate) fn is_told_by(&self, password: &str) -> bool {
        let plain = Zeroizing::new(squeezed(password));
        let read = Zeroizing::new(as_read(&plain));
        let backwards = |text: &str| Zeroizing::new(text.chars().rev().collect::<String>());
        let forms = [backwards(&plain), backwards(&read), plain, read];
        forms.iter().any(|form| self.leaves_little_of(form))
    }

    fn leaves_little_of(&self, form: &str) -> bool {
        let mut rest = Zeroizing::new(form.to_owned());
        for word in &self.words {
            if rest.contains(word.as_str()) {
                rest = Zeroizing::new(rest.replace(word.as_str(), ""));
            }
        }
        rest.len() < form.len() && rest.chars().count() < LEAST_REST
    }

    fn add(&mut self, word: &str) {
        let word = squeezed(word);
        if word.chars().count() < SHORTEST_WORD {
            return;
        }
        let read = as_read(&word);
        for form in [word, read] {
            if !self.words.contains(&form) {
                self.words.push(form);
            }
        }
    }

    /// The text as one word, and each of its parts.
    fn add_all(&mut self, text: &str) {
        self.add(text);
        for part in text.split(|char: char| !char.is_alphanumeric()) {
            self.add(part);
        }
    }

    /// A host as a whole, and each label but the last, which says nothing.
    fn add_domain(&mut self, domain: &str) {
        let domain = domain.strip_prefix("www.").unwrap_or(domain);
        self.add(domain);
        for label in domain.split('.').rev().skip(1) {
            self.add_all(label);
        }
    }

    /// Longest first, so that no word is cut to pieces by a shorter one.
    fn ordered(mut self) -> Known {
        self.words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        self
    }
}

/// Lower case, letters and digits only; what people write in place of letters stays.
fn squeezed(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).filter(|char| char.is_alphanumeric() || letter_behind(*char) != *char).collect()
}

/// With letters where people write digits and signs instead.
fn as_read(text: &str) -> String {
    text.chars().map(letter_behind).collect()
}

fn letter_behind(char: char) -> char {
    match char {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Known {
        let mut site = Known::default();
        site.add(PRODUCT);
        site.add_domain("www.bridges.example");
        site.and_email(&EmailAddress::parse("ada.lovelace@analytical-engines.test").unwrap()).and_username("Count_ess")
    }

    #[test]
    fn pwd4_a_password_that_everybody_can_read_off_the_account_is_refused() {
        for told in [
            "undercroft",
            "Undercroft2026!",
            "uNDERCROFT-undercroft",
            "und3rcr0ft!!",
            "tforcrednu",
            "bridges.example",
            "Bridges12345",
            "ada.lovelace",
            "AdaLovelace99",
            "lovelace-ada-1",
            "ada.lovelace@analytical-engines.test",
            "analytical-engines",
            "4n4lytic4l.3ngines",
            "countess!!",
            "count_ess_1815",
            "l0velace123",
            "lovelacelovelacelovelace",
        ] {
            assert!(ada().is_told_by(told), "{told}");
        }
    }

    #[test]
    fn pwd4_a_sentence_may_mention_a_name() {
        for fine in [
            "seven bridges of Koenigsberg",
            "ada loves difference engines",
            "under the croft by moonlight",
            "the countess counts her steps",
            "1234567890",
            "          ",
            "🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀",
        ] {
            assert!(!ada().is_told_by(fine), "{fine}");
        }
    }

    #[test]
    fn pwd4_words_of_one_or_two_letters_say_nothing() {
        let known = Known::default().and_email(&EmailAddress::parse("ab@de.test").unwrap());
        assert!(!known.is_told_by("ab-de-ab-de"));
    }
}
