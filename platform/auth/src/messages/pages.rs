//! The sign-in page and the pages behind links.

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
    /// The sign-in page.
    SignIn,
    /// Its script.
    SignInScript,
    /// The style of all.
    Style,
}

impl PageName {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Setup | Self::Reset | Self::SignIn => "text/html",
            Self::SetupScript | Self::ResetScript | Self::SignInScript => "text/javascript",
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
