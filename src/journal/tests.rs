mod leases;

use std::os::unix::fs::MetadataExt;

use jiff::Timestamp;

use super::*;
use crate::domain::event::{Intent, What};
use crate::domain::evidence::sha256;
use crate::domain::update::{Baseline, OpenState, Outcome, Update};

fn intended(device: &str, hub: &str) -> Event {
    let intent = Intent {
        hub: hub.into(),
        uri: Some("https://x.test/fw".into()),
        payload_sha256: Some("00".into()),
        method: Some("firmwareUpdate".into()),
        expect: None,
        dialect: "tutorial-2018".into(),
        baseline: Baseline {
            value: Some("completed".into()),
            last_updated: Some("2026-01-01T12:00:00.1234567Z".parse().unwrap()),
            ..Baseline::default()
        },
        by: "ana".into(),
        ..Intent::default()
    };
    let device = DeviceId::parse(device).unwrap();
    let what = What::Intended(Box::new(intent));
    Event::update(Timestamp::now(), device, UpdateId::fresh(), what)
}

fn raw(path: &Path) -> rusqlite::Connection {
    schema::open(path, &Place::of(path.parent().unwrap()).unwrap()).unwrap()
}

fn then(first: &Event, what: What) -> Event {
    Event {
        what,
        ..first.clone()
    }
}

fn verdict() -> What {
    What::Verdict {
        outcome: Outcome::Completed,
        reason: "so".into(),
        evidence: None,
        reported: serde_json::Value::Null,
        problem: None,
    }
}

#[tokio::test]
async fn open_updates_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/journal.db");
    let (open, ended, elsewhere) = (
        intended("a", "h"),
        intended("b", "h"),
        intended("c", "other"),
    );
    let state = then(
        &open,
        What::State {
            state: OpenState::Unknown,
            reason: "504".into(),
            evidence: None,
        },
    );
    {
        let journal = Journal::open(&path, "ana@h").unwrap();
        for event in [&open, &ended, &elsewhere] {
            journal.intend(event.clone()).await.unwrap();
        }
        let invoked = then(
            &open,
            What::Invoked {
                attempt: 1,
                latest: None,
            },
        );
        journal.record(vec![invoked, state.clone()]).await.unwrap();
        journal.record(vec![then(&ended, verdict())]).await.unwrap();
    }
    let journal = Journal::open(&path, "ana@h").unwrap();
    let updates = journal.open_updates("h").await.unwrap();
    assert_eq!(updates, [open.update_id.clone().unwrap()]);
    let adopted = journal.adopt(updates[0].clone()).await.unwrap();
    assert_eq!((adopted.events.len(), adopted.unreadable), (3, 0));
    assert_eq!(adopted.events[0], open, "with stamps to the last digit");
    assert_eq!(adopted.events[2], state);
    assert!(Update::intended(&adopted.events[0]).is_some());
}

#[tokio::test]
async fn only_the_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/journal.db");
    let journal = Journal::open(&path, "ana").unwrap();
    journal.intend(intended("a", "h")).await.unwrap();
    let mode = |p: &Path| std::fs::metadata(p).unwrap().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap().path();
        assert_eq!(mode(&entry), 0o600, "{}", entry.display());
    }
}

/// The journal as it is on that network file system.
fn on(network: Option<&'static str>, path: &Path, by: &str) -> Journal {
    let place = Place::of(path.parent().unwrap()).unwrap().on(network);
    let settings = Settings {
        path: path.to_owned(),
        by: by.to_owned(),
        keep: None,
    };
    Journal::open_in(place, &settings).unwrap()
}

#[rstest::rstest]
#[tokio::test]
async fn one_update_a_device_at_a_time_across_processes(
    #[values(None, Some("NFS"))] network: Option<&'static str>,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (one, other) = (on(network, &path, "ana"), on(network, &path, "ben"));
    let first = intended("a", "h");
    one.intend(first.clone()).await.unwrap();
    let refused = other.intend(intended("a", "h")).await.unwrap_err();
    let JournalError::Busy { holding, .. } = &refused else {
        panic!("{refused}");
    };
    let process = holding.process.as_ref().unwrap();
    assert_eq!(
        (holding.by.as_str(), process.pid),
        ("ana", std::process::id())
    );
    // Neither the lease nor the intent of the refused one is there.
    assert_eq!(other.open_updates("h").await.unwrap().len(), 1);
    other.intend(intended("a", "another hub")).await.unwrap();
    one.record(vec![then(&first, verdict())]).await.unwrap();
    other.intend(intended("a", "h")).await.unwrap();
}

#[tokio::test]
async fn the_lease_of_a_dead_process_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, "ana").unwrap();
    let first = intended("a", "h");
    journal.intend(first.clone()).await.unwrap();
    // The same number, another start: a process that is gone.
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE lease SET started = 'long ago'", [])
        .unwrap();
    journal
        .adopt(first.update_id.clone().unwrap())
        .await
        .unwrap();
    raw.execute("UPDATE lease SET started = 'long ago'", [])
        .unwrap();
    // Its process is gone, and still nobody knows what became of it.
    let refused = journal.intend(intended("a", "h")).await.unwrap_err();
    assert!(matches!(refused, JournalError::Open { .. }), "{refused}");
    assert_eq!(refused.problem().kind, Kind::Busy);
    journal.record(vec![then(&first, verdict())]).await.unwrap();
    journal.intend(intended("a", "h")).await.unwrap();
}

#[test]
fn events_are_append_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let raw = raw(&path);
    raw.execute(
        "INSERT INTO event VALUES (1, 't', 'h', 'd', 'u', 'k', '{}')",
        [],
    )
    .unwrap();
    for statement in ["UPDATE event SET time = 'x'", "DELETE FROM event"] {
        let error = raw.execute(statement, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[test]
fn a_newer_schema_and_a_broken_file_are_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("newer.db");
    raw(&newer).pragma_update(None, "user_version", 99).unwrap();
    let error = Journal::open(&newer, "ana").unwrap_err();
    assert!(
        matches!(error, JournalError::Newer { found: 99, .. }),
        "{error}"
    );
    let broken = folder.path().join("broken.db");
    std::fs::write(
        &broken,
        "this is no database, and it is long enough to be looked at",
    )
    .unwrap();
    let error = Journal::open(&broken, "ana").unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
    let text = std::fs::read_to_string(&broken).unwrap();
    assert!(text.starts_with("this is no database"));
}

#[tokio::test]
async fn completed_updates_of_the_hub_come_back_to_learn_from() {
    let journal = Journal::in_memory("ana").unwrap();
    let mut done = Vec::new();
    let back = What::State {
        state: OpenState::Back,
        reason: "so".into(),
        evidence: None,
    };
    for (device, hub, outcome) in [
        ("a", "h", Some(Outcome::Completed)),
        ("b", "h", Some(Outcome::Failed)),
        ("c", "h", None),
        ("d", "other", Some(Outcome::Completed)),
        ("e", "h", Some(Outcome::Completed)),
    ] {
        let event = intended(device, hub);
        journal.intend(event.clone()).await.unwrap();
        if device == "e" {
            // One that never stops reporting is left out, so that reading stays
            // short.
            let many = vec![then(&event, back.clone()); 400];
            journal.record(many).await.unwrap();
        }
        if let Some(outcome) = outcome {
            let mut what = verdict();
            if let What::Verdict { outcome: o, .. } = &mut what {
                *o = outcome;
            }
            journal.record(vec![then(&event, what)]).await.unwrap();
        }
        done.push(event);
    }
    let past = journal.past_updates("h").await.unwrap();
    let first: Vec<&Event> = past.iter().map(|events| &events[0]).collect();
    assert_eq!(first, [&done[0]]);
    assert_eq!(past[0].len(), 2);
}

#[tokio::test]
async fn a_later_update_of_the_device_is_known() {
    let journal = Journal::in_memory("ana").unwrap();
    let (first, other, second) = (intended("a", "h"), intended("b", "h"), intended("a", "h"));
    let device = first.device_id.clone().unwrap();
    let later =
        |event: &Event| journal.later("h", device.clone(), event.update_id.clone().unwrap());
    journal.intend(first.clone()).await.unwrap();
    journal.intend(other).await.unwrap();
    journal.record(vec![then(&first, verdict())]).await.unwrap();
    assert!(!later(&first).await.unwrap());
    journal.intend(second.clone()).await.unwrap();
    assert!(later(&first).await.unwrap());
    assert!(!later(&second).await.unwrap());
}

#[tokio::test]
async fn a_contradiction_is_kept_after_the_verdict() {
    let journal = Journal::in_memory("ana").unwrap();
    let event = intended("a", "h");
    journal.intend(event.clone()).await.unwrap();
    let contradicted = then(
        &event,
        What::Contradicted {
            reason: "it reports \"failed\" after that".into(),
            evidence: crate::domain::update::Evidence {
                property: "firmwareStatus".into(),
                value: "failed".into(),
                version: 7,
                hub_time: None,
            },
            reported: serde_json::Value::Null,
        },
    );
    let events = vec![then(&event, verdict()), contradicted.clone()];
    journal.record(events).await.unwrap();
    let past = journal.past_updates("h").await.unwrap();
    assert_eq!(past[0].last(), Some(&contradicted));
    assert!(journal.open_updates("h").await.unwrap().is_empty());
    // And the device is free.
    journal.intend(intended("a", "h")).await.unwrap();
}

/// The tag goes back after the verdict, so that this failed is told after it.
#[rstest::rstest]
#[case::together(true)]
#[case::one_after_the_other(false)]
#[tokio::test]
async fn what_is_said_of_a_tag_is_kept_after_the_verdict(#[case] together: bool) {
    let journal = Journal::in_memory("ana").unwrap();
    let event = intended("a", "h");
    journal.intend(event.clone()).await.unwrap();
    let problem = Problem::new(Kind::Unauthorized, "it could not be given back", "401");
    let tag = then(&event, What::Tag { problem });
    let events = vec![then(&event, verdict()), tag.clone()];
    if together {
        journal.record(events).await.unwrap();
    } else {
        for event in events {
            journal.record(vec![event]).await.unwrap();
        }
    }
    let past = journal.past_updates("h").await.unwrap();
    assert_eq!(past[0].len(), 3);
    assert_eq!(past[0].last(), Some(&tag));
    assert!(journal.open_updates("h").await.unwrap().is_empty());
}

/// Several handles write at once, each its own update, and read in between.
#[rstest::rstest]
#[tokio::test(flavor = "multi_thread")]
async fn several_may_write_at_once(#[values(None, Some("NFS"))] network: Option<&'static str>) {
    const EACH: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..4 {
        let journal = on(network, &path, "ana");
        tasks.spawn(async move {
            for m in 0..EACH {
                let event = intended(&format!("d{n}-{m}"), "h");
                journal.intend(event.clone()).await.unwrap();
                let invoked = then(
                    &event,
                    What::Invoked {
                        attempt: 1,
                        latest: None,
                    },
                );
                journal.record(vec![invoked]).await.unwrap();
                journal.open_updates("h").await.unwrap();
                if m % 2 == 0 {
                    journal.record(vec![then(&event, verdict())]).await.unwrap();
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let open = Journal::open(&path, "ana").unwrap().open_updates("h").await;
    assert_eq!(open.unwrap().len(), 4 * EACH / 2);
}

/// Rows as the first otadeck wrote them, an open update and an ended one.
#[tokio::test]
async fn a_journal_of_the_first_schema_is_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (open, ended) = (intended("a", "h"), intended("b", "h"));
    let old = schema::tests::make_schema_1(&path);
    let events = [
        &open,
        &then(
            &open,
            What::Invoked {
                attempt: 1,
                latest: None,
            },
        ),
        &ended,
        &then(&ended, verdict()),
    ];
    for event in events {
        let body = serde_json::to_value(event).unwrap();
        let row = (
            event.time.to_string(),
            "h",
            event.device_id.as_ref().map(DeviceId::as_str),
            event.update_id.as_ref().map(UpdateId::as_str),
            body["event"].as_str().map(ToOwned::to_owned),
            body.to_string(),
        );
        let insert = "INSERT INTO event (time, hub, device_id, update_id, kind, body)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        old.execute(insert, row).unwrap();
    }
    drop(old);
    let journal = Journal::open(&path, "ana").unwrap();
    let updates = journal.open_updates("h").await.unwrap();
    assert_eq!(updates.len(), 1);
    let adopted = journal.adopt(updates[0].clone()).await.unwrap();
    assert_eq!((&adopted.events[0], adopted.events.len()), (&open, 2));
    assert_eq!(journal.past_updates("h").await.unwrap().len(), 1);
    // What people see with a tool of their own.
    let tool = rusqlite::Connection::open(&path).unwrap();
    let mut statement = tool
        .prepare("SELECT device, by, uri, outcome, because FROM updates")
        .unwrap();
    type Row = (String, String, String, String, Option<String>);
    let rows = statement.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    });
    let rows: Vec<Row> = rows.unwrap().map(Result::unwrap).collect();
    let row = |device: &str, outcome: &str, because: Option<&str>| {
        let text = str::to_owned;
        let uri = text("https://x.test/fw");
        (
            text(device),
            text("ana"),
            uri,
            text(outcome),
            because.map(text),
        )
    };
    assert_eq!(
        rows,
        [row("a", "open", None), row("b", "completed", Some("so"))]
    );
    let told: Vec<String> = tool
        .prepare("SELECT kind || ' ' || coalesce(value, '') FROM timeline")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let want = [
        "update.intended ",
        "update.invoked 1",
        "update.intended ",
        "update.verdict completed",
    ];
    assert_eq!(told, want);
}

const SIGNED: &str = "https://x.test/fw?sv=1&sig=SIGNATURE";

fn signed() -> PackageUri {
    PackageUri::parse(SIGNED).unwrap()
}

/// An intent for the signed package.
fn intended_signed(device: &str, hub: &str) -> Event {
    let mut event = intended(device, hub);
    if let What::Intended(intent) = &mut event.what {
        intent.uri = Some(signed().redacted().to_owned());
        intent.uri_sha256 = Some(sha256(SIGNED));
    }
    event
}

#[tokio::test]
async fn a_signature_is_kept_while_any_update_that_got_it_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let file = folder.path().join("secrets").join(sha256(SIGNED));
    let (one, other) = (
        Journal::open(&path, "ana").unwrap(),
        Journal::open(&path, "ben").unwrap(),
    );
    let (a, b) = (intended_signed("a", "h"), intended_signed("b", "other"));
    one.intend_package(a.clone(), signed()).await.unwrap();
    other.intend_package(b.clone(), signed()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), SIGNED);
    // A start that is refused takes nobody's signature away.
    let refused = other.intend_package(intended_signed("a", "h"), signed());
    refused.await.unwrap_err();
    assert_eq!(one.recent_uris("h").await.unwrap(), [signed()]);
    // Verdicts by whichever process.
    other.record(vec![then(&a, verdict())]).await.unwrap();
    assert!(file.exists(), "b has it still");
    one.record(vec![then(&b, verdict())]).await.unwrap();
    assert!(!file.exists());
    assert_eq!(
        one.recent_uris("h").await.unwrap(),
        [],
        "a redacted one cannot be sent"
    );
}

#[tokio::test]
async fn a_signature_is_not_left_by_a_start_that_is_refused_nor_by_a_process_that_died() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let secrets = folder.path().join("secrets");
    let journal = Journal::open(&path, "ana").unwrap();
    journal.intend(intended("a", "h")).await.unwrap();
    let refused = journal.intend_package(intended_signed("a", "h"), signed());
    refused.await.unwrap_err();
    assert_eq!(std::fs::read_dir(&secrets).unwrap().count(), 0);
    let orphan = secrets.join(sha256(SIGNED));
    std::fs::write(&orphan, SIGNED).unwrap();
    Journal::open(&path, "ben").unwrap().tidy().await.unwrap();
    assert!(!orphan.exists());
}

#[tokio::test]
async fn without_a_place_for_the_signature_nothing_is_intended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    std::fs::write(folder.path().join("secrets"), "a file").unwrap();
    let journal = Journal::open(&path, "ana").unwrap();
    let refused = journal.intend_package(intended_signed("a", "h"), signed());
    let error = refused.await.unwrap_err();
    assert!(error.to_string().contains("signature"), "{error}");
    assert_eq!(journal.open_updates("h").await.unwrap().len(), 0);
    // One without a secret needs no place.
    let plain = PackageUri::parse("https://x.test/fw").unwrap();
    journal
        .intend_package(intended("a", "h"), plain)
        .await
        .unwrap();
}

#[tokio::test]
async fn recent_packages_come_once_and_newest_first() {
    let journal = Journal::in_memory("ana").unwrap();
    for (n, name) in ["a", "b", "a", "c"].into_iter().enumerate() {
        let mut event = intended(&format!("d{n}"), "h");
        if let What::Intended(intent) = &mut event.what {
            intent.uri = Some(format!("https://x.test/{name}"));
        }
        journal.intend(event).await.unwrap();
    }
    journal.intend(intended("d", "another hub")).await.unwrap();
    let recent = journal.recent_uris("h").await.unwrap();
    let names: Vec<&str> = recent.iter().map(PackageUri::file_name).collect();
    assert_eq!(names, ["c", "a", "b"]);
}

#[tokio::test]
async fn old_updates_go_as_a_whole_and_open_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, "ana").unwrap();
    let old = |mut event: Event, days: i64| {
        event.time = Timestamp::now() - SignedDuration::from_hours(24 * days);
        event
    };
    let (gone, kept, open) = (intended("a", "h"), intended("b", "h"), intended("c", "h"));
    for event in [&gone, &kept, &open] {
        journal.intend(old(event.clone(), 500)).await.unwrap();
    }
    let big = What::Accepted {
        status: 200,
        payload: serde_json::json!("x".repeat(200_000)),
    };
    let events = vec![then(&gone, big), old(then(&gone, verdict()), 401)];
    journal.record(events).await.unwrap();
    journal
        .record(vec![old(then(&kept, verdict()), 399)])
        .await
        .unwrap();
    let pages = || -> u32 {
        let tool = rusqlite::Connection::open(&path).unwrap();
        tool.query_row("PRAGMA page_count", [], |row| row.get(0))
            .unwrap()
    };
    let before = pages();
    journal.tidy().await.unwrap();
    assert_eq!(pages(), before, "nobody said how long");
    let settings = Settings {
        path: path.clone(),
        by: "ana".into(),
        keep: Some(SignedDuration::from_hours(400 * 24)),
    };
    Journal::open_with(&settings).unwrap().tidy().await.unwrap();
    let tool = rusqlite::Connection::open(&path).unwrap();
    let mut devices = tool
        .prepare("SELECT DISTINCT device_id FROM event ORDER BY 1")
        .unwrap();
    let left = devices.query_map([], |row| row.get(0)).unwrap();
    let left: Vec<String> = left.map(Result::unwrap).collect();
    assert_eq!(left, ["b", "c"]);
    assert!(pages() < before / 2, "the file has shrunk");
    let by_hand = "INSERT INTO expired SELECT update_id FROM event WHERE device_id = 'c'";
    let error = tool.execute(by_hand, []).unwrap_err();
    assert!(error.to_string().contains("open"), "{error}");
}

/// Bytes in the middle of the file are not what they were.
#[tokio::test]
async fn damage_is_told_and_nothing_is_made_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    {
        let journal = Journal::open(&path, "ana").unwrap();
        for n in 0..300 {
            journal
                .intend(intended(&format!("d{n}"), "h"))
                .await
                .unwrap();
        }
    }
    let raw = raw(&path);
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(raw);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 3 * 4_096].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let journal = Journal::open(&path, "ana").unwrap();
    let error = journal.open_updates("h").await.unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert!(journal.tidy().await.unwrap_err().is_damage());
    assert!(
        error.problem().hint.contains(".recover"),
        "{}",
        error.problem()
    );
}

#[tokio::test]
async fn a_full_disk_refuses_the_intent_and_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let connection = raw(&path);
    let pages: u32 = connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    connection
        .pragma_update_and_check(None, "max_page_count", pages + 4, |_| Ok(()))
        .unwrap();
    let store = Store {
        connection,
        secrets: Secrets::Files(Place::of(folder.path()).unwrap()),
        keep: None,
        file: Some(OpenFile::of(&path)),
    };
    let journal = Journal::start(store, "ana", None);
    let mut written = 0;
    let error = loop {
        let event = intended_signed(&format!("d{written}"), "h");
        match journal.intend_package(event, signed()).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(error.problem().kind, Kind::Journal);
    assert!(written > 0);
    assert_eq!(journal.open_updates("h").await.unwrap().len(), written);
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, "ana").unwrap();
    let event = intended("a", "h");
    journal.intend(event.clone()).await.unwrap();
    let aside = folder.path().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    let error = journal
        .record(vec![then(&event, verdict())])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("was moved"), "{error}");
    journal.intend(intended("b", "h")).await.unwrap_err();
    std::fs::rename(&aside, &path).unwrap();
    journal.record(vec![then(&event, verdict())]).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_a_file_and_one_for_everybody_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let outer = tempfile::tempdir().unwrap();
    let file = outer.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Journal::open(&file.join("journal.db"), "ana").unwrap_err();
    assert!(error.to_string().contains("cannot be made"), "{error}");
    assert!(error.problem().hint.contains("--no-journal"));
    let open = outer.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Journal::open(&open.join("journal.db"), "ana").unwrap_err();
    assert!(error.to_string().contains("chmod o-rwx"), "{error}");
    assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
}

#[tokio::test]
async fn in_a_shared_folder_all_is_the_groups_but_signatures() {
    use std::os::unix::fs::PermissionsExt;
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("state");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o2770)).unwrap();
    let journal = Journal::open(&folder.join("journal.db"), "ana").unwrap();
    journal
        .intend_package(intended_signed("a", "h"), signed())
        .await
        .unwrap();
    let mode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().mode() & 0o7777;
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        assert_eq!(mode(name), 0o660, "{name}");
    }
    assert_eq!(mode("secrets"), 0o2770);
    assert_eq!(mode(&format!("secrets/{}", sha256(SIGNED))), 0o600);
}
