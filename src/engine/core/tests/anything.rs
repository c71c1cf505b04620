//! Whatever happens, in whatever order.

use super::*;

/// What may happen to an update, in any order.
#[derive(Clone, Debug)]
enum Happening {
    Answer(u8),
    Report(&'static str),
    Pass(u64),
    Start,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let words = prop::sample::select(vec![
        "standBy",
        "downloading",
        "applying",
        "completed",
        "failed",
        "odd",
    ]);
    let one = prop_oneof![
        (0u8..6).prop_map(Happening::Answer),
        words.prop_map(Happening::Report),
        (0u64..100_000).prop_map(Happening::Pass),
        Just(Happening::Start),
    ];
    prop::collection::vec(one, 0..40)
}

proptest! {
    /// Whatever happens: once the order may have reached the device it is not
    /// sent again for the same update, and an outcome never changes.
    #[test]
    fn no_order_is_sent_twice(happenings in happenings()) {
        let mut story = Story::new();
        story.start().twin();
        let mut perhaps_delivered = std::collections::HashSet::new();
        let mut invoked = story.invoked.len();
        let mut calling = true;
        for happening in happenings {
            match happening {
                Happening::Answer(n) if !story.invoked.is_empty() => {
                    let result = match n {
                        0 => Ok(MethodAnswer { status: 200, payload: Value::Null }),
                        1 => Ok(MethodAnswer { status: 400, payload: Value::Null }),
                        2 => Err(refusal(504, "GatewayTimeout")),
                        3 => Err(refusal(429, "ThrottlingException")),
                        4 => Err(refusal(404, "DeviceNotOnline")),
                        _ => Err(refused_connection()),
                    };
                    // Each call has one answer; a second one is nobody's.
                    if matches!(n, 0..=2) && calling {
                        perhaps_delivered.insert(story.invoked.last().cloned().unwrap());
                    }
                    calling = false;
                    story.answer(result);
                }
                Happening::Answer(_) => {}
                Happening::Report(word) => { story.status(word); }
                Happening::Pass(ms) => { story.pass(Duration::from_millis(ms)).twin(); }
                Happening::Start => { story.start().twin(); }
            }
            for update in &story.invoked[invoked..] {
                prop_assert!(!perhaps_delivered.contains(update), "{:?}", story.words());
            }
            calling |= story.invoked.len() > invoked;
            invoked = story.invoked.len();
        }
        let mut ended = std::collections::HashSet::new();
        for event in &story.said {
            if let Some(update) = &event.update_id {
                let flagged = matches!(event.what, What::Contradicted { .. });
                prop_assert!(
                    ended.contains(update) == flagged,
                    "after the verdict, and only then: {event:?}"
                );
                if matches!(event.what, What::Verdict { .. }) {
                    ended.insert(update.clone());
                }
            }
        }
    }

    /// No replay makes the core claim success: the device answers 200 and then
    /// re-sends, in any order, only what its twin already held.
    #[test]
    fn no_replay_is_taken_for_success(order in prop::collection::vec(0usize..4, 1..20), status in prop::sample::select(vec!["completed", "standBy", "failed"])) {
        let held = [
            json!({"firmwareStatus": status}),
            json!({"lastFirmwareUpdate": "2018-02-22 14:03:07.123456"}),
            json!({"firmwareVersion": "1.4.2"}),
            json!({"fwPackageUri": "https://x.test/fw-1.5.0.bin?sig=secret"}),
        ];
        let mut story = Story::new();
        for patch in &held {
            story.twin.report(patch.clone());
        }
        story.start().twin().accepted();
        for n in order {
            story.report(held[n].clone());
        }
        prop_assert!(!story.words().iter().any(|w| w.starts_with('=')), "{:?}", story.words());
    }
}
