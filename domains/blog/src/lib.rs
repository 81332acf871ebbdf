//! Posts, comments, media and feeds.
