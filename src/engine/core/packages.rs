//! Packages before they are sent: what can be said of their URIs, and what the
//! hub's rules forbid.

use crate::domain::event::{Event, What};
use crate::domain::evidence::sha256;
use crate::domain::preflight::{self, Finding, PackageInfo, refusal};
use crate::domain::problem::{Kind, Problem};
use crate::domain::twin::Twin;
use crate::domain::uri::PackageUri;
use crate::package::PackageError;

use super::{Core, Now, Output};

impl Core {
    /// Tells at once what the URI says by itself, and asks its server. The
    /// server of a forbidden one is not asked.
    pub(super) fn inspect(&mut self, uri: PackageUri, now: Now) {
        let findings = self.findings(&uri, None, now);
        let ask = self.settings.ask_package_server && refusal(&findings).is_none();
        self.tell_inspected(&uri, findings, None, ask, now);
        if ask {
            self.out.push(Output::Inspect(uri));
        }
    }

    pub(super) fn inspected(
        &mut self,
        uri: &PackageUri,
        result: Result<PackageInfo, PackageError>,
        now: Now,
    ) {
        let server = result.map_err(|error| error.to_string());
        let findings = self.findings(uri, Some(&server), now);
        self.tell_inspected(uri, findings, server.ok(), false, now);
    }

    fn tell_inspected(
        &mut self,
        uri: &PackageUri,
        findings: Vec<Finding>,
        server: Option<PackageInfo>,
        waiting: bool,
        now: Now,
    ) {
        let what = What::Inspected {
            uri: uri.redacted().to_owned(),
            uri_sha256: sha256(uri.expose()),
            findings,
            server,
            waiting,
        };
        self.publish(Event::general(now.wall, what));
    }

    /// A device is expected to have fetched the package within the deadline of
    /// a download.
    fn findings(
        &self,
        uri: &PackageUri,
        server: Option<&Result<PackageInfo, String>>,
        now: Now,
    ) -> Vec<Finding> {
        // A signature ends by its server's clock, which the hub's tells better
        // than ours.
        let now = self.by_the_hub(now);
        let deadlines = &self.settings.deadlines;
        let fetched = deadlines.fetched_by(now.wall, &self.durations);
        preflight::findings(&self.settings.rules, uri, server, now.wall, fetched)
    }

    /// Why this package may be given to no device of the hub.
    pub(super) fn forbidden(&self, uri: &PackageUri, now: Now) -> Option<Problem> {
        let findings = self.findings(uri, None, now);
        Some(not_allowed(uri, refusal(&findings)?))
    }

    /// Why this package may not be given to the device of `twin`.
    pub(super) fn forbidden_for(&self, uri: &PackageUri, twin: &Twin) -> Option<Problem> {
        let refusal = self.settings.rules.refuses(uri, twin)?;
        Some(not_allowed(uri, &refusal))
    }
}

fn not_allowed(uri: &PackageUri, refusal: &Finding) -> Problem {
    let title = format!("{} is not sent", uri.file_name());
    Problem::new(Kind::NotAllowed, title, &refusal.text)
        .hint("Nothing was sent to the device. Use another URI, or a fresh signature.")
}
