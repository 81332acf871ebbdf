//! Tests of conditions: what is refused, what is split, what that means.

use super::split::split_conjunction;
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
    assert_eq!(fault("resource.ownr == 'x'"), ConditionFault::UnknownName("resource.ownr".into()));
    assert_eq!(fault("matches(action, 'x')"), ConditionFault::UnknownFunction("matches".into()));
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
fn what_is_accepted_can_be_evaluated_on_a_small_stack() {
    let env = environment();
    for (open, close) in [("!(", ")"), ("[", "][0]"), ("true == (", ")"), ("(true ? ", " : false)")]
    {
        let mut deepest = None;
        for levels in 1..=40 {
            let text = format!("{}true{}", open.repeat(levels), close.repeat(levels));
            match compile(&text, Author::Tenant) {
                Ok(condition) => deepest = Some((levels, condition)),
                Err(fault) => assert_eq!(fault, ConditionFault::TooComplex, "{text}"),
            }
        }
        let (levels, condition) = deepest.expect("some nesting is fine");
        assert!((10..40).contains(&levels), "{open} x{levels}");
        let context = Context::with_env(env.clone());
        assert_ne!(
            condition.evaluate(&context),
            Truth::Error("it could not be evaluated".to_owned())
        );
    }
}

#[test]
fn nesting_without_end_is_refused_before_it_fills_the_stack() {
    let open = [
        "(",
        "[",
        "!(",
        "a(",
        "[a, ",
        "true ? true : ",
        "true ? (",
        "-(",
        "a[",
        "{'a': ",
        "!",
        "-",
        "resource.",
        "true && (",
        "a || (",
        "has(",
        "'a' in [",
        "size([",
    ];
    for part in open {
        let text = part.repeat(CONDITION_BYTES_MAX / part.len());
        compile(&text, Author::Tenant).expect_err(part);
        let closed = format!("{}true", part.repeat(100));
        // Signs without brackets collapse and are fine; brackets are not.
        assert_eq!(compile(&closed, Author::Module).is_ok(), matches!(part, "!" | "-"), "{part}");
    }
    for chain in ["true && ", "true || "] {
        let text = format!("{}true", chain.repeat(120));
        compile(&text, Author::Tenant).expect("a long chain is not deep");
    }
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
    let condition = compile("permitted('blog.post.publish') && request.hour < 12", Author::Tenant)
        .expect("good");
    assert_eq!(condition.uses(), Uses { permitted: true, request: true, ..Uses::default() });
}
