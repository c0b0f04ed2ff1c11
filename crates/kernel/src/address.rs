//! Who is really calling: the client's address behind proxies, derived once and from the right (LOG-3).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// The networks whose forwarding headers are believed; nobody's by default.
///
/// Written as addresses, networks such as `10.1.0.0/16`, and the words `loopback` and `private`.
///
/// ```
/// use kernel::address::TrustedProxies;
///
/// let trusted = TrustedProxies::parse(["loopback", "10.1.0.0/16"]).unwrap();
/// assert!(trusted.contains("127.0.0.1".parse().unwrap()));
/// assert!(!trusted.contains("10.2.0.1".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, a network such as \"10.0.0.0/8\", \"loopback\" or \"private\", found {0:?}")]
pub struct NotANetwork(String);

impl TrustedProxies {
    /// The networks with these names.
    ///
    /// # Errors
    /// The first text that is neither an address, a network, nor one of the words.
    pub fn parse<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<TrustedProxies, NotANetwork> {
        let mut all = Vec::new();
        for name in names {
            match name.as_ref().trim() {
                "loopback" => all.extend(LOOPBACK.iter().filter_map(|network| network_of(network))),
                "private" => all.extend(PRIVATE.iter().filter_map(|network| network_of(network))),
                other => all.push(network_of(other).ok_or_else(|| NotANetwork(other.to_owned()))?),
            }
        }
        Ok(TrustedProxies(all))
    }

    /// Whether forwarding headers from this address are believed.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether every address of a family is trusted, which lets anyone claim any address (POS-15).
    pub fn is_everyone(&self) -> bool {
        IpNet::aggregate(&self.0).iter().any(|network| network.prefix_len() == 0)
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn network_of(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    text.parse().ok().or_else(address)
}

impl From<Vec<IpNet>> for TrustedProxies {
    fn from(networks: Vec<IpNet>) -> TrustedProxies {
        TrustedProxies(networks)
    }
}

impl Serialize for TrustedProxies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(IpNet::to_string))
    }
}

impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TrustedProxies, D::Error> {
        TrustedProxies::parse(Vec::<String>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The address of the client: the peer's, or what trusted proxies say it is.
///
/// `X-Forwarded-For` and `Forwarded` are walked from the right, as long as the address reached so far is a trusted proxy;
/// what a client wrote itself stands further left and is never reached. Anything that is not an address ends the walk. When a
/// request carries both headers, it goes on only while they agree: a proxy that writes one passes the other on as it came.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut address = peer.to_canonical();
    if !trusted.contains(address) {
        return address;
    }
    let (has_common, has_standard) = (headers.contains_key(X_FORWARDED_FOR), headers.contains_key(FORWARDED));
    let mut common = hops(headers, X_FORWARDED_FOR).map(address_of_node);
    let mut standard = hops(headers, FORWARDED).map(forwarded_for);
    while trusted.contains(address) {
        let next = match (has_common, has_standard) {
            (true, true) => common.next().flatten().filter(|hop| standard.next().flatten() == Some(*hop)),
            (true, false) => common.next().flatten(),
            (false, _) => standard.next().flatten(),
        };
        match next {
            Some(hop) => address = hop,
            None => break,
        }
    }
    address
}

/// The elements of a list header from right to left, over all its lines.
fn hops(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
    let elements = lines.into_iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    // An element that is not text ends the walk like any other garbage, but only when it is reached.
    elements.map(|element| str::from_utf8(element).unwrap_or_default().trim())
}

/// The address in one element of `Forwarded` (RFC 7239): `for=192.0.2.60;proto=https` or `for="[2001:db8::1]:4711"`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut nodes = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let (node, None) = (nodes.next()?, nodes.next()) else { return None };
    let quoted = node.strip_prefix('"').and_then(|node| node.strip_suffix('"'));
    address_of_node(quoted.unwrap_or(node))
}

/// The address of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address_of_node(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']'));
    let address = match bare {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => node.parse().ok().or_else(|| node.parse::<SocketAddr>().ok().map(|socket| socket.ip())),
    };
    address.map(|address| address.to_canonical())
}

/// What one client is counted by: an IPv4 address, or the first 64 bits of an IPv6 address.
///
/// ```
/// use kernel::address::limit_key;
///
/// let one = limit_key("2001:db8:1:2:3::4".parse().unwrap());
/// assert_eq!(one, limit_key("2001:db8:1:2:ffff::1".parse().unwrap()));
/// assert_eq!(limit_key("::ffff:192.0.2.1".parse().unwrap()), limit_key("192.0.2.1".parse().unwrap()));
/// ```
pub fn limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(peer: &str, lines: &[(&'static str, &str)], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        client_address(ip(peer), &headers, &TrustedProxies::parse(trusted).unwrap()).to_string()
    }

    const XFF: &str = "x-forwarded-for";

    #[test]
    fn log3_a_spoofed_header_changes_nothing() {
        for (peer, headers, trusted, expected) in [
            // Nobody is trusted by default, and a stranger never.
            ("198.51.100.7", vec![(XFF, "1.2.3.4")], vec![], "198.51.100.7"),
            ("198.51.100.7", vec![("forwarded", "for=1.2.3.4")], vec!["loopback"], "198.51.100.7"),
            ("127.0.0.1", vec![(XFF, "1.2.3.4")], vec![], "127.0.0.1"),
            // What the client wrote stands left of what the proxy saw.
            ("127.0.0.1", vec![(XFF, "1.2.3.4, 198.51.100.7")], vec!["loopback"], "198.51.100.7"),
            ("127.0.0.1", vec![(XFF, "1.2.3.4"), (XFF, "198.51.100.7")], vec!["loopback"], "198.51.100.7"),
            ("127.0.0.1", vec![(XFF, "127.0.0.1, 198.51.100.7")], vec!["loopback"], "198.51.100.7"),
            ("127.0.0.1", vec![("forwarded", "for=1.2.3.4, for=198.51.100.7")], vec!["loopback"], "198.51.100.7"),
            ("127.0.0.1", vec![("forwarded", "for=\", for=198.51.100.7")], vec!["loopback"], "198.51.100.7"),
            // The header that the proxy does not write is the client's.
            ("127.0.0.1", vec![(XFF, "198.51.100.7"), ("forwarded", "for=1.2.3.4")], vec!["loopback"], "127.0.0.1"),
            ("127.0.0.1", vec![(XFF, "1.2.3.4"), ("forwarded", "for=198.51.100.7")], vec!["loopback"], "127.0.0.1"),
            ("127.0.0.1", vec![(XFF, "198.51.100.7"), ("forwarded", "")], vec!["loopback"], "127.0.0.1"),
        ] {
            assert_eq!(client(peer, &headers, &trusted), expected, "{headers:?}");
        }
    }

    #[test]
    fn log3_the_walk_passes_trusted_proxies_only() {
        let trusted = ["loopback", "10.0.0.0/8"];
        assert_eq!(client("127.0.0.1", &[(XFF, "203.0.113.9, 10.0.0.2, 10.0.0.1")], &trusted), "203.0.113.9");
        assert_eq!(client("127.0.0.1", &[(XFF, "1.2.3.4, 203.0.113.9, 10.0.0.1")], &trusted), "203.0.113.9");
        assert_eq!(client("127.0.0.1", &[(XFF, "10.0.0.2, 10.0.0.1")], &trusted), "10.0.0.2");
        assert_eq!(client("127.0.0.1", &[], &trusted), "127.0.0.1");
        let both = [(XFF, "203.0.113.9, 10.0.0.1"), ("forwarded", "for=203.0.113.9, for=10.0.0.1")];
        assert_eq!(client("127.0.0.1", &both, &trusted), "203.0.113.9");
    }

    #[test]
    fn log3_garbage_ends_the_walk() {
        let trusted = ["loopback", "10.0.0.0/8"];
        for garbage in ["unknown", "", "_hidden", "999.1.1.1", "1.2.3.4:99999", "fe80::1%eth0", "[1.2.3.4]", "1.2.3.4 5.6.7.8", "\u{e9}"] {
            assert_eq!(client("127.0.0.1", &[(XFF, &format!("203.0.113.9, {garbage}, 10.0.0.1"))], &trusted), "10.0.0.1", "{garbage}");
        }
        for garbage in ["for=unknown", "for=", "by=10.0.0.3", "for=1.2.3.4;for=5.6.7.8", "1.2.3.4", "for=\"1.2.3.4"] {
            let value = format!("for=203.0.113.9, {garbage}, for=10.0.0.1");
            assert_eq!(client("127.0.0.1", &[("forwarded", &value)], &trusted), "10.0.0.1", "{garbage}");
        }
    }

    #[test]
    fn every_way_to_write_a_node_is_read() {
        for (value, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(client("127.0.0.1", &[(XFF, value)], &["loopback"]), expected);
            let forwarded = format!("proto=https;For=\"{value}\";by=_me");
            assert_eq!(client("127.0.0.1", &[("forwarded", &forwarded)], &["loopback"]), expected);
        }
    }

    #[test]
    fn mapped_peers_are_unwrapped() {
        assert_eq!(client("::ffff:127.0.0.1", &[(XFF, "203.0.113.9")], &["loopback"]), "203.0.113.9");
        assert_eq!(client("::ffff:198.51.100.7", &[(XFF, "203.0.113.9")], &["loopback"]), "198.51.100.7");
    }

    #[test]
    fn log3_a_client_is_one_ipv4_address_or_one_ipv6_network() {
        assert_eq!(limit_key(ip("198.51.100.7")), ip("198.51.100.7"));
        assert_eq!(limit_key(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_ne!(limit_key(ip("2001:db8:1:2::1")), limit_key(ip("2001:db8:1:3::1")));
        assert_eq!(limit_key(ip("::ffff:198.51.100.7")), ip("198.51.100.7"));
    }

    #[test]
    fn trusted_proxies_are_lists_of_words_addresses_and_networks() {
        let trusted: TrustedProxies = serde_json::from_str(r#"["private", "192.0.2.1", "2001:db8::/32"]"#).unwrap();
        for (address, is_trusted) in
            [("10.9.9.9", true), ("fd00::1", true), ("192.0.2.1", true), ("192.0.2.2", false), ("2001:db8::9", true), ("127.0.0.1", false)]
        {
            assert_eq!(trusted.contains(ip(address)), is_trusted, "{address}");
        }
        let written = serde_json::to_string(&trusted).unwrap();
        assert_eq!(serde_json::from_str::<TrustedProxies>(&written).unwrap(), trusted);
        let error = serde_json::from_str::<TrustedProxies>(r#"["10.0.0.0/33"]"#).unwrap_err().to_string();
        assert!(error.starts_with("expected an address, a network"), "{error}");
    }

    #[test]
    fn pos15_trusting_everyone_is_noticed_however_it_is_written() {
        for everyone in [vec!["0.0.0.0/0"], vec!["::/0"], vec!["0.0.0.0/1", "128.0.0.0/1"]] {
            assert!(TrustedProxies::parse(everyone).unwrap().is_everyone());
        }
        assert!(!TrustedProxies::parse(["private", "loopback"]).unwrap().is_everyone());
        assert!(TrustedProxies::default().is_empty());
    }
}
