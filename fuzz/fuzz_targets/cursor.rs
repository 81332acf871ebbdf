//! A cursor is refused, or it is one that we would write for what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use troupe_kernel::Cursor;

type Position = (i64, String, Option<u64>);

fuzz_target!(|text: &str| {
    let cursor = Cursor::from_text(text);
    if let Ok(position) = cursor.decode::<Position>() {
        let again = Cursor::encode(&position).decode::<Position>().expect("our own cursor decodes");
        assert_eq!(again, position);
    }
});
