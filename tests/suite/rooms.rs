//! Who may know whom: `ARCHITECTURE.md`, held.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms that it may name. `cli` may name all.
const MAY_KNOW: [(&str, &[&str]); 11] = [
    ("domain", &[]),
    ("hub", &["domain"]),
    ("journal", &["domain"]),
    ("package", &["domain"]),
    ("engine", &["domain", "hub", "journal", "package"]),
    ("console", &["domain", "engine"]),
    ("config", &["domain"]),
    ("mqtt", &[]),
    ("emulator", &["domain", "mqtt"]),
    ("device", &["domain", "mqtt"]),
    ("scenario", &["domain", "emulator", "device"]),
];

/// All that the engine may name of the hub: the trait and what it speaks of,
/// never the client.
const OF_THE_HUB: [&str; 12] = [
    "GateKeeper",
    "Grant",
    "House",
    "HubError",
    "Identity",
    "Page",
    "Permit",
    "Query",
    "Service",
    "TagGrant",
    "TagPermit",
    "error",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn rooms_named_in(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group[..group.find("};").unwrap_or(group.len())]
                .split(',')
                .collect(),
            None => vec![rest],
        };
        for name in names {
            let name: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            named.insert(name);
        }
    }
    named
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn each_room_knows_only_whom_it_may() {
    let may_know: BTreeMap<_, _> = MAY_KNOW.into_iter().collect();
    let rooms: BTreeSet<&str> = may_know.keys().copied().chain(["cli"]).collect();
    let mut read = 0;
    for (room, allowed) in &may_know {
        for path in sources(&root().join(room)) {
            read += 1;
            for named in rooms_named_in(&code(&path)) {
                let fine = named == *room
                    || allowed.contains(&named.as_str())
                    || !rooms.contains(named.as_str());
                assert!(fine, "{}: {room} may not know {named}", path.display());
            }
        }
    }
    assert!(read > 40, "only {read} files were read");
}

#[test]
fn the_engine_knows_the_hub_only_through_its_trait() {
    let mut named = BTreeSet::new();
    for path in sources(&root().join("engine")) {
        let code = code(&path);
        let from_the_root = code.split("crate::hub::").skip(1);
        for rest in from_the_root.chain(code.split(" hub::").skip(1)) {
            let group = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap_or_default(),
                None => rest
                    .split(|c: char| !c.is_alphanumeric())
                    .next()
                    .unwrap_or_default(),
            };
            for name in group
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
            {
                let name = name.split("::").next().unwrap_or_default();
                named.insert((name.to_owned(), path.display().to_string()));
            }
        }
    }
    assert!(named.len() > 8, "{named:?}");
    for (name, path) in named {
        let fine = OF_THE_HUB.contains(&name.as_str()) || name == "self";
        assert!(fine, "{path} names hub::{name}");
    }
}

#[test]
fn every_room_is_on_the_map() {
    let map = fs::read_to_string(root().join("lib.rs")).unwrap();
    let architecture =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let room = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(
                map.contains(&format!("//! | [`{room}`]")),
                "{room} is not in lib.rs"
            );
            assert!(
                architecture.contains(&format!("`{room}`")),
                "{room} is not in ARCHITECTURE.md"
            );
        }
    }
}

/// Nothing is written to a hub but by a permit: the shell alone calls `invoke`
/// and `write_tag`, each once, with what the core gave it; the gate alone makes
/// permits, of both kinds.
#[test]
fn there_is_one_gate() {
    let (mut makers, mut callers) = (Vec::new(), Vec::new());
    for path in sources(&root()) {
        let (code, name) = (
            code(&path),
            path.file_name().unwrap().to_string_lossy().into_owned(),
        );
        // `Permit {` stands in `TagPermit {` too, so both kinds are counted.
        let count = |text: &str| code.matches(text).count();
        let told = [
            "struct Permit {",
            "struct TagPermit {",
            "for Permit {",
            "for TagPermit {",
        ];
        let made = count("Permit {") - told.map(count).iter().sum::<usize>();
        if made > 0 || code.contains("GateKeeper for") {
            makers.push(name.clone());
        }
        // The trait passes a shared hub's call on; that is no call of its own.
        for write in ["invoke", "write_tag"] {
            let all = count(&format!(".{write}("));
            let calls = all - count(&format!("(**self).{write}("));
            callers.extend(std::iter::repeat_n((name.clone(), write), calls));
        }
    }
    assert_eq!(makers, ["gate.rs"]);
    // The core's own function of that name, which asks the gate.
    let of_the_core = ["starts.rs", "orders.rs", "tags.rs"];
    callers.retain(|(name, write)| *write != "invoke" || !of_the_core.contains(&name.as_str()));
    let shell = |write| ("shell.rs".to_owned(), write);
    assert_eq!(callers, [shell("invoke"), shell("write_tag")]);
}

/// What a permit is for is in its type: a call is no tag, and a tag no call.
#[test]
fn a_permit_is_for_one_kind_of_write() {
    let service = code(&root().join("hub/service.rs"));
    let plain: String = service.split_whitespace().collect();
    for write in [
        "fninvoke(&self,permit:Permit)",
        "fnwrite_tag(&self,permit:TagPermit)",
        "fninto_call(self)->MethodCall;",
        "fninto_write(self)->tag::Write;",
    ] {
        assert!(plain.contains(write), "{write}");
    }
    let gate = code(&root().join("engine/gate.rs"));
    for kind in ["Permit", "TagPermit"] {
        // Neither can be copied, and nothing in it can be changed from outside.
        let begin = gate.find(&format!("pub struct {kind} {{")).unwrap();
        let derives = gate[..begin].lines().rev().find(|l| !l.trim().is_empty());
        assert_eq!(derives, Some("#[derive(Debug)]"), "{kind}");
        let body = gate[begin..].split('}').next().unwrap();
        assert!(!body[4..].contains("pub"), "{kind}: {body}");
    }
}
