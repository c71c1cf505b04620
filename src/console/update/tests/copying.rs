//! What is copied: by keys and by the command.

use super::super::super::clipboard::Clip;
use super::*;
use crate::domain::headless::Reach;

/// What was copied, and where to.
fn copied(effects: &[Effect]) -> Vec<(String, Option<String>)> {
    let clips = effects.iter().filter_map(|effect| match effect {
        Effect::Copy(Clip { text, file, .. }) => {
            let file = file.as_ref().map(|path| path.display().to_string());
            Some((text.clone(), file))
        }
        _ => None,
    });
    clips.collect()
}

fn text(model: &mut Model, keys: &str) -> String {
    let effects = press(model, keys).unwrap();
    let copied = copied(&effects);
    assert_eq!(copied.len(), 1, "{keys} {effects:?}");
    copied[0].0.clone()
}

fn named(environment: Option<&str>) -> Model {
    let profile = Profile {
        environment: environment.map(str::to_owned),
        ..profile()
    };
    let mut model = console_on(profile, 80);
    model.context.reach = Reach {
        hub: Some("plant".into()),
        ..Reach::default()
    };
    model
}

#[test]
fn a_key_copies_what_is_most_useful() {
    let mut model = console();
    assert_eq!(text(&mut model, "jc"), "a-2");
    assert_eq!(text(&mut model, "<tab>c"), "a-2");
    tell(
        &mut model,
        vec![
            intended("a-2"),
            phase("a-2", 10, "downloading", Phase::Downloading),
        ],
    );
    let told: serde_json::Value = serde_json::from_str(&text(&mut model, "c")).unwrap();
    assert_eq!(told["deviceId"], "a-2");
    assert_eq!(told["evidence"]["value"], "downloading");
    assert_eq!(text(&mut model, ":copy id<enter>"), "a-2");
}

#[test]
fn the_command_of_a_question_is_copied_whole() {
    let mut model = named(None);
    let keys = format!("<space>j<space><enter>{URI}<enter>c");
    let command = "otadeck update b-1 a-1 --hub plant --uri https://x.test/fw.bin";
    press(&mut model, "j").unwrap();
    assert_eq!(text(&mut model, &format!("k{keys}")).len(), command.len());
    assert_eq!(model.place(), Place::Confirm, "the question stays");
    let mut model = named(Some("production"));
    let keys = format!("<enter>{URI}<enter>");
    press(&mut model, &keys).unwrap();
    // A letter belongs to the name there.
    assert_eq!(press(&mut model, "c<backspace>").unwrap(), []);
    assert_eq!(
        text(&mut model, "<ctrl-o>"),
        "otadeck update a-1 --hub plant --uri https://x.test/fw.bin --confirm plant"
    );
}

#[test]
fn no_secret_is_copied() {
    let mut model = named(None);
    let signed = "https://x.test/fw.bin?v=1&sig=geheim";
    press(&mut model, &format!("<enter>{signed}<enter>")).unwrap();
    let command = text(&mut model, "c");
    assert_eq!(command, "otadeck update a-1 --hub plant --uri -");
    let uri = text(&mut model, "<esc><tab>:copy uri<enter>");
    assert_eq!(uri, "https://x.test/fw.bin?v=1&sig=***");
    tell(&mut model, vec![intended("a-1")]);
    let reported = json!({"fw": {"from": signed, "note": "\u{1b}[2J\u{202e}"}});
    let what = What::Phase {
        phase: Phase::Downloading,
        reported: reported.clone(),
        percent: None,
        evidence: Evidence {
            property: "fw".into(),
            value: reported,
            version: 1,
            hub_time: None,
        },
    };
    tell(&mut model, vec![of("a-1", 5, what)]);
    for keys in [":copy twin<enter>", ":copy evidence<enter>"] {
        let text = text(&mut model, keys);
        assert!(
            text.contains("sig=***") && !text.contains("geheim"),
            "{text}"
        );
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
}

#[rstest::rstest]
#[case(":copy id ids.txt<enter>", "a-1", Some("ids.txt"))]
#[case(":copy id  a b<enter>", "a-1", Some("a b"))]
#[case(":copy command<enter>", "otadeck watch a-1 --hub plant", None)]
#[case(":cop i<tab><enter>", "a-1", None)]
fn the_command_names_what_and_where_to(
    #[case] keys: &str,
    #[case] want: &str,
    #[case] file: Option<&str>,
) {
    let effects = press(&mut named(None), keys).unwrap();
    let want = (want.to_owned(), file.map(str::to_owned));
    assert_eq!(copied(&effects), [want]);
}

#[rstest::rstest]
#[case(":copy<enter>", "there are id, uri, command, evidence, twin")]
#[case(":copy key<enter>", "there are id, uri")]
#[case(":copy twin<enter>", "was not read yet")]
#[case(":copy evidence<enter>", "no update of a-1")]
#[case(":copy uri<enter>", "no package was asked for on a-1")]
fn what_cannot_be_copied_is_said(#[case] keys: &str, #[case] why: &str) {
    let mut model = console();
    assert_eq!(press(&mut model, keys).unwrap(), []);
    let Some(super::super::super::model::Bar::Prompt(line)) = &model.bar else {
        panic!("{:?}", model.bar);
    };
    let wrong = line.wrong.as_deref().unwrap();
    assert!(wrong.contains(why), "{wrong}");
}

/// What an update of this session was given is its command.
#[test]
fn the_command_of_an_update_is_the_one_that_began_it() {
    let mut model = named(Some("production"));
    tell(&mut model, vec![intended("a-1"), completed("a-1", 9)]);
    assert_eq!(
        text(&mut model, ":copy command<enter>"),
        "otadeck update a-1 --hub plant --uri https://x.test/fw.bin --confirm plant"
    );
}

#[test]
fn what_was_said_of_a_copy_goes_with_the_next_key() {
    let mut model = console();
    update(&mut model, Message::Copied("Copied the id of a-1.".into()));
    assert!(model.brief.is_some());
    press(&mut model, "j").unwrap();
    assert_eq!(model.brief, None);
}
