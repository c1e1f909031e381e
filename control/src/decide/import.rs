//! Imports of the deny list: a whole list is denied at one stroke, and admitted again at one (DBL-12).
//!
//! What is wrong in a list was found beside the loop (`api/import.rs`); here stands what must hold when it is
//! taken: no gateway in it, and room in the driver for all that is denied.

use std::sync::Arc;

use routing::Prefix;
use serde_json::{Value, json};

use super::firewall::{denial_end, operator};
use super::{Command, Office};
use crate::page::{Page, strange_cursor};
use crate::shown::{self, ImportEntryShown, ImportShown, ImportTaken, Moment};
use crate::state::entity::{Entity, Import, Kind};
use crate::state::imports::Entries;
use crate::store::Change;
use crate::{Refusal, Time};

/// How many addresses and networks the driver's deny list holds.
#[derive(Clone, Copy, Debug)]
pub struct DenyRoom {
    /// Single addresses.
    pub addresses: usize,
    /// Networks.
    pub prefixes: usize,
}

impl Default for DenyRoom {
    fn default() -> Self {
        Self { addresses: usize::MAX, prefixes: usize::MAX }
    }
}

impl Office {
    /// The same, with so much room in the driver.
    #[must_use]
    pub fn with_deny_room(self, deny_room: DenyRoom) -> Self {
        Self { deny_room, ..self }
    }

    /// Whence gateways send, for who reads a list beside the loop.
    pub(super) fn gateways_shown(&self) -> Value {
        let prefixes = self.gateway_prefixes().map(|prefix| prefix.to_string());
        json!({ "items": prefixes.collect::<Vec<_>>() })
    }

    /// An import with what it holds.
    pub(super) fn describe_import(&self, import: Import) -> Value {
        let entries = self.state.imports.get(&import.id);
        shown::json(ImportShown {
            entries: entries.map_or(0, |entries| entries.count()),
            since: Moment::at(import.since_us),
            until: (import.until_us > 0).then(|| Moment::at(import.until_us)),
            import,
        })
    }

    /// Denies a list, in place of what an import of this name denied before.
    pub(super) fn import_denials(
        &mut self,
        time: Time,
        who: &str,
        name: &str,
        command: &Command,
    ) -> Result<Value, Refusal> {
        let entries = command.entries.clone().unwrap_or_default();
        let said = |field: &str| command.query.get(field).map(String::as_str);
        let for_s = said("for_s").map_or(Ok(0), str::parse);
        let for_s = for_s.map_err(|_| Refusal::invalid("for_s: whole seconds"))?;
        let until_us = denial_end(time, said("until"), for_s)?;
        self.check_gateways_spared(&entries)?;
        let old = self.state.document(Kind::Import, name).map(Entity::id).ok();
        self.check_deny_room(&entries, old)?;
        let head = Import {
            id: 0,
            name: name.to_owned(),
            reason: said("reason").map_or_else(operator, str::to_owned),
            by: who.to_owned(),
            since_us: time.wall_us,
            until_us,
        };
        let body = Entity::Import(head).body();
        let entity = match old {
            Some(_) => self.state.update(Kind::Import, name, &body)?,
            None => self.state.create(Kind::Import, body)?,
        };
        let count = entries.count();
        self.put_import(&entity, entries);
        self.change(Change::Put(Box::new(entity)));
        self.note(time, "denials_imported", name, format!("{count} entries by {who}"));
        Ok(shown::json(ImportTaken { entries: count, refused: 0, lines: Vec::new() }))
    }

    fn put_import(&mut self, head: &Entity, entries: Arc<Entries>) {
        self.state.imports.insert(head.id(), Arc::clone(&entries));
        self.change(Change::ImportEntries(head.id(), entries));
        self.untold.imports = true;
    }

    fn check_gateways_spared(&self, entries: &Entries) -> Result<(), Refusal> {
        match self.gateway_prefixes().find(|gateway| entries.meets(*gateway)) {
            None => Ok(()),
            Some(gateway) => {
                let detail =
                    format!("the list covers the gateway at {gateway}; nothing was imported");
                Err(Refusal::new(409, "source of a gateway", detail))
            }
        }
    }

    /// What the deny list of the driver would hold, each as often as something names it: entries of their own,
    /// imports, and single addresses of sets that the driver forbids (its regions hold their networks).
    fn denied_with<'e>(
        &'e self,
        entries: &'e Entries,
        replaced: Option<u32>,
    ) -> impl Iterator<Item = Prefix> + 'e {
        let others = self.state.imports.iter().filter(move |(id, _)| Some(**id) != replaced);
        let imported = others.flat_map(|(_, entries)| entries.iter()).chain(entries.iter());
        let own = self.state.documents(Kind::Deny).filter_map(|it| it.name().parse().ok());
        let forbidden = self.forbidden_sets().flat_map(|set| {
            let prefixes = set.prefixes().filter_map(|(ip, bits)| Prefix::new(ip, bits));
            prefixes.filter(Prefix::is_host)
        });
        imported.chain(own).chain(forbidden)
    }

    /// The driver would hold nothing of a list that is longer than its tables.
    fn check_deny_room(&self, entries: &Entries, replaced: Option<u32>) -> Result<(), Refusal> {
        let count = |all: &mut dyn Iterator<Item = Prefix>| {
            all.fold((0, 0), |(addresses, prefixes), prefix| match prefix.is_host() {
                true => (addresses + 1, prefixes),
                false => (addresses, prefixes + 1),
            })
        };
        let room = self.deny_room;
        let (mut addresses, mut prefixes) = count(&mut self.denied_with(entries, replaced));
        if addresses > room.addresses || prefixes > room.prefixes {
            // Lists overlap, and the driver holds each entry once: only now is it worth the time to say how many.
            let mut each: Vec<Prefix> = self.denied_with(entries, replaced).collect();
            each.sort_unstable();
            each.dedup();
            (addresses, prefixes) = count(&mut each.into_iter());
        }
        for (field, wanted, room) in [
            ("deny_addresses", addresses, self.deny_room.addresses),
            ("deny_prefixes", prefixes, self.deny_room.prefixes),
        ] {
            if wanted > room {
                let detail = format!(
                    "with it {wanted} would be denied, and limits.{field} is {room}; raise it, `tollgate-dataplane \
                     --unload` and start anew, or remove another import or a geo set that the driver forbids"
                );
                return Err(Refusal::new(507, "deny list full", detail));
            }
        }
        Ok(())
    }

    /// A page of an import's entries.
    pub(super) fn import_entries(&self, name: &str, page: &Page) -> Result<Value, Refusal> {
        let id = self.state.document(Kind::Import, name)?.id();
        let none = Entries::default();
        let entries = self.state.imports.get(&id).map_or(&none, |entries| &**entries);
        let show = |prefix: Prefix| {
            shown::json(ImportEntryShown { prefix: prefix.to_string(), hits: None })
        };
        let place = |prefix: &Prefix| prefix.to_string();
        match &page.cursor {
            None => Ok(page.fill(entries.iter(), place, show)),
            Some(text) => {
                let behind = text.parse().map_err(|_| strange_cursor())?;
                Ok(page.fill(entries.behind(behind), place, show))
            }
        }
    }

    /// Takes one entry out of an import.
    pub(super) fn remove_import_entry(
        &mut self,
        time: Time,
        who: &str,
        name: &str,
        entry: &str,
    ) -> Result<Value, Refusal> {
        let head = self.state.document(Kind::Import, name)?.clone();
        let missing = || Refusal::missing("entry", entry);
        let prefix = entry.parse().map_err(|_| missing())?;
        let entries = self.state.imports.get(&head.id()).and_then(|it| it.without(prefix));
        self.put_import(&head, Arc::new(entries.ok_or_else(missing)?));
        self.note(time, "denial_removed", &format!("{name} {prefix}"), format!("by {who}"));
        Ok(Value::Null)
    }

    /// What is said where nothing is denied by this name of its own: perhaps an import holds it.
    pub(super) fn hint_at_import(&self, kind: Kind, name: &str, refusal: Refusal) -> Refusal {
        if kind != Kind::Deny || refusal.status != 404 {
            return refusal;
        }
        let Ok(prefix) = name.parse::<Prefix>() else { return refusal };
        let heads = self.state.documents(Kind::Import);
        let found = heads.filter(|head| {
            self.state.imports.get(&head.id()).is_some_and(|entries| entries.holds(prefix))
        });
        match found.map(Entity::name).next() {
            Some(import) => {
                let detail = format!(
                    "{prefix} is denied by the import {import:?}: `tollgate firewall deny remove --by-import \
                     {import} [PREFIX]`"
                );
                Refusal { detail, ..refusal }
            }
            None => refusal,
        }
    }

    /// Imports whose time has come go by themselves.
    pub(super) fn expire_imports(&mut self, time: Time) {
        let over = |entity: &&Entity| match entity {
            Entity::Import(import) => (1..=time.wall_us).contains(&import.until_us),
            _ => false,
        };
        let heads = self.state.documents(Kind::Import);
        let over: Vec<String> = heads.filter(over).map(|head| head.name().to_owned()).collect();
        for name in over {
            if let Ok(entity) = self.state.delete(Kind::Import, &name) {
                self.change(Change::Delete(Kind::Import, entity.id()));
                self.tell_driver_gone(&entity);
                self.note(time, "import_expired", &name, String::new());
            }
        }
    }
}
