//! Fences and access lists as a decision sees them: sets of addresses, whose fence names which of them, and
//! whence accounts may be used.
//!
//! A fence of its own holds for a gateway or phone; else the one of all holds (`TG_FENCE_MODE`,
//! `TG_FENCE_SETS`). A stranger is asked who he is where any fence might let him pass: the one of all, or
//! one of those who prove themselves by a password. So what he hears depends on his address alone, and
//! tells nobody who exists (T-12).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use guard::{GeoRange, GeoSet};
use link::Order;
use link::fence::{
    DOOR, DOORS_MAX, EVERYBODY, FENCES_MAX, FENCES_PER_PART, Fence, FenceMode, Fences as Part,
    RANGES_MAX, RANGES_PER_PART, Range, Ranges, SETS_MAX,
};
use routing::{Health, Prefix};

use super::State;
use super::entity::{Entity, Fencing, GeoHead, Kind};
use crate::Refusal;

/// Ranges of all sets, named by a fence or not: what memory and store are asked to hold.
const RANGES_KEPT_MAX: usize = 4_000_000;

/// Every fence, and the sets that they name.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    /// By the numbers of their heads.
    sets: BTreeMap<u32, Arc<GeoSet>>,
    everybody: Fence,
    own: BTreeMap<u32, Own>,
    /// Of those who prove themselves by a password: each fence once, and how many have it.
    doors: HashMap<Fence, usize>,
}

/// The fence of a gateway or phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Own {
    fence: Fence,
    /// He proves himself by a password.
    is_door: bool,
}

impl Fences {
    /// Whether an address passes for a gateway or phone.
    #[must_use]
    pub fn passes(&self, owner: u32, address: IpAddr) -> bool {
        self.lets(self.own.get(&owner).map_or(&self.everybody, |own| &own.fence), address)
    }

    /// Whether a stranger from there is asked who he is.
    #[must_use]
    pub fn lets_in(&self, address: IpAddr) -> bool {
        self.lets(&self.everybody, address)
            || self.doors.len() > DOORS_MAX
            || self.doors.keys().any(|fence| self.lets(fence, address))
    }

    fn lets(&self, fence: &Fence, address: IpAddr) -> bool {
        fence.passes(|set| self.sets.get(&set).is_some_and(|set| set.contains(address)))
    }

    /// The addresses of a set.
    #[must_use]
    pub fn set(&self, id: u32) -> Option<&Arc<GeoSet>> {
        self.sets.get(&id)
    }

    /// All fences.
    fn all(&self) -> impl Iterator<Item = &Fence> {
        self.own.values().map(|own| &own.fence).chain([&self.everybody])
    }

    /// The sets that some fence names.
    fn named(&self) -> BTreeSet<u32> {
        self.all().flat_map(|fence| fence.sets().iter().copied()).collect()
    }

    /// Puts a fence in place of the one that its owner had.
    fn put(&mut self, owner: u32, fence: Option<Fence>, is_door: bool) -> bool {
        let new = fence.map(|fence| Own { fence, is_door });
        let old = match new {
            Some(new) => self.own.insert(owner, new),
            None => self.own.remove(&owner),
        };
        let door = |own: Own| own.is_door.then_some(Fence { owner: DOOR, ..own.fence });
        if let Some(gone) = old.and_then(door)
            && let Some(count) = self.doors.get_mut(&gone)
        {
            *count -= 1;
            if *count == 0 {
                self.doors.remove(&gone);
            }
        }
        if let Some(door) = new.and_then(door) {
            *self.doors.entry(door).or_default() += 1;
        }
        old != new
    }

    /// What the workers are told, of one state of all this.
    #[must_use]
    pub fn telling(&self) -> Telling {
        let named = self.named();
        let sets = self.sets.iter().filter(|(id, _)| named.contains(id));
        let sets = sets.map(|(id, set)| (*id, set.clone())).collect();
        let everybody = Fence { owner: EVERYBODY, ..self.everybody };
        let mut fences = vec![everybody];
        fences.extend(self.own.values().map(|own| own.fence));
        if self.doors.len() > DOORS_MAX {
            // More kinds of doors than a worker looks through: everybody is asked, and judged here.
            fences.push(Fence { owner: DOOR, ..Fence::default() });
        } else {
            fences.extend(self.doors.keys());
        }
        Telling { sets, fences, set: 0, range: 0, fence: 0, began: false }
    }
}

/// A state of all fences on its way to a worker, one part at a time: a million ranges never wait as
/// messages.
#[derive(Clone, Debug)]
pub struct Telling {
    sets: Vec<(u32, Arc<GeoSet>)>,
    fences: Vec<Fence>,
    /// Where the next part begins.
    set: usize,
    range: usize,
    fence: usize,
    began: bool,
}

impl Telling {
    /// The next part.
    pub fn poll_part(&mut self) -> Option<Order> {
        let begin = u32::from(!std::mem::replace(&mut self.began, true));
        if let Some((id, set)) = self.sets.get(self.set) {
            let rest = set.ranges().get(self.range..).unwrap_or_default();
            let mut part = Ranges {
                begin,
                set: *id,
                ranges_used: 0,
                spare: 0,
                ranges: [Range::default(); RANGES_PER_PART],
            };
            for (place, range) in part.ranges.iter_mut().zip(rest) {
                let (first, last) = GeoRange::places(range);
                *place = Range::new(first, last);
                part.ranges_used += 1;
            }
            self.range += part.ranges_used as usize;
            if self.range >= set.ranges().len() {
                (self.set, self.range) = (self.set + 1, 0);
            }
            return Some(Order::Ranges(part));
        }
        let rest = self.fences.get(self.fence..).filter(|rest| !rest.is_empty())?;
        let mut part = Part {
            begin,
            commit: u32::from(rest.len() <= FENCES_PER_PART),
            fences_used: 0,
            spare: 0,
            fences: [Fence::default(); FENCES_PER_PART],
        };
        for (place, fence) in part.fences.iter_mut().zip(rest) {
            *place = *fence;
            part.fences_used += 1;
        }
        self.fence += part.fences_used as usize;
        Some(Order::Fences(part))
    }
}

impl State {
    /// The addresses that an account may be used from, where its list is heeded at all.
    #[must_use]
    pub fn may_use(&self, account: u32, source: IpAddr) -> bool {
        if self.values.number("SS_ACCESS_IP_CHECK") == 0 {
            return true;
        }
        let source = source.to_canonical();
        let list = self.access.get(&account);
        list.is_none_or(|list| list.iter().any(|prefix| prefix.contains(source)))
    }

    /// The health of a vendor's gateway that else would be this one: wherever it is, it may be outside
    /// its fence.
    #[must_use]
    pub fn health_of(&self, gateway: u32, health: Health) -> Health {
        let hosts = self.routings.get(&gateway).map_or(&[][..], |it| &it.hosts);
        let is_outside = |host: &IpAddr| !self.fences.passes(gateway, *host);
        let is_fenced = !hosts.is_empty() && hosts.iter().all(is_outside);
        match health {
            _ if is_fenced => Health::Fenced,
            Health::Offline => health,
            _ if self.is_broke(gateway) => Health::Broke,
            _ => health,
        }
    }

    /// Whether a vendor gives no more credit, and calls are kept from it then.
    fn is_broke(&self, gateway: u32) -> bool {
        if self.values.number("SERVER_VERIFY_CLEARING_CUSTOMER") == 0 {
            return false;
        }
        let account = self.routings.get(&gateway).map_or(0, |it| it.account);
        let Some(credit) = self.account_of(account).and_then(|it| it.credit) else { return false };
        let balance = self.balances.get(&account).copied().unwrap_or_default();
        balance.amount.plus(credit).is_ok_and(|left| left <= rating::Money::ZERO)
    }

    /// Takes up the access list of an account.
    pub(super) fn put_access(&mut self, account: &super::entity::Account) {
        // Every address was read once at entry, so none is lost here.
        let read = account.access_addresses.iter().filter_map(|text| text.parse().ok());
        let list: Box<[Prefix]> = read.collect();
        match list.is_empty() {
            true => self.access.remove(&account.id),
            false => self.access.insert(account.id, list),
        };
    }

    /// The fence that fields describe. `None`: the next level says.
    fn fence_of(&self, owner: u32, mode: Fencing, sets: &[String]) -> Option<Fence> {
        let ids: Vec<u32> = sets
            .iter()
            .filter_map(|name| self.document(Kind::Geo, name).ok())
            .map(Entity::id)
            .collect();
        Fence::new(owner, mode.mode()?, &ids)
    }

    /// Takes up the fence of a gateway or phone.
    pub(super) fn put_fence(&mut self, entity: &Entity) {
        let Some((mode, sets)) = entity.fence() else { return };
        let fence = self.fence_of(entity.id(), mode, sets);
        let is_door = match entity {
            Entity::Mapping(gateway) => gateway.authentication.asks_password(),
            entity => entity.kind() == Kind::Phone,
        };
        self.fences_changed |= self.fences.put(entity.id(), fence, is_door);
    }

    /// Forgets the fence of one that is gone.
    pub(super) fn drop_fence(&mut self, entity: &Entity) {
        self.fences_changed |= self.fences.put(entity.id(), None, false);
    }

    /// The fence of all follows its parameters.
    pub fn fence_of_all_changed(&mut self) {
        let sets: Vec<String> = self.values.names("TG_FENCE_SETS").map(str::to_owned).collect();
        let mode = match self.values.number("TG_FENCE_MODE") {
            0 => Fencing::Ignore,
            1 => Fencing::Forbid,
            _ => Fencing::Allow,
        };
        let fence = self.fence_of(EVERYBODY, mode, &sets).unwrap_or_default();
        self.fences_changed |= self.fences.everybody != fence;
        self.fences.everybody = fence;
    }

    /// What the workers must be told of fences anew, if anything of it changed.
    pub fn poll_fences(&mut self) -> Option<Telling> {
        std::mem::take(&mut self.fences_changed).then(|| self.fences.telling())
    }

    /// Sets that a fence names are there, and what they hold together the workers have room for.
    pub(super) fn check_fence(&self, entity: &Entity) -> Result<(), Refusal> {
        let Some((mode, sets)) = entity.fence() else { return Ok(()) };
        for name in sets {
            self.document(Kind::Geo, name).map_err(|_| missing("fence_sets", name))?;
        }
        let known = self.document(entity.kind(), entity.name()).map_or(0, Entity::id);
        let fence = self.fence_of(known, mode, sets);
        let is_new = fence.is_some() && !self.fences.own.contains_key(&known);
        if is_new && self.fences.own.len() >= FENCES_MAX as usize {
            let detail = format!("{FENCES_MAX} gateways and phones can have a fence of their own");
            return Err(Refusal::new(507, "too many fences", detail));
        }
        self.check_ranges(fence.as_ref().map_or(&[][..], Fence::sets), None)
    }

    /// The same of the fence of all, when one of its two parameters is to be `value`.
    ///
    /// # Errors
    /// When a set is missing, or a mode has none.
    pub fn check_fence_of_all(&self, name: &str, value: &str) -> Result<(), Refusal> {
        let (mode, sets) = match name {
            "TG_FENCE_MODE" => (value.trim(), self.values.text("TG_FENCE_SETS")),
            "TG_FENCE_SETS" => (self.values.text("TG_FENCE_MODE"), value),
            _ => return Ok(()),
        };
        let names = sets.split(',').map(str::trim).filter(|set| !set.is_empty());
        let mut ids = Vec::new();
        for set in names {
            ids.push(self.document(Kind::Geo, set).map_err(|_| missing(name, set))?.id());
        }
        if mode != "0" && ids.is_empty() {
            let detail = "TG_FENCE_SETS: none; TG_FENCE_MODE 1 and 2 need at least one. Say the sets \
                          before the mode, and take the mode back before them";
            return Err(Refusal::invalid(detail));
        }
        if Fence::new(EVERYBODY, FenceMode::Allow, &ids).is_none() {
            return Err(Refusal::invalid(format!("{name}: {} sets; up to 16", ids.len())));
        }
        self.check_ranges(&ids, None)
    }

    /// Whether the workers have room for these sets besides those that are named already; one of them
    /// perhaps with other addresses.
    fn check_ranges(&self, more: &[u32], changed: Option<(u32, &GeoSet)>) -> Result<(), Refusal> {
        let mut named = self.fences.named();
        named.extend(more);
        let length = |id: &u32| match changed {
            Some((other, set)) if other == *id => set.ranges().len(),
            _ => self.fences.set(*id).map_or(0, |set| set.ranges().len()),
        };
        let total: usize = named.iter().map(length).sum();
        if total <= RANGES_MAX as usize {
            return Ok(());
        }
        let detail = format!(
            "the sets that fences name would have {total} ranges together; the workers have room for \
             {RANGES_MAX}"
        );
        Err(Refusal::new(507, "too many ranges", detail))
    }

    /// There is room for one more set.
    pub(super) fn check_sets(&self) -> Result<(), Refusal> {
        if self.documents(Kind::Geo).count() < SETS_MAX as usize {
            return Ok(());
        }
        Err(Refusal::new(507, "too many geo sets", format!("{SETS_MAX} geo sets can be had")))
    }

    /// No fence of all names a set that is to go.
    pub(super) fn check_unnamed(&self, name: &str) -> Result<(), Refusal> {
        if self.values.names("TG_FENCE_SETS").any(|set| set == name) {
            return Err(Refusal::new(409, "in use", "TG_FENCE_SETS names it"));
        }
        Ok(())
    }

    /// The head of a set.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn geo_head(&self, name: &str) -> Result<&GeoHead, Refusal> {
        match self.document(Kind::Geo, name)? {
            Entity::Geo(head) => Ok(head),
            _ => Err(Refusal::missing("geo set", name)),
        }
    }

    /// Gives a set other addresses.
    ///
    /// # Errors
    /// When there is no such set, or no room for so many; then nothing is changed.
    pub fn put_geo(&mut self, name: &str, set: Arc<GeoSet>) -> Result<u32, Refusal> {
        let id = self.geo_head(name)?.id;
        self.check_ranges(&[], Some((id, &set)))?;
        let others = self.fences.sets.iter().filter(|(other, _)| **other != id);
        let kept: usize = others.map(|(_, set)| set.ranges().len()).sum();
        if kept + set.ranges().len() > RANGES_KEPT_MAX {
            let detail = format!("all sets together have up to {RANGES_KEPT_MAX} ranges");
            return Err(Refusal::new(507, "too many ranges", detail));
        }
        self.restore_geo(id, set);
        Ok(id)
    }

    /// Puts the addresses of a set in place without asking: at boot, from the store.
    pub fn restore_geo(&mut self, id: u32, set: Arc<GeoSet>) {
        self.fences_changed |= self.fences.named().contains(&id);
        self.fences.sets.insert(id, set);
    }

    /// Forgets the addresses of a set that is gone.
    pub(super) fn drop_geo(&mut self, id: u32) {
        self.fences.sets.remove(&id);
    }

    /// How many gateways and phones name a set, and the fence of all.
    #[must_use]
    pub fn fences_of(&self, id: u32) -> usize {
        self.fences.all().filter(|fence| fence.sets().contains(&id)).count()
    }
}

fn missing(field: &str, set: &str) -> Refusal {
    Refusal::invalid(format!(
        "{field}: there is no geo set {set:?}; `tollgate firewall geo create`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(prefixes: &[&str]) -> Arc<GeoSet> {
        Arc::new(GeoSet::build(prefixes.iter().map(|text| text.parse().unwrap())).unwrap())
    }

    fn fence(owner: u32, mode: FenceMode) -> Fence {
        Fence::new(owner, mode, &[9]).unwrap()
    }

    #[test]
    fn a_telling_comes_in_parts_that_say_all_of_it_once_and_end_with_a_commit() {
        let apart = (0..300_u32).map(|n| std::net::Ipv4Addr::from(n * 2).to_string());
        let ranges: Vec<String> = apart.collect();
        let ranges: Vec<&str> = ranges.iter().map(String::as_str).collect();
        let mut fences = Fences::default();
        fences.sets.insert(9, set(&ranges));
        fences.sets.insert(10, set(&["10.0.0.0/8"]));
        for owner in 1..=100 {
            fences.put(owner, Some(fence(owner, FenceMode::Allow)), true);
        }
        let mut telling = fences.telling();
        let (mut ranges_told, mut owners, mut begun, mut commits) = (0, Vec::new(), 0, 0);
        while let Some(part) = telling.poll_part() {
            assert_eq!(commits, 0, "nothing follows a commit");
            match part {
                Order::Ranges(part) => {
                    assert_eq!(part.set, 9, "a set that no fence names is not told");
                    ranges_told += part.ranges().len();
                    begun += part.begin;
                }
                Order::Fences(part) => {
                    owners.extend(part.fences().iter().map(|fence| fence.owner));
                    (begun, commits) = (begun + part.begin, commits + part.commit);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((ranges_told, begun, commits), (300, 1, 1));
        let expected: Vec<u32> = [EVERYBODY].into_iter().chain(1..=100).chain([DOOR]).collect();
        assert_eq!(owners, expected, "a door that many have is told once");
        let mut none = Fences::default().telling();
        assert!(matches!(none.poll_part(), Some(Order::Fences(it)) if it.begin + it.commit == 2));
        assert!(none.poll_part().is_none());
    }

    #[test]
    fn a_door_stands_open_as_long_as_one_who_has_a_password_passes() {
        let inside = "10.0.0.1".parse().unwrap();
        let mut fences = Fences::default();
        fences.sets.insert(9, set(&["10.0.0.0/8"]));
        fences.everybody = fence(EVERYBODY, FenceMode::Forbid);
        assert!(!fences.lets_in(inside));
        for owner in [1, 2] {
            fences.put(owner, Some(fence(owner, FenceMode::Allow)), true);
        }
        assert!(fences.lets_in(inside));
        fences.put(1, None, true);
        assert!(fences.lets_in(inside));
        fences.put(2, Some(fence(2, FenceMode::Forbid)), true);
        assert!(!fences.lets_in(inside));
        fences.put(3, Some(fence(3, FenceMode::Allow)), false);
        assert!(!fences.lets_in(inside), "a vendor logs in nowhere");
    }
}
