//! Which passwords are refused: by length, by being common, by naming their owner.
//!
//! No rule of character classes: NIST SP 800-63B advises against them. What counts is length and
//! that the password is not one an attacker tries first.

use troupe_kernel::error::Failure;

use super::common::{fold, is_common};

/// Fewest characters of a password.
pub const LENGTH_MIN: usize = 12;
/// Most characters of a password.
pub const LENGTH_MAX: usize = 128;
/// Shortest part of a name or an address that a password may not contain.
const NAME_PART_MIN: usize = 4;

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Too few characters.
    #[error(
        "use at least {LENGTH_MIN} characters; a few words that do not belong together are good"
    )]
    Short,
    /// Too many characters.
    #[error("use at most {LENGTH_MAX} characters")]
    Long,
    /// One that is tried first.
    #[error(
        "this password is among those that are tried first; take words that do not belong together"
    )]
    Common,
    /// It contains the owner's name or address.
    #[error("do not use your name or your e-mail address in the password")]
    Personal,
}

/// Whose password it is going to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Owner<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The name to show.
    pub display_name: &'a str,
}

/// Checks a password that somebody wants to set.
///
/// # Errors
/// The first weakness found.
pub fn check(password: &str, owner: Owner<'_>) -> Result<(), Weakness> {
    let length = password.chars().count();
    if length < LENGTH_MIN {
        return Err(Weakness::Short);
    }
    if length > LENGTH_MAX {
        return Err(Weakness::Long);
    }
    if names_owner(password, owner) {
        return Err(Weakness::Personal);
    }
    if is_common(password) {
        return Err(Weakness::Common);
    }
    Ok(())
}

/// The failure an API answers for a weak password; `pointer` is where the password stood.
#[must_use]
pub fn refusal(weakness: Weakness, pointer: &str) -> Failure {
    Failure::invalid("auth.password.weak", "the password is not accepted; choose another one")
        .field(pointer, weakness.to_string())
}

fn names_owner(password: &str, owner: Owner<'_>) -> bool {
    let plain = password.to_lowercase();
    let folded = fold(password);
    let local = owner.email.split('@').next().unwrap_or_default();
    let domain = owner.email.split('@').nth(1).unwrap_or_default();
    // The last label of a domain (com, org) is nobody's name.
    let domain = domain.rsplit_once('.').map_or("", |(name, _)| name);
    [owner.display_name, local, domain]
        .into_iter()
        .flat_map(|text| {
            text.split(|letter: char| !letter.is_alphanumeric()).chain(std::iter::once(text))
        })
        .filter(|part| part.chars().count() >= NAME_PART_MIN)
        .any(|part| plain.contains(&part.to_lowercase()) || folded.contains(&fold(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(password: &str) -> Result<(), Weakness> {
        check(
            password,
            Owner { email: "greta.hollander@windmill.example", display_name: "Greta Hollander" },
        )
    }

    #[test]
    fn the_length_is_counted_in_characters() {
        assert_eq!(judge("kürbis-ohne"), Err(Weakness::Short));
        assert_eq!(judge("kürbis-ohne1"), Ok(()));
        assert_eq!(judge(&"q8-".repeat(42)), Err(Weakness::Common), "three characters repeated");
        let long: String = ('!'..='~').chain('¡'..='ÿ').take(LENGTH_MAX + 1).collect();
        assert_eq!(judge(&long), Err(Weakness::Long));
    }

    #[test]
    fn passphrases_and_random_strings_are_accepted() {
        for good in [
            "correct horse battery staple",
            "nine-crows-over-Trieste",
            "xK4#vTq!8zLm",
            "The harbour froze in 1963",
            "蒸気機関車が走る静かな夜に",
            "tulip7 wrench cedar",
        ] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn the_owner_s_name_and_address_are_refused_in_any_disguise() {
        for bad in [
            "Hollander-1985-xq",
            "my-gr3ta-is-best",
            "windmill.forever7",
            "xx greta.hollander xx",
            "W1NDM1LL_sunrise",
        ] {
            assert_eq!(judge(bad), Err(Weakness::Personal), "{bad}");
        }
    }

    #[test]
    fn short_names_do_not_forbid_every_password() {
        let owner = Owner { email: "al@io.example", display_name: "Al" };
        assert_eq!(check("normal blankets aloud", owner), Ok(()));
    }

    #[test]
    fn a_refusal_says_where_and_what_to_do() {
        let failure = refusal(Weakness::Short, "/password");
        assert_eq!(failure.code(), "auth.password.weak");
        assert_eq!(failure.fields()[0].pointer, "/password");
        assert!(failure.fields()[0].detail.contains("12"));
    }
}
