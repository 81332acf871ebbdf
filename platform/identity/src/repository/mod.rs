//! Rows of identity and the queries on them. No function here checks permissions or writes effects.

pub mod email_tokens;
pub mod invitations;
pub mod memberships;
pub mod organisations;
pub mod schema;
pub mod users;

use troupe_kernel::{Migration, Uuid};

/// The steps of identity's schema.
pub const MIGRATIONS: &[Migration] = troupe_database::migrations!("identity", ["0001_identity"]);

diesel::define_sql_function! {
    /// Lower case; of ASCII letters on both dialects.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// The position before every row of a list whose newest id comes first.
pub(crate) const BEFORE_ALL: Uuid = Uuid::max();

/// A pattern for `LIKE … ESCAPE '\'` that finds `text` anywhere, without case.
pub(crate) fn contains(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for char in text.to_lowercase().chars() {
        if matches!(char, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_search_text_is_taken_literally() {
        assert_eq!(contains("50%_A\\b"), r"%50\%\_a\\b%");
        assert_eq!(contains(""), "%%");
    }
}
