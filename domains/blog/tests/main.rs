//! Integration tests of the blog.
