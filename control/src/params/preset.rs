//! Sets of limits by name: what the driver lets strangers send, changed at one stroke.

use super::catalog::CATALOG;

/// A set of values.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// For whom it is.
    pub doc: &'static str,
    /// What differs from the defaults; all else that is the presets' goes back to them.
    values: &'static [(&'static str, &'static str)],
}

/// What a preset is about.
const ABOUT: [&str; 22] = [
    "TG_STRANGER_OPTIONS",
    "TG_STRANGER_REGISTER",
    "TG_STRANGER_INVITE",
    "TG_STRANGER_OTHER",
    "TG_STRANGER_SYN",
    "TG_STRANGER_FRAGMENT",
    "TG_STRANGER_ANY",
    "TG_NETWORK_OPTIONS",
    "TG_NETWORK_REGISTER",
    "TG_NETWORK_INVITE",
    "TG_NETWORK_OTHER",
    "TG_NETWORK_SYN",
    "TG_NETWORK_FRAGMENT",
    "TG_CROWD_OPTIONS",
    "TG_CROWD_REGISTER",
    "TG_CROWD_INVITE",
    "TG_CROWD_OTHER",
    "TG_CROWD_SYN",
    "TG_CROWD_FRAGMENT",
    "TG_STRANGER_FLOWS",
    "TG_NETWORK_FLOWS",
    "TG_FLOW_IDLE",
];

/// All of them.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "office",
        doc: "phones that register from anywhere, offices behind one address: the defaults",
        values: &[],
    },
    Preset {
        name: "recipe",
        doc: "what the usual iptables recipe allows: no OPTIONS, the 20th request of any kind in 60 s and all until 60 s of silence dropped, 10 REGISTER in 60 s, 10 flows, 30 of a network",
        values: &[
            ("TG_STRANGER_OPTIONS", "never"),
            ("TG_STRANGER_REGISTER", "10/60s burst 10"),
            ("TG_STRANGER_INVITE", "10/s burst 20"),
            ("TG_STRANGER_OTHER", "10/s burst 20"),
            ("TG_STRANGER_ANY", "20/60s burst 19 silence 60s"),
            ("TG_NETWORK_OPTIONS", "off"),
            ("TG_NETWORK_REGISTER", "off"),
            ("TG_NETWORK_INVITE", "off"),
            ("TG_NETWORK_OTHER", "off"),
        ],
    },
    Preset {
        name: "trunk",
        doc: "gateways that are known by address, and a few phones: strangers have little to say",
        values: &[
            ("TG_STRANGER_OPTIONS", "1/s burst 5"),
            ("TG_STRANGER_REGISTER", "10/60s burst 10"),
            ("TG_STRANGER_INVITE", "10/60s burst 5 silence 60s"),
            ("TG_STRANGER_OTHER", "5/s burst 20"),
            ("TG_STRANGER_SYN", "1/s burst 5"),
            ("TG_STRANGER_FRAGMENT", "1/s burst 10"),
            ("TG_STRANGER_ANY", "10/60s burst 9 silence 60s"),
            ("TG_NETWORK_OPTIONS", "2/s burst 10"),
            ("TG_NETWORK_REGISTER", "20/60s burst 20"),
            ("TG_NETWORK_INVITE", "20/60s burst 10"),
            ("TG_CROWD_OPTIONS", "100/s burst 100"),
            ("TG_CROWD_REGISTER", "100/s burst 100"),
            ("TG_CROWD_INVITE", "100/s burst 100"),
            ("TG_CROWD_OTHER", "500/s burst 500"),
            ("TG_STRANGER_FLOWS", "5"),
            ("TG_NETWORK_FLOWS", "15"),
        ],
    },
    Preset {
        name: "fortress",
        doc: "known gateways alone: strangers may not even ask; phones must be trusted before they register",
        values: &[
            ("TG_STRANGER_OPTIONS", "never"),
            ("TG_STRANGER_REGISTER", "never"),
            ("TG_STRANGER_INVITE", "never"),
            ("TG_STRANGER_OTHER", "never"),
            ("TG_STRANGER_SYN", "never"),
            ("TG_STRANGER_FRAGMENT", "never"),
        ],
    },
];

impl Preset {
    /// The one of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Every value that it is about.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        ABOUT.iter().map(|&name| {
            let own = self.values.iter().find(|(own, _)| *own == name);
            let default =
                || CATALOG.iter().find(|row| row.name == name).map_or("", |row| row.default);
            (name, own.map_or_else(default, |(_, value)| value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Values;

    #[test]
    fn every_preset_sets_what_there_is_to_what_it_can_be() {
        for preset in PRESETS {
            let mut values = Values::default();
            for (name, value) in preset.values() {
                let (_, _, new) = values.set(name, value).unwrap();
                assert_eq!(new, value, "{name} in its one spelling");
            }
            for (name, _) in preset.values {
                assert!(ABOUT.contains(name), "{name}");
            }
        }
    }

    #[test]
    fn the_office_is_the_default() {
        let office = Preset::find("office").unwrap();
        let values = Values::default();
        assert!(office.values().all(|(name, value)| values.text(name) == value));
    }
}
