//! Which files an export has, and how their columns are called: built in, or as a mapping says.

use serde_json::Value;

/// A file of an export.
pub(super) struct Layout {
    /// The word in mappings and reports.
    pub(super) name: &'static str,
    /// Its columns: our word, its header, whether it has to be there.
    pub(super) columns: &'static [(&'static str, &'static str, bool)],
}

pub(super) const ACCOUNTS: Layout = Layout {
    name: "accounts",
    columns: &[
        ("name", "Account", true),
        ("balance", "Balance", false),
        ("credit", "Credit limit", false),
        ("currency", "Currency", false),
        ("role", "Type", false),
        ("locked", "Locked", false),
    ],
};

pub(super) const RATES: Layout = Layout {
    name: "rates",
    columns: &[
        ("tariff", "Rate group", true),
        ("prefix", "Prefix", true),
        ("rate", "Rate", true),
        ("unit_s", "Rate unit", false),
        ("minimum_s", "Minimum", false),
        ("increment_s", "Billing cycle", false),
        ("connection_fee", "Connection fee", false),
        ("currency", "Currency", false),
    ],
};

pub(super) const MAPPING: Layout = Layout {
    name: "mapping_gateways",
    columns: &[
        ("name", "Gateway", true),
        ("account", "Account", true),
        ("tariff", "Rate group", false),
        ("addresses", "IP", true),
        ("tech_prefix", "Prefix", false),
        ("lines_max", "Lines", false),
        ("locked", "Locked", false),
    ],
};

pub(super) const ROUTING: Layout = Layout {
    name: "routing_gateways",
    columns: &[
        ("name", "Gateway", true),
        ("account", "Account", true),
        ("tariff", "Rate group", false),
        ("target", "IP", true),
        ("port", "Port", false),
        ("prefixes", "Prefixes", false),
        ("priority", "Priority", false),
        ("lines_max", "Lines", false),
        ("locked", "Locked", false),
    ],
};

pub(super) const TRANSFORMS: Layout = Layout {
    name: "transforms",
    columns: &[
        ("gateway", "Gateway", true),
        ("side", "Side", true),
        ("number", "Number", true),
        ("original", "Original", false),
        ("target", "Target", false),
    ],
};

const ALL: [&Layout; 5] = [&ACCOUNTS, &RATES, &MAPPING, &ROUTING, &TRANSFORMS];

/// What a mapping says beside the built-in headers.
pub(super) struct Mapping(Value);

impl Mapping {
    /// `{"accounts": {"file": "acct.csv", "balance": "Money left"}}`; null: as built in.
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let files = match &value {
            Value::Null => return Ok(Self(value)),
            Value::Object(files) => files,
            _ => return Err("it is an object of files".into()),
        };
        for (name, said) in files {
            let layout = ALL.into_iter().find(|layout| layout.name == name).ok_or_else(|| {
                let names = ALL.map(|layout| layout.name).join(", ");
                format!("{name}: there is no such file; there is {names}")
            })?;
            let said =
                said.as_object().ok_or_else(|| format!("{name}: it is an object of headers"))?;
            for (field, header) in said {
                if field != "file" && !layout.columns.iter().any(|column| column.0 == field) {
                    let names: Vec<&str> = layout.columns.iter().map(|column| column.0).collect();
                    let names = names.join(", ");
                    return Err(format!(
                        "{name}.{field}: there is no such column; there is file, {names}"
                    ));
                }
                if !header.is_string() {
                    return Err(format!("{name}.{field}: it is text"));
                }
            }
        }
        Ok(Self(value))
    }

    /// The name of a file.
    pub(super) fn file(&self, layout: &Layout) -> String {
        let said = self.0[layout.name]["file"].as_str().map(str::to_owned);
        said.unwrap_or_else(|| format!("{}.csv", layout.name))
    }

    /// The header of a column.
    pub(super) fn header<'m>(&'m self, layout: &Layout, field: &str, built_in: &'m str) -> &'m str {
        self.0[layout.name][field].as_str().unwrap_or(built_in)
    }
}
