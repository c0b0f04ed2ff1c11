//! Codes of an authenticator app (RFC 6238): SHA-1, six digits, 30 seconds, as every app has them (MFA-1).

use kernel::{Error, Random, Result, Timestamp};
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

/// How long a code stands, in seconds.
const STEP_SECS: u64 = 30;
const DIGITS: usize = 6;
/// The bytes of a seed: 160 bits (RFC 4226, section 4).
const SEED_BYTES: usize = 20;

/// The secret that an authenticator shares with us.
pub(super) struct Seed(Zeroizing<[u8; SEED_BYTES]>);

impl Seed {
    /// A new one.
    pub(super) fn generate(random: &Random) -> Seed {
        let mut bytes = Zeroizing::new([0; SEED_BYTES]);
        random.fill(bytes.as_mut_slice());
        Seed(bytes)
    }

    /// The seed that was stored.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Seed> {
        let bytes = bytes.try_into().map_err(|_| Error::internal("a stored seed has another length"))?;
        Ok(Seed(Zeroizing::new(bytes)))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// What a person types into the app who cannot scan: 32 letters and digits.
    pub(super) fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(self.secret().to_base32())
    }

    /// The address that a QR code shows to the app; a colon, which separates site and account there, becomes a space.
    pub(super) fn uri(&self, site: &str, account: &str) -> Result<Zeroizing<String>> {
        let plain = |text: &str| text.replace(':', " ").trim().to_owned();
        let builder = self.builder().with_issuer(Some(plain(site))).with_account_name(plain(account));
        Ok(Zeroizing::new(builder.build().and_then(|totp| totp.to_url()).map_err(Error::internal)?))
    }

    /// The step of which this is the code: the present one, or the one before unless `is_strict`.
    ///
    /// The next step is never looked at, so a fast clock gains nothing.
    pub(super) fn step_of(&self, typed: &str, now: Timestamp, is_strict: bool) -> Result<Option<i64>> {
        let digits: Zeroizing<String> = Zeroizing::new(typed.chars().filter(|letter| *letter != ' ').collect());
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let totp = self.totp()?;
        let now_secs = u64::try_from(now.as_secs()).unwrap_or(0);
        let before = (!is_strict).then(|| now_secs.saturating_sub(STEP_SECS));
        let step = [Some(now_secs), before].into_iter().flatten().find_map(|at_secs| totp.check(&digits, at_secs));
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }

    fn secret(&self) -> Secret {
        Secret::new_stack(*self.0)
    }

    /// The library would also take the next step's code; we ask for each step by itself.
    fn builder(&self) -> Builder {
        Builder::new().with_secret(self.secret()).with_skew(0)
    }

    fn totp(&self) -> Result<Totp> {
        self.builder().build().map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    /// RFC 6238, appendix B, for SHA-1, its eight digits cut to the last six.
    const VECTORS: [(i64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    fn seed() -> Seed {
        Seed::from_bytes(b"12345678901234567890").unwrap()
    }

    #[test]
    fn mfa1_the_codes_are_those_of_rfc_6238() {
        for (secs, code) in VECTORS {
            assert_eq!(seed().step_of(code, at(secs), true).unwrap(), Some(secs / 30), "{secs}");
        }
    }

    #[test]
    fn mfa1_the_step_before_counts_unless_strict_and_the_next_never_does() {
        let (secs, code) = VECTORS[3];
        let step = Some(secs / 30);
        assert_eq!(seed().step_of(code, at(secs + 30), false).unwrap(), step);
        assert_eq!(seed().step_of(code, at(secs + 30), true).unwrap(), None);
        assert_eq!(seed().step_of(code, at(secs + 60), false).unwrap(), None);
        assert_eq!(seed().step_of(code, at(secs - 30), false).unwrap(), None);
    }

    #[test]
    fn a_code_is_six_ascii_digits_with_spaces_where_people_like_them() {
        let (secs, code) = VECTORS[0];
        let spaced = format!(" {} {} ", &code[..3], &code[3..]);
        assert!(seed().step_of(&spaced, at(secs), true).unwrap().is_some());
        for typed in ["", "28708", "2870820", "28708x", "２87082", "-28708", "+28708", "28708\n", "0x2870"] {
            assert_eq!(seed().step_of(typed, at(secs), true).unwrap(), None, "{typed:?}");
        }
    }

    #[test]
    fn mfa3_the_address_names_site_and_account() {
        let uri = seed().uri("Ada: Shop", "ada:b@example.com").unwrap();
        assert!(uri.starts_with("otpauth://totp/"), "{}", *uri);
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") && uri.contains("issuer="), "{}", *uri);
        assert_eq!(*seed().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
