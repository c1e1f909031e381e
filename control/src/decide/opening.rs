//! Who is trusted, for good or for a while, and codes by which somebody opens the firewall to himself.
//!
//! A code is for who comes from ever other addresses: a customer on the road behind a region that is forbidden, a
//! technician. Whoever knows it (a portal of the carrier's, asked by its user) has an address trusted for as long as
//! the code says; then it goes by itself, and with the code at once. Only a hash of a code is kept.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use sip::digest::{Algorithm, Hash};

use super::Office;
use super::access::by_whom;
use super::firewall::{denial_end, operator};
use crate::journal::Severity;
use crate::shown::{self, CodeShown, Moment, TrustedShown};
use crate::state::entity::{self, Code, Entity, Kind, Trusted};
use crate::store::Change;
use crate::{Refusal, Time};

/// Wrong codes for one address, after which none is looked at until [`CALM`] is over.
const WRONG_MAX: u32 = 5;
const CALM: Duration = Duration::from_secs(600);
/// Places that are told apart; beyond, nobody's guesses are counted: a flood of guesses locks nobody out.
const WRONG_ROOM: usize = 10_000;
/// Addresses that one code has open at a time; the one that ends first makes room.
const OPEN_MAX: usize = 16;
/// Shortest code that an operator may choose.
const CODE_BYTES: std::ops::RangeInclusive<usize> = 12..=64;

/// A source to trust.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTrust {
    /// An address or prefix.
    name: String,
    /// Why.
    #[serde(default)]
    reason: String,
    /// Whether administrators sit there: once one does, the ports of administrators are open to them alone.
    #[serde(default)]
    admin: bool,
    /// For how long, s; 0: until `until`, or until it is removed.
    #[serde(default)]
    for_s: u64,
    /// Until when; null: as `for_s` says.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    until: Option<String>,
}

/// A code to make.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCode {
    /// Whose it is.
    name: String,
    /// How long an address stays open, s, 60 to 2,592,000 (30 days); null: eight hours.
    #[serde(default)]
    for_s: Option<u64>,
    /// For people.
    #[serde(default)]
    memo: String,
    /// The code itself, 12 to 64 characters; null: one is made, and said in the answer this once.
    #[serde(default)]
    code: Option<String>,
}

/// Whom to let in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOpening {
    /// What was made for somebody.
    code: String,
    /// The address that is to be trusted.
    address: String,
}

/// Who guesses codes.
#[derive(Default)]
pub(super) struct Guesses(HashMap<IpAddr, (u32, Duration)>);

impl Guesses {
    /// Whether no code is looked at for that address now.
    fn is_over(&mut self, now: Duration, address: IpAddr) -> bool {
        self.0.retain(|_, (_, until)| now < *until);
        self.0.get(&place(address)).is_some_and(|&(wrong, _)| wrong >= WRONG_MAX)
    }

    /// One more was wrong; how many that makes.
    fn count(&mut self, now: Duration, address: IpAddr) -> u32 {
        if self.0.len() >= WRONG_ROOM && !self.0.contains_key(&place(address)) {
            return 0;
        }
        let (wrong, until) = self.0.entry(place(address)).or_default();
        (*wrong, *until) = (*wrong + 1, now + CALM);
        *wrong
    }
}

/// Of IPv6 the /64: whoever has one address there has them all.
fn place(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

fn fingerprint(code: &str) -> String {
    let hash = Hash::of_body(Algorithm::Sha256, code.as_bytes());
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By whom an address is trusted that a code opened.
fn by_code(code: &str) -> String {
    format!("code {code}")
}

impl Office {
    pub(super) fn describe_trusted(trusted: Trusted) -> Value {
        let moment = |at_us| (at_us > 0).then(|| Moment::at(at_us));
        let (since, until) = (moment(trusted.since_us), moment(trusted.until_us));
        shown::json(TrustedShown { since, until, trusted })
    }

    pub(super) fn describe_code(&self, code: Code) -> Value {
        let by = by_code(&code.name);
        let open = self.state.documents(Kind::Trust);
        let open = open.filter(|entity| matches!(entity, Entity::Trust(it) if it.by == by));
        shown::json(CodeShown {
            id: code.id,
            open: open.count(),
            name: code.name,
            for_s: code.for_s,
            memo: code.memo,
        })
    }

    /// Trusts a source, or trusts it anew.
    pub(super) fn trust(&mut self, time: Time, who: &str, body: &Value) -> Result<Value, Refusal> {
        let said: NewTrust = entity::parse(body.clone())?;
        let until_us = denial_end(time, said.until.as_deref(), said.for_s)?;
        let NewTrust { name, reason, admin, .. } = said;
        let (by, since_us) = (operator(), time.wall_us);
        self.put_trusted(time, who, Trusted { id: 0, name, reason, admin, by, since_us, until_us })
    }

    fn put_trusted(&mut self, time: Time, who: &str, trusted: Trusted) -> Result<Value, Refusal> {
        let name = Kind::Trust.spelling(&trusted.name).into_owned();
        let mut body = Entity::Trust(trusted).body();
        let entity = match self.state.document(Kind::Trust, &name) {
            Ok(_) => {
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("id");
                }
                self.state.update(Kind::Trust, &name, &body)?
            }
            Err(_) => self.state.create(Kind::Trust, body)?,
        };
        self.saved(time, "trusted", &entity, by_whom(who, &entity));
        Ok(self.describe(time, &entity))
    }

    /// Takes a code that the API has made, or an operator has chosen.
    pub(super) fn make_code(
        &mut self,
        time: Time,
        who: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let NewCode { name, for_s, memo, code } = entity::parse(body.clone())?;
        let code = code.unwrap_or_default();
        if !CODE_BYTES.contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::invalid("code: 12 to 64 printable ASCII characters"));
        }
        let fingerprint = fingerprint(&code);
        if self.code_of(&fingerprint).is_some() {
            return Err(Refusal::invalid("code: somebody has it already"));
        }
        let mut document = serde_json::json!({
            "name": name, "memo": memo, "fingerprint": fingerprint,
        });
        if let (Some(fields), Some(for_s)) = (document.as_object_mut(), for_s) {
            fields.insert("for_s".into(), for_s.into());
        }
        let entity = self.state.create(Kind::Code, document)?;
        self.saved(time, "created", &entity, by_whom(who, &entity));
        Ok(self.describe(time, &entity))
    }

    fn code_of(&self, fingerprint: &str) -> Option<&Code> {
        self.state.documents(Kind::Code).find_map(|entity| match entity {
            Entity::Code(code) if code.fingerprint == fingerprint => Some(code),
            _ => None,
        })
    }

    /// Trusts the address of whoever knows a code.
    pub(super) fn open(&mut self, time: Time, who: &str, body: &Value) -> Result<Value, Refusal> {
        let NewOpening { code, address } = entity::parse(body.clone())?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| Refusal::invalid(format!("address: {address:?} is no address")))?;
        let address = address.to_canonical();
        if self.guesses.is_over(time.now, address) {
            let how = format!("{WRONG_MAX} were wrong; wait {} s", CALM.as_secs());
            return Err(Refusal::new(429, "too many wrong codes", how));
        }
        let Some(code) = self.code_of(&fingerprint(&code)) else {
            if self.guesses.count(time.now, address) == WRONG_MAX {
                let detail = format!("{WRONG_MAX} wrong access codes");
                let (name, source) = ("attack_codes", place(address).to_string());
                self.raise_sign(time, name, source, Severity::Warning, detail);
            }
            return Err(Refusal::new(403, "no such code", "see `tollgate firewall code list`"));
        };
        let (by, reason) = (by_code(&code.name), code.memo.clone());
        let until_us = time.wall_us.saturating_add(code.for_s.saturating_mul(1_000_000));
        let name = Kind::Trust.spelling(&address.to_string()).into_owned();
        // What an operator trusts, a code neither shortens nor takes over.
        match self.state.document(Kind::Trust, &name) {
            Ok(entity @ Entity::Trust(there))
                if there.by == operator() || there.until_us > until_us =>
            {
                return Ok(self.describe(time, entity));
            }
            Ok(_) => {}
            // A gateway's budget stays its own.
            Err(_) if self.state.is_trusted(address) => {
                return Err(Refusal::new(409, "trusted already", "with the network around it"));
            }
            Err(_) => self.make_way(time, &by),
        }
        let since_us = time.wall_us;
        let opened = Trusted { id: 0, name, reason, admin: false, by, since_us, until_us };
        self.put_trusted(time, who, opened)
    }

    /// Closes what a code has open beyond its number, but for one more.
    fn make_way(&mut self, time: Time, by: &str) {
        let open = self.state.documents(Kind::Trust).filter_map(|entity| match entity {
            Entity::Trust(it) if it.by == by => Some((it.until_us, it.name.clone())),
            _ => None,
        });
        let mut open: Vec<(u64, String)> = open.collect();
        open.sort_unstable();
        for (_, name) in open.iter().take((open.len() + 1).saturating_sub(OPEN_MAX)) {
            self.distrust(time, "trust_closed", |it| it.name == *name);
        }
    }

    /// With a code goes what it opened.
    pub(super) fn close_openings(&mut self, time: Time, gone: &Entity) {
        if let Entity::Code(code) = gone {
            let by = by_code(&code.name);
            self.distrust(time, "trust_closed", |it| it.by == by);
        }
    }

    /// Trust whose time is over goes by itself.
    pub(super) fn expire_trust(&mut self, time: Time) {
        self.distrust(time, "trust_expired", |it| (1..=time.wall_us).contains(&it.until_us));
    }

    fn distrust(&mut self, time: Time, event: &'static str, whom: impl Fn(&Trusted) -> bool) {
        let found = self.state.documents(Kind::Trust).filter_map(|entity| match entity {
            Entity::Trust(trusted) if whom(trusted) => Some(trusted.name.clone()),
            _ => None,
        });
        for name in found.collect::<Vec<_>>() {
            if let Ok(entity) = self.state.delete(Kind::Trust, &name) {
                self.change(Change::Delete(Kind::Trust, entity.id()));
                self.tell_driver_gone(&entity);
                self.note(time, event, &name, String::new());
            }
        }
    }
}
