//! Parses the texts of a condition where no text can exhaust a stack.
//!
//! The parser descends a dozen functions for each bracket: in an unoptimised build sixteen nested
//! brackets overflow a stack of 2 MiB, which ends the process (cel-rust issue 212). Tenants write
//! conditions, so brackets are counted before, strings or not, and the parser runs on a stack that
//! holds as many as are allowed, several times over. A panic in the parser ends there as well.

use std::thread;

use cel::Env;
use cel::common::ast::IdedExpr;

use super::ConditionFault;

/// Opening brackets in a text; each may be a level of nesting.
pub(super) const OPENERS_MAX: usize = 48;
/// Measured: at most 256 KiB for each level in an unoptimised build. Only what is used is backed.
const STACK_BYTES: usize = 32 * 1024 * 1024;

/// Parses each text.
pub(super) fn parse_all(env: &Env, texts: &[&str]) -> Result<Vec<IdedExpr>, ConditionFault> {
    for text in texts {
        let openers = text.bytes().filter(|byte| matches!(byte, b'(' | b'[' | b'{')).count();
        if openers > OPENERS_MAX {
            return Err(ConditionFault::TooComplex);
        }
    }
    let given_up = || ConditionFault::Syntax("the parser gave up on this text".to_owned());
    thread::scope(|scope| {
        thread::Builder::new()
            .name("condition parser".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || texts.iter().map(|text| parse(env, text)).collect())
            .map_err(|_| given_up())?
            .join()
            .map_err(|_| given_up())?
    })
}

fn parse(env: &Env, text: &str) -> Result<IdedExpr, ConditionFault> {
    let program = env.compile(text).map_err(|errors| {
        let first = errors.errors.first().map_or_else(
            || "the text is not an expression".to_owned(),
            |error| format!("{} (line {}, column {})", error.msg, error.pos.0, error.pos.1),
        );
        ConditionFault::Syntax(first)
    })?;
    Ok(program.expression().clone())
}
