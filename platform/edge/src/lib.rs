//! The HTTP edge: listeners, gates and the translation between requests and messages.
