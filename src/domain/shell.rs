//! Words, quoted for a POSIX shell, so that a command that is shown or copied is
//! read there as the same words. A device's id may be `$(id)`, `'` or `;`.

/// The word as a shell reads it; as it is where that is safe.
#[must_use]
pub fn quoted(word: &str) -> String {
    // `=` in front means something to zsh.
    let plain = !word.is_empty() && !word.starts_with('=') && word.chars().all(is_plain);
    match plain {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A command line of these words.
#[must_use]
pub fn line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// Means nothing to any shell, wherever it stands in a word.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./:,@+=".contains(c)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[rstest::rstest]
    #[case("sim-0001", "sim-0001")]
    #[case("https://x.test/fw-1.5.0.bin", "https://x.test/fw-1.5.0.bin")]
    #[case("https://x.test/?a=1&b=2", "'https://x.test/?a=1&b=2'")]
    #[case("", "''")]
    #[case("it's", r"'it'\''s'")]
    #[case("$(id)", "'$(id)'")]
    #[case("=ls", "'=ls'")]
    #[case("%1", "'%1'")]
    #[case("a b", "'a b'")]
    #[case("#x", "'#x'")]
    fn words_are_quoted_where_they_must_be(#[case] word: &str, #[case] want: &str) {
        assert_eq!(quoted(word), want);
    }

    /// What `sh` makes of them.
    fn read_by_a_shell(words: &[String]) -> Vec<String> {
        let script = format!("printf '%s\\0' {}", line(words));
        let out = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(out.status.success(), "{script}");
        let text = String::from_utf8(out.stdout).unwrap();
        let mut read: Vec<String> = text.split('\0').map(str::to_owned).collect();
        read.pop();
        read
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_the_very_same_words(
            words in prop::collection::vec("[^\\x00]{0,12}", 1..12),
            ids in prop::collection::vec("[A-Za-z0-9\\-:.+%_#*?!(),=@;$']{1,20}", 1..12),
        ) {
            prop_assert_eq!(&read_by_a_shell(&words), &words);
            prop_assert_eq!(&read_by_a_shell(&ids), &ids);
        }
    }
}
