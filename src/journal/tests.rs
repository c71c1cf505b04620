mod leases;

use std::os::unix::fs::MetadataExt;

use jiff::Timestamp;

use super::*;
use crate::domain::event::{Intent, What};
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

#[tokio::test]
async fn one_update_a_device_at_a_time_across_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (one, other) = (
        Journal::open(&path, "ana").unwrap(),
        Journal::open(&path, "ben").unwrap(),
    );
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
    let raw = schema::open(&path).unwrap();
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
    schema::open(&newer)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
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
