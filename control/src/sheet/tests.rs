//! Files of every kind, whole and broken, and what a tariff is told by them.

use std::io::{Cursor, Write};
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::compare::{Counts, Held, Mode, Plan, compare};
use super::*;
use crate::state::entity::{RateRow, TariffHead};
use crate::state::rate_rows::RateRows;

fn mapping(more: Value) -> SheetMapping {
    let mut body = json!({"name": "m", "account": "v", "code": "Code", "rate": "Rate"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(body).unwrap()
}

/// `line prefix rate` of all codes.
fn said(sheet: &Sheet) -> Vec<String> {
    let rate = |it: &SheetRate| it.terms.map_or("closed".into(), |terms| terms.rate.to_string());
    sheet.rates.iter().map(|it| format!("{} {} {}", it.line, it.prefix, rate(it))).collect()
}

fn whys(sheet: &Sheet) -> Vec<String> {
    let told = sheet.remarks.told.iter();
    told.map(|it| format!("{} {}: {}", it.line, it.remark.name(), it.why)).collect()
}

/// An .xlsx with these cells in its one sheet, as XML.
pub(crate) fn book(cells: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut part = |name: &str, text: &str| {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    };
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    part(
        "[Content_Types].xml",
        &format!(
            r#"<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#
        ),
    );
    part(
        "_rels/.rels",
        &format!(
            r#"<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
        ),
    );
    part(
        "xl/workbook.xml",
        &format!(
            r#"<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="Cover" sheetId="1" r:id="r1"/><sheet name="Rates" sheetId="2" r:id="r2"/></sheets></workbook>"#
        ),
    );
    part(
        "xl/_rels/workbook.xml.rels",
        &format!(
            r#"<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{relations}/worksheet" Target="worksheets/sheet2.xml"/><Relationship Id="r3" Type="{relations}/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="r4" Type="{relations}/styles" Target="styles.xml"/></Relationships>"#
        ),
    );
    part(
        "xl/styles.xml",
        &format!(
            r#"<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#
        ),
    );
    part(
        "xl/sharedStrings.xml",
        &format!(
            r#"<sst xmlns="{main}"><si><t>Code</t></si><si><t>Rate</t></si><si><t>From</t></si></sst>"#
        ),
    );
    part(
        "xl/worksheets/sheet1.xml",
        &format!(r#"<worksheet xmlns="{main}"><sheetData/></worksheet>"#),
    );
    part(
        "xl/worksheets/sheet2.xml",
        &format!(r#"<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>"#),
    );
    zip.finish().unwrap().into_inner()
}

const HEADER: &str = r#"<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>1</v></c><c r="C2" t="s"><v>2</v></c></row>"#;

fn in_book(more: Value) -> SheetMapping {
    let mut body = json!({"sheet": "Rates", "header_line": 2, "effective": "From"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mapping(body)
}

#[test]
fn a_csv_is_read_whatever_separates_its_cells_and_however_it_is_written() {
    let wanted = ["2 44 0.01", "3 4420 0.02", "3 4421 0.02"];
    for text in [
        "Code,Rate\n44,0.01\n\"4420,4421\",0.02\n",
        "Code;Rate\r\n44;0.01\r\n4420,4421;0.02\r\n",
        "Code\tRate\n44\t0.01\n4420-4421\t0.02",
        "\u{feff} code ;RATE; Name\n44;0.01;\"a;b\"\n4420,4421;0.02;x;y;z\n;;\n;; all in EUR\n",
    ] {
        let sheet = read(text.as_bytes(), &mapping(json!({}))).unwrap();
        assert_eq!(said(&sheet), wanted, "{text:?}");
        assert_eq!((sheet.lines, whys(&sheet).len()), (2, 0));
    }
    let broken = read(b"Code,Rate\r\n\r\n\"4\n4\",0.01\r\rx,1\n", &mapping(json!({}))).unwrap();
    assert_eq!(
        (&said(&broken)[..], broken.remarks.told[0].line),
        (&["3 4 0.01".to_owned(), "3 4 0.01".to_owned()][..], 6)
    );
    // In Latin-1 `Préfixe` is no UTF-8.
    let latin = b"Pr\xe9fixe;Rate\n44;0,01\n";
    let sheet = read(latin, &mapping(json!({"code": "Préfixe", "decimal_comma": true}))).unwrap();
    assert_eq!(said(&sheet), ["2 44 0.01"]);
}

#[test]
fn columns_are_found_by_header_or_letters_below_a_title() {
    let text = "Carrier Ltd\n\nCC,Code,Dest,Rate,Min,Inc,Fee,Status,From\n\
        44,20,London,0.01,30,6,0.05,NEW,01.12.2026\n44,,UK,0.02,,,,n,2026-12-02\n\
        44,7,Mobile,,,,,Blocked,2026-12-03T01:00:00+01:00\n";
    let mapping = mapping(json!({
        "header_line": 3, "country_code": "CC", "code": "B", "minimum": "Min", "increment": "Inc",
        "connection_fee": "Fee", "status": "Status", "status_words": ["N=new", "blocked=closed"],
        "effective": "From", "date_formats": ["%d.%m.%Y"], "time_zone": "Europe/Berlin"
    }));
    let sheet = read(text.as_bytes(), &mapping).unwrap();
    assert_eq!(said(&sheet), ["4 4420 0.01", "5 44 0.02", "6 447 closed"], "{:?}", whys(&sheet));
    let [first, second, third] = &sheet.rates[..] else { panic!("{sheet:?}") };
    let terms = first.terms.unwrap();
    assert_eq!((terms.minimum_s, terms.increment_s), (Some(30), Some(6)));
    assert_eq!(terms.connection_fee.unwrap().to_string(), "0.05");
    assert_eq!(first.effective.unwrap().to_string(), "2026-11-30T23:00:00.000Z");
    assert_eq!(second.effective.unwrap().to_string(), "2026-12-01T23:00:00.000Z");
    assert_eq!((third.status, third.terms), (Some(Status::Closed), None));
    assert_eq!(third.effective.unwrap().to_string(), "2026-12-03T00:00:00.000Z");
}

#[test]
fn each_line_that_cannot_be_taken_says_why() {
    let text = "Code,Rate,Int,From,Status\nUK,0.1,,,\n44,x,,,\n44,0.0123456789,1/1,,\n44,0.1,1,,\n\
        44,0.1,1/0,,\n44,0.1,,31.12.2026,\n44,0.1,,,gone\n44,,,,new\n44,10000000,,,\n\
        123456789012345678901234567890123,0.1,,,\n44,0.1,,1969-12-31,\n44,-1,,,\n33,1,,,\n";
    let mapping = mapping(json!({"interval": "Int", "effective": "From", "status": "Status"}));
    let sheet = read(text.as_bytes(), &mapping).unwrap();
    assert_eq!(said(&sheet), ["14 33 1.00"]);
    let whys = whys(&sheet);
    for (why, (line, says)) in whys.iter().zip([
        ("2 wrong", "\"UK\" is no number prefix"),
        ("3 wrong", "rate: \"x\" is no decimal number"),
        ("4 rounds", "nine decimals"),
        ("5 wrong", "60/1"),
        ("6 wrong", "increment_s"),
        ("7 wrong", "date_formats"),
        ("8 wrong", "status_words"),
        ("9 wrong", "rate: it is empty"),
        ("10 wrong", "rate"),
        ("11 wrong", "prefix"),
        ("12 wrong", "1970"),
        ("13 wrong", "negative"),
    ]) {
        assert!(why.starts_with(line) && why.contains(says), "{why} / {says}");
    }
    assert_eq!((whys.len(), sheet.remarks.wrong, sheet.remarks.rounds), (12, 11, 1));
}

#[test]
fn an_xlsx_gives_the_numbers_and_dates_that_were_typed() {
    let cells = format!(
        r#"<row r="1"><c r="A1" t="inlineStr"><is><t>Title</t></is></c></row>{HEADER}
        <row r="3"><c r="A3"><v>4420</v></c><c r="B3"><v>1.23E-2</v></c><c r="C3" s="1"><v>46357</v></c></row>
        <row r="5"><c r="A5" t="inlineStr"><is><t>44 (7, 8)</t></is></c><c r="B5"><f>0.1+0.2</f><v>0.30000000000000004</v></c></row>
        <row r="6"><c r="A6"><v>33</v></c><c r="B6"><f>B5*2</f></c></row>
        <row r="7"><c r="A7"><v>33</v></c><c r="B7" t="e"><v>#REF!</v></c></row>
        <row r="8"><c r="A8"><v>33</v></c><c r="B8"><v>1</v></c><c r="C8"><v>46357</v></c></row>
        <row r="9"><c r="A9" s="1"><v>46357</v></c><c r="B9"><v>1</v></c></row>
        <row r="10"><c r="A10"><v>39</v></c><c r="B10"><f>1/4</f><v>0.25</v></c><c r="XFD10"><v>1</v></c></row>"#
    );
    let sheet = read(&book(&cells), &in_book(json!({}))).unwrap();
    assert_eq!(said(&sheet), ["3 4420 0.0123", "10 39 0.25"]);
    assert_eq!(sheet.rates[0].effective.unwrap().to_string(), "2026-12-01T00:00:00.000Z");
    for (why, says) in whys(&sheet).iter().zip([
        "5 rounds: rate: \"0.30000000000000004\"",
        "6 wrong: rate: it is empty (a formula",
        "7 wrong: rate: the cell says \"#REF!\"",
        "8 wrong: effective: a bare number",
        "9 wrong: code: the spreadsheet made a date of it (2026-12-01)",
    ]) {
        assert!(why.starts_with(says), "{why}");
    }
    assert_eq!(sheet.remarks.faulty(), 5);
    let by_number = read(&book(&cells), &in_book(json!({"sheet": "2"}))).unwrap();
    assert_eq!(by_number, sheet);
}

#[test]
fn a_file_that_is_none_says_what_to_do() {
    let no = |bytes: &[u8], mapping: &SheetMapping| read(bytes, mapping).unwrap_err().detail;
    let plain = mapping(json!({}));
    let whole = book(HEADER);
    for (bytes, says) in [
        (&b""[..], "empty"),
        (b"\xd0\xcf\x11\xe0rest", "save it as .xlsx"),
        (b"\xff\xfeC\0", "UTF-8"),
        (b"Code\0,Rate", "UTF-8"),
        (b"Code,Price\n44,1\n", "has no column \"Rate\"; it has \"code\", \"price\""),
        (b"Code,Rate,rate\n44,1,1\n", "several columns"),
        (b"Code,Rate\n", "no rates"),
        (b"PK\x03\x04junk", "cannot be read"),
        (&whole[..whole.len() / 2], "cannot be read"),
    ] {
        let detail = no(bytes, &plain);
        assert!(detail.contains(says), "{detail}");
    }
    assert!(no(b"a\n", &mapping(json!({"header_line": 3}))).contains("line 3"));
    assert!(no(&whole, &in_book(json!({}))).contains("no rates"));
    assert!(no(&whole, &in_book(json!({"sheet": "Cover"}))).contains("line 2"));
    assert!(
        no(&whole, &in_book(json!({"sheet": "Prices"}))).contains("it has \"Cover\", \"Rates\"")
    );
    assert!(no(&whole, &in_book(json!({"sheet": "3"}))).contains("no sheet"));
}

#[test]
fn a_bomb_is_found_before_it_is_unpacked() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("xl/sharedStrings.xml", zip::write::SimpleFileOptions::default()).unwrap();
    let zeros = vec![b' '; 1 << 20];
    (0..97).for_each(|_| zip.write_all(&zeros).unwrap());
    let bomb = zip.finish().unwrap().into_inner();
    assert!(bomb.len() < 200_000);
    let refusal = read(&bomb, &mapping(json!({}))).unwrap_err();
    assert_eq!(refusal.status, 413, "{}", refusal.detail);
    let codes = format!("Code,Rate\n{}", "00001-10000,1\n".repeat(101));
    assert_eq!(read(codes.as_bytes(), &mapping(json!({}))).unwrap_err().status, 413);
}

#[test]
fn a_million_lines_take_bounded_time() {
    let mut text = String::from("Code,Rate\n");
    (0..1_000_000).for_each(|code| text.push_str(&format!("{code:07},0.0{code}\n")));
    let begun = Instant::now();
    let mut sheet = read(text.as_bytes(), &mapping(json!({}))).unwrap();
    assert_eq!((sheet.rates.len(), sheet.remarks.faulty()), (1_000_000, 0));
    let plan =
        compare(&mut sheet, Held { head: &head(), rows: &RateRows::default() }, Mode::Add, AT);
    assert_eq!(plan.counts.new, 1_000_000);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    text.push_str(&"44,1\n".repeat(50_000));
    assert_eq!(read(text.as_bytes(), &mapping(json!({}))).unwrap_err().status, 413);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..4_000, byte: u8, cut in 0_usize..4_000) {
        let mut text = b"Code,Rate\n".to_vec();
        text.extend(&bytes);
        let _ = read(&text, &mapping(json!({})));
        let mut whole = book(HEADER);
        if let Some(place) = whole.get_mut(at) {
            *place = byte;
        }
        let _ = read(&whole, &in_book(json!({})));
        whole.truncate(cut);
        let _ = read(&whole, &in_book(json!({})));
    }
}

prop_compose! {
    /// A cell of somebody who means no good.
    fn hostile_cell()(
        place in select(vec![
            "A3", "B3", "C3", "A4", "B4", "A0", "A", "3", "", "ZZZZZZZ3", "A99999999999", "XFD1048577", "B1",
            "é3",
        ]),
        kind in select(vec![
            "", "t='s'", "t='str'", "t='inlineStr'", "t='b'", "t='e'", "t='d'", "t='?'", "s='1'",
            "s='99999999999'", "s='-1'",
        ]),
        value in select(vec![
            "44", "-1", "99999999999", "1e999", "NaN", "inf", "", "46357", "-46357", "1e9", "60", "x", "&#0;",
            "&lol;", "2026-13-45", "#REF!", "</v><v>",
        ]),
        whole in prop::bool::weighted(0.9),
    ) -> String {
        let end = if whole { "</c>" } else { "" };
        format!("<c r='{place}' {kind}><v>{value}</v>{end}")
    }
}

proptest! {
    #[test]
    fn no_cells_make_it_panic(
        cells in prop::collection::vec(hostile_cell(), 0..8),
        row in select(vec!["3", "3", "0", "-1", "99999999999", "x", ""]),
    ) {
        let cells = format!("{HEADER}<row r='{row}'>{}</row>", cells.concat());
        if let Ok(sheet) = read(&book(&cells), &in_book(json!({}))) {
            prop_assert!(sheet.rates.iter().all(|rate| !rate.prefix.is_empty()));
        }
    }
}

const DAY: u64 = 86_400_000_000;
const AT: When = When(20_000 * DAY);

fn head() -> TariffHead {
    serde_json::from_value(json!({"name": "buy"})).unwrap()
}

/// A tariff that sheets are taken into: `prefix rate [from-][until]` in days from [`AT`].
#[derive(Default)]
struct Bought {
    rows: RateRows,
}

impl Bought {
    fn with(rows: &[(&str, &str, Option<i64>, Option<i64>)]) -> Self {
        let day = |day: i64| When(AT.0.checked_add_signed(day * DAY as i64).unwrap());
        let mut bought = Self::default();
        for (prefix, rate, from, until) in rows {
            let mut row: RateRow =
                serde_json::from_value(json!({"prefix": prefix, "rate": rate})).unwrap();
            (row.effective, row.ends) = (from.map(day), until.map(day));
            bought.rows.insert(row.key(), row);
        }
        bought
    }

    fn plan(&self, text: &str, mode: Mode, at: When) -> (Plan, Sheet) {
        let mapping = mapping(json!({"effective": "From", "status": "Status", "interval": "Int"}));
        let mut sheet =
            read(format!("Code,Rate,From,Status,Int\n{text}").as_bytes(), &mapping).unwrap();
        let plan = compare(&mut sheet, Held { head: &head(), rows: &self.rows }, mode, at);
        (plan, sheet)
    }

    /// Takes it, and takes it again an hour later.
    fn takes(&mut self, text: &str, mode: Mode) -> Counts {
        let (plan, sheet) = self.plan(text, mode, AT);
        assert_eq!(whys(&sheet), Vec::<String>::new());
        for key in plan.gone {
            self.rows.remove(&key).unwrap();
        }
        self.rows.extend(plan.rows.into_iter().map(|row| (row.key(), row)));
        let (again, _) = self.plan(text, mode, When(AT.0 + DAY / 24));
        assert_eq!((&again.rows[..], &again.gone[..]), (&[][..], &[][..]), "the same again");
        plan.counts
    }

    /// What a code costs on a day from now; empty: nothing is there.
    fn rate(&self, prefix: &str, day: i64) -> String {
        let rows = self.rows.values().map(|row| rating::tariff::Row {
            from_us: row.effective.map_or(0, |it| it.0),
            until_us: row.ends.map_or(u64::MAX, |it| it.0),
            ..rating::tariff::Row::always(row.prefix.clone(), price(row.rate))
        });
        let tariff = rating::Tariff::build(rows, rating::Calendar::default());
        let at_us = AT.0.checked_add_signed(day * DAY as i64).unwrap() + DAY / 2;
        let asked = rating::tariff::Asked { callee: prefix.as_bytes(), caller: None, at_us };
        tariff.price(&asked).map_or(String::new(), |price| price.rate.to_string())
    }
}

pub(super) fn price(rate: Money) -> rating::Price {
    rating::Price {
        tariff: 1,
        version: 1,
        prefix_digits: 0,
        origin: rating::Origin::Any,
        locked: false,
        rate,
        unit_s: 60,
        minimum_s: 1,
        increment_s: 1,
        sections: Default::default(),
        connection_fee: Money::ZERO,
        fee_precision: 6,
        rounding_mode: Default::default(),
        fee_unit: Money::ZERO,
        tax: 0,
    }
}

fn day(day: u64) -> String {
    When(AT.0 + day * DAY).to_string()
}

#[test]
fn an_amendment_changes_what_it_names_from_its_day_on() {
    let mut buy = Bought::with(&[
        ("44", "0.01", None, None),
        ("33", "0.02", None, None),
        ("39", "0.03", None, None),
        ("34", "0.04", None, None),
        ("1", "0.05", None, None),
    ]);
    let text = format!(
        "44,0.02,{},increase,\n33,0.01,,decrease,\n39,,{},closed,\n34,0.04,2020-01-01,unchanged,1/1\n\
         34,0.04,2020-01-01,,1/1\n49,1,,new,\n49,2,{},,\n7,1,2020-01-01,,\n7,0.5,2021-01-01,,\n",
        day(7),
        day(3),
        day(5),
    );
    let counts = buy.takes(&text, Mode::Add);
    let wanted = Counts {
        new: 3,
        increased: 1,
        decreased: 1,
        closed: 1,
        unchanged: 1,
        duplicate: 2,
        ..Counts::default()
    };
    assert_eq!(counts, wanted);
    assert_eq!([buy.rate("44", 6), buy.rate("44", 7)], ["0.01", "0.02"]);
    assert_eq!([buy.rate("33", -1), buy.rate("33", 0)], ["0.02", "0.01"]);
    assert_eq!([buy.rate("39", 2), buy.rate("39", 3)], ["0.03", ""]);
    assert_eq!([buy.rate("49", 4), buy.rate("49", 5)], ["1.00", "2.00"]);
    assert_eq!([buy.rate("7", -1), buy.rate("7", 0), buy.rate("1", 9)], ["", "0.50", "0.05"]);
}

#[test]
fn what_was_announced_stays_with_an_amendment_and_goes_with_a_whole_sheet() {
    let held = [
        ("44", "0.01", None, Some(9)),
        ("33", "0.02", None, None),
        ("33", "0.09", Some(4), None),
        ("39", "0.03", None, None),
        ("39", "0.04", Some(2), None),
    ];
    let text = format!("44,0.05,{},,\n33,0.03,,,\n", day(1));
    let mut buy = Bought::with(&held);
    buy.takes(&text, Mode::Add);
    assert_eq!([buy.rate("44", 8), buy.rate("44", 9)], ["0.05", ""], "it still ends");
    assert_eq!([buy.rate("33", 3), buy.rate("33", 4)], ["0.03", "0.09"]);
    assert_eq!(buy.rate("39", 2), "0.04");
    let mut buy = Bought::with(&held);
    let counts = buy.takes(&text, Mode::Replace);
    assert_eq!((counts.increased, counts.ended), (2, 1));
    assert_eq!([buy.rate("44", 0), buy.rate("44", 9)], ["0.01", "0.05"]);
    assert_eq!([buy.rate("33", 3), buy.rate("33", 4)], ["0.03", "0.03"]);
    assert_eq!([buy.rate("39", -1), buy.rate("39", 0), buy.rate("39", 2)], ["0.03", "", ""]);
}

#[test]
fn a_code_that_was_closed_is_new_when_it_comes_back() {
    let mut buy = Bought::with(&[("44", "0.01", None, None)]);
    let text = format!("44,,{},closed,\n44,0.03,{},new,\n", day(1), day(3));
    let counts = buy.plan(&text, Mode::Add, AT).0.counts;
    // Both are told by what the tariff says today.
    assert_eq!((counts.closed, counts.increased), (1, 1));
    let (plan, _) = buy.plan(&text, Mode::Add, AT);
    buy.rows.extend(plan.rows.into_iter().map(|row| (row.key(), row)));
    let days = [0, 1, 2, 3].map(|day| buy.rate("44", day));
    assert_eq!(days, ["0.01", "", "", "0.03"]);
}

#[test]
fn contradictions_are_told_and_half_of_them_stop_the_line() {
    let buy = Bought::with(&[("44", "0.01", None, None)]);
    let (plan, sheet) = buy.plan("44,0.02,,decrease,\n33,1,,,\n33,2,,,\n", Mode::Add, AT);
    let whys = whys(&sheet);
    assert!(
        whys.iter().any(|why| why.starts_with("2 status") && why.contains("increased")),
        "{whys:?}"
    );
    assert!(
        whys.iter().any(|why| why.starts_with("4 wrong") && why.contains("line 3")),
        "{whys:?}"
    );
    assert_eq!((plan.counts.increased, plan.counts.new), (1, 1));
    let (plan, _) = buy.plan("44,0.01,,,60/60\n", Mode::Add, AT);
    assert_eq!((plan.counts.changed, plan.rows.len()), (1, 1));
}

proptest! {
    #[test]
    fn taken_twice_is_taken_once(
        held in prop::collection::vec((0_usize..3, 1_u8..4, prop::option::of(-3_i64..4), prop::option::of(4_i64..6)), 0..6),
        lines in prop::collection::vec((0_usize..4, 0_u8..4, prop::option::of(-3_i64..6)), 1..8),
        replace: bool,
    ) {
        const CODES: [&str; 4] = ["4", "44", "440", "33"];
        let rates = ["0.1", "0.2", "0.3", "0.4"];
        let rows: Vec<_> = held.iter().map(|it| (CODES[it.0], rates[usize::from(it.1)], it.2, it.3)).collect();
        let mut buy = Bought::with(&rows);
        let text: String = lines.iter().map(|(code, rate, from)| {
            let from = from.map_or(String::new(), |day| When(AT.0.checked_add_signed(day * DAY as i64).unwrap()).to_string());
            match rate {
                0 => format!("{},,{from},closed,\n", CODES[*code]),
                rate => format!("{},{},{from},,\n", CODES[*code], rates[usize::from(*rate)]),
            }
        }).collect();
        let mode = if replace { Mode::Replace } else { Mode::Add };
        let (plan, _) = buy.plan(&text, mode, AT);
        for row in &plan.rows {
            prop_assert!(row.check().is_ok(), "{row:?}");
        }
        for key in &plan.gone {
            prop_assert!(buy.rows.remove(key).is_some());
        }
        buy.rows.extend(plan.rows.into_iter().map(|row| (row.key(), row)));
        let (again, _) = buy.plan(&text, mode, AT);
        prop_assert!(again.rows.is_empty() && again.gone.is_empty(), "{:?} {:?} {:?}", text, again.rows, again.gone);
    }
}
