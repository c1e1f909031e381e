//! Reports: which there are, by what each is told apart, and what it measures.
//!
//! One table, [`KINDS`]. The store reads by it, the API shows by it, the OpenAPI document is made from it.
//! What a measure is stands in `report/measure.rs`, once for all reports.

pub mod area;
pub mod calendar;
pub mod country;
pub mod measure;

use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Refusal;
use crate::shown::Moment;
use calendar::Every;
use measure::Measure;

/// What rows of a report are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Records but for illegal calls: each call once, with the vendor it tried last.
    Calls,
    /// The same that were not answered.
    Failures,
    /// Each vendor that a call tried.
    Attempts,
    /// Those on which an agent earns.
    Agents,
    /// Illegal calls, those of a flood by the number that their record stands for.
    Illegal,
    /// Entries of balances.
    Ledger,
}

/// By what rows are told apart, beside their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Who pays.
    Account,
    /// Who is paid.
    VendorAccount,
    /// Who earns on calls of customers.
    Agent,
    /// The mapping gateway or calling phone.
    Gateway,
    /// The routing gateway or called phone.
    VendorGateway,
    /// Whither.
    Area,
    /// Why it ended.
    EndReason,
    /// What the caller was told.
    Status,
    /// Whence an illegal call came.
    Source,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Account,
        Self::VendorAccount,
        Self::Agent,
        Self::Gateway,
        Self::VendorGateway,
        Self::Area,
        Self::EndReason,
        Self::Status,
        Self::Source,
    ];

    /// The name of its column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::VendorAccount => "vendor_account",
            Self::Agent => "agent",
            Self::Gateway => "gateway",
            Self::VendorGateway => "vendor_gateway",
            Self::Area => "area",
            Self::EndReason => "end_reason",
            Self::Status => "status",
            Self::Source => "source",
        }
    }

    fn doc(self) -> &'static str {
        match self {
            Self::Account => {
                "Who pays, by the name of today; # and a number: deleted; empty: nobody"
            }
            Self::VendorAccount => {
                "Who is paid, by the name of today; # and a number: deleted; empty: nobody"
            }
            Self::Agent => {
                "Who earns on the calls, by the name of today; # and a number: deleted; empty: nobody"
            }
            Self::Gateway => "The mapping gateway or calling phone at the time",
            Self::VendorGateway => "The routing gateway or called phone at the time",
            Self::Area => {
                "The country code of the called number, or its first digits; empty: no such number"
            }
            Self::EndReason => "Why it ended (docs/operations.md)",
            Self::Status => "The final SIP status; 0: none",
            Self::Source => "Whence it came: an address, a network, or `others`",
        }
    }
}

/// The column beside that of the area.
pub const AREA_NAME: &str = "area_name";

/// One report.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub doc: &'static str,
    /// Of what.
    pub reads: Reads,
    /// Its stretch of time, unless another is asked for.
    pub every: Every,
    /// By what rows are told apart.
    pub dimensions: &'static [Dimension],
    /// What is measured.
    pub measures: &'static [Measure],
}

/// What is measured of money on both sides.
const WHOLE: &[Measure] = &[
    Measure::Attempts,
    Measure::Answered,
    Measure::Asr,
    Measure::Acd,
    Measure::Pdd,
    Measure::TalkMs,
    Measure::Minutes,
    Measure::Revenue,
    Measure::Cost,
    Measure::Earnings,
    Measure::Profit,
];

/// What a customer is billed.
const SOLD: &[Measure] = &[
    Measure::Attempts,
    Measure::Answered,
    Measure::TalkMs,
    Measure::BilledS,
    Measure::Revenue,
    Measure::Tax,
];

/// Every report.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "revenue",
        doc: "What each account was charged",
        reads: Reads::Calls,
        every: Every::Day,
        dimensions: &[Dimension::Account],
        measures: SOLD,
    },
    Kind {
        name: "gateway-bill",
        doc: "Traffic and revenue of each customer's gateway",
        reads: Reads::Calls,
        every: Every::Whole,
        dimensions: &[Dimension::Account, Dimension::Gateway],
        measures: SOLD,
    },
    Kind {
        name: "balances",
        doc: "What each account had, what moved it, and what it had in the end",
        reads: Reads::Ledger,
        every: Every::Whole,
        dimensions: &[Dimension::Account],
        measures: &Measure::OF_BALANCES,
    },
    Kind {
        name: "clearing",
        doc: "What each vendor is owed, by its gateways",
        reads: Reads::Calls,
        every: Every::Whole,
        dimensions: &[Dimension::VendorAccount, Dimension::VendorGateway],
        measures: &[
            Measure::Attempts,
            Measure::Answered,
            Measure::VendorBilledS,
            Measure::Cost,
            Measure::VendorTax,
        ],
    },
    Kind {
        name: "agents",
        doc: "What each agent earned, by his customers",
        reads: Reads::Agents,
        every: Every::Whole,
        dimensions: &[Dimension::Agent, Dimension::Account],
        measures: &[
            Measure::Attempts,
            Measure::Answered,
            Measure::TalkMs,
            Measure::BilledS,
            Measure::Revenue,
            Measure::Earnings,
        ],
    },
    Kind {
        name: "traffic",
        doc: "Load, quality and profit over time",
        reads: Reads::Calls,
        every: Every::Hour,
        dimensions: &[],
        measures: WHOLE,
    },
    Kind {
        name: "mapping",
        doc: "Quality, volume and profit of each customer's gateway",
        reads: Reads::Calls,
        every: Every::Whole,
        dimensions: &[Dimension::Gateway],
        measures: WHOLE,
    },
    Kind {
        name: "routing",
        doc: "Quality and volume of each vendor's gateway: every time it was tried",
        reads: Reads::Attempts,
        every: Every::Whole,
        dimensions: &[Dimension::VendorGateway],
        measures: &[
            Measure::Attempts,
            Measure::Answered,
            Measure::Asr,
            Measure::Acd,
            Measure::Pdd,
            Measure::TalkMs,
            Measure::Minutes,
        ],
    },
    Kind {
        name: "failures",
        doc: "Calls that were not answered, by cause",
        reads: Reads::Failures,
        every: Every::Whole,
        dimensions: &[
            Dimension::EndReason,
            Dimension::Status,
            Dimension::Gateway,
            Dimension::VendorGateway,
        ],
        measures: &[Measure::Attempts],
    },
    Kind {
        name: "area",
        doc: "Quality, volume and profit by destination",
        reads: Reads::Calls,
        every: Every::Whole,
        dimensions: &[Dimension::Area],
        measures: WHOLE,
    },
    Kind {
        name: "cross",
        doc: "The same by customer's gateway and destination",
        reads: Reads::Calls,
        every: Every::Whole,
        dimensions: &[Dimension::Gateway, Dimension::Area],
        measures: WHOLE,
    },
    Kind {
        name: "illegal",
        doc: "Illegal calls by source and hour",
        reads: Reads::Illegal,
        every: Every::Hour,
        dimensions: &[Dimension::Source],
        measures: &[Measure::Attempts],
    },
];

impl Kind {
    /// The report of this name.
    ///
    /// # Errors
    /// Names those that there are.
    pub fn find(name: &str) -> Result<&'static Self, Refusal> {
        KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            Refusal::new(404, "no such report", format!("there is {}", names.join(", ")))
        })
    }

    /// Whether any of it is money.
    #[must_use]
    pub fn has_money(&self) -> bool {
        self.measures.iter().any(|measure| measure.is_money())
    }

    /// The names of its columns, in their order.
    #[must_use]
    pub fn columns(&self, every: Every) -> Vec<&'static str> {
        let time: &[&str] = if every == Every::Whole { &[] } else { &["begins", "period"] };
        let money = self.has_money().then_some("currency");
        let dimensions = self.dimensions.iter().flat_map(|dimension| match dimension {
            Dimension::Area => vec![dimension.name(), AREA_NAME],
            _ => vec![dimension.name()],
        });
        let measures = self.measures.iter().map(|measure| measure.name());
        time.iter().copied().chain(dimensions).chain(money).chain(measures).collect()
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which report.
    pub kind: &'static Kind,
    /// Not before, µs since 1970 UTC.
    pub from_us: i64,
    /// Before, µs since 1970 UTC.
    pub to_us: i64,
    /// Where days and hours begin.
    pub zone: TimeZone,
    /// Each row's stretch of time.
    pub every: Every,
    /// An area is so many digits; `None`: a country code.
    pub area_digits: Option<usize>,
    /// Who earned on the calls, by number.
    pub agent: Option<u32>,
    /// Who pays, by name; one that is deleted by its number.
    pub account: Option<String>,
    /// Who is paid, likewise.
    pub vendor_account: Option<String>,
    /// Mapping gateway.
    pub gateway: Option<String>,
    /// Routing gateway.
    pub vendor: Option<String>,
}

/// A report.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ReportShown {
    /// Which.
    pub report: &'static str,
    /// Not before; null: ever.
    pub from: Option<Moment>,
    /// Before; null: now.
    pub to: Option<Moment>,
    /// Where days and hours begin.
    pub time_zone: String,
    /// `whole`, `hour`, `day` or `month`.
    pub by: &'static str,
    /// The columns in their order.
    pub columns: Vec<&'static str>,
    /// Its rows.
    pub items: Vec<RowShown>,
    /// All rows in one, or in one for each currency.
    pub totals: Vec<RowShown>,
}

/// A row of a report: the columns that its kind has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct RowShown(pub Map<String, Value>);

impl JsonSchema for RowShown {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ReportRow".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut columns = Map::new();
        let begins = "Since when; later than the stretch begins where less of it was asked for";
        let mut add = |name: &str, mut schema: Value, doc: &str| {
            schema["description"] = doc.into();
            columns.insert(name.to_owned(), schema);
        };
        add("begins", json!({ "type": "string", "format": "date-time" }), begins);
        add("period", json!({ "type": "string" }), "The hour, day or month in the time zone");
        let currency =
            "ISO 4217; empty: nobody's. Money in another currency stands in a row of its own";
        add("currency", json!({ "type": "string" }), currency);
        for dimension in Dimension::ALL {
            let kind = if dimension == Dimension::Status { "integer" } else { "string" };
            add(dimension.name(), json!({ "type": kind }), dimension.doc());
        }
        let country = "The country of that area; several with one code have one name; empty: none";
        add(AREA_NAME, json!({ "type": "string" }), country);
        for measure in Measure::ALL {
            add(measure.name(), measure.schema(), measure.doc());
        }
        json_schema!({ "type": "object", "properties": columns })
    }
}

/// A report that there is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KindShown {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub doc: &'static str,
    /// `whole`, `hour`, `day` or `month`, unless another is asked for.
    pub by: &'static str,
    /// Its columns.
    pub columns: Vec<&'static str>,
}

impl KindShown {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let show = |kind: &Kind| Self {
            name: kind.name,
            doc: kind.doc,
            by: kind.every.name(),
            columns: kind.columns(kind.every),
        };
        KINDS.iter().map(show).collect()
    }
}
