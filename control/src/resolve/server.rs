//! What a name leads to, and in which order a call tries it (RFC 2782).

use std::net::SocketAddr;

use link::{Endpoint, Transport};
use serde::{Deserialize, Serialize};

/// One host of a name, as its SRV record says; the only one of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Lower is tried first.
    pub priority: u16,
    /// Share among equals.
    pub weight: u16,
    /// How it is reached.
    #[serde(with = "number")]
    pub transport: Transport,
    /// Its addresses.
    pub addresses: Vec<SocketAddr>,
}

/// A transport as its number, which is stable.
mod number {
    use link::Transport;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(it: &Transport, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u8(*it as u8)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Transport, D::Error> {
        match u8::deserialize(from)? {
            0 => Ok(Transport::Udp),
            1 => Ok(Transport::Tcp),
            2 => Ok(Transport::Tls),
            other => Err(serde::de::Error::custom(format!("{other} is no transport"))),
        }
    }
}

impl Server {
    /// The only server of an address.
    #[must_use]
    pub fn only(endpoint: Endpoint) -> Self {
        let addresses = endpoint.socket_address().into_iter().collect();
        Self { priority: 0, weight: 0, transport: endpoint.transport(), addresses }
    }

    /// Where it is, first choice first.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        self.addresses.iter().map(|address| Endpoint::from(*address).by(self.transport))
    }
}

/// All places in the order of one call: by priority, and within it by chance, heavier ones more often.
///
/// `below(n)` is a number from 0 to n - 1, each as likely; the algorithm is RFC 2782's, so that a weight
/// of 0 has a very small chance beside others, and not none.
pub fn order(servers: &[Server], mut below: impl FnMut(u64) -> u64) -> Vec<Endpoint> {
    let mut left: Vec<&Server> = servers.iter().collect();
    // Those without weight first: the first sum that reaches the number is theirs only if that is 0.
    left.sort_by_key(|server| (server.priority, server.weight > 0));
    let mut ordered = Vec::new();
    while let Some(priority) = left.first().map(|server| server.priority) {
        let equals = left.iter().take_while(|server| server.priority == priority);
        let total: u64 = equals.clone().map(|server| u64::from(server.weight)).sum();
        let wanted = below(total + 1);
        let mut sum = 0;
        let chosen = equals.take_while(|server| {
            sum += u64::from(server.weight);
            sum < wanted
        });
        let server = left.remove(chosen.count());
        ordered.extend(server.endpoints());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server(number: u8, priority: u16, weight: u16) -> Server {
        let addresses = vec![SocketAddr::from(([10, 0, 0, number], 5060))];
        Server { priority, weight, transport: Transport::Udp, addresses }
    }

    fn numbers(ordered: &[Endpoint]) -> Vec<u8> {
        let last = |endpoint: &Endpoint| match endpoint.socket_address().unwrap().ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        ordered.iter().map(last).collect()
    }

    #[test]
    fn the_example_of_rfc_2782() {
        // 3 of 4 go to the old box, 1 of 4 to the new one, and neither: the two spares.
        let boxes = [server(1, 0, 1), server(2, 0, 3), server(3, 1, 0), server(4, 1, 0)];
        let mut draws = [0, 1, 2, 3, 4].map(|draw| {
            let mut first = true;
            numbers(&order(&boxes, |n| {
                let draw = if std::mem::take(&mut first) { draw } else { 0 };
                draw.min(n - 1)
            }))
        });
        assert!(draws.iter().all(|drawn| drawn[2..] == [3, 4]), "{draws:?}");
        draws.sort();
        assert_eq!(draws.map(|drawn| drawn[0]), [1, 1, 2, 2, 2]);
    }

    #[test]
    fn heavier_ones_come_first_as_often_as_their_weight_says() {
        let servers = [server(1, 5, 60), server(2, 5, 20), server(3, 5, 20), server(4, 5, 0)];
        let mut chance = crate::decide::Chance::new(7);
        let mut firsts = [0_u32; 5];
        for _ in 0..10_000 {
            firsts[usize::from(numbers(&order(&servers, |n| chance.below(n)))[0])] += 1;
        }
        assert!((5_700..6_300).contains(&firsts[1]), "{firsts:?}");
        assert!((1_800..2_200).contains(&firsts[2]) && (1_800..2_200).contains(&firsts[3]));
        assert!((1..300).contains(&firsts[4]), "a little more than none: {firsts:?}");
    }

    #[test]
    fn a_server_outlives_the_store() {
        let server = Server { transport: Transport::Tls, ..server(1, 2, 3) };
        let text = serde_json::to_string(&server).unwrap();
        assert_eq!(serde_json::from_str::<Server>(&text).unwrap(), server);
        assert!(serde_json::from_str::<Server>(&text.replace(":2,\"add", ":9,\"add")).is_err());
    }

    proptest! {
        #[test]
        fn everybody_is_tried_once_and_no_worse_priority_before_a_better_one(
            specs in prop::collection::vec((0_u16..4, 0_u16..100), 0..20),
            seed: u64,
        ) {
            let numbered = (0..).zip(&specs);
            let servers: Vec<Server> = numbered
                .map(|(number, (priority, weight))| server(number, *priority, *weight))
                .collect();
            let mut chance = crate::decide::Chance::new(seed);
            let tried = numbers(&order(&servers, |n| chance.below(n)));
            let priorities: Vec<u16> =
                tried.iter().map(|number| specs[usize::from(*number)].0).collect();
            prop_assert!(priorities.is_sorted(), "{:?}", priorities);
            let mut all = tried;
            all.sort_unstable();
            prop_assert_eq!(all, (0..).take(specs.len()).collect::<Vec<u8>>());
        }
    }
}
