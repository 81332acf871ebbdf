//! W3C Trace Context.

/// A new span of the caller's trace, or of a new one.
pub fn child_of(parent: Option<&str>) -> String {
    let span = rand::random::<u64>();
    match parent.and_then(parse) {
        Some((trace, flags)) => format!("00-{trace}-{span:016x}-{flags}"),
        None => format!("00-{:032x}-{span:016x}-01", rand::random::<u128>()),
    }
}

/// The trace id and the flags of a `traceparent`.
fn parse(parent: &str) -> Option<(&str, &str)> {
    let mut parts = parent.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let valid = version == "00" && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    (valid && parts.next().is_none()).then_some((trace, flags))
}
