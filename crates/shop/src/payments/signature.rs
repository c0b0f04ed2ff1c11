//! Who sent an event: HMAC-SHA256 over the time and the raw bytes, as Stripe signs them (INV-P1).

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use kernel::Timestamp;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use crate::payments::SignatureError;

/// How far the time of a signature may lie from ours, both ways.
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// More parts than this are no honest header.
const MAX_PARTS: usize = 32;

/// Checks a header `t=…,v1=…[,v1=…]` against any of the secrets.
///
/// # Errors
/// When the header cannot be read, lies outside the tolerance, or no secret made any of its signatures.
pub fn verify<S: AsRef<str>>(header: &str, body: &[u8], secrets: &[S], now: Timestamp) -> Result<(), SignatureError> {
    let (seconds, signatures) = parse(header)?;
    let tolerance = TOLERANCE.as_secs().cast_signed();
    let distance = now.as_secs().checked_sub(seconds).and_then(i64::checked_abs);
    if distance.is_none_or(|distance| distance > tolerance) {
        return Err(SignatureError::OutOfTime);
    }
    let mut is_ours = Choice::from(0);
    for secret in secrets {
        let expected = sign(secret.as_ref(), seconds, body);
        for signature in &signatures {
            is_ours |= expected.ct_eq(signature);
        }
    }
    if bool::from(is_ours) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

/// The signature of a body at a time.
pub fn sign(secret: &str, seconds: i64, body: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return [0; 32] };
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn parse(header: &str) -> Result<(i64, Vec<[u8; 32]>), SignatureError> {
    let mut seconds = None;
    let mut signatures = Vec::new();
    for (index, part) in header.split(',').enumerate() {
        let (name, value) = part.trim().split_once('=').ok_or(SignatureError::Malformed)?;
        match name {
            _ if index >= MAX_PARTS => return Err(SignatureError::Malformed),
            // A second time would let a stranger choose which one is judged.
            "t" if seconds.is_some() => return Err(SignatureError::Malformed),
            "t" => seconds = Some(value.parse::<u32>().map(i64::from).map_err(|_| SignatureError::Malformed)?),
            "v1" => signatures.extend(unhex(value)),
            _ => {}
        }
    }
    match seconds {
        Some(seconds) if !signatures.is_empty() => Ok((seconds, signatures)),
        _ => Err(SignatureError::Malformed),
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| (byte as char).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_test_secret";
    const AT: i64 = 1_795_348_800;

    fn now() -> Timestamp {
        Timestamp::from_millis(AT * 1000)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn header(secret: &str, at: i64, body: &[u8]) -> String {
        format!("t={at},v1={}", hex(&sign(secret, at, body)))
    }

    #[test]
    fn inv_p1_the_signature_is_that_of_the_official_library() {
        // python -c 'import hmac; print(hmac.new(b"whsec_test_secret", b"1795348800.{\"id\":\"evt_1\"}", "sha256").hexdigest())'
        let expected = "651d171dcdf5a5777d7759859a32a5f05fbeae49138b1acea1e1792916e9215e";
        assert_eq!(hex(&sign(SECRET, AT, br#"{"id":"evt_1"}"#)), expected);
    }

    #[test]
    fn inv_p1_one_of_several_secrets_and_signatures_is_enough() {
        let body = b"{}";
        let stranger = hex(&sign("whsec_other", AT, body));
        let both = format!("t={AT},v1={stranger},v0=abc,v1={}", hex(&sign(SECRET, AT, body)));
        assert_eq!(verify(&both, body, &["whsec_new", SECRET], now()), Ok(()));
        assert_eq!(verify(&both, body, &["whsec_new"], now()), Err(SignatureError::Mismatch));
        assert_eq!(verify::<&str>(&both, body, &[], now()), Err(SignatureError::Mismatch));
    }

    #[test]
    fn inv_p1_the_time_may_be_five_minutes_off_either_way() {
        for (off, is_fine) in [(-301, false), (-300, true), (0, true), (300, true), (301, false), (-AT, false)] {
            let header = header(SECRET, AT + off, b"{}");
            assert_eq!(verify(&header, b"{}", &[SECRET], now()).is_ok(), is_fine, "{off}");
        }
    }

    #[test]
    fn inv_p1_what_cannot_be_read_is_refused() {
        let good = header(SECRET, AT, b"{}");
        let upper = format!("t={AT},v1={}", hex(&sign(SECRET, AT, b"{}")).to_uppercase());
        let twice = format!("t=1,{good}");
        let long = format!("{good}{}", ",v0=x".repeat(40));
        for bad in
            ["", "t=", "v1=00", "t=abc,v1=00", &good[..20], &good[..good.len() - 1], &upper, &twice, &long, "t=-1,v1=", "t=99999999999"]
        {
            assert_eq!(verify(bad, b"{}", &[SECRET], now()), Err(SignatureError::Malformed), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn inv_p1_one_flipped_bit_of_body_or_header_is_refused(body in prop::collection::vec(any::<u8>(), 1..60), bit in any::<prop::sample::Index>()) {
            let header = header(SECRET, AT, &body);
            prop_assert_eq!(verify(&header, &body, &[SECRET], now()), Ok(()));
            let mut changed = body.clone();
            let at = bit.index(body.len() * 8);
            changed[at / 8] ^= 1 << (at % 8);
            prop_assert!(verify(&header, &changed, &[SECRET], now()).is_err());
            let mut bytes = header.into_bytes();
            let at = bit.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert!(verify(&String::from_utf8_lossy(&bytes), &body, &[SECRET], now()).is_err());
        }
    }
}
