//! Who works here, as far as the system tells.

use crate::domain::clean;

/// Where the system's own users stand.
const USERS: &str = "/etc/passwd";

/// The user by number, not by what the environment says; who became that user;
/// the machine; and from where: `root@jump1 (sudo by ana, ssh from 10.0.0.7)`.
pub(super) fn who() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string(USERS).unwrap_or_default();
    let host = rustix::system::uname();
    let var = |name: &str| std::env::var(name).ok();
    said(uid, &users, &host.nodename().to_string_lossy(), var)
}

fn said(uid: u32, users: &str, host: &str, var: impl Fn(&str) -> Option<String>) -> String {
    let var = |name: &str| {
        var(name)
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
    };
    let name = name_of(uid, users).unwrap_or_else(|| {
        // From a directory of users that only the C library can ask: the number
        // is sure, the name is what the session was given.
        let name = var("USER").or_else(|| var("LOGNAME"));
        name.map_or(format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
    });
    let sudo = var("SUDO_USER").map(|user| format!("sudo by {user}"));
    let ssh = var("SSH_CLIENT").or_else(|| var("SSH_CONNECTION"));
    let ssh = ssh.and_then(|v| v.split(' ').next().map(|a| format!("ssh from {a}")));
    let how: Vec<String> = sudo.into_iter().chain(ssh).collect();
    let how = match how.is_empty() {
        true => String::new(),
        false => format!(" ({})", how.join(", ")),
    };
    clean::line(&format!("{name}@{host}{how}"), 160)
}

/// The name of a user among lines of `name:password:number:…`.
fn name_of(uid: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/bash\n+::::::\nana:x:1001:1001::/home/ana:/bin/sh\n";

    #[rstest::rstest]
    #[case(1001, &[], "ana@jump1")]
    #[case(1001, &[("USER", "ben")], "ana@jump1")]
    #[case(0, &[("USER", "root"), ("SUDO_USER", "ana")], "root@jump1 (sudo by ana)")]
    #[case(1001, &[("SSH_CLIENT", "10.0.0.7 51234 22")], "ana@jump1 (ssh from 10.0.0.7)")]
    #[case(
        0,
        &[("SUDO_USER", "ana"), ("SSH_CONNECTION", "fe80::1 1 10.0.0.1 22")],
        "root@jump1 (sudo by ana, ssh from fe80::1)"
    )]
    #[case(2000, &[("USER", "carla")], "carla (uid 2000)@jump1")]
    #[case(2000, &[("USER", " ")], "uid 2000@jump1")]
    fn whoever(#[case] uid: u32, #[case] env: &[(&str, &str)], #[case] want: &str) {
        let var = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(said(uid, USERS, "jump1", var), want);
    }

    #[test]
    fn what_the_environment_says_is_made_harmless() {
        let var = |name: &str| (name == "SUDO_USER").then(|| "a\u{1b}[2Jb".to_owned());
        let said = said(0, USERS, "jump1", var);
        assert!(!said.contains('\u{1b}'), "{said}");
    }
}
