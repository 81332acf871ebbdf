//! The caller's address behind proxies: the right-most `X-Forwarded-For` entry that is no proxy of
//! ours. What stands left of it the caller may have made up.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Once;

use http::HeaderMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A network in CIDR form; a plain address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network; write it like 10.0.0.0/8 or fd00::/8")]
pub struct NotANetwork;

impl Network {
    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| NotANetwork)?,
            None => bits,
        };
        if prefix > bits {
            return Err(NotANetwork);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Fields that proxies add.
const RELAYED: [&str; 5] =
    ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-proto"];

/// A proxy that nobody trusts is reported once.
static UNTRUSTED: Once = Once::new();

/// Whether a proxy passed the request on. Whoever asks directly may claim so; nobody can hide it
/// but the proxy itself.
#[must_use]
pub fn is_relayed(headers: &HeaderMap) -> bool {
    RELAYED.iter().any(|name| headers.contains_key(*name))
}

/// The address of the caller: the peer's own, or what trusted proxies say of it.
#[must_use]
pub fn caller(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_proxy = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    if proxies.is_empty() || !is_proxy(peer) {
        if peer.is_loopback() && headers.contains_key("x-forwarded-for") {
            UNTRUSTED.call_once(|| {
                tracing::warn!(
                    %peer,
                    "a proxy on this machine is not trusted: all its callers count as one address; \
                     set edge.trusted_proxies to its address"
                );
            });
        }
        return peer;
    }
    let mut nearest = peer;
    let fields = headers.get_all("x-forwarded-for");
    let listed: Vec<&str> = fields
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .collect();
    for entry in listed.iter().rev() {
        let Ok(address) = entry.trim().parse::<IpAddr>() else { return nearest };
        nearest = address.to_canonical();
        if !is_proxy(nearest) {
            return nearest;
        }
    }
    nearest
}

/// What a limit per address counts: an IPv4 address, or the /64 that an IPv6 host can roam in.
#[must_use]
pub fn limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_its_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("fd00::/8", "fd12::1", "fe00::1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(address(inside)), "{network} {inside}");
            assert!(!parsed.contains(address(outside)), "{network} {outside}");
        }
        let v4: Network = "10.0.0.0/8".parse().unwrap();
        assert!(v4.contains(address("::ffff:10.1.2.3")), "a mapped address is the same host");
        for text in ["", "10.0.0.0/33", "::/129", "a/8", "10.0.0.0/", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "6.6.6.6, 1.2.3.4".parse().unwrap());
        headers.append("x-forwarded-for", "10.9.9.9".parse().unwrap());
        let seen = |peer: &str| caller(address(peer), &headers, &proxies);
        assert_eq!(seen("10.0.0.1"), address("1.2.3.4"));
        assert_eq!(seen("9.9.9.9"), address("9.9.9.9"));
        assert_eq!(caller(address("10.0.0.1"), &headers, &[]), address("10.0.0.1"));
        headers.insert("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(caller(address("10.0.0.1"), &headers, &proxies), address("10.0.0.1"));
    }

    #[test]
    fn an_ipv6_host_is_counted_by_its_network() {
        assert_eq!(limit_key(address("2001:db8:1:2:aaaa::1")), address("2001:db8:1:2::"));
        assert_eq!(limit_key(address("::ffff:1.2.3.4")), address("1.2.3.4"));
    }
}
