//! Why: what a call would meet, without making it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use link::record::EndReason;
use numbers::Number;
use rating::{Asked, Price};
use routing::{Choice, Considered as Weighed, Known, Query, RoutingGateway, select};
use serde_json::Value;

use super::Office;
use super::admit::asked;
use super::caller::{Numbers, numbers_of};
use crate::shown::{self, Considered, NumbersShown, RouteExplained};
use crate::state::customer::Customer;
use crate::state::entity::Kind;
use crate::{Refusal, Time};

/// The rows of an explanation: those that are tried in their order, then the others.
#[derive(Default)]
struct Rows {
    tried: Vec<Considered>,
    excluded: Vec<Considered>,
    /// Why the first was left out of those that the customer has no price for.
    unpriced: Option<EndReason>,
}

/// A call that is explained.
struct Asks<'a> {
    query: Query<'a>,
    caller: Option<Number>,
    callee: Number,
    /// What the customer pays by.
    tariff: u32,
    /// Whether that goes by the route.
    by_route: bool,
}

impl Rows {
    /// One that is tried, if the customer has a price for it where prices go by the route.
    fn price_next(&mut self, row: Considered, price: Option<Result<Price, EndReason>>) {
        match price {
            None => self.try_next(row),
            Some(Ok(price)) => {
                self.try_next(Considered { customer_price: Some(per_unit(price)), ..row });
            }
            Some(Err(why)) => {
                self.unpriced = self.unpriced.or(Some(why));
                self.excluded.push(Considered { excluded: Some(why.name().to_owned()), ..row });
            }
        }
    }

    fn try_next(&mut self, row: Considered) {
        if !self.tried.iter().any(|it| it.gateway == row.gateway && it.contact == row.contact) {
            self.tried.push(Considered { order: Some(self.tried.len() + 1), ..row });
        }
    }
}

impl Office {
    /// Which gateways and phones a call from `gateway` would try, in order, with the price of each, and
    /// why the others are not tried. Nothing is counted, nothing moves.
    ///
    /// # Errors
    /// When there is no such mapping gateway or phone.
    pub fn explain_route(
        &self,
        time: Time,
        gateway: &str,
        caller: &str,
        callee: &str,
    ) -> Result<Value, Refusal> {
        let customer = self.customer_named(gateway)?;
        let (left, numbers) = self.explain_numbers(customer, caller, callee);
        let Numbers { caller, callee } = match left {
            Ok(left) => left,
            Err(reason) => {
                let reason = Some(reason.name().to_owned());
                let refused = RouteExplained { reason, numbers, ..RouteExplained::default() };
                return Ok(shown::json(refused));
            }
        };
        let source = customer.gateway.sources.first().map_or_else(
            || SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            |it| SocketAddr::new(it.prefix.address(), it.port.unwrap_or(5060)),
        );
        let query = Query {
            now: time.now,
            asked: asked(time, caller.as_ref(), &callee),
            // Nobody forwarded what is asked for.
            forwarder: None,
            account: customer.gateway.account,
            source,
            candidates_max: usize::MAX,
        };
        let account = self.state.account_of(customer.gateway.account);
        let asks = Asks {
            query,
            caller,
            callee,
            tariff: customer.gateway.tariff,
            by_route: account.is_some_and(|account| account.route_prefix_billing),
        };
        let mut rows = Rows::default();
        if self.explain_phone(&mut rows, time, &asks) {
            let mut rotation = self.state.rotation.clone();
            let known = Known {
                gateway: |id| self.state.routings.get(&id),
                limiter: |id| self.state.limiters.get(&id),
                health: |id| self.state.health_of(id, self.upstream.health(id)),
                price: |gateway: &RoutingGateway, asked: &Asked<'_>| {
                    self.state.price(gateway.tariff, asked)
                },
            };
            let (choices, considered) =
                select(&self.state.routes, &asks.query, &known, Some(&mut rotation));
            self.explain_vendors(&mut rows, &asks, &choices, &considered);
        }
        let price = self.state.price(asks.tariff, &asks.query.asked).filter(|_| !asks.by_route);
        let is_abuse = self.is_refused_for_abuse(time, customer.gateway.account, &callee);
        let is_barred = self.check_destination(customer.gateway.account, &callee).is_err();
        let barred = self.check_screens(customer, caller.as_ref(), &callee, None);
        let no = match price {
            _ if barred.is_err() => barred.err().map(|no| no.reason()),
            _ if is_barred => Some(EndReason::DestinationBarred),
            _ if is_abuse => Some(EndReason::DestinationAbuse),
            _ if asks.by_route && rows.tried.is_empty() => rows.unpriced,
            _ if asks.by_route => None,
            None => Some(EndReason::NoRate),
            Some(price) if price.locked => Some(EndReason::DestinationLocked),
            Some(_) => None,
        };
        rows.tried.append(&mut rows.excluded);
        Ok(shown::json(RouteExplained {
            admitted: no.is_none(),
            reason: no.map(|no| no.name().to_owned()),
            callee: Some(callee.as_str().to_owned()),
            caller: caller.map(|caller| caller.as_str().to_owned()),
            numbers,
            customer_price: price.map(per_unit),
            items: rows.tried,
        }))
    }

    /// The numbers of a call after all rules, and after each level.
    fn explain_numbers(
        &self,
        customer: &Customer,
        caller: &str,
        callee: &str,
    ) -> (Result<Numbers, EndReason>, Vec<NumbersShown>) {
        let behind = self.state.transforms.behind_gateway(customer.gateway.account);
        let (own, caller_max) = (customer.number, self.caller_max());
        let (caller, callee) = (caller.as_bytes(), callee.as_bytes());
        let after = |levels| numbers_of(customer, levels, own, caller, callee, caller_max);
        let shown = |(level, name)| {
            let Numbers { caller, callee } = after(behind.get(..level)?).ok()?;
            Some(NumbersShown {
                level: name,
                caller: caller.map(|caller| caller.as_str().to_owned()),
                callee: callee.as_str().to_owned(),
            })
        };
        let levels = ["gateway", "account", "system"].into_iter().enumerate();
        (after(&behind), levels.map_while(shown).collect())
    }

    /// The phone that the call rings, if it rings one, and who stands in for it. Whether vendors follow.
    fn explain_phone(&self, rows: &mut Rows, time: Time, asks: &Asks<'_>) -> bool {
        let &Asks { caller, callee, .. } = asks;
        let Some((phone, ringing)) = self.phone_of(&callee) else { return true };
        let row = |contact, excluded| Considered {
            order: None,
            gateway: phone.name.clone(),
            prefix_digits: callee.as_bytes().len(),
            price: None,
            customer_price: None,
            callee_sent: Some(callee.as_str().to_owned()),
            contact,
            excluded,
        };
        let mut stands_in = true;
        match self.ring(time, (phone, ringing), caller, callee) {
            Ok(found) => {
                for candidate in &found.candidates {
                    let uri = String::from_utf8_lossy(found.text(candidate.uri)).into_owned();
                    rows.price_next(row(Some(uri), None), self.price_by_route(asks, ""));
                }
            }
            Err(no) => {
                let offline = no.reason() == EndReason::NoRoute;
                let why = if offline { "offline" } else { no.reason().name() };
                rows.excluded.push(row(None, Some(why.to_owned())));
                stands_in = offline;
            }
        }
        if stands_in {
            let stand_in = self.choose_offline(&asks.query, ringing);
            self.explain_vendors(rows, asks, &stand_in, &[]);
        }
        ringing.fall_through
    }

    /// What the customer pays by a route; none: what it pays anyway.
    fn price_by_route(&self, asks: &Asks<'_>, prefix: &str) -> Option<Result<Price, EndReason>> {
        asks.by_route.then(|| self.retail_price(asks.tariff, prefix, &asks.query.asked))
    }

    pub(super) fn customer_named(&self, name: &str) -> Result<&Customer, Refusal> {
        let gateway = self.state.document(Kind::Mapping, name);
        let known = gateway.or_else(|_| self.state.document(Kind::Phone, name)).ok();
        known
            .and_then(|entity| self.state.customers.get(entity.id()))
            .ok_or_else(|| Refusal::missing("mapping gateway or phone", name))
    }

    fn explain_vendors(
        &self,
        rows: &mut Rows,
        asks: &Asks<'_>,
        choices: &[Choice],
        considered: &[Weighed],
    ) {
        let name = |id| self.state.name_of(Kind::Routing, id).to_owned();
        for choice in choices {
            let sent = self.state.routings.get(&choice.gateway).and_then(|gateway| {
                gateway.callee_rules.apply(asks.callee).map(|number| number.as_str().to_owned())
            });
            let row = Considered {
                order: None,
                gateway: name(choice.gateway),
                prefix_digits: choice.prefix_digits,
                price: choice.price.map(per_unit),
                customer_price: None,
                callee_sent: sent,
                contact: None,
                excluded: None,
            };
            let prefix = self.state.billing_prefix(choice.gateway);
            rows.price_next(row, self.price_by_route(asks, prefix));
        }
        for seen in considered.iter().filter(|seen| seen.excluded.is_some()) {
            rows.excluded.push(Considered {
                order: None,
                gateway: name(seen.gateway),
                prefix_digits: seen.prefix_digits,
                price: None,
                customer_price: None,
                callee_sent: None,
                contact: None,
                excluded: seen.excluded.map(|excluded| excluded.name().to_owned()),
            });
        }
    }
}

fn per_unit(price: Price) -> String {
    format!("{}/{}s", price.rate, price.unit_s)
}
