//! The file of views: what is kept, what is left alone, what is said.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::symlink;

/// A folder with a file of views in it, or without.
fn shelf(text: Option<&str>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("views.toml");
    if let Some(text) = text {
        fs::write(&file, text).unwrap();
    }
    (folder, file)
}

fn view_of(filter: &str, columns: &[&str], sort: &str) -> View {
    View::read(
        &ViewText {
            filter: filter.into(),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            sort: sort.into(),
        },
        &Columns::default(),
    )
    .unwrap()
}

fn lab() -> View {
    view_of(
        "tag:site=lab",
        &["device", "phase", "tag:site"],
        "tag:site down",
    )
}

fn names(kept: &Kept) -> Vec<String> {
    kept.views
        .iter()
        .flat_map(|views| views.keys().cloned())
        .collect()
}

fn save(file: &Path, name: &str, view: View) -> Kept {
    done(Some(file), Keep::Save(name.into(), view))
}

#[test]
fn what_is_kept_comes_back_and_is_the_users_alone() {
    let (folder, _) = shelf(None);
    let file = folder.path().join("new/views.toml");
    assert_eq!(
        done(Some(&file), Keep::Read),
        Kept {
            views: Some(BTreeMap::new()),
            wrong: vec![]
        }
    );
    let kept = save(&file, "lab", lab());
    assert_eq!(kept.wrong, Vec::<String>::new());
    assert_eq!(kept.views.unwrap()["lab"], lab());
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    save(&file, "süd.1", View::default());
    let again = done(Some(&file), Keep::Read);
    assert_eq!(names(&again), ["lab", "süd.1"]);
    let kept = save(&file, "lab", View::default());
    assert_eq!(kept.views.unwrap()["lab"], View::default());
    let left = done(Some(&file), Keep::Forget("lab".into()));
    assert_eq!(names(&left), ["süd.1"]);
    let files: Vec<_> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(files.len(), 2, "the file and its lock: {files:?}");
}

/// Comments, the order and other views stay as their owner has written them.
#[test]
fn a_change_touches_one_view_alone() {
    let text = "# mine\n[view.a]\n# why\nfilter = \"a\" # so\n\n[view.b]\nsort = \"age down\"\n";
    let (_folder, file) = shelf(Some(text));
    save(&file, "b", lab());
    let now = fs::read_to_string(&file).unwrap();
    assert!(
        now.starts_with("# mine\n[view.a]\n# why\nfilter = \"a\" # so\n\n[view.b]\n"),
        "{now}"
    );
    assert_eq!(done(Some(&file), Keep::Read).views.unwrap()["b"], lab());
    done(Some(&file), Keep::Forget("a".into()));
    let now = fs::read_to_string(&file).unwrap();
    assert!(now.starts_with("# mine\n# why\n\n[view.b]\n"), "{now}");
    // Forgetting what is not there writes nothing.
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(
        done(Some(&file), Keep::Forget("a".into())).wrong,
        Vec::<String>::new()
    );
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
}

/// What cannot be read, or is not known, is said and stays to the letter.
#[rstest::rstest]
#[case("[view.a\n", "line 1", false)]
#[case("view = 3\n", "view is no table", false)]
#[case(
    "[view.lab]\ncolour = \"red\"\n",
    "view lab: unknown field `colour`",
    false
)]
#[case(
    "[view.lab]\ncolumns = [\"nope\"]\n",
    "view lab: no column \"nope\"",
    false
)]
#[case("[view]\nlab = { filter = \"a\" }\n", "in a way of its own", false)]
#[case("[view.\"a b\"]\nfilter = \"x\"\n", "a view's name", true)]
#[case("[view.b]\nsort = \"up\"\n", "view b: no column", true)]
#[case("[other]\nx = 1\n", "\"other\" means nothing", true)]
fn nothing_is_lost(#[case] text: &str, #[case] told: &str, #[case] can_be_changed: bool) {
    let (_folder, file) = shelf(Some(text));
    let read = done(Some(&file), Keep::Read);
    let kept = save(&file, "lab", lab());
    let said = [read.wrong, kept.wrong.clone()].concat().join(" ");
    assert!(said.contains(told), "{said}");
    let now = fs::read_to_string(&file).unwrap();
    assert!(now.contains(text.trim_end()), "{now}");
    assert_eq!(now != text, can_be_changed, "{now}");
    assert_eq!(
        names(&kept).contains(&"lab".to_owned()),
        can_be_changed || told.contains("its own")
    );
}

#[test]
fn what_is_no_file_of_views_is_left_alone() {
    let (folder, file) = shelf(None);
    fs::create_dir(&file).unwrap();
    let kept = save(&file, "lab", lab());
    assert!(
        kept.wrong[0].contains("no file of views"),
        "{:?}",
        kept.wrong
    );
    assert_eq!(kept.views, None);
    // A link stays one, and what it leads to is changed.
    let (other, target) = shelf(Some("[view.a]\n"));
    let link = folder.path().join("link.toml");
    symlink(&target, &link).unwrap();
    assert_eq!(names(&save(&link, "lab", lab())), ["a", "lab"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&target).unwrap().contains("[view.lab]"));
    drop(other);
    assert_eq!(done(None, Keep::Read).wrong, Vec::<String>::new());
    assert_eq!(done(None, Keep::Forget("a".into())).wrong.len(), 1);
}

#[test]
fn two_at_once_lose_nothing() {
    let (_folder, file) = shelf(None);
    let names: Vec<String> = (0..8).map(|n| format!("v{n}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let file = &file;
            scope.spawn(move || {
                let kept = save(file, name, lab());
                assert_eq!(kept.wrong, Vec::<String>::new());
            });
        }
    });
    assert_eq!(self::names(&done(Some(&file), Keep::Read)), names);
}

#[tokio::test]
async fn one_thing_is_done_after_another() {
    let (_folder, file) = shelf(None);
    let mut shelf = Shelf::on(Some(file.clone()));
    shelf.ask(Keep::Save("a".into(), lab()));
    shelf.ask(Keep::Save("b".into(), lab()));
    shelf.ask(Keep::Forget("a".into()));
    assert_eq!(names(&shelf.next().await), ["a"]);
    shelf.finish().await;
    assert_eq!(names(&done(Some(&file), Keep::Read)), ["b"]);
}

proptest! {
    /// Whatever stands in the file: saving adds one view or changes nothing at all.
    #[test]
    fn hostile_files_are_safe(text in "[\\[\\]a-c.=\"#{}' \n]{0,60}", name in "[a-c.]{1,3}") {
        let before = parse(&text);
        let after = before.as_ref().map(|before| changed(&text, before, &name, Some(&lab())));
        if let Ok(Ok(Some(after))) = after {
            let after = parse(&after).unwrap();
            for (key, value) in before.as_ref().unwrap() {
                if key != TABLE {
                    prop_assert_eq!(after.get(key), Some(value));
                }
            }
            let views = told(&after).views.unwrap();
            prop_assert_eq!(views.get(&name), Some(&lab()));
        }
    }

    #[test]
    fn any_view_comes_back(filter in "[a-z:=!~\"'\\\\ ü]{0,20}", tag in "[a-zé.\"']{1,9}", down: bool) {
        let view = View::read(
&ViewText {
            filter,
            columns: vec!["device".into(), format!("tag:{tag}")],
            sort: format!("tag:{tag}{}", if down { " down" } else { "" }),
        },
&Columns::default(),
);
        if let Ok(view) = view {
            let after = changed("", &Table::new(), "lab", Some(&view)).unwrap().unwrap();
            let kept = told(&parse(&after).unwrap());
            let views = kept.views.unwrap();
            prop_assert_eq!(views.get("lab"), Some(&view));
        }
    }
}
