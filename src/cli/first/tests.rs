use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config;

const STRING: &str =
    "HostName=plant.azure-devices.net;SharedAccessKeyName=service;SharedAccessKey=a2V5";

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_kept_can_be_used_and_read_by_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::within(&folder.path().join("made \"new\""));
    let kept = keep::store(&paths, "plant", &STRING.into());
    assert!(matches!(kept, Ok(Kept::Whole(_))), "{kept:?}");
    let file = keep::secret_file(&paths, "plant");
    assert_eq!((mode(&file), mode(&paths.config)), (0o600, 0o600));
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    let read = config::load(&paths.config, true).unwrap();
    let source = read.hub["plant"].secret("plant").unwrap();
    assert_eq!(source, config::SecretSource::File(file.clone()));
    assert_eq!(std::fs::read_to_string(file).unwrap().trim(), STRING);
}

#[test]
fn nothing_that_is_there_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::within(folder.path());
    std::fs::write(&paths.config, "# mine\n").unwrap();
    let kept = keep::store(&paths, "plant", &STRING.into()).unwrap();
    let Kept::Half { told, add } = kept else {
        panic!("{kept:?}")
    };
    assert!(told.contains("left as it is"), "{told}");
    assert!(add.contains("[hub.plant]\nsecret_file = "), "{add}");
    assert!(!format!("{told}{add}").contains("a2V5"));
    let file = keep::secret_file(&paths, "plant");
    std::fs::write(&file, "mine too").unwrap();
    let again = keep::store(&paths, "plant", &STRING.into());
    assert!(again.unwrap_err().contains("not overwritten"));
    assert!(keep::example(&paths).unwrap_err().contains("[hub.NAME]"));
    assert_eq!(std::fs::read_to_string(&paths.config).unwrap(), "# mine\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine too");
}

#[test]
fn the_example_is_written_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::within(folder.path());
    let told = keep::example(&paths).unwrap();
    assert!(told.contains(paths.config.to_str().unwrap()), "{told}");
    assert_eq!(mode(&paths.config), 0o600);
    assert!(
        config::load(&paths.config, true)
            .unwrap()
            .hub
            .contains_key("plant")
    );
}

#[rstest::rstest]
#[case("plant", "plant")]
#[case("[", "hub")]
#[case("a.b", "ab")]
fn hubs_are_named_after_their_hosts(#[case] label: &str, #[case] want: &str) {
    assert_eq!(keep::name(label), want);
}

#[rstest::rstest]
#[case("\x1b[200~HostName=a\x1b[201~\n", "HostName=a")]
#[case("  \"HostName=a\"  ", "HostName=a")]
#[case("'HostName=a'", "HostName=a")]
fn a_paste_is_taken_as_it_was_meant(#[case] text: &str, #[case] want: &str) {
    assert_eq!(bare(text), want);
}

#[rstest::rstest]
#[case(STRING, None)]
#[case("hello", Some("no '='"))]
#[case(
    "HostName=a;SharedAccessKeyName=s;SharedAccessKey=a2V5;X=$(id)",
    Some("holds '$'")
)]
#[case(
    "HostName=a;SharedAccessKeyName=s;SharedAccessKey=a2V5;X=\u{1b}",
    Some("holds")
)]
#[case("HostName=a;DeviceId=d;SharedAccessKey=a2V5", Some("a device's"))]
fn what_is_none_says_why(#[case] text: &str, #[case] why: Option<&str>) {
    let said = read(text).err();
    assert_eq!(said.is_some(), why.is_some(), "{said:?}");
    if let (Some(said), Some(why)) = (said, why) {
        assert!(said.contains(why) && !said.contains("a2V5"), "{said}");
    }
}
