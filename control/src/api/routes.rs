//! Every resource of the API: what it is, and what it takes. What is not in the table is refused.

use serde_json::Value;

use crate::Refusal;
use crate::state::OURS;

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// HTTP method, lower case.
    pub method: &'static str,
    /// Path below `/api/v1`.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Query parameters.
    pub query: &'static [&'static str],
    /// Fields of the body.
    pub body: &'static [&'static str],
}

const fn route(method: &'static str, path: &'static str, summary: &'static str) -> Route {
    Route { method, path, summary, query: &[], body: &[] }
}

const fn with_body(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    body: &'static [&'static str],
) -> Route {
    Route { method, path, summary, query: &[], body }
}

const fn with_query(
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
) -> Route {
    Route { method: "get", path, summary, query, body: &[] }
}

/// A list that can grow comes in pages (`page.rs`).
const fn pages(path: &'static str, summary: &'static str) -> Route {
    with_query(path, summary, &["limit", "cursor"])
}

impl Route {
    /// Whether the path is of this pattern.
    fn matches(&self, path: &[&str]) -> bool {
        let mut parts = self.path.split('/').skip(1);
        let fits = |part: &&str| {
            parts.next().is_some_and(|pattern| match pattern {
                // The rate of every number has an empty prefix.
                "{prefix}" => true,
                _ if pattern.starts_with('{') => !part.is_empty(),
                _ => pattern == *part,
            })
        };
        path.iter().all(fits) && parts.next().is_none()
    }

    /// Whether it takes rates as CSV.
    #[must_use]
    pub fn takes_sheet(&self) -> bool {
        self.body == RATE
    }

    /// Nothing in the query is ignored.
    ///
    /// # Errors
    /// Names what has no meaning here.
    pub fn check_query<'q>(
        &self,
        mut names: impl Iterator<Item = &'q String>,
    ) -> Result<(), Refusal> {
        match names.find(|name| !self.query.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(unknown("query", name, self.query)),
        }
    }

    /// Nothing in the body is ignored, but for what is ours to write: an export carries it.
    ///
    /// # Errors
    /// Names what has no meaning here.
    pub fn check_body(&self, body: &Value) -> Result<(), Refusal> {
        let known =
            |name: &String| self.body.contains(&name.as_str()) || OURS.contains(&name.as_str());
        match body {
            Value::Null if self.body.is_empty() => Ok(()),
            Value::Array(items) if self.takes_sheet() => {
                items.iter().try_for_each(|item| self.check_body(item))
            }
            Value::Object(fields) => match fields.keys().find(|name| !known(name)) {
                None => Ok(()),
                Some(name) => Err(unknown("body", name, self.body)),
            },
            _ if self.body.is_empty() => Err(unknown("body", "", &[])),
            _ => {
                let fields = self.body.join(", ");
                Err(Refusal::invalid(format!("body: it is an object with fields of {fields}")))
            }
        }
    }
}

fn unknown(place: &str, name: &str, known: &[&str]) -> Refusal {
    Refusal::invalid(match known {
        [] => format!("{place}: none is taken here"),
        known => format!("{place}: there is no `{name}`; there is {}", known.join(", ")),
    })
}

/// The route that a request takes.
///
/// # Errors
/// When there is no such resource, or it has no such method; the detail says which it has.
pub fn find(method: &str, path: &[&str]) -> Result<&'static Route, Refusal> {
    let routes: Vec<&Route> = ROUTES.iter().filter(|route| route.matches(path)).collect();
    if routes.is_empty() {
        return Err(Refusal::new(404, "no such resource", "see /api/v1/openapi.json"));
    }
    let found = routes.iter().find(|route| route.method.eq_ignore_ascii_case(method));
    found.copied().ok_or_else(|| {
        let methods: Vec<&str> = routes.iter().map(|route| route.method).collect();
        Refusal::new(405, "method not allowed", format!("it takes {}", methods.join(", ")))
    })
}

const ACCOUNT: &[&str] = &["name", "role", "currency", "credit", "locked"];
const TARIFF: &[&str] = &["name", "currency", "fee_precision", "rounding"];
const RATE: &[&str] = &["prefix", "rate", "unit_s", "minimum_s", "increment_s", "connection_fee"];
const MAPPING: &[&str] = &[
    "name",
    "account",
    "tariff",
    "addresses",
    "tech_prefix",
    "lines_max",
    "cps_max",
    "talk_s_max",
    "locked",
    "caller_rules",
    "callee_rules",
];
const ROUTING: &[&str] = &[
    "name",
    "account",
    "tariff",
    "target",
    "prefixes",
    "terminate",
    "priority",
    "weight",
    "lines_max",
    "cps_max",
    "locked",
    "unrated_allowed",
    "stop_codes",
    "caller_rules",
    "callee_rules",
];

/// The table.
pub const ROUTES: &[Route] = &[
    route("get", "/status", "Whether it is ready, and what it carries"),
    pages("/account", "Accounts with balances"),
    with_body("post", "/account", "Create an account", ACCOUNT),
    route("get", "/account/{name}", "One account"),
    with_body("patch", "/account/{name}", "Change an account", ACCOUNT),
    route("delete", "/account/{name}", "Delete an account nobody uses"),
    with_body(
        "post",
        "/account/{name}/payment",
        "Book a payment, once per request id",
        &["amount", "request_id", "memo"],
    ),
    pages("/account/{name}/ledger", "Every entry of a balance, newest first"),
    pages("/tariff", "Tariffs"),
    with_body("post", "/tariff", "Create a tariff", TARIFF),
    route("get", "/tariff/{name}", "One tariff"),
    with_body("patch", "/tariff/{name}", "Change a tariff's head", TARIFF),
    route("delete", "/tariff/{name}", "Delete a tariff nobody uses"),
    pages("/tariff/{name}/rate", "Its rates"),
    with_body("post", "/tariff/{name}/rate", "Add rates (JSON, or text/csv)", RATE),
    with_body("put", "/tariff/{name}/rate", "Replace all rates (JSON, or text/csv)", RATE),
    route("delete", "/tariff/{name}/rate/{prefix}", "Remove a rate"),
    pages("/gateway/mapping", "Customers' gateways"),
    with_body("post", "/gateway/mapping", "Create a customer's gateway", MAPPING),
    route("get", "/gateway/mapping/{name}", "One customer's gateway"),
    with_body("patch", "/gateway/mapping/{name}", "Change a customer's gateway", MAPPING),
    route("delete", "/gateway/mapping/{name}", "Delete a customer's gateway"),
    pages("/gateway/routing", "Vendors' gateways"),
    with_body("post", "/gateway/routing", "Create a vendor's gateway", ROUTING),
    route("get", "/gateway/routing/{name}", "One vendor's gateway"),
    with_body("patch", "/gateway/routing/{name}", "Change a vendor's gateway", ROUTING),
    route("delete", "/gateway/routing/{name}", "Delete a vendor's gateway"),
    with_query(
        "/route/explain",
        "What a call would try, in order, and why not the rest",
        &["gateway", "from", "to"],
    ),
    pages("/call", "Running calls"),
    route("get", "/call/{id}", "One running call"),
    route("delete", "/call/{id}", "Hang a call up"),
    with_query(
        "/cdr",
        "Call records, newest first",
        &[
            "gateway",
            "vendor",
            "caller",
            "callee",
            "billing_mode",
            "end_reason",
            "answered",
            "from",
            "to",
            "limit",
            "cursor",
        ],
    ),
    route("get", "/cdr/{id}", "One call record"),
    route("get", "/param", "System parameters"),
    route("get", "/param/{name}", "One parameter"),
    with_body("put", "/param/{name}", "Change a parameter", &["value"]),
    route("delete", "/param/{name}", "Back to its default"),
    pages("/param/{name}/history", "Who changed it when, newest first"),
    pages("/firewall/deny", "Denied sources"),
    with_body("post", "/firewall/deny", "Deny a source", &["prefix", "for_s", "reason"]),
    route("get", "/firewall/deny/{prefix}", "One denied source"),
    route("delete", "/firewall/deny/{prefix}", "Deny it no longer"),
    pages("/firewall/trust", "Trusted sources"),
    with_body("post", "/firewall/trust", "Trust a source", &["name", "reason"]),
    route("delete", "/firewall/trust/{prefix}", "Trust it no longer"),
    route("get", "/firewall/limit", "Budgets of the driver"),
    route("get", "/firewall/counter", "Packets and bytes by verdict"),
    with_query(
        "/firewall/explain",
        "What the loaded program would do with a packet, and by which rule",
        &["source", "source_port", "destination", "port", "protocol", "payload"],
    ),
    pages("/alarm", "Standing alarms"),
    pages("/event", "Recent events, newest first"),
    route("get", "/drain", "Whether new calls are refused"),
    with_body("post", "/drain", "Refuse new calls, or take them again", &["draining"]),
    route("get", "/openapi.json", "This document"),
];
