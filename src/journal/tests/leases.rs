//! Leases between processes: here each journal on the same file is one, and what
//! a process cannot be by itself, dead or elsewhere, is written into its lease.

use std::time::{Duration, Instant};

use super::*;

struct Two {
    _folder: tempfile::TempDir,
    ana: Journal,
    ben: Journal,
    raw: rusqlite::Connection,
}

impl Two {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        Self {
            ana: Journal::open(&path, "ana@one").unwrap(),
            ben: Journal::open(&path, "ben@two").unwrap(),
            raw: rusqlite::Connection::open(&path).unwrap(),
            _folder: folder,
        }
    }

    fn set(&self, assignment: &str) {
        let sql = format!("UPDATE lease SET {assignment}");
        self.raw.execute(&sql, []).unwrap();
    }

    fn leases(&self) -> u32 {
        let count = "SELECT count(*) FROM lease";
        self.raw.query_row(count, [], |row| row.get(0)).unwrap()
    }

    fn kinds(&self, update: &UpdateId) -> Vec<String> {
        let sql = "SELECT kind FROM event WHERE update_id = ?1 ORDER BY id";
        let mut statement = self.raw.prepare(sql).unwrap();
        let kinds = statement.query_map([update.as_str()], |row| row.get(0));
        kinds.unwrap().map(Result::unwrap).collect()
    }
}

fn package() -> PackageUri {
    PackageUri::parse("https://x.test/fw").unwrap()
}

fn id_of(event: &Event) -> UpdateId {
    event.update_id.clone().unwrap()
}

fn invoked(event: &Event, attempt: u32) -> Event {
    let latest = None;
    then(event, What::Invoked { attempt, latest })
}

fn downloading(event: &Event) -> Event {
    let evidence = crate::domain::update::Evidence {
        property: "firmwareStatus".into(),
        value: "downloading".into(),
        version: 7,
        hub_time: None,
    };
    let what = What::Phase {
        phase: crate::domain::phase::Phase::Downloading,
        reported: serde_json::Value::Null,
        percent: Some(52.0),
        evidence,
    };
    then(event, what)
}

#[tokio::test]
async fn the_refusal_says_who_since_when_and_doing_what() {
    let two = Two::new();
    let mut first = intended("a", "h");
    first.time = "2026-01-01T12:04:01Z".parse().unwrap();
    two.ana.intend(first.clone()).await.unwrap();
    two.ana.dispatch(vec![invoked(&first, 1)]).await.unwrap();
    two.ana.record(vec![downloading(&first)]).await.unwrap();
    let refused = two.ben.intend(intended("a", "h")).await.unwrap_err();
    let problem = refused.problem();
    let pid = std::process::id();
    for part in [
        "fw by ana@one since 2026-01-01T12:04:01Z: downloading, 52 %",
        &format!("; process {pid} on "),
    ] {
        assert!(problem.cause.contains(part), "{}", problem.cause);
    }
    assert!(problem.hint.contains("--force"), "{}", problem.hint);
    let held = serde_json::to_value(problem.holding.unwrap()).unwrap();
    assert_eq!(held["by"], "ana@one");
    assert_eq!(held["uri"], "https://x.test/fw");
    assert_eq!(held["doing"], "downloading");
    assert_eq!(held["process"]["pid"], pid);
    // Asked beforehand it is the same.
    let device = DeviceId::parse("a").unwrap();
    let asked = two.ben.refuse("h", device).await.unwrap_err();
    assert_eq!(asked, refused);
}

#[tokio::test]
async fn taking_over_ends_what_is_open_and_the_old_process_sends_nothing_more() {
    let two = Two::new();
    let (first, second) = (intended("a", "h"), intended("a", "h"));
    two.ana.intend(first.clone()).await.unwrap();
    two.ana.dispatch(vec![invoked(&first, 1)]).await.unwrap();
    let receipt = two.ben.take_over(second.clone(), package(), None);
    let ended = receipt.await.unwrap().took_over().to_vec();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].update_id, id_of(&first));
    assert_eq!(ended[0].by, "ana@one");
    assert_eq!(ended[0].doing, "invoking", "as it stood before");
    assert!(ended[0].process.is_some());
    // Whoever reads the new update's past finds it there.
    let kinds = two.kinds(&id_of(&second));
    assert_eq!(kinds, ["update.intended", "update.tookOver"]);
    let adopted = two.ben.adopt(id_of(&second)).await.unwrap();
    assert_eq!(adopted.unreadable, 0);
    let holding = Box::new(ended[0].clone());
    assert_eq!(adopted.events[1].what, What::TookOver { holding });
    assert_eq!(two.leases(), 1);
    for events in [vec![invoked(&first, 2)], vec![then(&first, verdict())]] {
        let sends = matches!(events[0].what, What::Invoked { .. });
        let refused = match sends {
            true => two.ana.dispatch(events).await.map(|_| ()),
            false => two.ana.record(events).await,
        };
        let Err(JournalError::Over { verdict }) = refused else {
            panic!("{refused:?}");
        };
        let What::Verdict {
            outcome, reason, ..
        } = &verdict.what
        else {
            panic!("{verdict:?}");
        };
        assert_eq!(*outcome, Outcome::GivenUp);
        assert!(reason.contains("ana took a over at"), "{reason}");
    }
    let kinds = two.kinds(&id_of(&first));
    assert_eq!(
        kinds,
        ["update.intended", "update.invoked", "update.verdict"]
    );
    two.ben.dispatch(vec![invoked(&second, 1)]).await.unwrap();
    two.ben
        .record(vec![then(&second, verdict())])
        .await
        .unwrap();
    assert_eq!(two.leases(), 0);
}

/// Between the question and its answer the update that was shown ended, and another
/// process began one.
#[tokio::test]
async fn only_the_update_that_was_shown_is_taken_over() {
    let two = Two::new();
    let (shown, there) = (intended("a", "h"), intended("a", "h"));
    two.ana.intend(shown.clone()).await.unwrap();
    let told = two.ben.intend(intended("a", "h")).await.unwrap_err();
    let over = told.problem().holding.map(|held| held.update_id);
    assert_eq!(over, Some(id_of(&shown)));
    two.ana.record(vec![then(&shown, verdict())]).await.unwrap();
    two.ana.intend(there.clone()).await.unwrap();
    let mine = intended("a", "h");
    let refused = two.ben.take_over(mine.clone(), package(), over.clone());
    let refused = refused.await.unwrap_err();
    let JournalError::Busy { holding, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(holding.update_id, id_of(&there));
    // The same when its process has left.
    two.ana.leave().await.unwrap();
    let refused = two.ben.take_over(mine.clone(), package(), over);
    let refused = refused.await.unwrap_err();
    let JournalError::Open { holding, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(holding.update_id, id_of(&there));
    assert_eq!(two.kinds(&id_of(&there)), ["update.intended"]);
    assert_eq!(two.kinds(&id_of(&mine)), [""; 0]);
    // Shown that one, it is taken over.
    let over = Some(id_of(&there));
    let receipt = two.ben.take_over(mine.clone(), package(), over.clone());
    let ended = receipt.await.unwrap().took_over().to_vec();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].update_id, id_of(&there));
    assert_eq!(ended[0].process, None);
    // What was shown has ended, and nobody has the device: an ordinary intent.
    two.ben.record(vec![then(&mine, verdict())]).await.unwrap();
    let last = intended("a", "h");
    let receipt = two.ana.take_over(last.clone(), package(), over);
    assert_eq!(receipt.await.unwrap().took_over(), []);
    assert_eq!(two.kinds(&id_of(&last)), ["update.intended"]);
}

#[tokio::test]
async fn a_batch_with_a_second_verdict_is_refused_whole() {
    let two = Two::new();
    let first = intended("a", "h");
    two.ana.intend(first.clone()).await.unwrap();
    two.ana.record(vec![then(&first, verdict())]).await.unwrap();
    let late = vec![downloading(&first), then(&first, verdict())];
    let refused = two.ben.record(late).await.unwrap_err();
    assert!(matches!(refused, JournalError::Over { .. }), "{refused}");
    assert_eq!(two.kinds(&id_of(&first)).len(), 2);
    // Whoever writes past the program meets the same rule.
    let copy = "INSERT INTO event (time, hub, device_id, update_id, kind, body)
                SELECT time, hub, device_id, update_id, kind, body FROM event
                WHERE kind = 'update.verdict'";
    let error = two.raw.execute(copy, []).unwrap_err();
    assert!(error.to_string().contains("an outcome is final"), "{error}");
}

#[tokio::test]
async fn an_order_is_only_sent_by_whoever_holds_the_lease() {
    let two = Two::new();
    let first = intended("a", "h");
    two.ana.intend(first.clone()).await.unwrap();
    two.set("pid = pid + 1, by = 'ben@two'");
    let refused = two
        .ana
        .dispatch(vec![invoked(&first, 1)])
        .await
        .unwrap_err();
    let JournalError::Busy { holding, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(holding.by, "ben@two");
    two.raw.execute("DELETE FROM lease", []).unwrap();
    let refused = two
        .ana
        .dispatch(vec![invoked(&first, 1)])
        .await
        .unwrap_err();
    assert!(matches!(refused, JournalError::Open { .. }), "{refused}");
    assert_eq!(two.kinds(&id_of(&first)), ["update.intended"]);
    // What it sees it may still write down: it is true whoever sees it.
    two.ana.record(vec![downloading(&first)]).await.unwrap();
}

#[tokio::test]
async fn an_update_is_taken_up_from_the_dead_and_not_from_the_living() {
    let two = Two::new();
    let first = intended("a", "h");
    two.ana.intend(first.clone()).await.unwrap();
    let now = Timestamp::now();
    // Another machine that has just given a sign of life.
    two.set(&format!("place = 'another kernel', beat = '{now}'"));
    let refused = two.ben.adopt(id_of(&first)).await.unwrap_err();
    let JournalError::Busy { holding, .. } = &refused else {
        panic!("{refused}");
    };
    assert!(holding.to_string().contains("last sign of life at"));
    // One that was silent for long.
    let then = now - Duration::from_secs(181);
    two.set(&format!("beat = '{then}'"));
    two.ben.adopt(id_of(&first)).await.unwrap();
    two.ben
        .record(vec![super::then(&first, verdict())])
        .await
        .unwrap();
    let refused = two.ana.adopt(id_of(&first)).await.unwrap_err();
    assert!(matches!(refused, JournalError::Over { .. }), "{refused}");
    assert_eq!(two.leases(), 0);
}

#[tokio::test]
async fn whoever_leaves_gives_the_leases_back_and_the_updates_stay_open() {
    let two = Two::new();
    let first = intended("a", "h");
    two.ana.intend(first.clone()).await.unwrap();
    two.ana.leave().await.unwrap();
    assert_eq!(two.leases(), 0);
    let refused = two.ben.intend(intended("a", "h")).await.unwrap_err();
    let JournalError::Open { holding, .. } = &refused else {
        panic!("{refused}");
    };
    assert!(holding.to_string().contains("its process has ended"));
    two.ben.adopt(id_of(&first)).await.unwrap();
}

#[tokio::test]
async fn a_damaged_event_keeps_nothing_else_from_being_taken_up() {
    let two = Two::new();
    let (damaged, lost, whole) = (intended("a", "h"), intended("b", "h"), intended("c", "h"));
    for event in [&damaged, &lost, &whole] {
        two.ana.intend(event.clone()).await.unwrap();
        two.ana.record(vec![downloading(event)]).await.unwrap();
    }
    two.raw
        .execute_batch(&format!(
            "DROP TRIGGER event_is_not_changed;
             UPDATE event SET body = 'x' WHERE update_id = '{}' AND kind = 'update.phase';
             UPDATE event SET body = 'x' WHERE update_id = '{}' AND kind = 'update.intended'",
            id_of(&damaged).as_str(),
            id_of(&lost).as_str(),
        ))
        .unwrap();
    assert_eq!(two.ben.open_updates("h").await.unwrap().len(), 3);
    let adopted = two.ana.adopt(id_of(&damaged)).await.unwrap();
    assert_eq!((adopted.events.len(), adopted.unreadable), (1, 1));
    let error = two.ana.adopt(id_of(&lost)).await.unwrap_err();
    assert!(error.to_string().contains("of b cannot be read"), "{error}");
    assert_eq!(two.ana.adopt(id_of(&whole)).await.unwrap().events.len(), 2);
    // It keeps its device until somebody types that it is taken over.
    two.set("started = 'long ago'");
    let refused = two.ben.intend(intended("b", "h")).await.unwrap_err();
    assert!(matches!(refused, JournalError::Open { .. }), "{refused}");
    two.ben
        .take_over(intended("b", "h"), package(), None)
        .await
        .unwrap();
}

/// While nothing is held there is no timer that could wake anybody. A sign of life
/// may be lost with the power, except where that could spoil the file.
#[rstest::rstest]
#[case::write_ahead(None, 1)]
#[case::rollback(Some("NFS"), 2)]
fn the_pulse_beats_only_while_something_is_held(
    #[case] network: Option<&'static str>,
    #[case] synchronous: u32,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let place = Place::of(folder.path()).unwrap().on(network);
    let mut connection = schema::open(&path, &place).unwrap();
    let holder = Holder::this_process("ana");
    let mut pulse = lease::Pulse::new();
    pulse.look(&connection, &holder);
    assert_eq!(pulse.next, None);
    let first = intended("a", "h");
    let device = first.device_id.clone().unwrap();
    let transaction = writer::begin(&mut connection, true).unwrap();
    lease::take(
        &transaction,
        &holder,
        "h",
        &device,
        &id_of(&first),
        first.time,
    )
    .unwrap();
    transaction
        .execute("UPDATE lease SET beat = ''", [])
        .unwrap();
    transaction.commit().unwrap();
    pulse.look(&connection, &holder);
    // It is due, and is given while the next job is waited for.
    pulse.next = Some(Instant::now());
    let (jobs, mut inbox) = mpsc::channel(1);
    let beats = std::thread::spawn(move || {
        let raw = rusqlite::Connection::open(&path).unwrap();
        let beat = || raw.query_row("SELECT beat FROM lease", [], |row| row.get(0));
        loop {
            let beat: String = beat().unwrap();
            if !beat.is_empty() {
                drop(jobs);
                return beat;
            }
            std::thread::yield_now();
        }
    });
    assert!(pulse.job(&connection, &holder, &mut inbox).is_none());
    let beat = beats.join().unwrap();
    assert!(beat.parse::<Timestamp>().is_ok(), "{beat}");
    assert!(pulse.next.is_some(), "and again");
    let level = connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, u32>(0));
    assert_eq!(level.unwrap(), synchronous);
    lease::leave(&connection, &holder).unwrap();
    pulse.look(&connection, &holder);
    assert_eq!(pulse.next, None);
}
