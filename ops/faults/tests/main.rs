//! The program started by hand.

use std::process::Command;

#[test]
fn started_by_itself_it_says_how_it_is_started() {
    let told = Command::new(env!("CARGO_BIN_EXE_faults")).output().unwrap();
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&told.stderr).contains("cargo xtask faults"));
}
