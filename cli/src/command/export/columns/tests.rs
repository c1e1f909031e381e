//! What a column takes and refuses, and what a reader finds in a file of several groups.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::json;

use super::*;

const FIELDS: [(&str, Kind); 7] = [
    ("id", Kind::Text),
    ("ended", Kind::Time),
    ("complete", Kind::Flag),
    ("hold_ms", Kind::Number),
    ("charge", Kind::Money),
    ("media", Kind::Parts),
    ("version", Kind::Number),
];

fn begin() -> Columns<Vec<u8>> {
    Columns::begin(Vec::new(), &FIELDS, vec![("from", "2026-01-01T00:00:00Z".to_owned())]).unwrap()
}

fn read(columns: Columns<Vec<u8>>) -> SerializedFileReader<Bytes> {
    SerializedFileReader::new(Bytes::from(columns.finish().unwrap())).unwrap()
}

fn foot(file: &SerializedFileReader<Bytes>) -> Vec<(String, String)> {
    let told = file.metadata().file_metadata().key_value_metadata().unwrap().iter();
    told.map(|it| (it.key.clone(), it.value.clone().unwrap())).collect()
}

#[test]
fn an_amount_is_exact_or_refused() {
    for (text, exact) in [
        ("0.00", 0),
        ("0.000000001", 1),
        ("-0.12", -120_000_000),
        ("1.1000000000", 1_100_000_000),
        ("999999999.999999999", 999_999_999_999_999_999),
        ("-999999999.999999999", -999_999_999_999_999_999),
    ] {
        assert_eq!(billionths(text), Some(exact), "{text}");
    }
    for text in [
        "",
        "1,5",
        "1e3",
        "0.0000000001",
        "1.0000000000000000000000000001",
        "0.00000000000000000000000000000001",
        "1000000000.00",
        "9223372036.854775807",
        "-1000000000.00",
        "79228162514264337593543950335",
        "79228162514264337593543950336",
    ] {
        assert_eq!(billionths(text), None, "{text}");
    }
}

#[test]
fn what_a_column_cannot_hold_is_told_by_record_field_and_value() {
    let long = "9".repeat(500);
    for (field, value, wanted) in [
        ("charge", json!("1000000000.00"), "an amount below a billion"),
        ("charge", json!(0.5), "an amount"),
        ("hold_ms", json!(u64::MAX), "a whole number"),
        ("hold_ms", json!(1.5), "a whole number"),
        ("hold_ms", json!("1"), "a whole number"),
        ("ended", json!("yesterday"), "a time"),
        ("complete", json!(1), "true or false"),
        ("id", json!({"of": "parts"}), "text"),
        ("charge", json!(long), "an amount"),
    ] {
        let mut record = json!({"id": "0001"});
        record[field] = value.clone();
        let why = begin().add(&record).unwrap_err().to_string();
        let told: String = value.to_string().chars().take(TOLD_CHARS).collect();
        for part in ["record ", &format!("{field}: {told} is not {wanted}"), "csv or jsonl"] {
            assert!(why.contains(part), "{part:?} is not in {why:?}");
        }
        assert!(why.len() < 300, "{why}");
    }
}

#[test]
fn rows_come_back_from_all_groups_with_absent_values_absent() {
    let rows = GROUP_ROWS + 1;
    let mut columns = begin();
    for row in 0..rows {
        let mut record = json!({"id": row.to_string(), "hold_ms": row, "version": 2});
        if row % 2 == 0 {
            record["ended"] = json!("2026-01-01T00:00:00.001Z");
            record["complete"] = json!(true);
            record["charge"] = json!("0.000000001");
            record["media"] = json!({"mos": 4.1});
        }
        columns.add(&record).unwrap();
    }
    let file = read(columns);
    assert_eq!(file.num_row_groups(), 2);
    for (number, row) in file.get_row_iter(None).unwrap().enumerate() {
        let row = row.unwrap();
        assert_eq!(row.get_string(0).unwrap(), &number.to_string());
        assert_eq!(row.get_long(3).unwrap(), i64::try_from(number).unwrap());
        let absent = number % 2 == 1;
        assert_eq!(row.get_timestamp_micros(1).is_err(), absent);
        assert_eq!(row.get_bool(2).is_err(), absent);
        assert_eq!(row.get_decimal(4).is_err(), absent);
        assert_eq!(row.get_string(5).is_err(), absent);
        if !absent {
            assert_eq!(row.get_timestamp_micros(1).unwrap(), 1_767_225_600_001_000);
            assert_eq!(row.get_decimal(4).unwrap().data(), 1_i64.to_be_bytes());
            assert_eq!(row.get_string(5).unwrap(), "{\"mos\":4.1}");
        }
    }
    let said = [("records", "20001"), ("version", "2"), ("from", "2026-01-01T00:00:00Z")];
    let said = said.map(|(name, value)| (format!("tollgate.{name}"), value.to_owned()));
    assert_eq!(foot(&file), said);
}

#[test]
fn a_group_with_much_text_is_written_early() {
    let mut columns = begin();
    let record = json!({"id": "x".repeat(GROUP_BYTES / 4)});
    for _ in 0..9 {
        columns.add(&record).unwrap();
    }
    assert_eq!((columns.rows, columns.bytes), (1, GROUP_BYTES / 4));
    assert_eq!(read(columns).num_row_groups(), 3);
}

#[test]
fn a_file_without_records_is_one_too() {
    let file = read(begin());
    assert_eq!((file.num_row_groups(), file.metadata().file_metadata().num_rows()), (0, 0));
    assert_eq!(foot(&file)[0], ("tollgate.records".to_owned(), "0".to_owned()));
}

#[test]
fn shapes_of_records_stand_in_the_foot_each_once() {
    let mut columns = begin();
    for version in [json!(2), json!(null), json!(1), json!(2)] {
        columns.add(&json!({"id": "1", "version": version})).unwrap();
    }
    assert_eq!(foot(&read(columns))[1], ("tollgate.version".to_owned(), "1,2".to_owned()));
}
