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

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use cel::{Context, Env, Value};
use thiserror::Error;

use crate::facts::{Facts, Uses};
use crate::values;

/// Longest condition text accepted, in bytes.
pub const CONDITION_BYTES_MAX: usize = 1024;
/// Deepest syntax tree accepted; evaluation recurses as deep.
const DEPTH_MAX: usize = 32;
/// Most nodes in a syntax tree.
const NODES_MAX: usize = 512;

const PRINCIPAL_FIELDS: &[&str] = &["id", "kind", "tenant", "session", "label"];
const RESOURCE_FIELDS: &[&str] = &["kind", "id", "tenant", "owner", "attributes"];
const REQUEST_FIELDS: &[&str] = &["time", "hour", "weekday", "address"];
/// Functions and operators a condition may use. Kept short: each must be cheap and total.
const FUNCTIONS: &[&str] = &[
    "_&&_",
    "_||_",
    "!_",
    "_?_:_",
    "_==_",
    "_!=_",
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
    "_+_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "-_",
    "@in",
    "_[_]",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "string",
    "permitted",
    "@not_strictly_false",
];

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
        let whole = parse(env, text)?;
        let mut check = Check { author, known, uses: Uses::default(), nodes: 0 };
        check.expression(&whole, 0, &mut Vec::new())?;
        let mut conjuncts = Vec::new();
        for piece in split_conjunction(text) {
            let expression = parse(env, piece)?;
            let mut paths = BTreeMap::new();
            collect_paths(&expression, &mut paths);
            conjuncts.push(Conjunct { text: piece.to_owned(), expression, paths });
        }
        Ok(Self { conjuncts, uses: check.uses })
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

struct Check<'a> {
    author: Author,
    known: KnownPermission<'a>,
    uses: Uses,
    nodes: usize,
}

impl Check<'_> {
    fn expression(
        &mut self,
        node: &IdedExpr,
        depth: usize,
        bound: &mut Vec<String>,
    ) -> Result<(), ConditionFault> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Err(ConditionFault::TooComplex);
        }
        match &node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.identifier(name, bound),
            Expr::Select(select) => {
                if let Expr::Ident(root) = &select.operand.expr
                    && !bound.contains(root)
                {
                    check_field(root, &select.field)?;
                }
                self.expression(&select.operand, depth + 1, bound)
            }
            Expr::Call(call) => self.call(call, depth, bound),
            Expr::List(list) => {
                list.elements.iter().try_for_each(|item| self.expression(item, depth + 1, bound))
            }
            Expr::Comprehension(comprehension) => {
                if self.author == Author::Tenant {
                    return Err(ConditionFault::LoopRefused);
                }
                self.expression(&comprehension.iter_range, depth + 1, bound)?;
                let before = bound.len();
                bound.push(comprehension.iter_var.clone());
                bound.push(comprehension.accu_var.clone());
                bound.extend(comprehension.iter_var2.clone());
                for part in [
                    &comprehension.accu_init,
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ] {
                    self.expression(part, depth + 1, bound)?;
                }
                bound.truncate(before);
                Ok(())
            }
            Expr::Map(_) => Err(ConditionFault::UnknownFunction("{…}".to_owned())),
            Expr::Struct(literal) => {
                Err(ConditionFault::UnknownFunction(literal.type_name.clone()))
            }
            Expr::Unspecified => Err(ConditionFault::TooComplex),
        }
    }

    fn identifier(&mut self, name: &str, bound: &[String]) -> Result<(), ConditionFault> {
        if bound.iter().any(|variable| variable == name) {
            return Ok(());
        }
        match name {
            "principal" => self.uses.principal = true,
            "resource" => self.uses.resource = true,
            "request" => self.uses.request = true,
            "action" => self.uses.action = true,
            _ => return Err(ConditionFault::UnknownName(name.to_owned())),
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: &CallExpr,
        depth: usize,
        bound: &mut Vec<String>,
    ) -> Result<(), ConditionFault> {
        if !FUNCTIONS.contains(&call.func_name.as_str()) {
            return Err(ConditionFault::UnknownFunction(call.func_name.clone()));
        }
        if call.func_name == "permitted" {
            let key = permitted_key(call)?;
            if !(self.known)(key) {
                return Err(ConditionFault::UnknownPermission(key.to_owned()));
            }
            self.uses.permitted = true;
            return Ok(());
        }
        // A chain of one operator is balanced by the parser; only real nesting counts as depth.
        let next = depth + 1;
        if let Some(target) = &call.target {
            self.expression(target, next, bound)?;
        }
        call.args.iter().try_for_each(|argument| self.expression(argument, next, bound))
    }
}

fn permitted_key(call: &CallExpr) -> Result<&str, ConditionFault> {
    match (&call.target, call.args.as_slice()) {
        (None, [IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }]) => {
            Ok(key.inner())
        }
        _ => Err(ConditionFault::PermittedNeedsLiteral),
    }
}

fn check_field(root: &str, field: &str) -> Result<(), ConditionFault> {
    let fields = match root {
        "principal" => PRINCIPAL_FIELDS,
        "resource" => RESOURCE_FIELDS,
        "request" => REQUEST_FIELDS,
        // `action` is a text; an unknown root is reported as such.
        _ => return Ok(()),
    };
    if fields.contains(&field) {
        return Ok(());
    }
    Err(ConditionFault::UnknownName(format!("{root}.{field}")))
}

/// The longest paths (`resource.attributes.status`) that an expression reads.
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

/// Splits `a && b` at the top level, keeping the author's text. A text with `||`, `?` or a comment at
/// the top level stays whole, because those bind weaker than `&&`.
fn split_conjunction(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut depth = 0_i32;
    let mut quote = None;
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        if let Some(open) = quote {
            match byte {
                b'\\' => index += 1,
                _ if byte == open => quote = None,
                _ => {}
            }
            index += 1;
            continue;
        }
        match byte {
            b'\'' | b'"' => {
                if bytes[index..].starts_with(&[byte; 3]) || raw_prefix(&bytes[..index]) {
                    return vec![text.trim()];
                }
                quote = Some(byte);
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'?' if depth == 0 => return vec![text.trim()],
            b'|' if depth == 0 => return vec![text.trim()],
            b'/' if bytes.get(index + 1) == Some(&b'/') => return vec![text.trim()],
            b'&' if depth == 0 && bytes.get(index + 1) == Some(&b'&') => {
                pieces.push(text[start..index].trim());
                index += 1;
                start = index + 1;
            }
            _ => {}
        }
        index += 1;
    }
    pieces.push(text[start..].trim());
    pieces
}

/// Whether a quote after `before` opens a raw or bytes literal (`r'…'`), where `\` is no escape.
fn raw_prefix(before: &[u8]) -> bool {
    before.last().is_some_and(|byte| matches!(byte, b'r' | b'R' | b'b' | b'B'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compile(text: &str, author: Author) -> Result<Condition, ConditionFault> {
        Condition::compile(&environment(), text, author, &|key| key == "blog.post.publish")
    }

    #[test]
    fn splits_at_the_top_level_only() {
        assert_eq!(split_conjunction("a && b"), ["a", "b"]);
        assert_eq!(split_conjunction("(a && b) && c == '&&'"), ["(a && b)", "c == '&&'"]);
        assert_eq!(split_conjunction("a && b || c"), ["a && b || c"]);
        assert_eq!(split_conjunction("a && b ? c : d"), ["a && b ? c : d"]);
        assert_eq!(split_conjunction("a && (b || c)"), ["a", "(b || c)"]);
        assert_eq!(split_conjunction(r"a == '\' && ' && b"), [r"a == '\' && '", "b"]);
        assert_eq!(split_conjunction(r"a == r'\' && b"), [r"a == r'\' && b"]);
        assert_eq!(split_conjunction("a // && b"), ["a // && b"]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let fault = |text: &str| compile(text, Author::Tenant).expect_err(text);
        assert_eq!(fault("user.id == 'x'"), ConditionFault::UnknownName("user".into()));
        assert_eq!(
            fault("resource.ownr == 'x'"),
            ConditionFault::UnknownName("resource.ownr".into())
        );
        assert_eq!(
            fault("matches(action, 'x')"),
            ConditionFault::UnknownFunction("matches".into())
        );
        assert_eq!(fault("permitted('x.y')"), ConditionFault::UnknownPermission("x.y".into()));
        assert_eq!(fault("permitted(action)"), ConditionFault::PermittedNeedsLiteral);
        assert_eq!(fault("{'a': 1} == 1"), ConditionFault::UnknownFunction("{…}".into()));
        assert!(matches!(fault("resource.owner =="), ConditionFault::Syntax(_)));
        assert!(matches!(fault(""), ConditionFault::Syntax(_)));
        assert_eq!(fault(&"a".repeat(2000)), ConditionFault::TooLong(2000));
        let deep = format!("resource.attributes{}", ".a".repeat(100));
        assert_eq!(fault(&deep), ConditionFault::TooComplex);
    }

    #[test]
    fn only_modules_may_loop() {
        let text = "resource.attributes.tags.exists(tag, tag == 'x')";
        assert_eq!(compile(text, Author::Tenant).expect_err("loops"), ConditionFault::LoopRefused);
        let condition = compile(text, Author::Module).expect("modules are trusted");
        assert!(condition.uses().resource);
        assert!(!condition.uses().principal);
    }

    fn any_condition() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("true".to_owned()),
            Just("false".to_owned()),
            Just("resource.attributes.missing == 1".to_owned()),
            Just("resource.attributes.text == ' && || (? '".to_owned()),
            Just("resource.attributes.number < 3".to_owned()),
            Just("resource.owner == null".to_owned()),
            Just("!resource.attributes.flag".to_owned()),
        ];
        leaf.prop_recursive(3, 12, 2, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                pair.clone().prop_map(|(a, b)| format!("{a} && {b}")),
                pair.clone().prop_map(|(a, b)| format!("({a}) && ({b})")),
                pair.clone().prop_map(|(a, b)| format!("({a}) || ({b})")),
                pair.prop_map(|(a, b)| format!("({a} || {b})")),
                inner.prop_map(|a| format!("!({a})")),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_split_condition_means_what_the_whole_means(text in any_condition(), number in 0..6, flag: bool) {
            let env = environment();
            let whole = env.compile(&text).expect("it is an expression");
            let attributes = serde_json::json!({"text": " && || (? ", "number": number, "flag": flag});
            let mut context = Context::with_env(env);
            context.add_variable_from_value("resource", values::map([
                ("owner", Value::Null),
                ("attributes", values::from_json(&attributes)),
            ]));
            let expected = match whole.execute(&context) {
                Ok(Value::Bool(true)) => "true",
                Ok(Value::Bool(false)) => "false",
                _ => "error",
            };
            match compile(&text, Author::Tenant) {
                Ok(condition) => {
                    let found = match condition.evaluate(&context) {
                        Truth::True => "true",
                        Truth::False => "false",
                        Truth::Error(_) => "error",
                    };
                    prop_assert_eq!(found, expected, "{}", text);
                    prop_assert!(!condition.explain(&context).is_empty());
                }
                Err(fault) => prop_assert_eq!(fault, ConditionFault::TooComplex),
            }
        }

        #[test]
        fn no_text_from_outside_panics(text in "[a-z.()&|!?'\"\\\\ =<>\\[\\]{}0-9,/]{0,80}") {
            drop(compile(&text, Author::Tenant));
            prop_assert!(!split_conjunction(&text).is_empty());
        }
    }

    #[test]
    fn knows_which_variables_it_reads() {
        let condition =
            compile("permitted('blog.post.publish') && request.hour < 12", Author::Tenant)
                .expect("good");
        assert_eq!(condition.uses(), Uses { permitted: true, request: true, ..Uses::default() });
    }
}
