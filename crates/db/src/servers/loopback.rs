//! Whether a server is on this machine, where nobody can listen in between.

use std::net::IpAddr;

/// Whether the host is this machine, a socket of it, or left out.
pub(super) fn is_loopback(host: Option<&str>) -> bool {
    match host {
        None | Some("" | "localhost") => true,
        // A path, perhaps with its slashes encoded: a Unix socket.
        Some(host) if host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn this_machine_has_several_names() {
        for host in [None, Some("localhost"), Some("127.0.0.1"), Some("127.8.8.8"), Some("[::1]"), Some("%2Fvar%2Frun")] {
            assert!(is_loopback(host), "{host:?}");
        }
        for host in [Some("db.example.com"), Some("10.0.0.1"), Some("localhost.example.com"), Some("[fe80::1]")] {
            assert!(!is_loopback(host), "{host:?}");
        }
    }
}
