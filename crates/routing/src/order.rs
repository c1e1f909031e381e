//! Which routing gateways a call may try, in which order, and why not the others.
//!
//! Longest prefix first; a gateway that terminates ends the search at its prefix length. Within a prefix
//! length: priority, then a smooth weighted rotation, then the id, so the order is total and stable.
//!
//! A gateway that asked for rest is left alone only while another one can take the call: a ban may cost
//! a vendor his calls, never a customer his.

use std::collections::HashMap;
use std::net::SocketAddr;

use numbers::{Barred, PrefixTable};
use rating::{Asked, Price};

use crate::gateway::{Health, Onward, RoutingGateway};
use crate::limit::Limiter;
use crate::{Instant, Limits};

/// Why a gateway is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// An operator locked it.
    Locked,
    /// It does not answer, or we are not registered there.
    Offline,
    /// Wherever it is, it is outside its fence.
    Geofence,
    /// Its name has led to no address yet.
    Unresolved,
    /// It gives no more credit, and is asked for that.
    NoBalance,
    /// It asked for rest, and others are left.
    RetryAfter,
    /// All its lines are in use.
    LinesFull,
    /// It gets as many new calls a second as agreed.
    RateLimit,
    /// It has no price for the number, and may not carry unrated calls.
    NoRate,
    /// Its tariff locks the destination.
    DestinationLocked,
    /// It takes no such caller.
    CallerBarred,
    /// It takes no such callee.
    CalleeBarred,
    /// It takes no call that such a number forwarded.
    ForwarderBarred,
    /// The call came from this vendor.
    NoReturn,
    /// A longer prefix ended the search.
    Terminated,
}

impl Exclusion {
    /// The word in `route explain`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Offline => "offline",
            Self::Geofence => "geofence",
            Self::Unresolved => "unresolved",
            Self::NoBalance => "no_balance",
            Self::RetryAfter => "retry_after",
            Self::LinesFull => "lines_full",
            Self::RateLimit => "rate_limit",
            Self::NoRate => "no_rate",
            Self::DestinationLocked => "destination_locked",
            Self::CallerBarred => "caller_barred",
            Self::CalleeBarred => "callee_barred",
            Self::ForwarderBarred => "forwarder_barred",
            Self::NoReturn => "no_return",
            Self::Terminated => "terminated",
        }
    }
}

/// Routing gateways by the prefixes they serve.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// Which of `served`: many prefixes have the same gateways.
    by_prefix: PrefixTable<u32>,
    served: Vec<Vec<u32>>,
}

impl RouteTable {
    /// A table of (gateway, its prefixes).
    #[must_use]
    pub fn build<'a>(gateways: impl IntoIterator<Item = (u32, &'a [String])>) -> Self {
        let mut by_prefix: HashMap<&str, Vec<u32>> = HashMap::new();
        for (gateway, prefixes) in gateways {
            for prefix in prefixes {
                let served = by_prefix.entry(prefix).or_default();
                if !served.contains(&gateway) {
                    served.push(gateway);
                }
            }
        }
        let mut places: HashMap<Vec<u32>, u32> = HashMap::new();
        let entries: Vec<(String, u32)> = by_prefix
            .into_iter()
            .map(|(prefix, served)| {
                let next = places.len() as u32;
                (prefix.to_owned(), *places.entry(served).or_insert(next))
            })
            .collect();
        let mut served: Vec<(u32, Vec<u32>)> =
            places.into_iter().map(|(served, place)| (place, served)).collect();
        served.sort_unstable();
        let served = served.into_iter().map(|(_, served)| served).collect();
        Self { by_prefix: PrefixTable::build(entries), served }
    }

    /// The gateways of each prefix of a number with its length, longest first.
    fn matching(&self, number: &[u8]) -> impl Iterator<Item = (usize, &[u32])> {
        let levels = self.by_prefix.matching(number);
        levels.filter_map(|(digits, place)| {
            Some((digits, self.served.get(place as usize)?.as_slice()))
        })
    }
}

/// State of the smooth weighted rotation, by gateway.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    credit: HashMap<u32, i64>,
}

impl Rotation {
    /// Orders equals: the one with most credit first; it pays for all of them.
    fn order(&mut self, equals: &mut [(u32, u32)]) {
        let total: i64 = equals.iter().map(|(_, weight)| i64::from(*weight)).sum();
        for (gateway, weight) in equals.iter() {
            *self.credit.entry(*gateway).or_default() += i64::from(*weight);
        }
        equals.sort_by_key(|(gateway, _)| {
            (std::cmp::Reverse(self.credit.get(gateway).copied().unwrap_or(0)), *gateway)
        });
        if let Some((first, _)) = equals.first() {
            *self.credit.entry(*first).or_default() -= total;
        }
    }
}

/// What is asked.
pub struct Query<'a> {
    /// Now.
    pub now: Instant,
    /// The numbers after all customer-side rules, and the instant of the call.
    pub asked: Asked<'a>,
    /// Who forwarded the call, as far as that is believed.
    pub forwarder: Option<&'a [u8]>,
    /// Whose call it is.
    pub account: u32,
    /// Whence it came.
    pub source: SocketAddr,
    /// How many candidates at most.
    pub candidates_max: usize,
}

/// A gateway that may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub gateway: u32,
    /// The prefix length by which it serves the number.
    pub prefix_digits: usize,
    /// Its price; `None`: an unrated call it may carry.
    pub price: Option<Price>,
}

/// A gateway that serves the number, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Which.
    pub gateway: u32,
    /// The prefix length by which it serves the number.
    pub prefix_digits: usize,
    /// Why it is not tried; `None`: it is a candidate.
    pub excluded: Option<Exclusion>,
}

/// What the caller of [`select`] knows of the gateways; each looks into its state by the number.
pub struct Known<G, L, H, P> {
    /// The gateway.
    pub gateway: G,
    /// Its running counts; `None`: it has carried no call yet.
    pub limiter: L,
    /// Whether it answers.
    pub health: H,
    /// What it takes for a number.
    pub price: P,
}

/// The candidates in order, and everything that was considered.
///
/// `rotation` is charged when `Some`: an explanation gives a clone, and so tells the order that the next
/// call will see without moving it. `None` orders equals by id.
pub fn select<'g>(
    table: &RouteTable,
    query: &Query<'_>,
    known: &Known<
        impl Fn(u32) -> Option<&'g RoutingGateway>,
        impl Fn(u32) -> Option<&'g Limiter>,
        impl Fn(u32) -> Health,
        impl Fn(&RoutingGateway, &Asked<'_>) -> Option<Price>,
    >,
    mut rotation: Option<&mut Rotation>,
) -> (Vec<Choice>, Vec<Considered>) {
    let (choices, considered) = select_by(table, query, known, Bans::Hold, rotation.as_deref_mut());
    let is_banned = |seen: &Considered| seen.excluded == Some(Exclusion::RetryAfter);
    if choices.is_empty() && considered.iter().any(is_banned) {
        return select_by(table, query, known, Bans::Lifted, rotation);
    }
    (choices, considered)
}

/// Whether whoever asked for rest gets it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bans {
    Hold,
    Lifted,
}

fn select_by<'g>(
    table: &RouteTable,
    query: &Query<'_>,
    known: &Known<
        impl Fn(u32) -> Option<&'g RoutingGateway>,
        impl Fn(u32) -> Option<&'g Limiter>,
        impl Fn(u32) -> Health,
        impl Fn(&RoutingGateway, &Asked<'_>) -> Option<Price>,
    >,
    bans: Bans,
    mut rotation: Option<&mut Rotation>,
) -> (Vec<Choice>, Vec<Considered>) {
    let mut choices: Vec<Choice> = Vec::new();
    let mut considered: Vec<Considered> = Vec::new();
    let mut terminated = false;
    for (prefix_digits, served) in table.matching(query.asked.callee) {
        let mut level: Vec<(&RoutingGateway, Option<Price>)> = Vec::new();
        let mut ends_here = false;
        for id in served {
            // A gateway that serves a longer prefix too was judged there.
            let seen = considered.iter().any(|seen| seen.gateway == *id);
            let Some(gateway) = (known.gateway)(*id).filter(|_| !seen) else { continue };
            let priced = (known.price)(gateway, &query.asked);
            let excluded = if terminated {
                Some(Exclusion::Terminated)
            } else {
                let health = match ((known.health)(*id), bans) {
                    (Health::Banned, Bans::Lifted) => Health::Online,
                    (health, _) => health,
                };
                exclusion(query, gateway, (known.limiter)(*id), health, priced.as_ref())
            };
            considered.push(Considered { gateway: *id, prefix_digits, excluded });
            if excluded.is_none() {
                level.push((gateway, priced));
            }
            ends_here |= !terminated && gateway.onward == Onward::Terminate;
        }
        terminated |= ends_here;
        let mut priorities: Vec<u8> = level.iter().map(|(gateway, _)| gateway.priority).collect();
        priorities.sort_unstable();
        priorities.dedup();
        for priority in priorities {
            let equals = level.iter().filter(|(gateway, _)| gateway.priority == priority);
            let mut equals: Vec<(u32, u32)> =
                equals.map(|(gateway, _)| (gateway.id, gateway.weight.max(1))).collect();
            match rotation.as_deref_mut() {
                Some(rotation) => rotation.order(&mut equals),
                None => equals.sort_unstable_by_key(|(gateway, _)| *gateway),
            }
            for (id, _) in equals {
                let price = level.iter().find(|(gateway, _)| gateway.id == id);
                let price = price.and_then(|(_, price)| *price);
                choices.push(Choice { gateway: id, prefix_digits, price });
            }
        }
    }
    choices.truncate(query.candidates_max);
    (choices, considered)
}

fn exclusion(
    query: &Query<'_>,
    gateway: &RoutingGateway,
    limiter: Option<&Limiter>,
    health: Health,
    price: Option<&Price>,
) -> Option<Exclusion> {
    let limits: Limits = gateway.limits;
    let barred = gateway.screens.barred(query.asked.caller, query.asked.callee, query.forwarder);
    if gateway.locked {
        Some(Exclusion::Locked)
    } else if gateway.account == query.account || gateway.hosts.contains(&query.source.ip()) {
        Some(Exclusion::NoReturn)
    } else if let Some(barred) = barred {
        Some(match barred {
            Barred::Caller => Exclusion::CallerBarred,
            Barred::Callee => Exclusion::CalleeBarred,
            Barred::Forwarder => Exclusion::ForwarderBarred,
        })
    } else if gateway.hosts.is_empty() {
        Some(Exclusion::Unresolved)
    } else if health == Health::Fenced {
        Some(Exclusion::Geofence)
    } else if health == Health::Offline {
        Some(Exclusion::Offline)
    } else if health == Health::Broke {
        Some(Exclusion::NoBalance)
    } else if price.is_some_and(|price| price.locked) {
        Some(Exclusion::DestinationLocked)
    } else if price.is_none() && !gateway.unrated_allowed {
        Some(Exclusion::NoRate)
    } else if limiter.is_some_and(|limiter| !limiter.has_line(limits)) {
        Some(Exclusion::LinesFull)
    } else if limiter.is_some_and(|limiter| !limiter.has_pace(query.now, limits)) {
        Some(Exclusion::RateLimit)
    } else if health == Health::Banned {
        // Last, so that whoever is named so could take the call.
        Some(Exclusion::RetryAfter)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STOP_CODES_DEFAULT;
    use numbers::Screens;
    use numbers::transform::Rules;
    use proptest::prelude::*;

    fn vendor(id: u32, prefixes: &[&str], priority: u8) -> RoutingGateway {
        RoutingGateway {
            id,
            account: 100 + id,
            tariff: 1,
            hosts: vec![[10, 10, 2, id as u8].into()],
            prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
            onward: Onward::Continue,
            priority,
            weight: 1,
            limits: Limits::default(),
            locked: false,
            screens: Screens::default(),
            billing_prefix: String::new(),
            unrated_allowed: true,
            stop_codes: STOP_CODES_DEFAULT.to_vec(),
            callee_rules: Rules::default(),
            caller_rules: Rules::default(),
        }
    }

    fn chosen(
        vendors: &[RoutingGateway],
        rotation: Option<&mut Rotation>,
    ) -> (Vec<u32>, Vec<Considered>) {
        chosen_of(vendors, |_| Health::Online, rotation)
    }

    fn chosen_of(
        vendors: &[RoutingGateway],
        health: impl Fn(u32) -> Health,
        rotation: Option<&mut Rotation>,
    ) -> (Vec<u32>, Vec<Considered>) {
        let table = RouteTable::build(vendors.iter().map(|v| (v.id, &v.prefixes[..])));
        let query = Query {
            now: Instant::from_secs(9),
            asked: Asked { callee: b"442071", caller: None, at_us: 0 },
            forwarder: None,
            account: 1,
            source: "10.10.1.1:5060".parse().unwrap(),
            candidates_max: 8,
        };
        let known = Known {
            gateway: |id| vendors.iter().find(|vendor| vendor.id == id),
            limiter: |_| None,
            health,
            price: |_: &RoutingGateway, _: &Asked<'_>| None,
        };
        let (choices, considered) = select(&table, &query, &known, rotation);
        (choices.into_iter().map(|choice| choice.gateway).collect(), considered)
    }

    #[test]
    fn the_longest_prefix_comes_first_then_priority() {
        let vendors = [
            vendor(1, &["44"], 1),
            vendor(2, &["4420"], 9),
            vendor(3, &[""], 1),
            vendor(4, &["44"], 2),
        ];
        assert_eq!(chosen(&vendors, None).0, [2, 1, 4, 3]);
    }

    #[test]
    fn a_terminating_gateway_ends_the_search_at_its_length() {
        let mut vendors = [vendor(1, &["44"], 1), vendor(2, &["4420"], 9), vendor(3, &["4420"], 1)];
        vendors[1].onward = Onward::Terminate;
        let (order, considered) = chosen(&vendors, None);
        assert_eq!(order, [3, 2]);
        assert!(considered.contains(&Considered {
            gateway: 1,
            prefix_digits: 2,
            excluded: Some(Exclusion::Terminated)
        }));
    }

    #[test]
    fn every_exclusion_has_its_reason() {
        let mut vendors = [vendor(1, &["44"], 1), vendor(2, &["44"], 1), vendor(3, &["44"], 1)];
        vendors[0].locked = true;
        vendors[1].account = 1;
        vendors[2].unrated_allowed = false;
        let (order, considered) = chosen(&vendors, None);
        assert!(order.is_empty());
        let reasons: Vec<_> = considered.iter().map(|seen| seen.excluded).collect();
        assert_eq!(
            reasons,
            [Some(Exclusion::Locked), Some(Exclusion::NoReturn), Some(Exclusion::NoRate)]
        );
    }

    #[test]
    fn whoever_does_not_answer_or_is_nowhere_is_left_out_with_the_reason() {
        let mut vendors = [vendor(1, &["44"], 1), vendor(2, &["44"], 1), vendor(3, &["44"], 1)];
        vendors[1].hosts.clear();
        let health = |id| if id == 1 { Health::Offline } else { Health::Online };
        let (order, considered) = chosen_of(&vendors, health, None);
        assert_eq!(order, [3]);
        let reasons: Vec<_> = considered.iter().map(|seen| seen.excluded).collect();
        assert_eq!(reasons, [Some(Exclusion::Offline), Some(Exclusion::Unresolved), None]);
    }

    #[test]
    fn whoever_asked_for_rest_has_it_until_nobody_else_is_left() {
        let mut vendors = [vendor(1, &["44"], 1), vendor(2, &["44"], 2)];
        let banned = |id| if id == 1 { Health::Banned } else { Health::Online };
        let mut rotation = Rotation::default();
        let (order, considered) = chosen_of(&vendors, banned, Some(&mut rotation));
        assert_eq!((order, considered[0].excluded), (vec![2], Some(Exclusion::RetryAfter)));
        vendors[1].locked = true;
        let (order, considered) = chosen_of(&vendors, banned, Some(&mut rotation));
        assert_eq!((order, considered[0].excluded), (vec![1], None));
        let all = chosen_of(&vendors, |_| Health::Banned, Some(&mut rotation)).0;
        assert_eq!(all, [1], "a lock is no ban");
    }

    #[test]
    fn equals_share_by_weight() {
        let mut vendors = [vendor(1, &["44"], 1), vendor(2, &["44"], 1)];
        vendors[0].weight = 3;
        let mut rotation = Rotation::default();
        let firsts: Vec<u32> = (0..8).map(|_| chosen(&vendors, Some(&mut rotation)).0[0]).collect();
        assert_eq!(firsts.iter().filter(|first| **first == 1).count(), 6);
    }

    proptest! {
        #[test]
        fn nobody_is_tried_twice_and_a_worse_candidate_never_wins(
            specs in prop::collection::vec((0usize..4, 1u8..5), 1..12),
        ) {
            let prefixes: [&[&str]; 4] = [&["44"], &["4420", "44"], &[""], &["442"]];
            let vendors: Vec<RoutingGateway> = specs
                .iter()
                .enumerate()
                .map(|(index, (prefix, priority))| vendor(index as u32 + 1, prefixes[*prefix], *priority))
                .collect();
            let (order, _) = chosen(&vendors, None);
            let mut unique = order.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), order.len());
            let mut more = vendors.clone();
            more.push(vendor(99, &[""], 100));
            let (with_worse, _) = chosen(&more, None);
            prop_assert_eq!(with_worse.first(), order.first());
        }
    }
}
