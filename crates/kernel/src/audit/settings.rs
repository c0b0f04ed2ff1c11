//! The settings of the audit trail.

use crate::app::App;
use crate::error::{INTERNAL, Result};

crate::settings! {
    /// The audit trail.
    pub struct AuditSettings in "audit" {
        /// For how many days rows are kept; 0 keeps them for ever. What is pruned leaves a checkpoint, with which the chain begins.
        pub retention_days: u32 = 365,
        /// For how many days rows tell where somebody called from: address and program.
        pub address_retention_days: u32 = 90,
        /// Who gets a mail every day with the place and the hash of the last row; whoever keeps them can prove a later change. Empty: nobody.
        pub head_mail: String = String::new(),
    }
}

/// Refuses what could not work.
pub(crate) fn check(app: &App) -> Result<()> {
    let to = &app.settings::<AuditSettings>().head_mail;
    if to.is_empty() || to.parse::<lettre::Address>().is_ok() {
        return Ok(());
    }
    Err(INTERNAL.because("The setting audit.head_mail is no mail address."))
}
