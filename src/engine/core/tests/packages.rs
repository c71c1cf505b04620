//! Stories of packages: what is said of them before they are sent, and which are
//! sent to nobody.

use super::*;
use crate::domain::phase::Phase;
use crate::domain::preflight::{ModelRule, Weight};

fn refused(story: &Story) -> Option<Kind> {
    story.said.iter().find_map(|event| match &event.what {
        What::Refused { problem } => Some(problem.kind),
        _ => None,
    })
}

/// What was said of a package last.
fn inspected(story: &Story) -> (Vec<Weight>, bool, bool) {
    let last = story.said.iter().rev().find_map(|event| match &event.what {
        What::Inspected {
            findings,
            server,
            waiting,
            ..
        } => Some((findings, server.is_some(), *waiting)),
        _ => None,
    });
    let (findings, server, waiting) = last.expect("the package was looked at");
    (findings.iter().map(|f| f.weight).collect(), server, waiting)
}

#[test]
fn a_package_is_judged_at_once_and_its_server_asked() {
    let mut story = Story::new();
    let uri = PackageUri::parse("https://x.test/a?se=2026-01-01T12:05:00Z&sig=SECRET").unwrap();
    story.feed(Input::Command(Command::Inspect(uri.clone())));
    assert_eq!(inspected(&story), (vec![Weight::Warning], false, true));
    assert_eq!(story.inspected, std::slice::from_ref(&uri));
    let info = PackageInfo {
        status: 404,
        ..PackageInfo::default()
    };
    let result = Ok(info);
    story.feed(Input::Inspected { uri, result });
    assert_eq!(inspected(&story), (vec![Weight::Warning; 2], true, false));
    let said = serde_json::to_string(&story.said).unwrap();
    assert!(!said.contains("SECRET"));
}

#[test]
fn an_expired_signature_is_refused_before_anything_is_read() {
    let mut story = Story::new();
    let uri = PackageUri::parse("https://x.test/a?se=2025-12-31&sig=SECRET").unwrap();
    story.feed(Input::Command(Command::Inspect(uri.clone())));
    assert_eq!(inspected(&story), (vec![Weight::Refusal], false, false));
    assert_eq!(story.inspected, []);
    let order = Start {
        device: id(ID),
        uri,
        expect: None,
        reason: None,
        sha256: None,
        force: None,
        over: None,
    };
    story.feed(Input::Command(Command::Start(order)));
    assert_eq!((story.read, story.invoked.len()), (0, 0));
    assert_eq!(refused(&story), Some(Kind::NotAllowed));
}

/// The configuration sets no upper bound.
#[test]
fn a_deadline_after_the_end_of_time_is_one() {
    let mut story = Story::with(|settings| {
        let long = SignedDuration::MAX;
        settings.deadlines.phases.insert(Phase::Downloading, long);
        settings.deadlines.default = long;
        settings.phase_deadline = long;
        settings.overall_deadline = long;
    });
    let uri = PackageUri::parse("https://x.test/a?se=2026-01-01T12:05:00Z&sig=SECRET").unwrap();
    story.feed(Input::Command(Command::Inspect(uri)));
    assert_eq!(inspected(&story).0, [Weight::Warning]);
    story.start().twin().accepted().status("downloading");
    story.status("completed");
    assert_eq!(story.verdict().0, Outcome::Completed);
}

#[rstest::rstest]
#[case("press", "https://x.test/pump/*", Some(Kind::NotAllowed))]
#[case("press", "https://x.test/*", None)]
#[case("pump", "https://x.test/pump/*", None)]
fn a_model_is_given_only_its_own(
    #[case] model: &str,
    #[case] uri: &str,
    #[case] want: Option<Kind>,
) {
    let mut story = Story::with(|settings| {
        settings.rules.models = vec![ModelRule {
            path: "tags.model".into(),
            model: "press".into(),
            uri: uri.into(),
        }];
    });
    story.twin.twin.tags.insert("model".into(), model.into());
    story.start().twin();
    assert_eq!(refused(&story), want);
    assert_eq!(story.invoked.is_empty(), want.is_some());
}
