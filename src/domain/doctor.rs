//! What a doctor finds when asked whether all that an update needs is well: one
//! check after another, each with what was found and what to do.

use serde::{Deserialize, Serialize};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Work goes on, but somebody should know; or it could not be looked at.
    Warning,
    /// Work does not go on before it is mended.
    Failed,
}

impl Verdict {
    /// A sign that needs no colour.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Warning => "!",
            Self::Failed => "✗",
        }
    }
}

/// One check and what came of it; harmless text, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at, in a word that stays.
    pub check: String,
    /// How that came out.
    pub result: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing to do.
    pub hint: String,
}
