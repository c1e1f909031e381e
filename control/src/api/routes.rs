//! Every resource of the API: what it is, and what it takes.

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
    route("get", "/account", "Accounts with balances"),
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
    with_query("/account/{name}/ledger", "Every entry of a balance", &["limit"]),
    route("get", "/tariff", "Tariffs"),
    with_body("post", "/tariff", "Create a tariff", TARIFF),
    route("get", "/tariff/{name}", "One tariff"),
    with_body("patch", "/tariff/{name}", "Change a tariff's head", TARIFF),
    route("delete", "/tariff/{name}", "Delete a tariff nobody uses"),
    route("get", "/tariff/{name}/rate", "Its rates"),
    with_body("post", "/tariff/{name}/rate", "Add rates (JSON, or text/csv)", RATE),
    with_body("put", "/tariff/{name}/rate", "Replace all rates (JSON, or text/csv)", RATE),
    route("delete", "/tariff/{name}/rate/{prefix}", "Remove a rate"),
    route("get", "/gateway/mapping", "Customers' gateways"),
    with_body("post", "/gateway/mapping", "Create a customer's gateway", MAPPING),
    route("get", "/gateway/mapping/{name}", "One customer's gateway"),
    with_body("patch", "/gateway/mapping/{name}", "Change a customer's gateway", MAPPING),
    route("delete", "/gateway/mapping/{name}", "Delete a customer's gateway"),
    route("get", "/gateway/routing", "Vendors' gateways"),
    with_body("post", "/gateway/routing", "Create a vendor's gateway", ROUTING),
    route("get", "/gateway/routing/{name}", "One vendor's gateway"),
    with_body("patch", "/gateway/routing/{name}", "Change a vendor's gateway", ROUTING),
    route("delete", "/gateway/routing/{name}", "Delete a vendor's gateway"),
    with_query(
        "/route/explain",
        "What a call would try, in order, and why not the rest",
        &["gateway", "from", "to"],
    ),
    route("get", "/call", "Running calls"),
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
            "cursor",
            "limit",
        ],
    ),
    route("get", "/cdr/{id}", "One call record"),
    route("get", "/param", "System parameters"),
    route("get", "/param/{name}", "One parameter"),
    with_body("put", "/param/{name}", "Change a parameter", &["value"]),
    route("delete", "/param/{name}", "Back to its default"),
    route("get", "/param/{name}/history", "Who changed it when"),
    route("get", "/firewall/deny", "Denied sources"),
    with_body("post", "/firewall/deny", "Deny a source", &["prefix", "for_s", "reason"]),
    route("get", "/firewall/deny/{prefix}", "One denied source"),
    route("delete", "/firewall/deny/{prefix}", "Deny it no longer"),
    route("get", "/firewall/trust", "Trusted sources"),
    with_body("post", "/firewall/trust", "Trust a source", &["name", "reason"]),
    route("delete", "/firewall/trust/{prefix}", "Trust it no longer"),
    route("get", "/firewall/limit", "Budgets of the driver"),
    route("get", "/firewall/counter", "Packets and bytes by verdict"),
    with_query(
        "/firewall/explain",
        "What the loaded program would do with a packet, and by which rule",
        &["source", "source_port", "destination", "port", "protocol", "payload"],
    ),
    route("get", "/alarm", "Standing alarms"),
    with_query("/event", "Recent events", &["limit"]),
    route("get", "/drain", "Whether new calls are refused"),
    with_body("post", "/drain", "Refuse new calls, or take them again", &["draining"]),
    route("get", "/openapi.json", "This document"),
];
