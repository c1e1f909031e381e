//! Why: what a call would meet, without making it.

use routing::{Known, Query, RoutingGateway, select};
use serde_json::Value;

use super::Office;
use crate::shown::{self, Considered, RouteExplained};
use crate::state::entity::{Entity, Kind};
use crate::{Refusal, Time};

impl Office {
    /// Which gateways a call from `gateway` would try, in order, with the price of each, and why the
    /// others are not tried. Nothing is counted, nothing moves.
    ///
    /// # Errors
    /// When there is no such mapping gateway.
    pub fn explain_route(
        &self,
        time: Time,
        gateway: &str,
        caller: &str,
        callee: &str,
    ) -> Result<Value, Refusal> {
        let Entity::Mapping(document) = self.state.document(Kind::Mapping, gateway)? else {
            return Err(Refusal::missing("mapping gateway", gateway));
        };
        let missing = || Refusal::missing("mapping gateway", gateway);
        let mapping = self.state.mappings.get(&document.id).ok_or_else(missing)?;
        let source = mapping.sources.first().ok_or_else(missing)?;
        let source =
            std::net::SocketAddr::new(source.prefix.address(), source.port.unwrap_or(5060));
        let admitted = match self.recognise(source, caller.as_bytes(), callee.as_bytes()) {
            Ok(admitted) => admitted,
            Err(reason) => {
                let reason = Some(reason.name().to_owned());
                return Ok(shown::json(RouteExplained { reason, ..RouteExplained::default() }));
            }
        };
        let customer = self.state.price(mapping.tariff, admitted.callee.as_bytes());
        let query = Query {
            now: time.now,
            callee: admitted.callee.as_bytes(),
            account: mapping.account,
            source,
            candidates_max: usize::MAX,
        };
        let mut rotation = self.state.rotation.clone();
        let known = Known {
            gateway: |id| self.state.routings.get(&id),
            limiter: |id| self.state.limiters.get(&id),
            health: |id| self.upstream.health(id),
            price: |gateway: &RoutingGateway, number: &[u8]| {
                self.state.price(gateway.tariff, number)
            },
        };
        let (choices, considered) = select(&self.state.routes, &query, &known, Some(&mut rotation));
        let name = |id| self.state.name_of(Kind::Routing, id).to_owned();
        let mut items: Vec<Considered> = Vec::new();
        for (place, choice) in choices.iter().enumerate() {
            let sent = self.state.routings.get(&choice.gateway).and_then(|gateway| {
                gateway.callee_rules.apply(admitted.callee).map(|n| n.as_str().to_owned())
            });
            items.push(Considered {
                order: Some(place + 1),
                gateway: name(choice.gateway),
                prefix_digits: choice.prefix_digits,
                price: choice.price.map(|price| format!("{}/{}s", price.rate, price.unit_s)),
                callee_sent: sent,
                excluded: None,
            });
        }
        for seen in considered.iter().filter(|seen| seen.excluded.is_some()) {
            items.push(Considered {
                order: None,
                gateway: name(seen.gateway),
                prefix_digits: seen.prefix_digits,
                price: None,
                callee_sent: None,
                excluded: seen.excluded.map(|excluded| excluded.name().to_owned()),
            });
        }
        Ok(shown::json(RouteExplained {
            admitted: customer.is_some(),
            reason: customer.is_none().then(|| "no_rate".to_owned()),
            callee: Some(admitted.callee.as_str().to_owned()),
            caller: admitted.caller.map(|caller| caller.as_str().to_owned()),
            customer_price: customer.map(|price| format!("{}/{}s", price.rate, price.unit_s)),
            items,
        }))
    }
}
