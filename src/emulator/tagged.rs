//! Tags that identities get when they are made.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::world::limits;
use crate::domain::id::DeviceId;
use crate::domain::pattern::Ids;

/// One `[[tag]]` of a scenario: which devices, and the tags of their twins.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Table")]
pub struct Tagged {
    ids: Ids,
    tags: Map<String, Value>,
}

/// As it is written: whatever is not `ids` is a tag.
#[derive(Deserialize)]
struct Table {
    ids: Ids,
    #[serde(flatten)]
    tags: Map<String, Value>,
}

impl TryFrom<Table> for Tagged {
    type Error = String;

    fn try_from(Table { ids, tags }: Table) -> Result<Self, String> {
        if ids.is_empty() {
            return Err("[[tag]] has no ids".to_owned());
        }
        if tags.is_empty() {
            return Err("[[tag]] names no tag, such as site = \"hall-1\"".to_owned());
        }
        limits::check_patch("tags", &tags).map_err(|refusal| refusal.message)?;
        Ok(Self { ids, tags })
    }
}

/// What is to be written into the twin of `id`, as the body of a PATCH; `None`
/// where no table is for it. Of two that name one tag the later wins.
pub(super) fn patch(all: &[Tagged], id: &DeviceId) -> Option<Map<String, Value>> {
    let mut tags = Map::new();
    for table in all.iter().filter(|table| table.ids.matches(id.as_str())) {
        tags.extend(table.tags.clone());
    }
    let mut body = Map::new();
    body.insert("tags".to_owned(), json!(tags));
    (!tags.is_empty()).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_tables_win_tag_by_tag() {
        #[derive(Deserialize)]
        struct File {
            tag: Vec<Tagged>,
        }
        let text =
            "[[tag]]\nids = \"*\"\nsite = \"a\"\nline = 1\n[[tag]]\nids = \"sim-2\"\nsite = \"b\"";
        let all = toml::from_str::<File>(text).unwrap().tag;
        let of = |id: &str| patch(&all, &DeviceId::parse(id).unwrap()).unwrap()["tags"].clone();
        assert_eq!(of("sim-1"), json!({"site": "a", "line": 1}));
        assert_eq!(of("sim-2"), json!({"site": "b", "line": 1}));
        assert!(patch(&all[1..], &DeviceId::parse("sim-1").unwrap()).is_none());
    }
}
