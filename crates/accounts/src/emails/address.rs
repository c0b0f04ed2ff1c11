//! What counts as an e-mail address, and when two are the same (SGN-5, SGN-6).

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use kernel::FieldError;

/// The longest address in octets (SGN-5).
pub const MAX_OCTETS: usize = 254;

/// The longest part before the `@` (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_OCTETS: usize = 64;

/// An address to which mail can go, and the form under which it is looked up.
///
/// Mail goes to [`EmailAddress::stored`] only, which is as typed but for the domain: that is in its ASCII form, lower case.
/// Look-ups compare [`EmailAddress::norm`], which is the same with the local part in lower case. Both are pure ASCII, so no
/// collation can mistake one person for another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress {
    stored: String,
    norm: String,
}

/// The text is not an address that we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAddress;

impl EmailAddress {
    /// Reads an address: a dot-atom of ASCII, `@`, a domain with a dot. Nothing is trimmed or repaired.
    pub fn parse(typed: &str) -> Result<EmailAddress, NotAnAddress> {
        let (local, domain) = typed.rsplit_once('@').ok_or(NotAnAddress)?;
        if !is_dot_atom(local) || typed.len() > 4 * MAX_OCTETS {
            return Err(NotAnAddress);
        }
        let stored = format!("{local}@{}", ascii_domain(domain).ok_or(NotAnAddress)?);
        if stored.len() > MAX_OCTETS {
            return Err(NotAnAddress);
        }
        Ok(EmailAddress { norm: stored.to_ascii_lowercase(), stored })
    }

    /// [`EmailAddress::parse`] for a body member: the error is `email_invalid` at `pointer`.
    pub fn from_body(typed: &str, pointer: &'static str) -> Result<EmailAddress, FieldError> {
        EmailAddress::parse(typed).map_err(|_| FieldError::body(pointer, "email_invalid", "This is not an e-mail address."))
    }

    /// Where mail goes.
    pub fn stored(&self) -> &str {
        &self.stored
    }

    /// What look-ups compare; equal for one person only.
    pub fn norm(&self) -> &str {
        &self.norm
    }

    /// Whether this is the domain of the address, in whatever form and case it is written.
    pub fn is_of(&self, domain: &str) -> bool {
        ascii_domain(domain).is_some_and(|domain| domain.eq_ignore_ascii_case(self.domain()))
    }

    /// The domain in its ASCII form, lower case.
    pub fn domain(&self) -> &str {
        self.norm.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress([redacted])")
    }
}

/// Whether this is a dot-atom of RFC 5321; quoted local parts are not accepted.
fn is_dot_atom(local: &str) -> bool {
    local.len() <= MAX_LOCAL_OCTETS && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_char))
}

fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// The domain as DNS knows it, if it is a public-looking one that IDNA takes as it is.
fn ascii_domain(typed: &str) -> Option<String> {
    let idna = Uts46::new();
    let ascii = idna.to_ascii(typed.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify).ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
    let lower = in_lower_case(typed)?;
    let (unicode, _) = idna.to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    // IDNA also maps full-width letters, ligatures and the Kelvin sign onto plain ones. Somebody who typed these is refused
    // rather than taken for the person with the plain address.
    (!is_number && (lower == unicode || lower == ascii)).then(|| ascii.into_owned())
}

/// Lower case, letter by letter; `None` where that would turn another letter into an ASCII one.
fn in_lower_case(text: &str) -> Option<String> {
    let mut lower = String::with_capacity(text.len());
    for char in text.chars() {
        let start = lower.len();
        lower.extend(char.to_lowercase());
        if !char.is_ascii() && lower[start..].bytes().any(|byte| byte.is_ascii()) {
            return None;
        }
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(typed: &str) -> Option<String> {
        EmailAddress::parse(typed).ok().map(|address| address.stored().to_owned())
    }

    fn norm(typed: &str) -> Option<String> {
        EmailAddress::parse(typed).ok().map(|address| address.norm().to_owned())
    }

    #[test]
    fn sgn5_ordinary_addresses_keep_their_local_part_as_typed() {
        for (typed, expected) in [
            ("mike@example.com", "mike@example.com"),
            ("Mike.O'Neil+tag@Example.COM", "Mike.O'Neil+tag@example.com"),
            ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
            ("a@b.c", "a@b.c"),
            ("x@bücher.example", "x@xn--bcher-kva.example"),
            ("x@BÜCHER.example", "x@xn--bcher-kva.example"),
            ("x@xn--bcher-kva.example", "x@xn--bcher-kva.example"),
            ("x@XN--BCHER-KVA.example", "x@xn--bcher-kva.example"),
            ("x@straße.example", "x@xn--strae-oqa.example"),
            ("x@例え.テスト", "x@xn--r8jz45g.xn--zckzah"),
            ("x@r3---sn-apo3qvuoxuxbt.example.com", "x@r3---sn-apo3qvuoxuxbt.example.com"),
        ] {
            assert_eq!(stored(typed).as_deref(), Some(expected), "{typed}");
        }
    }

    #[test]
    fn sgn5_what_is_no_address_is_refused() {
        for typed in [
            "",
            "@",
            "mike",
            "mike@",
            "@example.com",
            "a@b",
            "a@localhost",
            "a@example.com.",
            "a@.example.com",
            "a@example..com",
            "a@-example.com",
            "a@exa_mple.com",
            "a@127.0.0.1",
            "a@[127.0.0.1]",
            "a@1.2",
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a b@example.com",
            " a@example.com",
            "a@example.com ",
            "\"a b\"@example.com",
            "\"a@b\"@example.com",
            "a@b@example.com",
            "Mike <mike@example.com>",
            "a@example.com,b@example.com",
            "a@exa mple.com",
            "a@xn--a.example",
            "a@xn--\u{fc}.example",
            "a@exam\u{ad}ple.com",
            "a@exam\u{200b}ple.com",
            "a@\u{202e}example.com",
        ] {
            assert_eq!(EmailAddress::parse(typed), Err(NotAnAddress), "{typed:?}");
        }
    }

    #[test]
    fn sgn5_no_control_character_and_no_line_break_comes_through() {
        for control in (0..0x20).chain([0x7f, 0x80, 0x85, 0x9f, 0x2028, 0x2029]) {
            let control = char::from_u32(control).unwrap();
            for typed in [
                format!("x{control}@example.com"),
                format!("x@exam{control}ple.com"),
                format!("{control}x@example.com"),
                format!("x@example.com{control}"),
                format!("x\r{control}Bcc:victim@example.com"),
            ] {
                assert_eq!(EmailAddress::parse(&typed), Err(NotAnAddress), "{typed:?}");
            }
        }
        assert!(EmailAddress::parse("x\r\nBcc:victim@example.com").is_err());
    }

    #[test]
    fn sgn5_lengths_are_octets_of_what_is_sent() {
        let address = |local: usize, domain: usize| {
            let labels = "d".repeat(63) + ".";
            let domain: String = labels.repeat(4).chars().take(domain - 4).chain(".com".chars()).collect();
            format!("{}@{domain}", "l".repeat(local))
        };
        assert!(stored(&address(64, 189)).is_some());
        assert_eq!(address(64, 189).len(), 254);
        assert_eq!(stored(&address(64, 190)), None);
        assert_eq!(stored(&address(65, 100)), None);
        let expands = format!("{}@{}.example", "l".repeat(64), vec!["ü".repeat(50); 4].join("."));
        assert_eq!(stored(&expands), None);
        assert_eq!(stored(&format!("x@{}.com", "ü".repeat(1_000_000))), None);
    }

    #[test]
    fn sgn6_case_alone_never_makes_two_people() {
        let mike = norm("mike@example.com");
        for typed in ["MIKE@example.com", "Mike@EXAMPLE.COM", "mikE@Example.Com"] {
            assert_eq!(norm(typed), mike, "{typed}");
        }
    }

    #[test]
    fn sgn6_look_alikes_never_share_a_norm() {
        for typed in [
            "mıke@example.com",         // dotless i (CVE-2019-19844)
            "mİke@example.com",         // dotted capital I
            "mi\u{212a}e@example.com",  // Kelvin sign
            "mike@\u{ff45}xample.com",  // full-width e
            "míke@example.com",         // accent
            "mi\u{301}ke@example.com",  // combining accent
            "ｍｉｋｅ@example.com",     // full width
            "mike＠example.com",        // full-width at sign
            "mike@ｅxample.com",        // full-width domain
            "mike@examp\u{217c}e.com",  // small Roman numeral fifty
            "mike@exampl\u{e9}.com",    // accent in the domain
            "mike@example\u{3002}com",  // ideographic full stop
            "mike@example\u{ff0e}com",  // full-width full stop
            "mike@examp\u{2113}e.com",  // script l
            "mike@\u{1d41e}xample.com", // mathematical e
            "mike@exampl\u{435}.com",   // Cyrillic e
            "mi\u{200d}ke@example.com", // zero-width joiner
            "mike@exam\u{200d}ple.com", // the same in the domain
        ] {
            assert_ne!(norm(typed).as_deref(), Some("mike@example.com"), "{typed}");
        }
        assert_eq!(norm("x@\u{212a}.example.com"), None);
        assert_eq!(norm("x@\u{130}.example.com"), None);
    }

    #[test]
    fn sgn6_sharp_s_and_double_s_are_two_domains() {
        assert_ne!(norm("x@straße.example"), norm("x@strasse.example"));
    }

    #[test]
    fn an_address_names_its_domain_and_does_not_print_itself() {
        let address = EmailAddress::parse("Mike@Bücher.Example").unwrap();
        assert_eq!(address.domain(), "xn--bcher-kva.example");
        assert_eq!(format!("{address:?}"), "EmailAddress([redacted])");
        let error = EmailAddress::from_body("a@b", "/email").unwrap_err();
        assert_eq!((error.code.as_ref(), error.location), ("email_invalid", kernel::error::Location::Pointer("/email".into())));
    }

    proptest! {
        #[test]
        fn sgn5_whatever_is_accepted_is_short_printable_ascii(typed in ".{0,40}@.{0,40}") {
            if let Ok(address) = EmailAddress::parse(&typed) {
                prop_assert!(address.stored().len() <= MAX_OCTETS);
                prop_assert!(address.stored().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(address.norm(), address.stored().to_ascii_lowercase());
            }
        }

        #[test]
        fn sgn6_what_is_stored_reads_back_as_itself(local in "[A-Za-z0-9+_-]{1,20}", domain in "[a-zà-ÿα-ω0-9]{1,12}\\.[a-z]{2,5}") {
            if let Ok(address) = EmailAddress::parse(&format!("{local}@{domain}")) {
                prop_assert_eq!(EmailAddress::parse(address.stored()), Ok(address.clone()));
                prop_assert_eq!(EmailAddress::parse(address.norm()).map(|again| again.norm), Ok(address.norm));
            }
        }

        #[test]
        fn sgn6_a_non_ascii_letter_never_leads_to_a_plain_domain(
            before in "[a-z]{0,6}",
            odd in proptest::char::range('\u{80}', '\u{1ffff}'),
            after in "[a-z]{1,6}",
        ) {
            if let Ok(address) = EmailAddress::parse(&format!("x@{before}{odd}{after}.com")) {
                prop_assert!(address.domain().contains("xn--"));
            }
        }
    }
}
