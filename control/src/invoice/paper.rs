//! A document on paper, and as a table: the same bytes whenever and wherever they are made.
//!
//! The letters are those that every reader of PDF has (Helvetica, Courier, in Windows-1252), so nothing is embedded; what
//! they do not have becomes `?`. The document itself, as the API tells it, has every letter.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use rating::Money;

use super::{Document, Line, LineOf, Paper};
use crate::Refusal;

/// A4, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 50.0;
/// Of rows, and of everything else.
const ROW: f32 = 12.0;
const LINE: f32 = 14.0;
/// Where rows end on each page.
const FLOOR: f32 = 90.0;
/// Letters of a row, each 0.6 of its size wide.
const SIZE: f32 = 9.0;
/// Where columns end, in letters from the left margin.
const COLUMNS: [(&str, usize); 5] =
    [("Destination", 34), ("Calls", 44), ("Minutes", 57), ("Amount", 76), ("Tax", 91)];

const PLAIN: Name = Name(b"F1");
const BOLD: Name = Name(b"F2");
const FIXED: Name = Name(b"F3");

/// Text in Windows-1252.
fn letters(text: &str) -> Vec<u8> {
    let letter = |letter: char| match letter {
        ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(letter)).unwrap_or(b'?'),
        '€' => 0x80,
        '…' => 0x85,
        'Š' => 0x8a,
        'Œ' => 0x8c,
        'Ž' => 0x8e,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '–' => 0x96,
        '—' => 0x97,
        'š' => 0x9a,
        'œ' => 0x9c,
        'ž' => 0x9e,
        'Ÿ' => 0x9f,
        _ => b'?',
    };
    text.chars().map(letter).collect()
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// What a document is called.
fn title(document: &Document) -> String {
    let paper = match document.paper {
        Paper::Invoice => "Invoice",
        Paper::CreditNote => "Credit note",
        Paper::DebitNote => "Debit note",
    };
    match document.number.as_str() {
        "" => format!("{paper} (draft)"),
        number => format!("{paper} {number}"),
    }
}

/// What a line is of, for people.
fn named(line: &Line) -> String {
    match (line.what, line.destination.as_str()) {
        (LineOf::Calls, "") => "Calls to other numbers".to_owned(),
        (LineOf::Calls, digits) => format!("Calls to +{digits} {}", line.country),
        (LineOf::Rent, memo) => format!("Rent: {memo}"),
        (LineOf::Package, memo) => format!("Minimum: {memo}"),
    }
}

/// Seconds as minutes.
fn minutes(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = seconds.unsigned_abs();
    format!("{sign}{}:{:02}", seconds / 60, seconds % 60)
}

/// Pages of text, from the top down.
struct Pages {
    done: Vec<Content>,
    page: Content,
    y: f32,
}

impl Pages {
    fn new() -> Self {
        Self { done: Vec::new(), page: Content::new(), y: HEIGHT - MARGIN }
    }

    fn put(&mut self, font: Name<'_>, size: f32, x: f32, y: f32, text: &str) {
        self.page.begin_text().set_font(font, size).next_line(x, y);
        self.page.show(Str(&letters(text))).end_text();
    }

    fn line(&mut self, font: Name<'_>, size: f32, text: &str) {
        self.y -= LINE;
        let y = self.y;
        self.put(font, size, MARGIN, y, text);
    }

    fn rule(&mut self) {
        self.y -= 5.0;
        self.page.move_to(MARGIN, self.y).line_to(WIDTH - MARGIN, self.y).stroke();
    }

    /// A row of the table: its first cell from the left, the others to the right of their columns.
    fn row(&mut self, font: Name<'_>, cells: [&str; 5]) {
        if self.y < FLOOR {
            self.turn();
        }
        self.y -= ROW;
        let mut row = cut(cells[0], COLUMNS[0].1);
        for (cell, (_, end)) in cells.iter().zip(COLUMNS).skip(1) {
            let room = end.saturating_sub(row.chars().count());
            row += &format!(" {cell:>width$}", width = room.saturating_sub(1));
        }
        let y = self.y;
        self.put(font, SIZE, MARGIN, y, &row);
    }

    fn head(&mut self) {
        let cells = COLUMNS.map(|(name, _)| name);
        self.row(FIXED, cells);
        self.rule();
    }

    fn turn(&mut self) {
        self.done.push(std::mem::replace(&mut self.page, Content::new()));
        self.y = HEIGHT - MARGIN;
        self.head();
    }
}

fn facts(document: &Document) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Account", document.account.clone()),
        ("From", format!("{}, {}", document.from, document.time_zone)),
        ("Until before", document.to.clone()),
        ("Currency", document.currency.clone()),
    ];
    if !document.issued.is_empty() {
        facts.push(("Issued", document.issued.clone()));
    }
    if document.paper == Paper::Invoice {
        facts.push(("Due", document.due.clone()));
    } else {
        facts.push(("Sets right", document.of.clone()));
        facts.push(("Reason", document.reason.clone()));
    }
    facts
}

fn write(document: &Document) -> Vec<Content> {
    let mut pages = Pages::new();
    for (at, line) in document.seller.iter().enumerate() {
        pages.line(if at == 0 { BOLD } else { PLAIN }, 10.0, line);
    }
    pages.y -= LINE;
    pages.line(BOLD, 16.0, &title(document));
    pages.y -= LINE / 2.0;
    for line in &document.bill_to {
        pages.line(PLAIN, 10.0, line);
    }
    pages.y -= LINE / 2.0;
    for (name, value) in facts(document) {
        pages.line(PLAIN, 10.0, name);
        let y = pages.y;
        pages.put(PLAIN, 10.0, MARGIN + 90.0, y, &cut(&value, 80));
    }
    pages.y -= LINE;
    pages.head();
    for line in &document.lines {
        let (calls, minutes) = match line.what {
            LineOf::Calls => (line.count.to_string(), minutes(line.billed_s)),
            LineOf::Rent | LineOf::Package => (String::new(), String::new()),
        };
        let (amount, tax) = (line.amount.to_string(), line.tax.to_string());
        pages.row(FIXED, [&named(line), &calls, &minutes, &amount, &tax]);
    }
    pages.rule();
    pages.row(FIXED, ["Sum", "", "", &document.amount.to_string(), &document.tax.to_string()]);
    if document.rounding != Money::ZERO {
        pages.row(FIXED, ["Rounding", "", "", &document.rounding.to_string(), ""]);
    }
    pages.y -= LINE / 2.0;
    let total = format!("Total {} {}", document.currency, document.total);
    pages.line(BOLD, 12.0, &total);
    pages.done.push(pages.page);
    pages.done
}

/// A document as PDF. `sha256` seals it; empty: a draft.
#[must_use]
pub fn pdf(document: &Document, sha256: &str) -> Vec<u8> {
    let pages = write(document);
    let mut next = 1;
    let mut reference = || {
        next += 1;
        Ref::new(next - 1)
    };
    let mut pdf = Pdf::new();
    let (catalog, tree, info) = (reference(), reference(), reference());
    let fonts = [(PLAIN, "Helvetica"), (BOLD, "Helvetica-Bold"), (FIXED, "Courier")];
    let fonts = fonts.map(|(name, font)| (name, font, reference()));
    let places: Vec<(Ref, Ref)> = pages.iter().map(|_| (reference(), reference())).collect();
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(places.iter().map(|(page, _)| *page)).count(count);
    pdf.document_info(info).title(TextStr(&title(document)));
    for (_, font, place) in fonts {
        let mut font_written = pdf.type1_font(place);
        font_written.base_font(Name(font.as_bytes()));
        font_written.encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for (at, (mut content, (page, text))) in pages.into_iter().zip(places).enumerate() {
        let foot = match sha256 {
            "" => format!("Draft. Page {} of {count}", at + 1),
            _ => format!("SHA-256 {sha256}. Page {} of {count}", at + 1),
        };
        content.begin_text().set_font(PLAIN, 7.0).next_line(MARGIN, 40.0);
        content.show(Str(&letters(&foot))).end_text();
        pdf.stream(text, &content.finish());
        let mut written = pdf.page(page);
        written.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(text);
        let mut resources = written.resources();
        let mut named = resources.fonts();
        for (name, _, place) in fonts {
            named.pair(name, place);
        }
        named.finish();
        resources.finish();
    }
    pdf.finish()
}

/// A document as CSV: its lines, what rounding adds, and the total.
///
/// # Errors
/// When it cannot be written, which nobody expects.
pub fn csv(document: &Document) -> Result<Vec<u8>, Refusal> {
    let broken = |error: csv::Error| Refusal::new(500, "invoice unwritten", error.to_string());
    let mut out = csv::Writer::from_writer(Vec::new());
    let head = [
        "number",
        "what",
        "destination",
        "country",
        "count",
        "billed_s",
        "amount",
        "tax",
        "currency",
    ];
    out.write_record(head).map_err(broken)?;
    let mut row = |what: &str, of: [&str; 4], money: [Money; 2]| {
        let [amount, tax] = money.map(|it| it.to_string());
        let [destination, country, count, billed_s] = of;
        out.write_record([
            &document.number,
            what,
            destination,
            country,
            count,
            billed_s,
            &amount,
            &tax,
            &document.currency,
        ])
    };
    for line in &document.lines {
        let what = match line.what {
            LineOf::Calls => "calls",
            LineOf::Rent => "rent",
            LineOf::Package => "package",
        };
        let (count, billed_s) = (line.count.to_string(), line.billed_s.to_string());
        let money = [line.amount, line.tax];
        row(what, [&line.destination, &line.country, &count, &billed_s], money).map_err(broken)?;
    }
    let rounding = [document.rounding, Money::ZERO];
    row("rounding", [""; 4], rounding).map_err(broken)?;
    row("total", [""; 4], [document.total, Money::ZERO]).map_err(broken)?;
    out.into_inner().map_err(|error| Refusal::new(500, "invoice unwritten", error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

    use super::*;

    fn document(lines: usize) -> Document {
        let line = |number: usize| Line {
            destination: number.to_string(),
            count: 7,
            billed_s: 61,
            amount: Money::from_billionths(1_234_567_891),
            ..Line::default()
        };
        let mut document = Document {
            number: "T-000001".into(),
            seller: vec!["Carrière (Zürich) \\ 1".into(), "名前".into()],
            lines: (0..lines).map(line).collect(),
            ..Document::default()
        };
        document.add_up(2, (Money::ZERO, Money::ZERO)).unwrap();
        document
    }

    #[test]
    fn the_same_document_is_the_same_bytes_on_as_many_pages_as_it_takes() {
        for (lines, pages) in [(0, 1), (10, 1), (60, 2), (500, 9)] {
            let document = document(lines);
            let paper = pdf(&document, "ab");
            assert_eq!(paper, pdf(&document, "ab"));
            assert!(paper.starts_with(b"%PDF-") && paper.ends_with(b"%%EOF"));
            let text = String::from_utf8_lossy(&paper);
            assert_eq!(text.matches("/Type /Page\n").count(), pages, "{lines}");
            assert!(text.contains(&format!("Page {pages} of {pages}")));
        }
    }

    #[test]
    fn letters_that_the_paper_lacks_are_marked_and_others_kept() {
        assert_eq!(letters("aé€名\n"), [b'a', 0xe9, 0x80, b'?', b'?']);
    }

    #[test]
    fn minutes_are_told_exactly() {
        assert_eq!([0, 61, -61, 3_600].map(minutes), ["0:00", "1:01", "-1:01", "60:00"]);
    }

    #[test]
    fn a_table_has_its_lines_and_its_total() {
        let text = String::from_utf8(csv(&document(2)).unwrap()).unwrap();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[1], "T-000001,calls,0,,7,61,1.234567891,0.00,");
        assert_eq!(rows[4], "T-000001,total,,,,,2.47,0.00,");
    }
}
