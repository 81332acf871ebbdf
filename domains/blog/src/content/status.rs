//! Where a post stands on its way to readers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostStatus {
    /// Seen by its author and by editors.
    Draft,
    /// A draft with a time at which it becomes public.
    Scheduled,
    /// Public.
    Published,
}

impl PostStatus {
    /// The name in the database, in JSON and in front matter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Published => "published",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "draft" => Some(Self::Draft),
            "scheduled" => Some(Self::Scheduled),
            "published" => Some(Self::Published),
            _ => None,
        }
    }
}

/// The state of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommentStatus {
    /// Waits for a moderator.
    Pending,
    /// Public.
    Approved,
    /// Refused by a moderator.
    Rejected,
    /// Refused as advertising, by a moderator or by the link rule.
    Spam,
}

impl CommentStatus {
    /// The name in the database and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Spam => "spam",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "pending" => Some(Self::Pending),
            "approved" => Some(Self::Approved),
            "rejected" => Some(Self::Rejected),
            "spam" => Some(Self::Spam),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for status in [PostStatus::Draft, PostStatus::Scheduled, PostStatus::Published] {
            assert_eq!(PostStatus::parse(status.as_str()), Some(status));
        }
        for status in [
            CommentStatus::Pending,
            CommentStatus::Approved,
            CommentStatus::Rejected,
            CommentStatus::Spam,
        ] {
            assert_eq!(CommentStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(PostStatus::parse("Draft"), None);
        assert_eq!(CommentStatus::parse(""), None);
    }
}
