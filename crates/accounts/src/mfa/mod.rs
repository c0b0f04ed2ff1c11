//! Second factors: an authenticator app (TOTP) and recovery codes (MFA-1 to MFA-4, MFA-8).
//!
//! * `totp`: the seed that an authenticator shares with us, and which codes it makes
//! * `recovery`: ten codes on paper, for whoever lost the authenticator
//! * `challenge`: what a client holds between the password and the second factor, which opens nothing else
//! * `service`, `http`: enrolling, removing, and how many codes are left

pub(crate) mod challenge;
pub(crate) mod http;
mod recovery;
pub(crate) mod service;
pub(crate) mod store;
mod totp;

/// The ways to answer a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MfaMethod)]
pub(crate) enum Method {
    /// Six digits of an authenticator app.
    Totp,
    /// One of the ten recovery codes.
    RecoveryCode,
}

impl Method {
    /// Its name in answers, sessions and the audit trail.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::Totp => "totp",
            Method::RecoveryCode => "recovery_code",
        }
    }
}

/// How sure we are of somebody who showed these methods (MFA-8): `aal2` with a second factor.
pub(crate) fn acr(methods: &str) -> &'static str {
    let has_second = methods.split(' ').any(|method| [Method::Totp, Method::RecoveryCode].iter().any(|known| known.as_str() == method));
    if has_second { "aal2" } else { "aal1" }
}
