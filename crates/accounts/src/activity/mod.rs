//! What somebody sees of the audit trail: their own part of it (PRV-2). The rows and their verbs are the kernel's.

pub(crate) mod http;
