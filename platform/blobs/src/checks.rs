//! What is refused of a blob before it is stored, the same for every store.

use std::fmt::Write as _;

use infer::MatcherType;
use ring::digest::{Context, SHA256};

use crate::error::BlobError;

/// Bytes of content that show its type.
pub(crate) const SNIFFED_BYTES: usize = 8 << 10;
const CONTENT_TYPE_BYTES_MAX: usize = 127;

/// A type and a subtype of visible ASCII (RFC 9110, 8.3.1); it is sent back as a header field.
pub(crate) fn content_type(content_type: &str) -> Result<(), BlobError> {
    let visible = content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let (kind, subtype) = essence(content_type).split_once('/').unwrap_or_default();
    let named = !kind.is_empty() && !subtype.is_empty();
    if visible && named && content_type.len() <= CONTENT_TYPE_BYTES_MAX {
        return Ok(());
    }
    let shown = content_type.chars().take(CONTENT_TYPE_BYTES_MAX).flat_map(char::escape_default);
    Err(BlobError::ContentType(shown.collect()))
}

/// Compares the first bytes with the declared type.
///
/// A type with a signature (images, sound, films, fonts, PDF, archives) must show it. Content that
/// shows another kind of medium than a declared text, image, sound, film or font is refused. What has
/// no signature (plain text, JSON, `application/octet-stream`) is taken at its word.
pub(crate) fn sniff(content_type: &str, first: &[u8]) -> Result<(), BlobError> {
    let declared = essence(content_type).to_ascii_lowercase();
    let kind = declared.split('/').next().unwrap_or_default();
    let shown = infer::get(first);
    let matches = if declared == "application/octet-stream" {
        true
    } else if kind != "text" && infer::is_mime_supported(&declared) {
        infer::is_mime(first, &declared)
    } else if matches!(kind, "text" | "image" | "audio" | "video" | "font") {
        shown.is_none_or(|shown| {
            shown.matcher_type() == MatcherType::Text || shown.mime_type().starts_with(kind)
        })
    } else {
        true
    };
    if matches {
        return Ok(());
    }
    let shown = shown.map_or("no type that is known", |shown| shown.mime_type());
    Err(BlobError::Contradicted { declared, shown })
}

/// No more than is allowed.
pub(crate) fn size(size_bytes: u64, size_max: u64) -> Result<(), BlobError> {
    if size_bytes > size_max {
        return Err(BlobError::TooLarge { size_bytes, size_max });
    }
    Ok(())
}

/// Sixty-four hexadecimal digits in lower case.
pub(crate) fn digest(digest: &str) -> Result<(), BlobError> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digest.len() == 64 && digest.bytes().all(hex) { Ok(()) } else { Err(BlobError::DigestForm) }
}

/// The bytes of a digest.
pub(crate) fn bytes(hex: &str) -> Result<Vec<u8>, BlobError> {
    digest(hex)?;
    let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().map_err(|_| BlobError::DigestForm)
}

/// The content has the digest that was announced, if one was.
pub(crate) fn same(announced: Option<&str>, found: &str) -> Result<(), BlobError> {
    match announced {
        Some(announced) if announced != found => Err(BlobError::Digest(found.to_owned())),
        _ => Ok(()),
    }
}

/// Compares whole content with its digest while it passes.
pub(crate) struct WholeCheck {
    hash: Context,
    digest: String,
}

impl WholeCheck {
    pub(crate) fn new(digest: String) -> Self {
        Self { hash: Context::new(&SHA256), digest }
    }

    pub(crate) fn take(&mut self, piece: &[u8]) {
        self.hash.update(piece);
    }

    /// The content was that of the digest.
    pub(crate) fn finish(self, key: &str) -> Result<(), BlobError> {
        if hex(self.hash.finish().as_ref()) == self.digest {
            return Ok(());
        }
        Err(BlobError::Damaged(key.to_owned()))
    }
}

/// SHA-256 in hex.
pub(crate) fn sha256(content: &[u8]) -> String {
    hex(ring::digest::digest(&SHA256, content).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

/// A media type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    /// The head of a program.
    fn elf() -> Vec<u8> {
        [&b"\x7fELF"[..], &[0; 60]].concat()
    }

    #[test]
    fn content_that_contradicts_its_declared_type_is_refused() {
        for (declared, content) in [
            ("image/png", &b"<html><script>alert(1)</script>"[..]),
            ("image/jpeg", PNG),
            ("image/png", b""),
            ("application/pdf", PNG),
            ("application/zip", b"no archive"),
            ("text/plain; charset=utf-8", PNG),
            ("text/html", &elf()),
            ("video/x-unheard", PNG),
        ] {
            let refused = sniff(declared, content);
            assert!(matches!(refused, Err(BlobError::Contradicted { .. })), "{declared}");
        }
    }

    #[test]
    fn content_that_shows_its_type_or_has_no_signature_is_taken() {
        for (declared, content) in [
            ("image/png", PNG),
            ("IMAGE/PNG", PNG),
            ("image/svg+xml", b"<?xml version=\"1.0\"?><svg/>"),
            ("image/x-unheard", PNG),
            ("application/pdf", b"%PDF-1.7\n"),
            ("application/zip", b"PK\x03\x04"),
            ("application/octet-stream", &elf()),
            ("application/json", b"{}"),
            ("text/plain", b"hello"),
            ("text/plain", b"<html>"),
            ("text/csv", b""),
        ] {
            assert!(sniff(declared, content).is_ok(), "{declared} {content:?}");
        }
    }

    #[test]
    fn a_digest_is_written_in_one_way() {
        assert!(digest(&sha256(b"x")).is_ok());
        for wrong in ["", "abc", &"A".repeat(64), &"g".repeat(64), &"a".repeat(63)] {
            assert!(digest(wrong).is_err(), "{wrong}");
        }
    }
}
