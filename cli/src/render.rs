//! How a person or a program sees an answer: table, JSON or CSV.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// The shape of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs; stable.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Prints `value`; `columns` names what a table shows, in its order; none: everything.
pub(crate) fn show(value: &Value, columns: &[&str], output: Output) -> std::io::Result<()> {
    let text = match output {
        Output::Json => format!("{value:#}\n"),
        Output::Csv => csv(value)?,
        Output::Table => table(value, columns),
    };
    print(&text)
}

/// What is wrong, to standard error; if nobody reads that, nobody can be told.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Text for whoever reads standard output.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // `tollgate … | head` is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// The rows of a list, or the one row of an object. Lists come as `{"items": […]}`.
fn rows(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(object) => match object.get("items") {
            Some(Value::Array(items)) => items.iter().collect(),
            _ => vec![value],
        },
        _ => vec![],
    }
}

fn is_list(value: &Value) -> bool {
    value.is_array() || value.get("items").is_some_and(Value::is_array)
}

/// A list as a table, or an object as its lines.
pub(crate) fn table(value: &Value, columns: &[&str]) -> String {
    if value.is_null() {
        return String::new();
    }
    if let Value::String(text) = value {
        return format!("{text}\n");
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_width(200);
    }
    if is_list(value) {
        let rows = rows(value);
        if rows.is_empty() {
            return "none\n".into();
        }
        let names: Vec<String> = if columns.is_empty() {
            names(&rows)
        } else {
            columns.iter().map(|name| (*name).to_owned()).collect()
        };
        table.set_header(&names);
        for row in rows {
            table.add_row(names.iter().map(|name| cell(lookup(row, name))));
        }
    } else {
        let mut pairs = Vec::new();
        flatten("", value, &mut pairs);
        for (name, value) in pairs {
            table.add_row([name, value]);
        }
    }
    format!("{table}\n")
}

/// `a.b` reaches into objects.
fn lookup<'a>(row: &'a Value, name: &str) -> &'a Value {
    name.split('.').try_fold(row, |value, part| value.get(part)).unwrap_or(&Value::Null)
}

fn names(rows: &[&Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        for name in row.as_object().into_iter().flat_map(|object| object.keys()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    // Sorted, so that a spreadsheet's columns stay where they are.
    names.sort();
    names
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| format!("{name}={}", cell(value)))
            .collect::<Vec<_>>()
            .join(" "),
        other => other.to_string(),
    }
}

/// An object as lines of `name value`, names of nested objects joined by dots.
fn flatten(prefix: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let inside = |name: &str| {
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
    };
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                flatten(&inside(name), value, pairs);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&inside(&index.to_string()), item, pairs);
            }
        }
        other => pairs.push((prefix.to_owned(), cell(other))),
    }
}

fn csv(value: &Value) -> std::io::Result<String> {
    let rows = rows(value);
    let names = names(&rows);
    let mut writer = csv::Writer::from_writer(Vec::new());
    if !names.is_empty() {
        writer.write_record(&names)?;
    }
    for row in rows {
        writer.write_record(names.iter().map(|name| cell(lookup(row, name))))?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_becomes_one_line_per_item_with_every_field() {
        let list = json!({"items": [{"name": "a", "lines": 3}, {"name": "b", "memo": "x,y"}]});
        assert_eq!(csv(&list).unwrap(), "lines,memo,name\n3,,a\n,\"x,y\",b\n");
    }

    #[test]
    fn an_object_becomes_lines_of_dotted_names() {
        let mut pairs = Vec::new();
        flatten("", &json!({"a": {"b": 1, "c": ["x", "y"]}}), &mut pairs);
        assert_eq!(pairs, [("a.b".into(), "1".into()), ("a.c".into(), "x y".into())]);
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(table(&json!({"items": []}), &["name"]), "none\n");
    }
}
