//! Invoices: the loop gives numbers, without a gap and each once, and knows what is open; what is on them was read and
//! is written beside it (`api/invoice.rs`).
//!
//! ```text
//!            issue              payments            nothing open
//!  draft ───────────▶ issued ───────────▶ issued ───────────▶ paid
//!                       │  notes: of what its records cost differently by now
//!                       ▼
//!                   cancelled, by a note of all of it
//! ```

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rating::{Money, MoneyFault};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Office;
use crate::invoice::{Billed, Document, Head, Kept, Line, Paper, Standing};
use crate::shown::{self, NewInvoicePayment};
use crate::state::entity::{self, Account};
use crate::store::Change;
use crate::store::ledger::EntryKind;
use crate::{Refusal, Time};

/// Documents that can be had: each is known in memory without its lines.
const INVOICES_MAX: usize = 500_000;

/// All documents.
#[derive(Default)]
pub(super) struct Invoices {
    by_id: BTreeMap<u32, Head>,
    by_name: BTreeMap<String, u32>,
    of_account: BTreeMap<u32, Vec<u32>>,
    last_number: u32,
}

impl Invoices {
    pub(super) fn restore(heads: Vec<Head>) -> Self {
        let mut invoices = Self::default();
        heads.into_iter().for_each(|head| invoices.put(head));
        invoices
    }

    fn put(&mut self, head: Head) {
        self.last_number = self.last_number.max(head.number);
        match self.by_id.get(&head.id) {
            Some(old) => drop(self.by_name.remove(&old.name)),
            None => self.of_account.entry(head.account).or_default().push(head.id),
        }
        self.by_name.insert(head.name.clone(), head.id);
        self.by_id.insert(head.id, head);
    }

    fn remove(&mut self, id: u32) {
        let Some(head) = self.by_id.remove(&id) else { return };
        self.by_name.remove(&head.name);
        if let Some(ids) = self.of_account.get_mut(&head.account) {
            ids.retain(|it| *it != id);
        }
    }

    fn named(&self, name: &str) -> Result<&Head, Refusal> {
        let head = self.by_name.get(name).and_then(|id| self.by_id.get(id));
        head.ok_or_else(|| Refusal::missing("invoice", name))
    }

    fn of(&self, account: u32) -> impl Iterator<Item = &Head> {
        let ids = self.of_account.get(&account).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id))
    }

    fn next_id(&self) -> Result<u32, Refusal> {
        if self.by_id.len() >= INVOICES_MAX {
            let detail = format!("{INVOICES_MAX} invoices, drafts and notes can be had");
            return Err(Refusal::new(409, "too many", detail));
        }
        Ok(self.by_id.last_key_value().map_or(0, |(id, _)| *id) + 1)
    }
}

/// What is done with a document. The API read what it says beside the loop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum InvoiceStep {
    /// Made, or made again.
    Draft(Billed),
    /// Given a number; what it comes to is what the draft says.
    Issue(Billed),
    /// A note sets it right.
    Note(Box<NoteStep>),
    /// It was handed to a mail server.
    Sent(String),
    /// Nobody wants it: a draft.
    Remove,
}

/// What a note says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NoteStep {
    /// Why.
    pub reason: String,
    /// It takes back all of it.
    pub is_whole: bool,
    /// What changed.
    pub lines: Vec<Line>,
    /// What the invoice says, of what it sets right.
    pub invoice: Document,
    /// Exact sum of the invoice and its notes before.
    #[serde(with = "entity::money")]
    pub exact: Money,
    /// Their totals.
    #[serde(with = "entity::money")]
    pub total: Money,
    /// How many notes were read.
    pub notes: usize,
}

fn large(fault: MoneyFault) -> Refusal {
    Refusal::new(422, "sum too large", fault.to_string())
}

fn not(state: &str, name: &str, hint: &str) -> Refusal {
    Refusal::new(409, "wrong state", format!("{name} is {state}; {hint}"))
}

/// The day of a moment in a zone, the one so many days later, and when that one is over (µs since 1970 UTC).
fn days(at_us: u64, zone: &str, later: u64) -> Option<(String, String, u64)> {
    let zone = TimeZone::get(zone).ok()?;
    let at = Timestamp::from_microsecond(at_us.cast_signed()).ok()?.to_zoned(zone.clone());
    let due = at.date().checked_add(i64::try_from(later).ok()?.days()).ok()?;
    let over = due.tomorrow().ok()?.to_zoned(zone).ok()?.timestamp().as_microsecond();
    Some((at.date().to_string(), due.to_string(), u64::try_from(over).ok()?))
}

/// Lines of a text that has them between bars.
fn lines_of(text: &str) -> Vec<String> {
    text.split('|').map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

impl Office {
    /// What documents are made by.
    fn digits(&self) -> u8 {
        u8::try_from(self.state.values.number("TG_INVOICE_DIGITS")).unwrap_or(2)
    }

    fn number_text(&self, number: u32) -> String {
        format!("{}{number:06}", self.state.values.text("TG_INVOICE_PREFIX"))
    }

    /// One step of a document. Its name, by which it can be read once this is durable.
    pub(super) fn handle_invoice(
        &mut self,
        time: Time,
        who: &str,
        name: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let step: InvoiceStep = entity::parse(body.clone())?;
        let name = match step {
            InvoiceStep::Draft(billed) => self.draft_invoice(time, &billed)?,
            InvoiceStep::Issue(billed) => self.issue_invoice(time, who, name, &billed)?,
            InvoiceStep::Note(note) => self.note_invoice(time, who, name, *note)?,
            InvoiceStep::Sent(to) => self.send_invoice(time, who, name, to)?,
            InvoiceStep::Remove => self.remove_invoice(name)?,
        };
        Ok(name.into())
    }

    /// What it says, of an account as it is now.
    pub(crate) fn invoice_document(
        &self,
        account: &Account,
        billed: &Billed,
        at_us: u64,
    ) -> Result<(Document, u64), Refusal> {
        let due_days = self.state.values.number("TG_INVOICE_DUE_DAYS");
        let zone = &account.time_zone;
        let far = || Refusal::invalid("to: too far from today");
        let (issued, due, due_us) = days(at_us, zone, due_days).ok_or_else(far)?;
        let mut document = Document {
            account: account.name.clone(),
            seller: lines_of(self.state.values.text("TG_INVOICE_SELLER")),
            bill_to: account.bill_to.clone(),
            currency: account.currency.clone(),
            time_zone: zone.clone(),
            from: billed.from.clone(),
            to: billed.to.clone(),
            area_digits: billed.area_digits,
            issued,
            due,
            lines: billed.lines.clone(),
            ..Document::default()
        };
        document.add_up(self.digits(), (Money::ZERO, Money::ZERO)).map_err(large)?;
        Ok((document, due_us))
    }

    fn billed_account(&self, billed: &Billed) -> Result<&Account, Refusal> {
        let account = self.state.account_of(billed.account);
        let account =
            account.ok_or_else(|| Refusal::missing("account", &billed.account.to_string()))?;
        if account.role != "customer" {
            let detail =
                format!("account: {} is a {}; customers get invoices", account.name, account.role);
            return Err(Refusal::invalid(detail));
        }
        Ok(account)
    }

    /// Of the same time of the same account there is one draft.
    fn draft_invoice(&mut self, time: Time, billed: &Billed) -> Result<String, Refusal> {
        let account = self.billed_account(billed)?;
        let (mut document, _) = self.invoice_document(account, billed, billed.to_us)?;
        document.issued = String::new();
        let same = |head: &&Head| {
            head.number == 0 && (head.from_us, head.to_us) == (billed.from_us, billed.to_us)
        };
        let id = match self.invoices.of(billed.account).find(same) {
            Some(head) => head.id,
            None => self.invoices.next_id()?,
        };
        let head = Head {
            id,
            name: format!("draft-{id}"),
            account: billed.account,
            from_us: billed.from_us,
            to_us: billed.to_us,
            total: document.total,
            ..Head::default()
        };
        self.keep_invoice(time, head, &document)
    }

    fn keep_invoice(
        &mut self,
        _: Time,
        head: Head,
        document: &Document,
    ) -> Result<String, Refusal> {
        let (body, sha256) = document.seal();
        let mut kept = Kept { head, body };
        if kept.head.number > 0 {
            kept.head.standing.sha256 = sha256;
        }
        let name = kept.head.name.clone();
        self.invoices.put(kept.head.clone());
        self.change(Change::Invoice(Box::new(kept)));
        Ok(name)
    }

    fn stand_invoice(&mut self, head: Head) {
        self.invoices.put(head.clone());
        self.change(Change::InvoiceStanding(Box::new(head)));
    }

    fn issue_invoice(
        &mut self,
        time: Time,
        who: &str,
        name: &str,
        billed: &Billed,
    ) -> Result<String, Refusal> {
        let draft = self.invoices.named(name)?;
        if draft.number > 0 {
            return Err(not(draft.state(), name, "a draft is issued once"));
        }
        let id = draft.id;
        if billed.to_us > time.wall_us {
            let detail = format!("to: {name} goes until {}, which is not over", billed.to);
            return Err(Refusal::invalid(detail));
        }
        if billed.lines.is_empty() {
            let hint = "neither a call nor a rent of that time cost anything";
            return Err(Refusal::new(409, "nothing to invoice", hint));
        }
        let same =
            self.invoices.of(billed.account).find(|it| it.covers(billed.from_us, billed.to_us));
        if let Some(other) = same {
            let detail = format!(
                "{} holds for some of this time; `invoice credit {0} --whole` takes it back",
                other.name
            );
            return Err(Refusal::new(409, "invoiced already", detail));
        }
        let account = self.billed_account(billed)?;
        let (mut document, due_us) = self.invoice_document(account, billed, time.wall_us)?;
        let number = self.invoices.last_number + 1;
        document.number = self.number_text(number);
        if self.invoices.by_name.contains_key(&document.number) {
            let detail = format!("TG_INVOICE_PREFIX: there is a {} already", document.number);
            return Err(Refusal::new(409, "number taken", detail));
        }
        let head = Head {
            id,
            number,
            name: document.number.clone(),
            account: billed.account,
            from_us: billed.from_us,
            to_us: billed.to_us,
            total: document.total,
            standing: Standing { issued_us: time.wall_us, due_us, ..Standing::default() },
            ..Head::default()
        };
        let detail = format!("{} {} by {who}", document.total, document.currency);
        self.note(time, "invoice_issued", &format!("invoice {}", head.name), detail);
        self.keep_invoice(time, head, &document)
    }

    fn note_invoice(
        &mut self,
        time: Time,
        who: &str,
        name: &str,
        step: NoteStep,
    ) -> Result<String, Refusal> {
        let mut invoice = self.invoices.named(name)?.clone();
        if invoice.state() == "draft" || invoice.state() == "cancelled" {
            return Err(not(invoice.state(), name, "what was issued and holds is set right"));
        }
        if invoice.paper != Paper::Invoice {
            return Err(not("a note", name, "set right what it sets right"));
        }
        let notes = self.invoices.of(invoice.account).filter(|it| it.of == invoice.id).count();
        if notes != step.notes {
            let hint = "somebody else made a note meanwhile; try again";
            return Err(Refusal::new(409, "note meanwhile", hint));
        }
        entity::memo("reason", &step.reason)?;
        let number = self.invoices.last_number + 1;
        let zone = step.invoice.time_zone.clone();
        let day = days(time.wall_us, &zone, 0).map_or_else(String::new, |(day, ..)| day);
        let mut document = Document {
            number: self.number_text(number),
            of: name.to_owned(),
            reason: step.reason,
            issued: day.clone(),
            due: day,
            lines: step.lines,
            ..step.invoice
        };
        document.add_up(self.digits(), (step.exact, step.total)).map_err(large)?;
        if document.lines.is_empty() && document.total == Money::ZERO {
            let hint = "its records cost what it and its notes say";
            return Err(Refusal::new(409, "nothing to set right", hint));
        }
        document.paper =
            if document.total > Money::ZERO { Paper::DebitNote } else { Paper::CreditNote };
        let head = Head {
            id: self.invoices.next_id()?,
            number,
            name: document.number.clone(),
            paper: document.paper,
            of: invoice.id,
            account: invoice.account,
            from_us: invoice.from_us,
            to_us: invoice.to_us,
            total: document.total,
            standing: Standing { issued_us: time.wall_us, ..Standing::default() },
        };
        invoice.standing.set_right =
            invoice.standing.set_right.plus(document.total).map_err(large)?;
        invoice.standing.is_cancelled = step.is_whole;
        let detail = format!("{} {} by {who}", document.total, document.currency);
        self.note(time, "invoice_set_right", &format!("invoice {name}"), detail);
        self.stand_invoice(invoice);
        self.keep_invoice(time, head, &document)
    }

    fn send_invoice(
        &mut self,
        time: Time,
        who: &str,
        name: &str,
        to: String,
    ) -> Result<String, Refusal> {
        let mut head = self.invoices.named(name)?.clone();
        self.note(time, "invoice_sent", &format!("invoice {name}"), format!("by {who}"));
        (head.standing.sent_us, head.standing.sent_to) = (time.wall_us, to);
        self.stand_invoice(head);
        Ok(name.to_owned())
    }

    fn remove_invoice(&mut self, name: &str) -> Result<String, Refusal> {
        let head = self.invoices.named(name)?;
        if head.number > 0 {
            return Err(not(head.state(), name, "its number stays; a note takes it back"));
        }
        let id = head.id;
        self.invoices.remove(id);
        self.change(Change::InvoiceGone(id));
        Ok(name.to_owned())
    }

    /// Money for an invoice: a payment of its account, booked with what it pays.
    pub(super) fn pay_invoice(
        &mut self,
        time: Time,
        who: &str,
        name: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let asked: NewInvoicePayment = entity::parse(body.clone())?;
        let mut head = self.invoices.named(name)?.clone();
        let request_id = format!("invoice {}: {}", head.id, asked.request_id);
        if asked.request_id.is_empty() {
            let detail = "request_id: empty; it tells this payment from others";
            return Err(Refusal::invalid(detail));
        }
        if self.state.booked.contains_key(&(head.account, request_id.clone())) {
            return Ok(shown::json(name));
        }
        if head.state() != "issued" || head.paper != Paper::Invoice {
            return Err(not(head.state(), name, "an issued invoice is paid"));
        }
        let open = head.open();
        let amount = match asked.amount.trim() {
            "" => open,
            text => text
                .parse()
                .map_err(|fault| Refusal::invalid(format!("amount: {text:?}: {fault}")))?,
        };
        if amount <= Money::ZERO || amount > open {
            let detail = format!(
                "amount: {amount}; {open} is open, what is more is a payment of the account"
            );
            return Err(Refusal::invalid(detail));
        }
        if !asked.from_balance {
            let gone = || Refusal::missing("account", &head.account.to_string());
            let account = self.state.account_of(head.account).ok_or_else(gone)?.name.clone();
            let memo = match asked.memo.as_str() {
                "" => format!("invoice {name}"),
                memo => format!("invoice {name}: {memo}"),
            };
            let booking =
                json!({"amount": amount.to_string(), "request_id": request_id, "memo": memo});
            self.book_by_hand(time, who, EntryKind::Payment, &account, &booking)?;
        }
        head.standing.paid = head.standing.paid.plus(amount).map_err(large)?;
        self.note(time, "invoice_paid", &format!("invoice {name}"), format!("{amount} by {who}"));
        self.stand_invoice(head);
        Ok(shown::json(name))
    }
}
