//! Checks every name and the size of a condition when it is compiled.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

use super::{Author, ConditionFault, KnownPermission};
use crate::facts::Uses;

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

pub(super) struct Check<'a> {
    author: Author,
    known: KnownPermission<'a>,
    uses: Uses,
    nodes: usize,
}

impl<'a> Check<'a> {
    pub(super) fn new(author: Author, known: KnownPermission<'a>) -> Self {
        Self { author, known, uses: Uses::default(), nodes: 0 }
    }

    /// Which variables the expressions read that were checked.
    pub(super) fn uses(&self) -> Uses {
        self.uses
    }

    pub(super) fn expression(
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
