//! E-mail addresses: what they are, how they are proven and changed.

pub mod address;
