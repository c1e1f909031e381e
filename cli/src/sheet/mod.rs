//! Nouns as spreadsheets: `export` writes one, `import FILE.csv` makes what is there what the sheet says.
//!
//! The columns are the fields that the API takes ([`column`]); a file is read as a whole before anything
//! is changed ([`file`]), so a sheet with a mistake changes nothing. What is not in the sheet stays.

mod column;
mod file;

pub(crate) use file::load;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hyper::Method;
use serde_json::{Map, Value, json};

use crate::client::{Body, Error, escape};
use crate::command::Page;
use crate::render::{self, Output};
use crate::{Context, Failure, Usage};
use column::Column;
use file::{Line, Mistake};

/// A noun that operators keep in spreadsheets.
pub(crate) struct Sheet {
    /// The list below `/api/v1`; one of it is at `/{key}` behind.
    pub(crate) list: &'static str,
    /// The column that tells one from the other.
    pub(crate) key: &'static str,
    /// How one that is there is changed.
    pub(crate) change: Change,
    /// Whether one key can be written in several ways, as networks can.
    pub(crate) spellings: bool,
}

/// How something that is there is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// By its fields that differ.
    Patch,
    /// By saying it anew.
    Anew,
    /// It is always there and has one value; an empty one is its default.
    Value,
}

/// Which file, and whether in earnest.
#[derive(clap::Args)]
pub(crate) struct Import {
    /// A CSV file, its first line the names of the columns as `export` writes them. An empty cell
    /// means the default, a column that is not there leaves things as they are.
    file: PathBuf,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn is_dry(&self) -> bool {
        self.dry_run
    }
}

/// What becomes of one line.
struct Step {
    line: u64,
    key: String,
    action: Action,
    fields: Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Change,
    Nothing,
}

impl Sheet {
    fn item(&self, key: &str) -> String {
        format!("{}/{}", self.list, escape(key))
    }

    /// The key first, then the others by name.
    fn columns(&self, context: &Context) -> Result<Vec<Column>, Failure> {
        let document = context.client.get("/openapi.json")?;
        let operation =
            |path: &str, method: &str| &document["paths"][format!("/api/v1{path}")][method];
        let taker = match self.change {
            Change::Value => operation(&format!("{}/{{{}}}", self.list, self.key), "put"),
            Change::Patch | Change::Anew => operation(self.list, "post"),
        };
        let schema = &taker["requestBody"]["content"]["application/json"]["schema"];
        // Where several are taken at once, one is described first.
        let schema = schema["anyOf"].get(0).unwrap_or(schema);
        let strange = || format!("control does not describe {} as this release does", self.list);
        let fields = schema["properties"].as_object().ok_or_else(strange)?;
        let needed = schema["required"].as_array().cloned().unwrap_or_default();
        // What is taken and never shown, such as a time from now, cannot be exported.
        let answer =
            operation(self.list, "get")["responses"]["200"]["content"]["application/json"].clone();
        let shown = &follow(&document, &answer["schema"])["properties"]["items"]["items"];
        let shown = &follow(&document, shown)["properties"];
        let column = |name: &str, schema: &Value| {
            let needed = needed.contains(&name.into());
            Column::of(name, schema, needed).ok_or_else(strange)
        };
        let mut columns = vec![match fields.get(self.key) {
            Some(schema) => column(self.key, schema)?,
            None => Column::of(self.key, &json!({ "type": "string" }), true).ok_or_else(strange)?,
        }];
        for (name, schema) in fields.iter().filter(|(name, _)| *name != self.key) {
            if shown.get(name).is_some() {
                columns.push(column(name, schema)?);
            }
        }
        if let (Change::Value, Some(value)) = (self.change, columns.get_mut(1)) {
            value.default = Some(Value::Null);
        }
        Ok(columns)
    }

    /// `NAME=VALUE` of `--field`, each value as a cell of its column says it. Whose name is unknown, or
    /// whose value cannot be, is told before anything is sent.
    pub(crate) fn fields(
        &self,
        context: &Context,
        texts: &[String],
    ) -> Result<Map<String, Value>, Failure> {
        if texts.is_empty() {
            return Ok(Map::new());
        }
        read_fields(&self.columns(context)?, texts).map_err(|what| Usage(what).into())
    }

    /// All that is there.
    fn all(&self, context: &Context, list: &str) -> Result<Vec<Value>, Failure> {
        // A catalog comes whole.
        let mut list = match self.change {
            Change::Value => context.client.get(list)?,
            Change::Patch | Change::Anew => {
                Page::default().collect(list, |path| context.client.get(path))?
            }
        };
        match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(format!("{list} is no list").into()),
        }
    }

    /// Prints everything with the columns that an import reads.
    pub(crate) fn export(&self, context: &Context) -> Result<(), Failure> {
        self.export_from(context, self.list)
    }

    /// As [`Self::export`], of a list whose path has a name in it.
    pub(crate) fn export_from(&self, context: &Context, list: &str) -> Result<(), Failure> {
        let columns = self.columns(context)?;
        let mut items = self.all(context, list)?;
        if self.change == Change::Value {
            items.retain(|item| !item["value"].is_null() && item["value"] != item["default"]);
        }
        if context.output == Output::Json {
            let row = |item: &Value| -> Value {
                let fields =
                    columns.iter().map(|column| (column.name.clone(), item[&column.name].clone()));
                Value::Object(fields.collect())
            };
            let items: Vec<Value> = items.iter().map(row).collect();
            return Ok(render::show(&json!({ "items": items, "next": null }), &[], Output::Json)?);
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns.iter().map(|column| column.name.as_str()))?;
        for item in &items {
            writer.write_record(columns.iter().map(|column| column.write(&item[&column.name])))?;
        }
        let text = writer.into_inner().map_err(|error| error.into_error())?;
        Ok(render::print(&String::from_utf8_lossy(&text))?)
    }

    /// Makes what is there what the sheet says.
    pub(crate) fn import(&self, context: &Context, import: &Import) -> Result<(), Failure> {
        let bytes = load(&import.file)?;
        let columns = self.columns(context)?;
        let (lines, mut mistakes) = file::read(&bytes, &columns)
            .map_err(|what| format!("{}: {what}", import.file.display()))?;
        let there: BTreeMap<String, Value> = self
            .all(context, self.list)?
            .into_iter()
            .filter_map(|item| Some((item[self.key].as_str()?.to_owned(), item)))
            .collect();
        let mut steps = Vec::new();
        for line in lines {
            let number = line.number;
            match self.step(context, &columns, &there, line)? {
                Ok(step) => steps.push(step),
                Err(what) => mistakes.push(Mistake { line: number, what }),
            }
        }
        let total = steps.len() + mistakes.len();
        let mut done = Vec::new();
        if mistakes.is_empty() {
            for step in steps {
                let refused = match (step.action, import.dry_run) {
                    (Action::Nothing, _) | (_, true) => None,
                    (Action::Create | Action::Change, false) => match self.apply(context, &step) {
                        Ok(_) => None,
                        Err(refused @ Error::Refused(..)) => Some(refused),
                        Err(gone) => return Err(format!("line {}: {gone}", step.line).into()),
                    },
                };
                match refused {
                    Some(refused) => {
                        mistakes.push(Mistake { line: step.line, what: refused.to_string() });
                    }
                    None => done.push(step),
                }
            }
        }
        mistakes.sort_by_key(|mistake| mistake.line);
        report(context, import, &done, &mistakes)?;
        match mistakes.len() {
            0 => Ok(()),
            failed if done.is_empty() => {
                Err(format!("{failed} of {total} lines are wrong; nothing was changed").into())
            }
            failed => Err(format!("{failed} of {total} lines failed; the others are done").into()),
        }
    }

    /// What a line asks for, or why it cannot be.
    fn step(
        &self,
        context: &Context,
        columns: &[Column],
        there: &BTreeMap<String, Value>,
        Line { number: line, key, cells }: Line,
    ) -> Result<Result<Step, String>, Failure> {
        let mut spelled = None;
        if self.spellings && !there.contains_key(&key) {
            spelled = match context.client.get(&self.item(&key)) {
                Ok(item) => Some(item),
                // Whatever is wrong with it is told when it is created.
                Err(Error::Refused(..)) => None,
                Err(gone) => return Err(gone.into()),
            };
        }
        let old = there.get(&key).or(spelled.as_ref());
        let mut fields = Map::new();
        let mut named = vec![0];
        for (place, value) in cells {
            let Some(column) = columns.get(place).filter(|_| place > 0) else { continue };
            named.push(place);
            match (old, self.change) {
                (Some(old), Change::Value) => {
                    let wanted = value.as_ref().unwrap_or(&old["default"]);
                    if old["value"] != *wanted {
                        fields.insert(column.name.clone(), value.into());
                    }
                }
                (Some(old), _) => {
                    let wanted = value.or_else(|| column.default.clone()).unwrap_or_default();
                    if !column.same(&old[&column.name], &wanted) {
                        fields.insert(column.name.clone(), wanted);
                    }
                }
                (None, _) => {
                    if let Some(value) = value {
                        fields.insert(column.name.clone(), value);
                    }
                }
            }
        }
        let action = match old {
            Some(_) if fields.is_empty() => Action::Nothing,
            Some(_) => Action::Change,
            None if self.change == Change::Value => Action::Change,
            None => Action::Create,
        };
        let lacks =
            |(place, column): &(usize, &Column)| column.default.is_none() && !named.contains(place);
        if action == Action::Create
            && let Some((_, column)) = columns.iter().enumerate().find(lacks)
        {
            return Ok(Err(format!(
                "{key:?} is not there yet and needs a column `{}`",
                column.name
            )));
        }
        if let (Change::Anew, Action::Change, Some(old)) = (self.change, action, old) {
            for column in columns {
                fields.entry(column.name.clone()).or_insert_with(|| old[&column.name].clone());
            }
        }
        Ok(Ok(Step { line, key, action, fields }))
    }

    fn apply(&self, context: &Context, step: &Step) -> Result<Value, Error> {
        let mut fields = step.fields.clone();
        let (method, path) = match (self.change, step.action) {
            (Change::Value, _) if fields.get("value").is_none_or(Value::is_null) => {
                return context.client.request(Method::DELETE, &self.item(&step.key), Body::Empty);
            }
            (Change::Value, _) => (Method::PUT, self.item(&step.key)),
            (Change::Patch, Action::Change) => (Method::PATCH, self.item(&step.key)),
            (Change::Patch | Change::Anew, _) => {
                fields.insert(self.key.to_owned(), step.key.clone().into());
                (Method::POST, self.list.to_owned())
            }
        };
        context.client.request(method, &path, Body::Json(Value::Object(fields)))
    }
}

/// The key is the first column, and no field.
fn read_fields(columns: &[Column], texts: &[String]) -> Result<Map<String, Value>, String> {
    let columns = columns.get(1..).unwrap_or_default();
    let mut fields = Map::new();
    for text in texts {
        let (name, cell) = text
            .split_once('=')
            .ok_or_else(|| format!("--field {text}: it is NAME=VALUE, like rel100=required"))?;
        let column = columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            format!("--field {name}: there is no such field; there is {}", names.join(", "))
        })?;
        let value = column.read(cell).map_err(|what| format!("--field {what}"))?;
        let value = value.or_else(|| column.default.clone()).unwrap_or_default();
        if fields.insert(name.to_owned(), value).is_some() {
            return Err(format!("--field {name}: it stands here twice"));
        }
    }
    Ok(fields)
}

/// Where a `$ref` leads.
fn follow<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.and_then(|target| document.pointer(target)).unwrap_or(schema)
}

/// What was done, line by line and in sum; what failed goes to standard error too.
fn report(
    context: &Context,
    import: &Import,
    done: &[Step],
    mistakes: &[Mistake],
) -> Result<(), Failure> {
    for Mistake { line, what } in mistakes {
        render::warn(&format!("line {line}: {what}"));
    }
    let count = |action| done.iter().filter(|step| step.action == action).count();
    let (created, changed) = (count(Action::Create), count(Action::Change));
    let (unchanged, failed) = (count(Action::Nothing), mistakes.len());
    let moved = done.iter().filter(|step| step.action != Action::Nothing).map(|step| {
        let action = if step.action == Action::Create { "create" } else { "change" };
        json!({ "line": step.line, "key": step.key, "action": action, "fields": step.fields })
    });
    let lines: Vec<Value> = moved.collect();
    if context.output != Output::Table {
        let failures: Vec<Value> = mistakes
            .iter()
            .map(|mistake| json!({ "line": mistake.line, "detail": mistake.what }))
            .collect();
        let summary = json!({
            "dry_run": import.dry_run, "created": created, "changed": changed,
            "unchanged": unchanged, "failed": failed, "lines": lines, "failures": failures,
        });
        return Ok(render::show(&summary, &[], Output::Json)?);
    }
    if import.dry_run && !lines.is_empty() {
        let columns = ["line", "action", "key", "fields"];
        render::show(&json!({ "items": lines }), &columns, Output::Table)?;
    }
    let would = if import.dry_run { "nothing was changed; it would be: " } else { "" };
    let summary = format!(
        "{would}created {created}, changed {changed}, unchanged {unchanged}, failed {failed}\n"
    );
    Ok(render::print(&summary)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_columns_and_an_unknown_one_lists_the_names() {
        let column = |name: &str, schema: Value| Column::of(name, &schema, false).unwrap();
        let columns = [
            column("name", json!({"type": "string"})),
            column("rel100", json!({"type": "string", "default": "off"})),
            column("session_timer", json!({"type": "boolean", "default": false})),
            column("redirects_max", json!({"type": "integer", "default": 0})),
        ];
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            read_fields(&columns, &texts).map(Value::Object)
        };
        assert_eq!(
            read(&["session_timer=true", "redirects_max=3", "rel100="]),
            Ok(json!({"session_timer": true, "redirects_max": 3, "rel100": "off"}))
        );
        let unknown = read(&["rel101=off"]).unwrap_err();
        assert!(unknown.ends_with("there is rel100, session_timer, redirects_max"), "{unknown}");
        assert!(read(&["name=x"]).unwrap_err().contains("no such field"), "a name stays");
        assert!(read(&["session_timer=yes"]).unwrap_err().contains("neither true nor false"));
        assert!(read(&["session_timer"]).unwrap_err().contains("NAME=VALUE"));
        assert!(read(&["rel100=off", "rel100=off"]).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_reference_is_followed_and_what_is_none_stays() {
        let document = json!({"components": {"schemas": {"A": {"type": "object"}}}});
        let schema = json!({"$ref": "#/components/schemas/A"});
        assert_eq!(follow(&document, &schema)["type"], "object");
        assert_eq!(follow(&document, &json!({"type": "string"}))["type"], "string");
    }
}
