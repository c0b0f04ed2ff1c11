//! The program as people start it: processes, files, exit codes, sentences.

#![expect(clippy::unwrap_used, reason = "also the helpers of tests may fail a test")]

mod program;
mod refusals;
mod serving;
mod verbs;
