//! The pages behind links.

use serde::{Deserialize, Serialize};

/// A page or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageName {
    /// The set-up page.
    Setup,
    /// Its script.
    SetupScript,
    /// The password-reset page.
    Reset,
    /// Its script.
    ResetScript,
    /// The style of both.
    Style,
}

impl PageName {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Setup | Self::Reset => "text/html",
            Self::SetupScript | Self::ResetScript => "text/javascript",
            Self::Style => "text/css",
        }
    }
}

/// Answers the text of a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetPage {
    /// Which page.
    pub name: PageName,
}
