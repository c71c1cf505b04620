use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::{Journal, schema};
use super::*;
use crate::domain::event::{Intent, What};
use crate::domain::evidence::{Evidence, Outcome};
use crate::domain::id::DeviceId;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn event(seconds: i64, device: &str, update: &str, what: What) -> Event {
    let device = DeviceId::parse(device).unwrap();
    Event::update(at(seconds), device, UpdateId::from_text(update), what)
}

fn intended(seconds: i64, hub: &str, device: &str, update: &str) -> Event {
    let intent = Intent {
        hub: hub.into(),
        uri: Some("https://x.test/fw-1.5.0.bin".into()),
        payload_sha256: Some("00".into()),
        method: Some("firmwareUpdate".into()),
        dialect: "tutorial-2018".into(),
        by: "ana".into(),
        ..Intent::default()
    };
    event(seconds, device, update, What::Intended(Box::new(intent)))
}

fn verdict(outcome: Outcome) -> What {
    What::Verdict {
        outcome,
        reason: "so".into(),
        evidence: None,
        reported: Value::Null,
        problem: None,
    }
}

fn contradicted() -> What {
    What::Contradicted {
        reason: "after that".into(),
        evidence: Evidence {
            property: "p".into(),
            value: "failed".into(),
            version: 2,
            hub_time: None,
        },
        reported: Value::Null,
    }
}

/// Writes events as the journal's thread would, without its leases.
fn write(path: &Path, events: &[(&str, Event)]) {
    let mut connection = open_at(path).unwrap();
    let transaction = connection.transaction().unwrap();
    for (hub, event) in events {
        let body = serde_json::to_value(event).unwrap();
        let sql = "INSERT INTO event (time, hub, device_id, update_id, kind, body)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![
            event.time.to_string(),
            hub,
            event.device_id.as_ref().unwrap().as_str(),
            event.update_id.as_ref().unwrap().as_str(),
            body["event"].as_str().unwrap(),
            body.to_string(),
        ];
        transaction
            .prepare_cached(sql)
            .unwrap()
            .execute(values)
            .unwrap();
    }
    transaction.commit().unwrap();
}

/// Four updates: completed and contradicted, failed, open, and one of another hub.
fn journal(path: &Path) {
    let events = [
        ("h", intended(0, "h", "a", "u1")),
        ("h", event(60, "a", "u1", verdict(Outcome::Completed))),
        ("h", event(90, "a", "u1", contradicted())),
        ("h", intended(100, "h", "b", "u2")),
        ("h", event(130, "b", "u2", verdict(Outcome::Failed))),
        ("h", intended(200, "h", "a", "u3")),
        (
            "h",
            event(
                201,
                "a",
                "u3",
                What::Invoked {
                    attempt: 1,
                    latest: None,
                },
            ),
        ),
        ("other", intended(300, "other", "a", "u4")),
    ];
    write(path, &events);
}

fn opened(path: &Path) -> History {
    History::open(path).unwrap().unwrap()
}

fn ids(found: &[UpdateId]) -> Vec<&str> {
    found.iter().map(UpdateId::as_str).collect()
}

#[rstest::rstest]
#[case(Filter::default(), &["u1", "u2", "u3", "u4"])]
#[case(Filter { limit: Some(2), ..Filter::default() }, &["u3", "u4"])]
#[case(Filter { limit: Some(0), ..Filter::default() }, &[])]
#[case(Filter { hubs: vec!["h".into()], ..Filter::default() }, &["u1", "u2", "u3"])]
#[case(Filter { hubs: vec!["h".into()], limit: Some(1), ..Filter::default() }, &["u3"])]
#[case(Filter { devices: vec![DeviceId::parse("a").unwrap()], ..Filter::default() }, &["u1", "u3", "u4"])]
#[case(Filter { devices: vec![DeviceId::parse("z").unwrap()], ..Filter::default() }, &[])]
#[case(Filter { ends: vec![End::Open], ..Filter::default() }, &["u3", "u4"])]
#[case(Filter { ends: vec![End::With(Outcome::Failed), End::With(Outcome::Completed)], ..Filter::default() }, &["u1", "u2"])]
#[case(Filter { since: Some(at(100)), until: Some(at(300)), ..Filter::default() }, &["u2", "u3"])]
fn filters(#[case] filter: Filter, #[case] want: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    journal(&path);
    let history = opened(&path);
    assert_eq!(ids(&history.updates(&filter).unwrap()), want);
    assert_eq!(history.hubs().unwrap(), ["h", "other"]);
}

#[test]
fn lines_and_events_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    journal(&path);
    let history = opened(&path);
    let entry = |id: &str| {
        let (entry, damaged) = history.entry(&UpdateId::from_text(id)).unwrap();
        assert!(damaged.is_empty());
        entry.unwrap()
    };
    assert!(entry("u1").contradicted);
    assert_eq!(entry("u1").took(), Some(SignedDuration::from_mins(1)));
    assert_eq!((entry("u2").word, entry("u3").word), ("failed", "invoking"));
    let recorded = history.recorded(&UpdateId::from_text("u1")).unwrap();
    assert_eq!((recorded.events.len(), recorded.left_out), (3, 0));
    assert!(recorded.update().unwrap().contradicted.is_some());
    assert_eq!(ids(&history.beginning("u", 3).unwrap()), ["u1", "u2", "u3"]);
    assert_eq!(ids(&history.beginning("u4", 3).unwrap()), ["u4"]);
    assert!(history.beginning("U", 3).unwrap().is_empty());
}

#[test]
fn a_missing_journal_is_none_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/journal.db");
    assert!(History::open(&path).unwrap().is_none());
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn what_is_no_journal_or_a_newer_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("newer.db");
    let connection = open_at(&newer).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = History::open(&newer).unwrap_err();
    assert!(
        matches!(error, JournalError::Newer { found: 99, .. }),
        "{error}"
    );
    let other = folder.path().join("other.db");
    let connection = Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    let error = History::open(&other).unwrap_err();
    assert!(
        error.to_string().contains("no journal of otadeck"),
        "{error}"
    );
    let text = folder.path().join("text.db");
    std::fs::write(
        &text,
        "this is no database, and it is long enough to be one",
    )
    .unwrap();
    let error = History::open(&text).unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
}

/// Damage of every sort: a body cut off, one that is no text, another's event.
#[test]
fn a_damaged_event_is_told_and_the_others_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    journal(&path);
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("DROP TRIGGER event_is_not_changed")
        .unwrap();
    for (row, body) in [
        (3, "substr(body, 1, 20)"),
        (4, "CAST(x'ff00fe' AS TEXT)"),
        (5, "'{}'"),
        (7, "(SELECT body FROM event WHERE id = 1)"),
    ] {
        let sql = format!("UPDATE event SET body = {body} WHERE id = {row}");
        raw.execute(&sql, []).unwrap();
    }
    let history = opened(&path);
    assert_eq!(history.updates(&Filter::default()).unwrap().len(), 4);
    let (entry, damaged) = history.entry(&UpdateId::from_text("u1")).unwrap();
    assert_eq!(entry.unwrap().word, "completed");
    assert_eq!(damaged[0].row, 3);
    assert!(
        damaged[0].to_string().contains("update.contradicted of a"),
        "{}",
        damaged[0]
    );
    let (entry, damaged) = history.entry(&UpdateId::from_text("u2")).unwrap();
    assert!(entry.is_none() && damaged.len() >= 2, "{damaged:?}");
    let (entry, damaged) = history.entry(&UpdateId::from_text("u3")).unwrap();
    assert_eq!((entry.unwrap().word, damaged.len()), ("intended", 1));
    // A verdict that nobody can read is not no verdict.
    let open = Filter {
        ends: vec![End::Open],
        ..Filter::default()
    };
    assert_eq!(ids(&history.updates(&open).unwrap()), ["u3", "u4"]);
}

/// What has ended is not shown as open because nobody can read how.
#[test]
fn an_update_whose_verdict_alone_is_damaged_is_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    journal(&path);
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch(
        "DROP TRIGGER event_is_not_changed;
         UPDATE event SET body = '{}' WHERE id = 5",
    )
    .unwrap();
    let (entry, damaged) = opened(&path).entry(&UpdateId::from_text("u2")).unwrap();
    assert_eq!(entry, None);
    let rows: Vec<i64> = damaged.iter().map(|one| one.row).collect();
    assert_eq!(rows, [5], "{damaged:?}");
}

#[test]
fn it_reads_while_others_write_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    journal(&path);
    let mut writer = open_at(&path).unwrap();
    let transaction = writer
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    transaction.execute("DELETE FROM lease", []).unwrap();
    let history = opened(&path);
    assert_eq!(history.updates(&Filter::default()).unwrap().len(), 4);
    let refused = history.connection.execute("DELETE FROM lease", []);
    assert!(refused.unwrap_err().to_string().contains("readonly"));
}

/// A process was killed while it wrote, where there is no write-ahead log: what is
/// in the file is half of it, until somebody who may write has rolled it back.
#[test]
fn a_half_written_file_is_not_read_as_if_it_were_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (path, killed) = (folder.path().join("j.db"), folder.path().join("killed.db"));
    journal(&path);
    let mut writer = Connection::open(&path).unwrap();
    writer
        .query_row("PRAGMA journal_mode = TRUNCATE", [], |_| Ok(()))
        .unwrap();
    // Pages go into the file before the commit.
    writer.pragma_update(None, "cache_size", 1).unwrap();
    let transaction = writer.transaction().unwrap();
    let many = "INSERT INTO event (time, hub, device_id, update_id, kind, body)
        WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)
        SELECT time, hub, device_id, 'u' || n, kind, body FROM n, event WHERE id = 1";
    transaction.execute(many, []).unwrap();
    let journal_of = |path: &Path| beside(path, "-journal");
    std::fs::copy(&path, &killed).unwrap();
    std::fs::copy(journal_of(&path), journal_of(&killed)).unwrap();
    let error = History::open(&killed).unwrap_err().to_string();
    assert!(error.contains("was killed while it wrote"), "{error}");
    // Whoever may write to it makes it whole.
    drop(open_at(&killed).unwrap());
    assert_eq!(
        opened(&killed).updates(&Filter::default()).unwrap().len(),
        4
    );
}

#[rstest::rstest]
#[case::nothing_else(None, false, true)]
#[case::an_empty_journal(Some(("-journal", "")), false, true)]
#[case::a_hot_journal(Some(("-journal", "x")), false, false)]
#[case::a_log(Some(("-wal", "")), false, false)]
#[case::locked(None, true, false)]
fn the_file_alone_is_read_when_it_tells_everything(
    #[case] other: Option<(&str, &str)>,
    #[case] locked: bool,
    #[case] want: bool,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    if let Some((suffix, content)) = other {
        std::fs::write(beside(&path, suffix), content).unwrap();
    }
    let code = match locked {
        true => rusqlite::ffi::SQLITE_BUSY,
        false => rusqlite::ffi::SQLITE_CANTOPEN,
    };
    let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
    assert_eq!(tells_everything(&path, &error), want);
}

/// Somebody who may read the file and not write to its folder.
#[test]
fn a_folder_that_cannot_be_written_to_is_enough() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    journal(&path);
    let rights = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&path, rights(0o400)).unwrap();
    std::fs::set_permissions(folder.path(), rights(0o500)).unwrap();
    let read = History::open(&path).map(|history| history.unwrap().hubs());
    std::fs::set_permissions(folder.path(), rights(0o700)).unwrap();
    assert_eq!(read.unwrap().unwrap(), ["h", "other"]);
    let uri = immutable(Path::new("/a b/j?#.db")).unwrap();
    assert_eq!(uri, "file:///a%20b/j%3F%23.db?immutable=1");
    // Root may write anywhere, so that this way is tried by itself as well.
    let (connection, version) = alone(&path).unwrap().unwrap();
    assert_eq!(version, VERSION);
    assert_eq!(hubs(&connection).unwrap(), ["h", "other"]);
}

/// Another process tidies while a page is made.
#[test]
fn an_update_that_goes_while_a_page_is_made_is_left_out() {
    let connection = schema::in_memory().unwrap();
    assert_eq!(is_of(&connection, "u1", "h"), Ok(false));
    let filter = Filter {
        hubs: vec!["h".into()],
        ..Filter::default()
    };
    assert_eq!(lets_through(&connection, &filter, "u1"), Ok(false));
}

#[test]
fn long_updates_are_given_by_both_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut events = vec![("h", intended(0, "h", "a", "u1"))];
    events.extend((1..=20).map(|n| {
        (
            "h",
            event(
                n,
                "a",
                "u1",
                What::Invoked {
                    attempt: 1,
                    latest: None,
                },
            ),
        )
    }));
    write(&path, &events);
    let recorded = recorded(&opened(&path).connection, "u1", 6).unwrap();
    let times: Vec<i64> = recorded.events.iter().map(|e| e.time.as_second()).collect();
    assert_eq!(times, [0, 1, 2, 18, 19, 20]);
    assert_eq!(recorded.left_out, 15);
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let journal = Journal::in_memory("ana").unwrap();
    let mut all = Vec::new();
    for n in 0..(LOOKED_AT + PAGE + 8) {
        let hub = if n % 3 == 0 { "other" } else { "h" };
        let event = intended(0, hub, &format!("d-{n}"), &format!("u{n:04}"));
        journal.intend(event.clone()).await.unwrap();
        if hub == "h" {
            all.push(event.update_id.unwrap());
        }
    }
    all.reverse();
    for (text, rare) in [("", false), ("D-5", true)] {
        let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
        loop {
            let text = text.to_owned();
            let answer = journal.history("h", Ask::Page { text, before }).await;
            let Answer::Page(page) = answer.unwrap() else {
                panic!("another answer");
            };
            assert!(page.entries.len() <= PAGE);
            found.extend(page.entries.into_iter().map(|entry| entry.id));
            pages += 1;
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let mut want = all.clone();
        want.retain(|id| !rare || id.as_str().trim_start_matches(['u', '0']).starts_with('5'));
        assert_eq!(found, want);
        assert!(pages > 1);
    }
    let ask = Ask::Update(all[0].clone());
    let Answer::Update(recorded) = journal.history("h", ask).await.unwrap() else {
        panic!("another answer");
    };
    assert_eq!(recorded.events.len(), 1);
}

/// A list of a long journal reads the index, not the table, and sorts nothing.
#[test]
fn lists_use_the_indexes() {
    let connection = schema::in_memory().unwrap();
    let plan = |sql: &str| -> String {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let count = statement.parameter_count();
        let rows = statement.query_map(params_from_iter(vec!["x"; count]), |row| {
            row.get::<_, String>(3)
        });
        rows.unwrap()
            .map(Result::unwrap)
            .collect::<Vec<_>>()
            .join("; ")
    };
    let newest = plan(NEWEST);
    assert!(
        newest.contains("COVERING INDEX") && !newest.contains("B-TREE"),
        "{newest}"
    );
    for sql in [
        OF_KIND,
        VERDICT,
        FIRST_OF,
        LAST_OF,
        BEGINNING,
        NEXT_HUB,
        &of_devices(2, 3),
    ] {
        let plan = plan(sql);
        let searches = plan.contains("SEARCH event USING") && !plan.contains("SCAN event");
        assert!(searches, "{sql}: {plan}");
    }
    assert!(plan(&of_devices(2, 3)).contains("hub=? AND device_id=? AND kind=?"));
}

#[test]
fn a_short_list_of_a_long_journal_is_there_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let connection = open_at(&path).unwrap();
    let body = serde_json::to_string(&intended(0, "h", "d", "u")).unwrap();
    connection
        .execute(
            "INSERT INTO event (time, hub, device_id, update_id, kind, body)
             WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
             SELECT '1970-01-01T00:00:00Z', 'h', 'd-' || n, printf('u%06d', n),
                    'update.intended', replace(?1, '\"u\"', printf('\"u%06d\"', n)) FROM n",
            [&body],
        )
        .unwrap();
    let history = opened(&path);
    let began = std::time::Instant::now();
    let newest = page(&history.connection, "h", "", None).unwrap();
    assert_eq!(newest.entries.len(), PAGE);
    assert_eq!(newest.entries[0].id.as_str(), "u100000");
    let filter = Filter {
        limit: Some(20),
        ..Filter::default()
    };
    assert_eq!(history.updates(&filter).unwrap().len(), 20);
    // Reading all of it takes minutes in a debug build; a gross fault fails here.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

fn open_at(path: &Path) -> Result<Connection, JournalError> {
    let folder = path.parent().unwrap();
    schema::open(path, &super::super::place::Place::of(folder).unwrap())
}
