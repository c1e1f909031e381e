//! Lists that can grow come in pages: so many items, and where the next page goes on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Refusal;

/// Items of a page, unless said otherwise.
const LIMIT_DEFAULT: usize = 100;
/// Items that one page can have.
pub const LIMIT_MAX: usize = 10_000;

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many items.
    pub limit: usize,
    /// The place of the last item of the page before.
    pub cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: LIMIT_DEFAULT, cursor: None }
    }
}

impl Page {
    /// What the query of a request says.
    ///
    /// # Errors
    /// When `limit` is no number of items that a page can have.
    pub fn read(query: &BTreeMap<String, String>) -> Result<Self, Refusal> {
        let limit = match query.get("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(
                    || Refusal::invalid(format!("limit: {text:?}; it is 1 to {LIMIT_MAX}")),
                )?
            }
        };
        Ok(Self { limit, cursor: query.get("cursor").cloned() })
    }

    /// The cursor of a list whose places are numbers.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(&self) -> Result<Option<u64>, Refusal> {
        self.cursor.as_deref().map(|text| text.parse().map_err(|_| strange_cursor())).transpose()
    }

    /// The page. `items` begin behind the cursor; `place` is what the cursor says of an item.
    pub fn fill<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        place: impl FnOnce(&T) -> String,
        show: impl FnMut(T) -> Value,
    ) -> Value {
        let mut items = items.into_iter();
        let page: Vec<T> = items.by_ref().take(self.limit).collect();
        let next = items.next().and_then(|_| page.last().map(place));
        json!({ "items": page.into_iter().map(show).collect::<Vec<_>>(), "next": next })
    }
}

/// What is said of a cursor that no page of this list ended with.
#[must_use]
pub fn strange_cursor() -> Refusal {
    Refusal::invalid("cursor: it is the `next` of the page before")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: &str) -> Result<Page, Refusal> {
        Page::read(&BTreeMap::from([("limit".into(), limit.into())]))
    }

    #[test]
    fn pages_end_with_the_place_of_their_last_item_and_the_last_one_with_none() {
        let items = ["a", "b", "c", "d"];
        let mut page = page("3").unwrap();
        let first = page.fill(items, |it| (*it).to_owned(), Value::from);
        assert_eq!(first, json!({"items": ["a", "b", "c"], "next": "c"}));
        let last = page.fill(["d"], |it| (*it).to_owned(), Value::from);
        assert_eq!(last, json!({"items": ["d"], "next": null}));
        page.limit = 4;
        assert_eq!(page.fill(items, |it| (*it).to_owned(), Value::from)["next"], Value::Null);
    }

    #[test]
    fn a_limit_that_is_none_is_refused_with_what_it_can_be() {
        for limit in ["0", "10001", "-1", "1e3", "all", ""] {
            assert!(page(limit).unwrap_err().detail.contains("1 to 10000"), "{limit}");
        }
        assert_eq!(Page::read(&BTreeMap::new()).unwrap().limit, 100);
    }
}
