//! How JSON is laid out: on one line, or for people.

use serde::Serialize;

use crate::errors::Fault;
use crate::params::Params;

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Layout {
    /// On one line, which costs the least.
    #[default]
    Compact,
    /// A member a line, indented.
    Pretty,
}

impl Layout {
    /// The parameter that asks for it.
    pub(crate) const PARAMETER: &str = "pretty";

    /// What `pretty=true` or `false` asks for.
    pub(crate) fn of(params: &Params) -> Result<Layout, Fault> {
        let is_pretty = params.boolean(Layout::PARAMETER, false)?;
        Ok(if is_pretty { Layout::Pretty } else { Layout::Compact })
    }

    /// The value as JSON. What is written here has text keys only, so it cannot fail.
    pub(crate) fn render(self, value: &impl Serialize) -> Vec<u8> {
        match self {
            Layout::Compact => serde_json::to_vec(value).unwrap_or_default(),
            Layout::Pretty => {
                let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
                // For a terminal, whose prompt would otherwise stand behind the last brace.
                text.push(b'\n');
                text
            }
        }
    }
}
