//! Conditions in the Common Expression Language: compiled once, evaluated often, explained in parts.
//!
//! A condition sees four variables (`principal`, `resource`, `action`, `request`) and one function of
//! ours, `permitted('key')`. Everything else, an unknown field, a permission key nobody registered, a
//! text that is too long or too deep, is refused when it is compiled, so that a bad policy is an
//! error at start and a bad binding an error of its author.
//!
//! A condition is kept as its top-level conjuncts, each with its own text, so that an explanation
//! can name the one that failed and the values it saw. Splitting changes no result: `&&` is
//! commutative in the language, a false part wins over a part that fails to evaluate.

mod check;
mod parse;
mod split;

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use cel::{Context, Env, Value};
use thiserror::Error;

use self::check::Check;
use self::parse::parse_all;
use self::split::split_conjunction;
use crate::facts::{Facts, Uses};
use crate::values;

/// Longest condition text accepted, in bytes.
pub const CONDITION_BYTES_MAX: usize = 1024;
/// Why a condition text is not a condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConditionFault {
    /// The text is longer than [`CONDITION_BYTES_MAX`].
    #[error("the condition has {0} bytes; at most {CONDITION_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// The syntax tree is too deep or too large.
    #[error("the condition is nested too deeply or too large; split it into several policies")]
    TooComplex,
    /// The text does not parse.
    #[error("the condition does not parse: {0}")]
    Syntax(String),
    /// A name that no condition knows.
    #[error(
        "`{0}` is not known here; use principal.{{id,kind,tenant,session,label}}, \
         resource.{{kind,id,tenant,owner,attributes}}, request.{{time,hour,weekday,address}} or action"
    )]
    UnknownName(String),
    /// A function that no condition may call.
    #[error("the function `{0}` is not available in conditions")]
    UnknownFunction(String),
    /// `permitted(…)` names a permission that no module registers.
    #[error("permitted('{0}') names a permission that no module registers")]
    UnknownPermission(String),
    /// `permitted(…)` needs one string literal, so that it can be checked at start.
    #[error("permitted(…) takes one permission key as a literal text")]
    PermittedNeedsLiteral,
    /// Loops over data (`all`, `exists`, `map`, `filter`) are for policies of modules only.
    #[error("all, exists, map and filter are not allowed in the condition of a binding")]
    LoopRefused,
}

/// Who wrote the text: modules are trusted with loops, tenants are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// A module, at compile time of the platform.
    Module,
    /// A person with the permission to grant roles.
    Tenant,
}

/// Answers whether a permission key is registered.
pub type KnownPermission<'a> = &'a dyn Fn(&str) -> bool;

/// What a condition came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It could not be evaluated, with the reason.
    Error(String),
}

/// One conjunct, what it came to, and the values it saw (secrets redacted).
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The text as its author wrote it.
    pub text: String,
    /// The result.
    pub truth: Truth,
    /// Path to value, as far as the path leads anywhere.
    pub values: BTreeMap<String, serde_json::Value>,
}

/// A compiled condition.
#[derive(Debug)]
pub struct Condition {
    conjuncts: Vec<Conjunct>,
    uses: Uses,
}

#[derive(Debug)]
struct Conjunct {
    text: String,
    expression: IdedExpr,
    paths: BTreeMap<String, IdedExpr>,
}

impl Condition {
    /// Compiles `text` and checks every name in it.
    ///
    /// # Errors
    /// The first fault found.
    pub fn compile(
        env: &Env,
        text: &str,
        author: Author,
        known: KnownPermission<'_>,
    ) -> Result<Self, ConditionFault> {
        if text.len() > CONDITION_BYTES_MAX {
            return Err(ConditionFault::TooLong(text.len()));
        }
        let pieces = split_conjunction(text);
        let mut texts = vec![text];
        texts.extend(&pieces);
        let mut parsed = parse_all(env, &texts)?.into_iter();
        let mut check = Check::new(author, known);
        if let Some(whole) = parsed.next() {
            check.expression(&whole, 0, &mut Vec::new())?;
        }
        let mut conjuncts = Vec::with_capacity(pieces.len());
        for (piece, expression) in pieces.into_iter().zip(parsed) {
            let mut paths = BTreeMap::new();
            collect_paths(&expression, &mut paths);
            conjuncts.push(Conjunct { text: piece.to_owned(), expression, paths });
        }
        Ok(Self { conjuncts, uses: check.uses() })
    }

    /// Which variables it reads.
    #[must_use]
    pub fn uses(&self) -> Uses {
        self.uses
    }

    /// Evaluates it: false wins over an error, an error over true.
    #[must_use]
    pub fn evaluate(&self, context: &Context<'_, '_>) -> Truth {
        let mut result = Truth::True;
        for conjunct in &self.conjuncts {
            match conjunct.evaluate(context) {
                Truth::True => {}
                Truth::False => return Truth::False,
                error @ Truth::Error(_) => {
                    if result == Truth::True {
                        result = error;
                    }
                }
            }
        }
        result
    }

    /// Evaluates every conjunct and tells what it saw.
    #[must_use]
    pub fn explain(&self, context: &Context<'_, '_>) -> Vec<Part> {
        self.conjuncts
            .iter()
            .map(|conjunct| Part {
                text: conjunct.text.clone(),
                truth: conjunct.evaluate(context),
                values: conjunct.values(context),
            })
            .collect()
    }
}

impl Conjunct {
    fn evaluate(&self, context: &Context<'_, '_>) -> Truth {
        match Value::resolve(&self.expression, context) {
            Ok(Value::Bool(true)) => Truth::True,
            Ok(Value::Bool(false)) => Truth::False,
            Ok(other) => Truth::Error(format!("it gives a {} and not a bool", other.type_of())),
            Err(error) => Truth::Error(values::describe_error(&error)),
        }
    }

    fn values(&self, context: &Context<'_, '_>) -> BTreeMap<String, serde_json::Value> {
        self.paths
            .iter()
            .filter_map(|(path, expression)| {
                let value = Value::resolve(expression, context).ok()?;
                Some((path.clone(), values::shown(path, &value)))
            })
            .collect()
    }
}

/// Checks the text of a condition as the author of a binding may write it, without keeping it.
///
/// # Errors
/// The first fault found.
pub fn check_condition(text: &str, known: KnownPermission<'_>) -> Result<(), ConditionFault> {
    Condition::compile(&environment(), text, Author::Tenant, known).map(drop)
}

/// The environment of every condition: the standard operators.
#[must_use]
pub fn environment() -> Arc<Env> {
    Arc::new(Env::stdlib())
}

/// A context that holds `facts` for the conditions of one decision.
#[must_use]
pub fn context(env: &Arc<Env>, facts: &Facts<'_>, uses: Uses) -> Context<'static, 'static> {
    let mut context = Context::with_env(env.clone());
    facts.bind(&mut context, uses);
    context
}

/// What an expression reads: the longest paths (`resource.attributes.status`), and permissions.
fn collect_paths(node: &IdedExpr, paths: &mut BTreeMap<String, IdedExpr>) {
    if let Some(path) = path_of(node) {
        paths.insert(path, node.clone());
        return;
    }
    match &node.expr {
        Expr::Select(select) if select.test => {
            // `has(a.b)`: the value of `a.b`, when it is there, is what it saw.
            let mut seen = select.clone();
            seen.test = false;
            collect_paths(&IdedExpr { id: node.id, expr: Expr::Select(seen) }, paths);
        }
        Expr::Select(select) => collect_paths(&select.operand, paths),
        Expr::Call(call) if call.func_name == "permitted" => {
            if let [IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] =
                call.args.as_slice()
            {
                paths.insert(format!("permitted('{}')", key.inner()), node.clone());
            }
        }
        Expr::Call(call) => {
            if let Some(target) = &call.target {
                collect_paths(target, paths);
            }
            for argument in &call.args {
                collect_paths(argument, paths);
            }
        }
        Expr::List(list) => list.elements.iter().for_each(|item| collect_paths(item, paths)),
        Expr::Comprehension(comprehension) => collect_paths(&comprehension.iter_range, paths),
        _ => {}
    }
}

fn path_of(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Ident(name)
            if matches!(name.as_str(), "principal" | "resource" | "request" | "action") =>
        {
            Some(name.clone())
        }
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", path_of(&select.operand)?, select.field))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
