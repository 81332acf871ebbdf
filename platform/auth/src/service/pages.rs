//! Serves the sign-in page and the pages behind links. One worker over a mailbox of 256; it holds no state.

use troupe_actors::{ChildSpec, Context, Handled, Lent, Service, ServiceRef, Spec, System};

use crate::messages::{PageMessage, PageName};

const CAPACITY: usize = 256;

/// Serves the pages.
pub struct Pages;

impl Pages {
    /// The service's reference and specification.
    #[must_use]
    pub fn service(system: &System) -> (ServiceRef<PageMessage>, ChildSpec) {
        Spec::new(system, "pages", || Self).capacity(CAPACITY).build()
    }
}

const fn text_of(name: PageName) -> &'static str {
    match name {
        PageName::Setup => include_str!("../pages/setup.html"),
        PageName::SetupScript => include_str!("../pages/setup.js"),
        PageName::Reset => include_str!("../pages/reset.html"),
        PageName::ResetScript => include_str!("../pages/reset.js"),
        PageName::SignIn => include_str!("../pages/sign-in.html"),
        PageName::SignInScript => include_str!("../pages/sign-in.js"),
        PageName::Style => include_str!("../pages/page.css"),
    }
}

impl Service for Pages {
    type Message = PageMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<PageMessage>,
        ctx: &mut Context<PageMessage>,
    ) -> Handled {
        let PageMessage::GetPage(query) = &**message;
        ctx.reply(query, text_of(query.name).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_no_script_or_style_that_the_policy_would_block() {
        for name in [PageName::Setup, PageName::Reset, PageName::SignIn] {
            let text = text_of(name);
            for tag in text.split("<script").skip(1) {
                assert!(tag.starts_with(" src=\"/"), "inline script in {name:?}");
            }
            assert!(!text.contains("<style") && !text.contains(" style="), "{name:?}");
            assert!(!text.contains(" onclick=") && !text.contains("http://"), "{name:?}");
            assert!(!text.contains("https://"), "{name:?} loads nothing from elsewhere");
        }
    }
}
