//! What becomes of the numbers of a call, level by level: behind the rules of its gateway those of its account, then
//! those of the whole switch. Of each level one rule acts, on what the level before it left.

use std::collections::HashMap;

use numbers::transform::Rules;

use super::State;
use super::derive::rules;
use super::entity::{Account, Entity, Kind, Which};

/// The rules of one level.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// Of the caller's number.
    pub caller: Rules,
    /// Of the callee's.
    pub callee: Rules,
}

/// All levels behind that of gateways.
#[derive(Default)]
pub struct Transforms {
    /// By account id; most have none.
    accounts: HashMap<u32, Level>,
    system: Level,
    none: Level,
}

impl Transforms {
    /// What the calls of an account meet behind its gateways, in order.
    #[must_use]
    pub fn behind_gateway(&self, account: u32) -> [&Level; 2] {
        [self.accounts.get(&account).unwrap_or(&self.none), &self.system]
    }
}

impl State {
    /// Takes up the rules of an account.
    pub(super) fn put_transforms(&mut self, account: &Account) {
        if account.caller_rules.is_empty() && account.callee_rules.is_empty() {
            self.transforms.accounts.remove(&account.id);
            return;
        }
        let caller = rules(&account.caller_rules);
        let level = Level { caller, callee: rules(&account.callee_rules) };
        self.transforms.accounts.insert(account.id, level);
    }

    pub(super) fn drop_transforms(&mut self, account: u32) {
        self.transforms.accounts.remove(&account);
    }

    /// Takes up those of the switch.
    pub(super) fn rebuild_transforms(&mut self) {
        let of = |which: Which| {
            let all = self.documents(Kind::NumberTransform).filter_map(|entity| match entity {
                Entity::NumberTransform(it) if it.number == which => Some(it.rule()),
                _ => None,
            });
            rules(&all.collect::<Vec<_>>())
        };
        self.transforms.system = Level { caller: of(Which::Caller), callee: of(Which::Callee) };
    }
}
