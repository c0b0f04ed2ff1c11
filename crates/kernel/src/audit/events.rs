//! What happens to the chain.

use uuid::Uuid;

crate::event! {
    /// The audit trail was verified and is whole.
    pub struct AuditVerified as "system.audit.verified" {
        /// The verification.
        pub verification_id: Uuid,
        /// The last row of the chain.
        pub last_seq: i64,
        /// How many rows were looked at.
        pub row_count: i64,
    }
}

crate::event! {
    /// The audit trail was verified and is not as it was written.
    pub struct AuditBroken as "system.audit.broken" {
        /// The verification.
        pub verification_id: Uuid,
        /// The first place in the chain where something is wrong.
        pub bad_seq: i64,
        /// What is wrong there.
        pub fault: String,
    }
}
