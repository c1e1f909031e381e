//! What decisions and workers need, made from the documents whenever one changes.

use link::ask::CONTACTS_MAX;
use link::order::{PlaceName, Proof};
use link::profile::Wishes;
use link::{Endpoint, Profile, Text, Transport};
use numbers::Screens;
use numbers::transform::{Rule, Rules};
use routing::{Limits, MappingGateway, Onward, RouteTable, RoutingGateway, Source, SourceTable};

use super::State;
use super::customer::{Authentication, CallerFrom, Customer, Ringing};
use super::entity::{
    self, Entity, Kind, Mapping, Phone, Routing, TariffHead, TlsVerify, TransformRule,
};
use crate::resolve::{Host, Server, Target, order};

impl State {
    pub(super) fn rebuild(&mut self, kind: Kind) {
        match kind {
            Kind::Tariff => {
                let heads: Vec<TariffHead> = self
                    .documents(Kind::Tariff)
                    .filter_map(|entity| match entity {
                        Entity::Tariff(head) => Some(head.clone()),
                        _ => None,
                    })
                    .collect();
                heads.iter().for_each(|head| self.table_changed(head));
            }
            Kind::Mapping => {
                let all = self.documents(Kind::Mapping).filter_map(|entity| match entity {
                    Entity::Mapping(gateway) => self.build_mapping(gateway),
                    _ => None,
                });
                let gateways: Vec<Customer> = all.collect();
                self.sources = SourceTable::build(gateways.iter().map(|customer| {
                    let gateway = &customer.gateway;
                    (gateway.id, &gateway.sources[..], gateway.tech_prefix.as_str())
                }));
                self.customers.replace_gateways(gateways);
            }
            Kind::Phone => {
                let all = self.documents(Kind::Phone).filter_map(|entity| match entity {
                    Entity::Phone(phone) => self.build_phone(phone),
                    _ => None,
                });
                let phones: Vec<Customer> = all.collect();
                phones.into_iter().for_each(|phone| self.customers.put(phone));
            }
            Kind::Routing => {
                self.servers = self
                    .documents(Kind::Routing)
                    .filter_map(|entity| match entity {
                        Entity::Routing(gateway) => {
                            Some((gateway.id, self.servers_of(&gateway.target)))
                        }
                        _ => None,
                    })
                    .collect();
                self.routings = self
                    .documents(Kind::Routing)
                    .filter_map(|entity| match entity {
                        Entity::Routing(gateway) => {
                            Some((gateway.id, self.build_routing(gateway)?))
                        }
                        _ => None,
                    })
                    .collect();
                self.vendors =
                    self.routings.values().flat_map(|gateway| gateway.hosts.clone()).collect();
                self.routes = RouteTable::build(
                    self.routings.values().map(|gateway| (gateway.id, &gateway.prefixes[..])),
                );
            }
            Kind::Trust => {
                let names = self.documents(Kind::Trust).map(Entity::name);
                self.trusted = names.filter_map(|name| name.parse().ok()).collect();
            }
            Kind::NumberTransform => self.rebuild_transforms(),
            Kind::Account
            | Kind::Deny
            | Kind::Geo
            | Kind::User
            | Kind::Import
            | Kind::Code
            | Kind::Sheet
            | Kind::Record
            | Kind::Package
            | Kind::Subscription
            | Kind::NumberSection => {}
        }
    }

    /// What a name leads to changed.
    pub fn relocated(&mut self) {
        self.rebuild(Kind::Routing);
    }

    /// Prices follow a changed `FEE_PRECISION` or `SERVER_BILLING_FEE_UNIT`.
    pub fn values_changed(&mut self) {
        self.rebuild(Kind::Tariff);
    }

    fn servers_of(&self, target: &str) -> Vec<Server> {
        let Ok(target) = target.parse::<Target>() else { return Vec::new() };
        match target.endpoint() {
            Some(endpoint) => vec![Server::only(endpoint)],
            None => self.located.get(&target.to_string()).cloned().unwrap_or_default(),
        }
    }

    /// Where a routing gateway is, as it is best tried; none: nobody knows yet.
    #[must_use]
    pub fn places(&self, gateway: u32) -> Vec<Endpoint> {
        let servers = self.servers.get(&gateway);
        servers.into_iter().flatten().flat_map(Server::endpoints).collect()
    }

    /// The same in the order of one call; `below` as in [`order`].
    pub fn places_of_a_call(&self, gateway: u32, below: impl FnMut(u64) -> u64) -> Vec<Endpoint> {
        self.servers.get(&gateway).map_or_else(Vec::new, |servers| order(servers, below))
    }

    /// What the workers are told of a document, if it is a gateway.
    #[must_use]
    pub fn profile_of(&self, entity: &Entity) -> Option<Profile> {
        match entity {
            Entity::Mapping(gateway) => {
                Some(gateway.sip.profile(gateway.id, gateway.address(), "", ""))
            }
            Entity::Routing(gateway) => {
                let target = self.places(gateway.id).first().copied().unwrap_or_default();
                let (name, word) = (&gateway.auth_username, &gateway.auth_password);
                Some(gateway.sip.profile(gateway.id, target, name, word))
            }
            _ => None,
        }
    }

    /// By which names the places of a routing gateway prove who they are, and whether they must.
    #[must_use]
    pub fn names_of(&self, entity: &Entity) -> Vec<PlaceName> {
        let Entity::Routing(gateway) = entity else { return Vec::new() };
        let Ok(target) = gateway.target.parse::<Target>() else { return Vec::new() };
        let name = match &target.host {
            Host::Name(name) => name.as_bytes(),
            Host::Address(_) => b"",
        };
        let proof = match gateway.tls_verify {
            TlsVerify::File => Proof::Usual,
            TlsVerify::Yes => Proof::Demanded,
            TlsVerify::No => Proof::Waived,
        };
        let told =
            |place| PlaceName { place, name: Text::cut(name), proof: proof as u8, spare: [0; 3] };
        let places = self.places(gateway.id).into_iter();
        places.filter(|place| place.transport() == Transport::Tls).map(told).collect()
    }

    /// Of all routing gateways.
    #[must_use]
    pub fn names(&self) -> Vec<PlaceName> {
        let gateways = self.documents(Kind::Routing);
        gateways.flat_map(|entity| self.names_of(entity)).collect()
    }

    /// What the workers are told of phones, and of whoever else has no profile of its own.
    #[must_use]
    pub fn plain_profile(&self) -> Profile {
        Profile {
            present: 1,
            retry_after: 1,
            reason: 1,
            privacy: 1,
            transfer: 1,
            publish: self.customers.has_publishing_phones().into(),
            ..Profile::default()
        }
    }

    /// Of all gateways, in the order of their numbers: a worker that is told so moves nothing.
    #[must_use]
    pub fn profiles(&self) -> Vec<Profile> {
        let mut profiles: Vec<Profile> =
            self.documents.values().filter_map(|entity| self.profile_of(entity)).collect();
        profiles.sort_by_key(|profile| profile.gateway);
        profiles
    }

    fn build_mapping(&self, gateway: &Mapping) -> Option<Customer> {
        let tariff = self.tariff_head(&gateway.tariff).map_or(0, |tariff| tariff.id);
        let line = MappingGateway {
            id: gateway.id,
            account: self.account(&gateway.account).ok()?.id,
            tariff,
            sources: sources(gateway),
            tech_prefix: gateway.tech_prefix.clone(),
            limits: Limits { lines_max: gateway.lines_max, cps_max: gateway.cps_max },
            talk_s_max: gateway.talk_s_max,
            locked: gateway.locked,
            screens: gateway.screening.screens(),
            callee_rules: rules(&gateway.callee_rules),
            caller_rules: rules(&gateway.caller_rules),
        };
        Some(Customer {
            name: gateway.name.clone(),
            gateway: line,
            authentication: gateway.authentication,
            username: gateway.auth_username.clone(),
            hashes: gateway.auth_password.hashes(),
            caller_from: gateway.caller_from,
            number: None,
            heeds_privacy: gateway.sip.privacy,
            believes_diversion: gateway.sip.forward_signal_heard,
            heeds_retry_after: gateway.sip.retry_after,
            hears_why: gateway.announcements,
            publishes: gateway.sip.publish,
            wishes: Wishes::default(),
            pickup_group: String::new(),
            contacts_max: CONTACTS_MAX,
            ringing: None,
            dialled: Vec::new(),
        })
    }

    /// A phone calls as a mapping gateway does that is known by its password.
    pub(super) fn build_phone(&self, phone: &Phone) -> Option<Customer> {
        let line = MappingGateway {
            id: phone.id,
            account: self.account(&phone.account).ok()?.id,
            tariff: self.tariff_head(&phone.tariff).map_or(0, |tariff| tariff.id),
            sources: Vec::new(),
            tech_prefix: String::new(),
            limits: Limits { lines_max: phone.lines_max, cps_max: 0 },
            talk_s_max: phone.talk_s_max,
            locked: phone.locked,
            screens: Screens::default(),
            callee_rules: Rules::default(),
            caller_rules: Rules::default(),
        };
        let offline_gateway = self.document(Kind::Routing, &phone.offline_gateway);
        Some(Customer {
            name: phone.name.clone(),
            gateway: line,
            authentication: Authentication::Password,
            username: phone.name.clone(),
            hashes: phone.password.hashes(),
            caller_from: CallerFrom::From,
            number: entity::dialled(&phone.number),
            heeds_privacy: true,
            heeds_retry_after: true,
            hears_why: phone.announcements,
            believes_diversion: false,
            publishes: phone.publish,
            wishes: Wishes {
                message: phone.message,
                session_timer: phone.session_timer,
                rel100: phone.rel100.into(),
                srtp: phone.srtp.into(),
                dtmf: phone.dtmf.into(),
            },
            pickup_group: phone.pickup_group.clone(),
            contacts_max: phone.contacts_max.into(),
            ringing: Some(Ringing {
                ring: phone.ring,
                offline_gateway: offline_gateway.ok().map(Entity::id),
                fall_through: phone.fall_through,
            }),
            dialled: phone.dialled().collect(),
        })
    }

    fn build_routing(&self, gateway: &Routing) -> Option<RoutingGateway> {
        let tariff = self.tariff_head(&gateway.tariff).map_or(0, |tariff| tariff.id);
        Some(RoutingGateway {
            id: gateway.id,
            account: self.account(&gateway.account).ok()?.id,
            tariff,
            hosts: self
                .places(gateway.id)
                .iter()
                .filter_map(|place| Some(place.socket_address()?.ip()))
                .collect(),
            prefixes: gateway.prefixes.clone(),
            onward: if gateway.terminate { Onward::Terminate } else { Onward::Continue },
            priority: gateway.priority,
            weight: gateway.weight,
            limits: Limits { lines_max: gateway.lines_max, cps_max: gateway.cps_max },
            locked: gateway.locked,
            screens: gateway.screening.screens(),
            unrated_allowed: gateway.unrated_allowed,
            billing_prefix: gateway.billing_prefix.clone(),
            stop_codes: gateway.stop_codes.clone(),
            callee_rules: rules(&gateway.callee_rules),
            caller_rules: rules(&gateway.caller_rules),
        })
    }
}

pub(super) fn sources(gateway: &Mapping) -> Vec<Source> {
    // Every address was read once at entry, so none is lost here.
    gateway.addresses.iter().filter_map(|text| text.parse().ok()).collect()
}

pub(crate) fn rules(rules: &[TransformRule]) -> Rules {
    // Every rule was read once at entry, so none is lost here.
    Rules::new(
        rules.iter().filter_map(|rule| Rule::new(&rule.original, &rule.target).ok()).collect(),
    )
}
