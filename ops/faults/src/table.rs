//! What the suite says on its standard output.

use crate::checker::Claim;

/// Violations of one claim that are shown; the rest are counted.
const VIOLATIONS_MAX: usize = 8;

/// One line.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The claims with what was checked, and the violations below.
pub(crate) fn print(claims: &[Claim]) {
    say("\n| Claim | Checked | Violations |\n|---|---|---|");
    for claim in claims {
        say(&format!("| {} | {} | {} |", claim.name, claim.checked, claim.violations.len()));
    }
    for claim in claims.iter().filter(|claim| !claim.holds()) {
        say(&format!("\nVIOLATED: {}", claim.name));
        for violation in claim.violations.iter().take(VIOLATIONS_MAX) {
            say(&format!("  - {violation}"));
        }
        let more = claim.violations.len().saturating_sub(VIOLATIONS_MAX);
        if more > 0 {
            say(&format!("  and {more} more"));
        }
    }
}

/// The claims as the Test Anything Protocol writes them, for `cargo xtask test`.
pub(crate) fn print_tap(claims: &[Claim]) {
    for (index, claim) in claims.iter().enumerate() {
        let word = if claim.holds() { "ok" } else { "not ok" };
        let number = index + 1;
        say(&format!("{word} {number} - {} ({} checked)", claim.name, claim.checked));
        for violation in claim.violations.iter().take(VIOLATIONS_MAX) {
            say(&format!("# {violation}"));
        }
    }
    say(&format!("1..{}", claims.len()));
}
