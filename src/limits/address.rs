//! Where a request comes from. `X-Forwarded-For` can be written by anybody, so it is read only as far as proxies of the
//! operator vouch for it.

use actix_web::HttpRequest;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// Addresses with a common prefix, as in `10.0.0.0/8`; a single one is written without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: u128,
    bits: u32,
}

impl Network {
    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        prefix(whole(address), self.bits) == self.first
    }
}

/// Both kinds as one: IPv4 in its place among the IPv6 addresses.
fn whole(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn prefix(address: u128, bits: u32) -> u128 {
    address & u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither an address nor a network as in 10.0.0.0/8 or fd00::/8");
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = length.map_or(Ok(most), |length| length.parse().map_err(|_| wrong()))?;
        if length > most {
            return Err(wrong());
        }
        let (first, bits) = (whole(address), 128 - most + length);
        if prefix(first, bits) == first { Ok(Self { first, bits }) } else { Err(format!("{text:?} has bits set after its prefix")) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Ipv6Addr::from(self.first).to_ipv4_mapped().filter(|_| self.bits >= 96) {
            Some(address) => write!(f, "{address}/{}", self.bits - 96),
            None => write!(f, "{}/{}", Ipv6Addr::from(self.first), self.bits),
        }
    }
}

/// The address a request comes from: the peer's, or what trusted proxies say in front of whom they stand.
pub fn of(request: &HttpRequest, trusted: &[Network]) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    if trusted.is_empty() {
        return peer;
    }
    let lines = request.headers().get_all("x-forwarded-for").filter_map(|line| line.to_str().ok());
    forwarded(peer, lines.flat_map(|line| line.split(',')).collect(), trusted)
}

/// Each proxy has added, at the end, whom it saw. Read from there, while who said it is trusted.
fn forwarded(peer: IpAddr, said: Vec<&str>, trusted: &[Network]) -> IpAddr {
    let mut address = peer;
    for said in said.into_iter().rev() {
        if !trusted.iter().any(|network| network.contains(address)) {
            break;
        }
        let Some(next) = parse(said.trim()) else { break };
        address = next;
    }
    address
}

/// Some proxies write the port too.
fn parse(said: &str) -> Option<IpAddr> {
    said.parse().ok().or_else(|| said.parse().ok().map(|address: SocketAddr| address.ip())).map(|address: IpAddr| address.to_canonical())
}

/// What a limit counts by: an IPv4 address, or the /64 that one IPv6 host may have for itself.
pub fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => prefix(address.into(), 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_their_addresses() {
        assert!(network("10.0.0.0/8").contains(ip("10.255.0.1")) && !network("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(network("127.0.0.1").contains(ip("127.0.0.1")) && !network("127.0.0.1").contains(ip("127.0.0.2")));
        assert!(network("10.0.0.0/8").contains(ip("::ffff:10.1.2.3")), "an IPv4 peer of an IPv6 socket");
        assert!(network("0.0.0.0/0").contains(ip("8.8.8.8")) && !network("0.0.0.0/0").contains(ip("2001:db8::1")));
        assert!(network("fd00::/8").contains(ip("fd12::1")) && !network("fd00::/8").contains(ip("fe80::1")));
        assert!(network("::/0").contains(ip("8.8.8.8")));
        for text in ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "::/0"] {
            assert_eq!(network(text).to_string(), text);
        }
        for wrong in ["", "proxy", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "fd00::/129", "10.0.0.0/8 "] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [network("10.0.0.0/8"), network("fd00::/8")];
        let from = |peer: &str, said: &[&str]| forwarded(ip(peer), said.to_vec(), &trusted).to_string();
        assert_eq!(from("203.0.113.9", &["198.51.100.1"]), "203.0.113.9", "anybody can write the header");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["1.1.1.1", " 198.51.100.1 "]), "198.51.100.1", "what the client wrote stands before");
        assert_eq!(from("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"]), "198.51.100.1", "through two proxies");
        assert_eq!(from("10.0.0.1", &["10.9.9.9", "10.0.0.2"]), "10.9.9.9");
        assert_eq!(from("10.0.0.1", &["198.51.100.1", "unknown"]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(from("fd00::1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(from("10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn a_host_is_counted_once() {
        assert_eq!(key(ip("2001:db8::1")), key(ip("2001:db8::ffff:1")));
        assert_ne!(key(ip("2001:db8::1")), key(ip("2001:db8:0:1::1")));
        assert_eq!(key(ip("198.51.100.1")), key(ip("::ffff:198.51.100.1")));
        assert_ne!(key(ip("198.51.100.1")), key(ip("198.51.100.2")));
    }
}
