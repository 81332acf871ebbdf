//! The condition of a role binding, which a tenant's administrator writes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use troupe_authz::check_condition;

fuzz_target!(|text: &str| {
    // Refused or compiled, never a panic, an overflow of the stack or a wait.
    drop(check_condition(text, &|key| key == "blog.post.read"));
});
