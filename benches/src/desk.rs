//! A decision loop with something to decide: a customer, two vendors, a tariff of ten thousand prefixes.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use control::Time;
use control::decide::{Command, Method, Office};
use control::store::Loaded;
use link::answer::Route;
use link::ask::{Admit, Answered};
use link::message::Down;
use link::record::{Attempt, CallKey, CallRecord, EndReason, Facts};
use link::{Answer, Ask, Endpoint, Text};
use serde_json::{Value, json};

use crate::phones::{CALLER, VENDOR, socket};

/// Prefixes of each tariff.
const RATES: u32 = 10_000;

/// Who calls this calls for help.
pub const HELP: &str = "112";

/// An office, and whoever asks it.
pub struct Desk {
    office: Office,
    time: Time,
    calls: u64,
}

impl Desk {
    /// A customer with money calls by two vendors.
    ///
    /// # Errors
    /// When the office refuses what the desk is made of.
    pub fn open() -> Result<Self, Box<dyn Error>> {
        let time = Time { now: Duration::from_secs(1_000), wall_us: 1_700_000_000_000_000 };
        // Where a worker is behind it, it has as many ports as calls need: none may rest.
        let parameters = [("TG_MEDIA_PORT_QUARANTINE".to_owned(), "0".to_owned())].into();
        let loaded = Loaded { parameters, ..Loaded::default() };
        let mut desk = Self { office: Office::new(loaded, 1), time, calls: 0 };
        for role in ["customer", "vendor"] {
            desk.post("account", json!({"name": role, "role": role}))?;
        }
        for (tariff, rate) in [("sell", "0.60"), ("buy", "0.30")] {
            desk.post("tariff", json!({"name": tariff}))?;
            let row = |prefix: String| json!({"prefix": prefix, "rate": rate});
            let prefixes = (0..RATES).map(|number| format!("44{number:04}"));
            let prefixes = prefixes.chain([HELP.to_owned()]);
            let rows = prefixes.map(|prefix| serde_json::from_value(row(prefix)));
            let mut command = command(&format!("tariff/{tariff}/rate"), Value::Null);
            command.rates = rows.collect::<Result<_, _>>()?;
            desk.say(&command)?;
        }
        let gateway = json!({
            "name": "in", "account": "customer", "tariff": "sell",
            "addresses": [socket(CALLER).ip().to_string()],
        });
        desk.post("gateway/mapping", gateway)?;
        for (place, name) in ["first", "second"].iter().enumerate() {
            let gateway = json!({
                "name": name, "account": "vendor", "tariff": "buy", "priority": place + 1,
                "target": VENDOR, "prefixes": ["44", HELP],
            });
            desk.post("gateway/routing", gateway)?;
        }
        let payment = json!({"amount": "1000000", "request_id": "opening"});
        desk.post("account/customer/payment", payment)?;
        desk.store();
        Ok(desk)
    }

    fn post(&mut self, path: &str, body: Value) -> Result<(), Box<dyn Error>> {
        self.say(&command(path, body))
    }

    fn say(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        let refused = |refusal: control::Refusal| format!("{}: {}", refusal.title, refusal.detail);
        self.office.handle_command(self.time, command).map(drop).map_err(refused)?;
        Ok(())
    }

    /// The office itself.
    #[must_use]
    pub fn into_office(self) -> Office {
        self.office
    }

    /// A call is admitted and answered, its start durable at once. Its record when it will have ended.
    ///
    /// # Panics
    /// When the office does not say what it must.
    pub fn begin(&mut self, call: CallKey) -> CallRecord {
        self.calls += 1;
        let asked = admit(call, [self.calls, 7], self.time.wall_us);
        self.office.handle_ask(self.time, 0, &Ask::Admit(asked), || None);
        let answer = self.answer();
        let Some(Answer::Route(route)) = answer else { panic!("{answer:?}") };
        let record = talked(&asked, &route);
        let answered = Ask::Answered(Answered { call, asked_us: 0 });
        self.office.handle_ask(self.time, 0, &answered, || Some(record));
        self.store();
        let committed = self.answer();
        assert!(matches!(committed, Some(Answer::Committed(_))), "{committed:?}");
        record
    }

    /// What the office answers next; its orders to the worker are nobody's here.
    fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Down::Answer(answer) = self.office.poll_down(0)? {
                return Some(answer);
            }
        }
    }

    /// One whole call: admission, start record, both charges, end record.
    ///
    /// # Panics
    /// When the office does not say what it must.
    pub fn call(&mut self) {
        self.time.now += Duration::from_millis(20);
        self.time.wall_us += 20_000;
        let call = CallKey { slot: 7, generation: self.calls as u32 };
        let record = self.begin(call);
        self.office.handle_ended(self.time, 0, call, &record, false);
        self.store();
        assert_eq!(self.office.poll_release(), Some((0, call)), "its slot is free");
    }

    /// Takes all changes, as a store that is never late.
    fn store(&mut self) {
        while let Some(change) = self.office.poll_change() {
            std::hint::black_box(change);
        }
        self.office.handle_stored(self.office.last_change());
    }
}

/// What a worker asks about an INVITE of the customer.
///
/// # Panics
/// Never: the numbers fit.
#[must_use]
pub fn admit(call: CallKey, record: [u64; 2], started_us: u64) -> Admit {
    let text = "a number fits";
    let facts = Facts {
        source: Endpoint::from(socket(CALLER)),
        caller: Text::new(b"49301234567").expect(text),
        callee: Text::new(b"442079460123").expect(text),
        call_id: Text::new(b"7f3a9c52e8d1@sbc.example").expect(text),
        cseq: 1,
        ..Facts::default()
    };
    Admit {
        call,
        record,
        asked_us: 0,
        deadline_us: u64::MAX,
        started_us,
        facts,
        identities: Default::default(),
        credentials: Default::default(),
        transferor: 0,
        spare: 0,
    }
}

fn command(path: &str, body: Value) -> Command {
    Command {
        method: Method::Post,
        path: path.split('/').map(str::to_owned).collect(),
        query: BTreeMap::new(),
        body,
        rates: Vec::new(),
        ranges: None,
        entries: None,
        records: None,
        sheet: None,
    }
}

/// The record of a call that talked for a minute and a half.
fn talked(admit: &Admit, route: &Route) -> CallRecord {
    let [first, ..] = route.candidates;
    let attempt = Attempt {
        gateway: first.gateway,
        answered_ms: 1_000,
        ended_ms: 91_000,
        status: 200,
        ..Attempt::default()
    };
    let mut record = CallRecord {
        id: admit.record,
        started_us: admit.started_us,
        facts: admit.facts,
        customer_gateway: route.customer_gateway,
        caller_billed: route.caller_billed,
        callee_billed: route.callee_billed,
        customer_terms: first.customer_terms,
        vendor_terms: first.terms,
        answered_ms: 1_000,
        ended_ms: 91_000,
        reason: EndReason::Normal as u8,
        attempts_used: 1,
        ..CallRecord::empty()
    };
    if let Some(place) = record.attempts.first_mut() {
        *place = attempt;
    }
    record
}
