//! Splits a condition into its top-level conjuncts with the text of its author.

/// Splits `a && b` at the top level, keeping the author's text. A text with `||`, `?` or a comment at
/// the top level stays whole, because those bind weaker than `&&`.
pub(super) fn split_conjunction(text: &str) -> Vec<&str> {
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
