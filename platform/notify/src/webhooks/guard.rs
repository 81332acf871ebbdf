//! Which addresses a message may be sent to: those of the public internet, and the networks that
//! `notify.webhooks.allow_networks` names.
//!
//! An address is judged by the registries of special-purpose addresses (RFC 6890 and the IANA lists that
//! continue it). An IPv6 address that stands for an IPv4 one (mapped, NAT64) is judged as that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// IPv4 networks that are not the public internet; after the registry, the address where Azure serves
/// metadata, which is taken from public space.
const PRIVATE_V4: [([u8; 4], u8); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
    ([168, 63, 129, 16], 32),
];

/// IPv6 networks within 2000::/3, which alone is given out, that are not the public internet: protocol
/// assignments with Teredo, documentation, 6to4.
const PRIVATE_V6: [([u16; 3], u8); 4] =
    [([0x2001, 0, 0], 23), ([0x2001, 0xdb8, 0], 32), ([0x2002, 0, 0], 16), ([0x3fff, 0, 0], 20)];

/// A network: an address and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    base: u128,
    mask: u128,
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a network like 127.0.0.0/8 or ::1/128")]
pub(crate) struct NotANetwork;

impl Network {
    fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let (bits, most) = match address {
            IpAddr::V4(_) => (bits.checked_add(96)?, 128),
            IpAddr::V6(_) => (bits, 128),
        };
        if bits > most {
            return None;
        }
        let mask = u128::MAX.checked_shl(u32::from(128 - bits)).unwrap_or(0);
        Some(Self { base: number(address) & mask, mask })
    }

    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        number(address) & self.mask == self.base
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = text.split_once('/').ok_or(NotANetwork)?;
        let address = address.parse().map_err(|_| NotANetwork)?;
        let bits = bits.parse().map_err(|_| NotANetwork)?;
        Self::new(address, bits).ok_or(NotANetwork)
    }
}

/// IPv4 addresses in their mapped form, so that both families are one space.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Judges addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    allowed: Vec<Network>,
}

impl Guard {
    pub(crate) fn new(allowed: Vec<Network>) -> Self {
        Self { allowed }
    }

    /// Whether a message may be sent there.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.holds(address)) || is_public(address)
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => is_public_v4(address),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let inside = |&(base, bits): &([u8; 4], u8)| {
        Network::new(Ipv4Addr::from(base).into(), bits)
            .is_none_or(|network| network.holds(address.into()))
    };
    !PRIVATE_V4.iter().any(inside)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let inside = |&([first, second, third], bits): &([u16; 3], u8)| {
        let base = Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0);
        Network::new(base.into(), bits).is_none_or(|network| network.holds(address.into()))
    };
    address.segments()[0] & 0xe000 == 0x2000 && !PRIVATE_V6.iter().any(inside)
}

/// The IPv4 address that an IPv6 one stands for: mapped (RFC 4291, 2.5.5.2) or translated by the
/// well-known prefix of NAT64 (RFC 6052, 2.1).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let translated = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let [.., a, b, c, d] = address.octets();
    if translated { Some(Ipv4Addr::new(a, b, c, d)) } else { address.to_ipv4_mapped() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_internet_is_admitted() {
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.167.255.255",
            "223.255.255.255",
            "2606:2800:220:1::1",
            "2a00:1450:4001::1",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(Guard::default().admits(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_not_the_public_internet_is_refused_in_every_guise() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!Guard::default().admits(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_network_that_is_allowed_is_admitted_and_no_other() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap(), "fd12::/16".parse().unwrap()]);
        for text in ["127.0.0.1", "::ffff:127.0.0.1", "fd12::1"] {
            assert!(guard.admits(text.parse().unwrap()), "{text}");
        }
        for text in ["10.0.0.1", "fd13::1", "::1", "169.254.169.254"] {
            assert!(!guard.admits(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_network_is_refused() {
        for text in ["", "127.0.0.1", "127.0.0.0/33", "::1/129", "x/8", "127.0.0.0/-1", "1.1/8"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
        let all: Network = "::/0".parse().unwrap();
        assert!(all.holds("10.0.0.1".parse().unwrap()));
        let all_of_four: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all_of_four.holds("10.0.0.1".parse().unwrap()));
        assert!(!all_of_four.holds("::1".parse().unwrap()));
    }
}
