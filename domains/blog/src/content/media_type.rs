//! What an upload is, told from its first bytes.
//!
//! The list is closed: whatever is not recognised is refused, so SVG, HTML and
//! scripts never enter whatever name or Content-Type they come with. A file that
//! merely begins like an image is served under the image's type with
//! `nosniff`, so a browser never runs it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media types that the blog keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum MediaType {
    /// PNG (ISO/IEC 15948).
    #[serde(rename = "image/png")]
    Png,
    /// JPEG.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// GIF 87a and 89a.
    #[serde(rename = "image/gif")]
    Gif,
    /// WebP in its RIFF container (RFC 9649).
    #[serde(rename = "image/webp")]
    Webp,
    /// PDF (ISO 32000).
    #[serde(rename = "application/pdf")]
    Pdf,
}

impl MediaType {
    /// Every type that is accepted.
    pub const ALL: [Self; 5] = [Self::Png, Self::Jpeg, Self::Gif, Self::Webp, Self::Pdf];

    /// The type that the first bytes show, if it is one that is accepted.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Some(Self::Png);
        }
        if bytes.starts_with(b"\xff\xd8\xff") {
            return Some(Self::Jpeg);
        }
        if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            return Some(Self::Gif);
        }
        if bytes.len() >= 12 && bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WEBP" {
            return Some(Self::Webp);
        }
        if bytes.starts_with(b"%PDF-") {
            return Some(Self::Pdf);
        }
        None
    }

    /// The type by its registered name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Pdf => "application/pdf",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_accepted_type_is_recognised_by_its_first_bytes() {
        let samples: [(&[u8], MediaType); 6] = [
            (b"\x89PNG\r\n\x1a\n....", MediaType::Png),
            (b"\xff\xd8\xff\xe0....", MediaType::Jpeg),
            (b"GIF87a....", MediaType::Gif),
            (b"GIF89a....", MediaType::Gif),
            (b"RIFF\x10\x00\x00\x00WEBPVP8 ", MediaType::Webp),
            (b"%PDF-1.7\n", MediaType::Pdf),
        ];
        for (bytes, expected) in samples {
            assert_eq!(MediaType::sniff(bytes), Some(expected));
            assert_eq!(MediaType::parse(expected.as_str()), Some(expected));
        }
    }

    #[test]
    fn markup_scripts_and_other_files_are_refused() {
        let samples: [&[u8]; 8] = [
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<?xml version=\"1.0\"?><svg/>",
            b"<!doctype html>",
            b"#!/bin/sh",
            b"\x7fELF",
            b"PK\x03\x04",
            b"RIFF\x10\x00\x00\x00WAVE",
            b"",
        ];
        for bytes in samples {
            assert_eq!(MediaType::sniff(bytes), None);
        }
    }
}
