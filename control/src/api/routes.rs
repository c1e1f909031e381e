//! Every resource of the API: what it is, and what it takes. What is not in the table is refused.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::{compare, dispute, openapi, report};
use crate::Refusal;
use crate::decide::books::Booking;
use crate::decide::command::NewDrain;
use crate::decide::correct::NewCorrection;
use crate::decide::firewall::NewDenial;
use crate::decide::opening::{NewCode, NewOpening, NewTrust};
use crate::decide::parameter::NewValue;
use crate::decide::rerate::NewRerate;
use crate::report::{KindShown, ReportShown};
use crate::shown::backup::{BackupExamined, BackupShown, NewBackup};
use crate::shown::{
    AbuserShown, AccountEventShown, AccountShown, AlarmShown, AuditShown, BookedShown, CallShown,
    CdrShown, CodeMade, CodeShown, CompareReport, CorrectedShown, DayShown, DeniedShown,
    DisputeReport, DrainShown, DriverCounter, DriverLimit, EventShown, GenerateReport,
    GeoRangeShown, GeoShown, HourShown, ImportEntryShown, ImportShown, ImportTaken, InvoiceRow,
    InvoiceShown, LedgerShown, ListOf, MappingShown, NumberOwnerShown, NumberSectionShown,
    PacketExplained, PageOf, ParameterChangeShown, ParameterShown, PhoneShown, PresetShown,
    QualityShown, RangesTaken, RateDifference, RatesTaken, RecordingShown, RegistrationShown,
    RerateShown, RouteExplained, RoutingShown, SheetReport, SignatureShown, StatementShown, Status,
    SubscriptionShown, SuspensionShown, TalkerShown, TariffShown, TrustedShown,
};
use crate::shown::{NewInvoice, NewInvoicePayment, NewNote, NewSending};
use crate::state::OURS;
use crate::state::entity::Phone;
use crate::state::entity::{
    Account, EntryRow, GeoHead, GeoRow, Mapping, NumberSection, NumberTransform, Package, RateRow,
    RecordMapping, Right, Routing, SheetMapping, Subscription, TariffHead, Trusted, User,
};

/// Makes the schema of a type.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a request carries.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// Such an object.
    One(Shape),
    /// Some fields of such an object.
    Some(Shape),
    /// Such an object, several of them, or a sheet of them as CSV.
    Many(Shape),
    /// The same of ranges, or a plain list with one in each line.
    Ranges(Shape),
    /// The same of entries of the deny list; wrong lines are told by their numbers.
    Entries(Shape),
    /// A file as somebody else's program wrote it.
    File,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// HTTP method, lower case.
    pub method: &'static str,
    /// Path below `/api/v1`.
    pub path: &'static str,
    /// What somebody must be allowed.
    pub right: Right,
    /// What it does.
    pub summary: &'static str,
    /// Query parameters.
    pub query: &'static [&'static str],
    /// The body of the request.
    pub takes: Takes,
    /// The body of the answer; `None`: there is nothing to say (204).
    pub gives: Option<Shape>,
}

const fn look<T: JsonSchema>(path: &'static str, summary: &'static str) -> Route {
    asked::<T>(path, summary, &[])
}

const fn asked<T: JsonSchema>(
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
) -> Route {
    let (takes, gives) = (Takes::Nothing, Some(of::<T> as Shape));
    Route { method: "get", path, right: Right::Look, summary, query, takes, gives }
}

/// A list that can grow comes in pages (`page.rs`).
const fn pages<T: JsonSchema>(path: &'static str, summary: &'static str) -> Route {
    asked::<PageOf<T>>(path, summary, &["limit", "cursor"])
}

const fn say<T: JsonSchema>(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    takes: Takes,
) -> Route {
    let (right, gives) = (Right::Administer, Some(of::<T> as Shape));
    Route { method, path, right, summary, query: &[], takes, gives }
}

const fn delete(path: &'static str, summary: &'static str) -> Route {
    let (method, right, takes) = ("delete", Right::Administer, Takes::Nothing);
    Route { method, path, right, summary, query: &[], takes, gives: None }
}

/// What changes something takes an administrator; this an operator may do as well.
const fn operate(route: Route) -> Route {
    Route { right: Right::Operate, ..route }
}

/// The fields of each route's body, by its place in the table.
static FIELDS: LazyLock<Vec<Vec<&'static str>>> =
    LazyLock::new(|| ROUTES.iter().map(|route| openapi::fields(route.takes)).collect());

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

    /// Whether it takes a sheet as CSV.
    #[must_use]
    pub fn takes_sheet(&self) -> bool {
        matches!(self.takes, Takes::Many(_) | Takes::Ranges(_))
    }

    /// The fields that a body may have.
    #[must_use]
    pub fn fields(&self) -> &'static [&'static str] {
        let same = |other: &Self| (other.method, other.path) == (self.method, self.path);
        let place = ROUTES.iter().position(same);
        place.and_then(|place| FIELDS.get(place)).map_or(&[], Vec::as_slice)
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
        let fields = self.fields();
        let known =
            |name: &String| fields.contains(&name.as_str()) || OURS.contains(&name.as_str());
        match body {
            Value::Null if fields.is_empty() => Ok(()),
            Value::Array(items) if self.takes_sheet() => {
                items.iter().try_for_each(|item| self.check_body(item))
            }
            Value::Object(object) => match object.keys().find(|name| !known(name)) {
                None => Ok(()),
                Some(name) => Err(unknown("body", name, fields)),
            },
            _ if fields.is_empty() => Err(unknown("body", "", &[])),
            _ => {
                let fields = fields.join(", ");
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

/// `1`: the password is made here, and shown this once.
pub(super) const GENERATE: &str = "generate_password";

/// The file of a recorded call.
pub(super) const RECORDED: &str = "/recording/{file}";

/// A document of money as PDF, and as CSV.
pub(super) const PAPER: &str = "/invoice/{name}/pdf";
pub(super) const TABLE: &str = "/invoice/{name}/csv";

/// A vendor's file beside our records.
pub(super) const DISPUTED: &str = "/cdr/dispute";

/// Fees of another switch beside ours.
pub(super) const COMPARED: &str = "/cdr/compare";

/// The table.
pub const ROUTES: &[Route] = &[
    look::<Status>("/status", "Whether it is ready, and what it carries"),
    pages::<AccountShown>("/account", "Accounts with balances"),
    say::<AccountShown>("post", "/account", "Create an account", Takes::One(of::<Account>)),
    look::<AccountShown>("/account/{name}", "One account"),
    say::<AccountShown>(
        "patch",
        "/account/{name}",
        "Change an account",
        Takes::Some(of::<Account>),
    ),
    delete("/account/{name}", "Delete an account nobody uses"),
    say::<BookedShown>(
        "post",
        "/account/{name}/payment",
        "Book a payment, once per request id",
        Takes::One(of::<Booking>),
    ),
    say::<BookedShown>(
        "post",
        "/account/{name}/refund",
        "Give money back, once per request id",
        Takes::One(of::<Booking>),
    ),
    say::<BookedShown>(
        "post",
        "/account/{name}/correction",
        "Set a balance right, once per request id",
        Takes::One(of::<Booking>),
    ),
    asked::<PageOf<LedgerShown>>(
        "/account/{name}/ledger",
        "Every entry of a balance, newest first",
        &["limit", "cursor", "kind", "from", "to"],
    ),
    asked::<StatementShown>(
        "/account/{name}/statement",
        "What moved a balance in a time",
        &["from", "to"],
    ),
    pages::<AccountEventShown>(
        "/account/{name}/history",
        "When it was made, locked, over or low on money, newest first",
    ),
    look::<ListOf<KindShown>>("/reports", "Which reports there are"),
    asked::<ReportShown>(
        "/reports/{kind}",
        "A report of ended calls or of balances",
        report::QUERY,
    ),
    look::<AuditShown>("/ledger/audit", "Whether balances, entries and records agree"),
    pages::<TariffShown>("/tariff", "Tariffs"),
    say::<TariffShown>("post", "/tariff", "Create a tariff", Takes::One(of::<TariffHead>)),
    look::<TariffShown>("/tariff/{name}", "One tariff"),
    say::<TariffShown>(
        "patch",
        "/tariff/{name}",
        "Change a tariff's head",
        Takes::Some(of::<TariffHead>),
    ),
    delete("/tariff/{name}", "Delete a tariff nobody uses"),
    pages::<RateRow>("/tariff/{name}/rate", "Its rates"),
    say::<RatesTaken>("post", "/tariff/{name}/rate", "Add rates", Takes::Many(of::<RateRow>)),
    Route {
        query: &["effective"],
        ..say::<RatesTaken>(
            "put",
            "/tariff/{name}/rate",
            "Replace all rates, at once or from an instant on",
            Takes::Many(of::<RateRow>),
        )
    },
    delete("/tariff/{name}/rate/{prefix}", "Remove a rate"),
    Route {
        query: &["mapping", "mode", "effective", "dry_run", "skip"],
        ..say::<SheetReport>(
            "post",
            "/tariff/{name}/sheet",
            "Take a vendor's rate sheet, a .csv or .xlsx, by a saved mapping; dry_run=1: only say what it would change",
            Takes::File,
        )
    },
    Route {
        query: &[
            "cost",
            "margin_percent",
            "margin",
            "decimals",
            "effective",
            "notice_days",
            "close",
            "dry_run",
        ],
        ..say::<GenerateReport>(
            "post",
            "/tariff/{name}/generate",
            "Make a customer's tariff of cost and margin; dearer rates hold once the notice is over",
            Takes::Nothing,
        )
    },
    Route {
        query: &["from", "to", "with", "limit", "cursor"],
        ..pages::<RateDifference>(
            "/tariff/{name}/diff",
            "What differs between two instants of a tariff, or between two tariffs",
        )
    },
    pages::<SheetMapping>("/sheet/mapping", "How vendors write their rate sheets"),
    say::<SheetMapping>(
        "post",
        "/sheet/mapping",
        "Say how a vendor writes his rate sheets",
        Takes::One(of::<SheetMapping>),
    ),
    look::<SheetMapping>("/sheet/mapping/{name}", "One of them"),
    say::<SheetMapping>(
        "patch",
        "/sheet/mapping/{name}",
        "Change how his sheets are read",
        Takes::Some(of::<SheetMapping>),
    ),
    delete("/sheet/mapping/{name}", "Delete it; what was read by it stays"),
    pages::<RecordMapping>("/record/mapping", "How other switches write their call records"),
    say::<RecordMapping>(
        "post",
        "/record/mapping",
        "Say how another switch writes its call records",
        Takes::One(of::<RecordMapping>),
    ),
    look::<RecordMapping>("/record/mapping/{name}", "One of them"),
    say::<RecordMapping>(
        "patch",
        "/record/mapping/{name}",
        "Change how its records are read",
        Takes::Some(of::<RecordMapping>),
    ),
    delete("/record/mapping/{name}", "Delete it"),
    pages::<Package>("/package", "What accounts can subscribe to"),
    say::<Package>("post", "/package", "Create a package", Takes::One(of::<Package>)),
    look::<Package>("/package/{name}", "One package"),
    say::<Package>(
        "patch",
        "/package/{name}",
        "Change a package; its rent from the next period on, all else at once",
        Takes::Some(of::<Package>),
    ),
    delete("/package/{name}", "Delete a package that nobody has"),
    pages::<SubscriptionShown>("/subscription", "Who has which package, and what is left of it"),
    say::<SubscriptionShown>(
        "post",
        "/subscription",
        "Give a package to an account",
        Takes::One(of::<Subscription>),
    ),
    look::<SubscriptionShown>("/subscription/{name}", "One subscription"),
    say::<SubscriptionShown>(
        "patch",
        "/subscription/{name}",
        "Change when it ends, or before which others it pays",
        Takes::Some(of::<Subscription>),
    ),
    look::<ListOf<SubscriptionShown>>("/account/{name}/subscription", "Those of an account"),
    delete("/subscription/{name}", "End it at once; nothing more is charged for it"),
    asked::<PageOf<NumberSectionShown>>(
        "/number/section",
        "Which numbers are whose",
        &["limit", "cursor", "account"],
    ),
    say::<NumberSectionShown>(
        "post",
        "/number/section",
        "Say that numbers are an account's",
        Takes::One(of::<NumberSection>),
    ),
    look::<NumberSectionShown>("/number/section/{name}", "One section"),
    say::<NumberSectionShown>(
        "patch",
        "/number/section/{name}",
        "Give a section to another account, or change what is noted",
        Takes::Some(of::<NumberSection>),
    ),
    delete("/number/section/{name}", "Delete it: its numbers are nobody's"),
    pages::<NumberTransform>("/number/transform", "Rules for the numbers of every call"),
    say::<NumberTransform>(
        "post",
        "/number/transform",
        "Make a rule for every call",
        Takes::One(of::<NumberTransform>),
    ),
    look::<NumberTransform>("/number/transform/{name}", "One of them"),
    say::<NumberTransform>(
        "patch",
        "/number/transform/{name}",
        "Change a rule",
        Takes::Some(of::<NumberTransform>),
    ),
    delete("/number/transform/{name}", "Delete a rule"),
    look::<NumberOwnerShown>("/number/owner/{number}", "Whose a number is"),
    pages::<MappingShown>("/gateway/mapping", "Customers' gateways"),
    say::<MappingShown>(
        "post",
        "/gateway/mapping",
        "Create a customer's gateway",
        Takes::One(of::<Mapping>),
    ),
    look::<MappingShown>("/gateway/mapping/{name}", "One customer's gateway"),
    say::<MappingShown>(
        "patch",
        "/gateway/mapping/{name}",
        "Change a customer's gateway",
        Takes::Some(of::<Mapping>),
    ),
    delete("/gateway/mapping/{name}", "Delete a customer's gateway"),
    pages::<RoutingShown>("/gateway/routing", "Vendors' gateways"),
    say::<RoutingShown>(
        "post",
        "/gateway/routing",
        "Create a vendor's gateway",
        Takes::One(of::<Routing>),
    ),
    look::<RoutingShown>("/gateway/routing/{name}", "One vendor's gateway"),
    say::<RoutingShown>(
        "patch",
        "/gateway/routing/{name}",
        "Change a vendor's gateway",
        Takes::Some(of::<Routing>),
    ),
    delete("/gateway/routing/{name}", "Delete a vendor's gateway"),
    pages::<PhoneShown>("/phone", "Phones"),
    Route {
        query: &[GENERATE],
        ..say::<PhoneShown>("post", "/phone", "Create a phone", Takes::One(of::<Phone>))
    },
    look::<PhoneShown>("/phone/{name}", "One phone"),
    Route {
        query: &[GENERATE],
        ..say::<PhoneShown>("patch", "/phone/{name}", "Change a phone", Takes::Some(of::<Phone>))
    },
    delete("/phone/{name}", "Delete a phone"),
    pages::<RegistrationShown>("/registration", "Who is registered where"),
    look::<RegistrationShown>("/registration/{name}", "One address of record"),
    operate(delete("/registration/{name}", "Forget all its contacts")),
    asked::<RouteExplained>(
        "/route/explain",
        "What a call would try, in order, and why not the rest",
        &["gateway", "from", "to"],
    ),
    pages::<CallShown>("/call", "Running calls"),
    look::<CallShown>("/call/{id}", "One running call"),
    operate(delete("/call/{id}", "Hang a call up")),
    pages::<QualityShown>("/quality", "What media of ended calls were like, by gateway"),
    asked::<PageOf<CdrShown<'static>>>(
        "/cdr",
        "Call records, newest first: those that go on, then by their end",
        &[
            "gateway",
            "vendor",
            "account",
            "vendor_account",
            "hold_ms_min",
            "caller",
            "callee",
            "billing_mode",
            "end_reason",
            "answered",
            "from",
            "to",
            "archive",
            "limit",
            "cursor",
        ],
    ),
    asked::<PageOf<InvoiceRow>>(
        "/invoice",
        "Invoices, drafts and notes, the newest first",
        &["limit", "cursor", "account", "state"],
    ),
    say::<InvoiceShown>(
        "post",
        "/invoice",
        "Draft an invoice of a time of an account, or draft it again",
        Takes::One(of::<NewInvoice>),
    ),
    look::<InvoiceShown>("/invoice/{name}", "One of them, with its lines"),
    delete("/invoice/{name}", "Delete a draft"),
    look::<String>(PAPER, "The document as PDF"),
    look::<String>(TABLE, "The document as CSV"),
    say::<InvoiceShown>(
        "post",
        "/invoice/{name}/issue",
        "Give a draft its number; it never changes from then on",
        Takes::Nothing,
    ),
    say::<InvoiceShown>(
        "post",
        "/invoice/{name}/send",
        "Hand an issued document to the mail server",
        Takes::One(of::<NewSending>),
    ),
    say::<InvoiceShown>(
        "post",
        "/invoice/{name}/payment",
        "Book a payment of an invoice, once per request id",
        Takes::One(of::<NewInvoicePayment>),
    ),
    say::<InvoiceShown>(
        "post",
        "/invoice/{name}/credit",
        "A note of what its records cost differently by now, or of all of it",
        Takes::One(of::<NewNote>),
    ),
    look::<ListOf<HourShown>>("/cdr/text", "Hours (UTC) of records that are text files"),
    look::<ListOf<DayShown>>("/cdr/day", "Days (UTC) of records, and where they are"),
    say::<DayShown>(
        "post",
        "/cdr/day/{day}/archive",
        "Put a day into a file of its own, and out of the database",
        Takes::Nothing,
    ),
    delete("/cdr/day/{day}", "Delete the file of an archived day; what it adds up to stays"),
    asked::<CdrShown<'static>>("/cdr/{id}", "One call record", &["archive"]),
    Route {
        right: Right::Correct,
        ..say::<CorrectedShown>(
            "post",
            "/cdr/{id}/correction",
            "Set right what a stored call costs, once per request id",
            Takes::One(of::<NewCorrection>),
        )
    },
    Route {
        query: compare::QUERY,
        right: Right::Look,
        ..say::<CompareReport>(
            "post",
            COMPARED,
            "What the call records of another switch, a .csv or .xlsx, cost by our tariffs, and why it is another fee",
            Takes::File,
        )
    },
    Route {
        query: dispute::QUERY,
        right: Right::Look,
        ..say::<DisputeReport>(
            "post",
            DISPUTED,
            "Where a vendor's file of call records, a .csv or .xlsx, and ours differ, by a saved mapping",
            Takes::File,
        )
    },
    Route {
        right: Right::Correct,
        query: &[
            "from",
            "to",
            "gateway",
            "vendor",
            "account",
            "vendor_account",
            "caller",
            "callee",
            "hold_ms_min",
            "limit",
            "cursor",
        ],
        ..say::<RerateShown>(
            "post",
            "/cdr/rerate",
            "Rate a page of answered calls by the tariffs of today, once per request id",
            Takes::One(of::<NewRerate>),
        )
    },
    delete(RECORDED, "Delete one of them, if its call is over"),
    asked::<PageOf<RecordingShown>>(
        "/recording",
        "Files of recorded calls, the oldest day first",
        &["cdr", "limit", "cursor"],
    ),
    look::<ListOf<BackupShown>>("/backup", "Backups, the oldest first"),
    say::<BackupExamined>(
        "post",
        "/backup",
        "Copy the database as it is now, beside its use, and verify the copy",
        Takes::One(of::<NewBackup>),
    ),
    operate(look::<BackupExamined>(
        "/backup/{file}",
        "Verify a backup: its checksum, its structure, its books",
    )),
    Route {
        right: Right::Administer,
        ..look::<String>(RECORDED, "One of them, as audio/wav or application/vnd.tcpdump.pcap")
    },
    look::<ListOf<ParameterShown>>("/param", "System parameters"),
    look::<ParameterShown>("/param/{name}", "One parameter"),
    say::<ParameterShown>("put", "/param/{name}", "Change a parameter", Takes::One(of::<NewValue>)),
    say::<ParameterShown>("delete", "/param/{name}", "Back to its default", Takes::Nothing),
    pages::<ParameterChangeShown>("/param/{name}/history", "Who changed it when, newest first"),
    pages::<DeniedShown>("/firewall/deny", "Denied sources"),
    operate(say::<DeniedShown>(
        "post",
        "/firewall/deny",
        "Deny a source, or deny it anew",
        Takes::One(of::<NewDenial>),
    )),
    look::<DeniedShown>("/firewall/deny/{prefix}", "One denied source"),
    operate(delete("/firewall/deny/{prefix}", "Deny it no longer")),
    pages::<ImportShown>("/firewall/import", "Lists that are denied whole"),
    look::<ImportShown>("/firewall/import/{name}", "One of them"),
    operate(Route {
        query: &["reason", "for_s", "until", "skip"],
        ..say::<ImportTaken>(
            "put",
            "/firewall/import/{name}",
            "Deny a list, in place of what was denied by this name; skip=1: but for its wrong lines",
            Takes::Entries(of::<EntryRow>),
        )
    }),
    operate(delete("/firewall/import/{name}", "Deny none of it any more")),
    pages::<ImportEntryShown>("/firewall/import/{name}/entry", "What it denies"),
    operate(delete("/firewall/import/{name}/entry/{prefix}", "Take one entry out of it")),
    pages::<TrustedShown>("/firewall/trust", "Trusted sources"),
    operate(say::<TrustedShown>(
        "post",
        "/firewall/trust",
        "Trust a source, or trust it anew",
        Takes::One(of::<NewTrust>),
    )),
    look::<TrustedShown>("/firewall/trust/{prefix}", "One trusted source"),
    operate(say::<TrustedShown>(
        "patch",
        "/firewall/trust/{prefix}",
        "Change why it is trusted",
        Takes::Some(of::<Trusted>),
    )),
    operate(delete("/firewall/trust/{prefix}", "Trust it no longer")),
    pages::<CodeShown>("/firewall/code", "Codes by which an address is opened for a while"),
    operate(say::<CodeMade>(
        "post",
        "/firewall/code",
        "Make a code; it is said in the answer, this once",
        Takes::One(of::<NewCode>),
    )),
    look::<CodeShown>("/firewall/code/{name}", "One code"),
    operate(delete("/firewall/code/{name}", "Take a code back, and close what it opened")),
    operate(say::<TrustedShown>(
        "post",
        "/firewall/open",
        "Trust the address of who knows a code",
        Takes::One(of::<NewOpening>),
    )),
    pages::<GeoShown>("/firewall/geo", "Geo sets: named sets of addresses, and how old they are"),
    operate(say::<GeoShown>(
        "post",
        "/firewall/geo",
        "Create a geo set",
        Takes::One(of::<GeoHead>),
    )),
    look::<GeoShown>("/firewall/geo/{name}", "One geo set"),
    operate(say::<GeoShown>(
        "patch",
        "/firewall/geo/{name}",
        "Change whence it is, and of which day",
        Takes::Some(of::<GeoHead>),
    )),
    operate(delete("/firewall/geo/{name}", "Delete a geo set that no fence names")),
    pages::<GeoRangeShown>("/firewall/geo/{name}/range", "Its addresses, as the fewest prefixes"),
    operate(Route {
        query: &["source", "dated"],
        ..say::<RangesTaken>(
            "post",
            "/firewall/geo/{name}/range",
            "Add ranges",
            Takes::Ranges(of::<GeoRow>),
        )
    }),
    operate(Route {
        query: &["source", "dated"],
        ..say::<RangesTaken>(
            "put",
            "/firewall/geo/{name}/range",
            "Replace all ranges",
            Takes::Ranges(of::<GeoRow>),
        )
    }),
    operate(delete("/firewall/geo/{name}/range/{range}", "Take the addresses of a range out")),
    pages::<SuspensionShown>("/firewall/suspended", "Who is shut out because logins failed"),
    operate(delete("/firewall/suspended/{id}", "Let someone in again at once")),
    pages::<AbuserShown>("/firewall/abuse", "Accounts that began to call where it is dear"),
    operate(Route {
        query: &["accept"],
        ..delete(
            "/firewall/abuse/{name}",
            "Take an account from that list at once; accept=1: what it called is usual from now on",
        )
    }),
    look::<ListOf<DriverLimit>>("/firewall/limit", "Limits of the driver"),
    look::<ListOf<PresetShown>>("/firewall/preset", "Sets of limits by name"),
    operate(say::<ListOf<DriverLimit>>(
        "post",
        "/firewall/preset/{name}",
        "Set all that a preset is about",
        Takes::Nothing,
    )),
    look::<ListOf<SignatureShown>>(
        "/firewall/signature",
        "Scanners that are known by name, and what each name dropped",
    ),
    look::<ListOf<DriverCounter>>("/firewall/counter", "Packets and bytes by verdict"),
    look::<ListOf<TalkerShown>>(
        "/firewall/talker",
        "Who of strangers, and of those dropped, sends most",
    ),
    asked::<PacketExplained>(
        "/firewall/explain",
        "What the loaded program would do with a packet, and by which rule",
        &["source", "source_port", "destination", "port", "protocol", "payload"],
    ),
    pages::<AlarmShown>("/alarm", "Standing alarms"),
    pages::<EventShown>("/event", "Recent events, newest first"),
    look::<DrainShown>("/drain", "Whether new calls are refused"),
    operate(say::<DrainShown>(
        "post",
        "/drain",
        "Refuse new calls, or take them again",
        Takes::One(of::<NewDrain>),
    )),
    pages::<User>("/user", "Who may use the API, and as what"),
    say::<User>(
        "post",
        "/user",
        "List a user; from the first on nobody else may",
        Takes::One(of::<User>),
    ),
    look::<User>("/user/{name}", "One user"),
    say::<User>("patch", "/user/{name}", "Change a user's role", Takes::Some(of::<User>)),
    delete(
        "/user/{name}",
        "A user may do nothing any more; without the last one whoever reaches the socket may do all",
    ),
    look::<BTreeMap<String, Value>>("/openapi.json", "This document"),
];
