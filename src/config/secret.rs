//! Where a connection string comes from.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

/// How long a command may take to print a secret.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// The longest secret that is read, in bytes.
const MAX_SECRET: usize = 64 << 10;

/// A source of a secret; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file that only its owner may read.
    File(PathBuf),
    /// A program and its arguments; what it prints is the secret.
    Command(Vec<String>),
}

/// Why a secret could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("cannot read the secret file {path}: {cause}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// Others can read the file too.
    #[error("others can read the secret file {path} (mode {mode:o}); run: chmod 600 {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Others can write the configuration that names a command.
    #[error(
        "the configuration {path} is not yours alone to write ({why}), so its secret_command is \
         not run; it must belong to you, with the mode 600"
    )]
    Writable {
        /// Which file.
        path: PathBuf,
        /// Whose it is, or its mode.
        why: String,
    },
    /// The command names no program.
    #[error("secret_command is empty; write [\"program\", \"argument\"]")]
    NoCommand,
    /// The program failed.
    #[error("secret_command {program:?} {cause}")]
    Command {
        /// Which program.
        program: String,
        /// How it failed.
        cause: String,
    },
}

impl SecretSource {
    /// Gets the secret. `config` is the file that named the source: a command
    /// is run only when nobody but its owner can write that file.
    ///
    /// # Errors
    /// [`SecretError`], which never holds any part of the secret.
    pub async fn get(&self, config: &Path) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|_| SecretError::NotSet(name.clone()))?
            }
            Self::File(path) => read(path)?,
            Self::Command(argv) => {
                refuse_writable(config)?;
                run(argv).await?
            }
        };
        Ok(text.trim().into())
    }
}

fn read(path: &Path) -> Result<String, SecretError> {
    let failed = |e: std::io::Error| SecretError::Read {
        path: path.to_owned(),
        cause: e.to_string(),
    };
    let mode = std::fs::metadata(path).map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn refuse_writable(path: &Path) -> Result<(), SecretError> {
    let refused = |why: String| {
        Err(SecretError::Writable {
            path: path.to_owned(),
            why,
        })
    };
    let file = match std::fs::metadata(path) {
        Ok(file) => file,
        Err(error) => return refused(error.to_string()),
    };
    let (owner, me) = (file.uid(), rustix::process::geteuid().as_raw());
    if owner != me && owner != 0 {
        return refused(format!("user {owner} owns it"));
    }
    match file.mode() & 0o777 {
        mode if mode & 0o022 != 0 => refused(format!("mode {mode:o}")),
        _ => Ok(()),
    }
}

async fn run(argv: &[String]) -> Result<String, SecretError> {
    let (program, arguments) = argv.split_first().ok_or(SecretError::NoCommand)?;
    let failed = |cause: String| SecretError::Command {
        program: program.clone(),
        cause,
    };
    let command = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(COMMAND_LIMIT, command)
        .await
        .map_err(|_| failed(format!("did not end within {} s", COMMAND_LIMIT.as_secs())))?
        .map_err(|e| failed(format!("cannot be run: {e}")))?;
    if !output.status.success() {
        return Err(failed(format!("failed ({})", output.status)));
    }
    if output.stdout.len() > MAX_SECRET {
        return Err(failed("printed too much".to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("did not print text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    async fn get(source: SecretSource, config: &Path) -> Result<String, SecretError> {
        let secret = source.get(config).await?;
        Ok(secret.expose_secret().to_owned())
    }

    fn file(folder: &Path, mode: u32) -> PathBuf {
        let path = folder.join(format!("f{mode:o}"));
        std::fs::write(&path, "secret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, ours) = (file(folder.path(), 0o600), file(folder.path(), 0o640));
        let config = folder.path();
        assert_eq!(
            get(SecretSource::File(mine), config).await,
            Ok("secret".into())
        );
        let error = get(SecretSource::File(ours), config).await.unwrap_err();
        assert!(
            matches!(error, SecretError::Open { mode: 0o640, .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_command_is_run_without_a_shell_from_a_file_of_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, ours) = (file(folder.path(), 0o600), file(folder.path(), 0o666));
        let echo = || SecretSource::Command(["echo", "$HOME;", "x"].map(str::to_owned).to_vec());
        assert_eq!(get(echo(), &mine).await, Ok("$HOME; x".into()));
        let error = get(echo(), &ours).await.unwrap_err();
        assert!(matches!(error, SecretError::Writable { .. }), "{error}");
        let error = get(SecretSource::Command(vec!["false".into()]), &mine)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("failed"), "{error}");
        assert_eq!(
            get(SecretSource::Command(vec![]), &mine).await,
            Err(SecretError::NoCommand)
        );
    }

    #[tokio::test]
    async fn a_variable_that_is_not_set_is_named() {
        let error = get(
            SecretSource::Env("OTADECK_TEST_NOT_SET".into()),
            Path::new("x"),
        )
        .await;
        assert_eq!(
            error,
            Err(SecretError::NotSet("OTADECK_TEST_NOT_SET".into()))
        );
    }
}
