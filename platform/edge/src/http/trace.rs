//! W3C trace context: reads and writes `traceparent`.

use std::fmt;

/// A trace and the span in it that a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: u128,
    /// The caller's span, or ours when we write it.
    pub span: u64,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads the field. None for anything that the specification calls invalid: the request then
    /// starts a trace of its own.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = u8::try_from(hex(version, 2)?).ok()?;
        // Version 255 is forbidden; version 0 ends here; later versions may add parts.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let trace = hex(trace, 32)?;
        let span = u64::try_from(hex(span, 16)?).ok()?;
        let flags = u8::try_from(hex(flags, 2)?).ok()?;
        if trace == 0 || span == 0 {
            return None;
        }
        Some(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

/// Lower-case hexadecimal digits of exactly this length.
fn hex(text: &str, length: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != length || !text.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

impl TraceParent {
    /// The field's value. Written by hand: the formatter takes five times as long.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        put_hex(&mut text[3..35], &self.trace.to_be_bytes());
        put_hex(&mut text[36..52], &self.span.to_be_bytes());
        put_hex(&mut text[53..], &[u8::from(self.sampled)]);
        text
    }
}

fn put_hex(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_reads_and_writes() {
        let parent = TraceParent::parse(EXAMPLE).unwrap();
        assert!(parent.sampled);
        assert_eq!(parent.span, 0x00f0_67aa_0ba9_02b7);
        assert_eq!(parent.to_string(), EXAMPLE);
    }

    #[test]
    fn a_later_version_may_say_more() {
        let text = EXAMPLE.replacen("00", "cc", 1) + "-what-the-future-brings";
        assert!(TraceParent::parse(&text).is_some());
        assert!(TraceParent::parse(&(EXAMPLE.to_owned() + "-more")).is_none());
    }

    #[test]
    fn invalid_fields_are_ignored() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }
}
