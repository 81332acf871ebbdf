//! One thing that is wrong with the configuration, and the search for the key that was meant.

use std::fmt;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigFault {
    /// The key, for example `edge.listen`.
    pub path: String,
    /// Where the value came from: a file, a variable or a flag; none for a default.
    pub source: Option<String>,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl ConfigFault {
    /// A fault of a key; sections use it in `validate` with the key's name in the section.
    #[must_use]
    pub fn new(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), source: None, detail: detail.into() }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.detail)?;
        if let Some(source) = &self.source {
            write!(formatter, " (from {source})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFault {}

/// `unknown key` with the known keys or the one that was probably meant.
pub(crate) fn unknown_detail<'a>(
    what: &str,
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    let nearest = known
        .iter()
        .map(|candidate| (edit_distance(given, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1));
    match nearest {
        Some((_, candidate)) => format!("unknown {what}; did you mean `{candidate}`?"),
        None if known.is_empty() => format!("unknown {what}; none is known here"),
        None => format!("unknown {what}; known are {}", known.join(", ")),
    }
}

/// Levenshtein distance with transpositions of neighbours counted as one edit.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let substitution = last[column] + usize::from(a != b);
            let mut best = substitution.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested_and_a_far_one_lists_what_is_known() {
        let known = ["listen", "body_bytes_max"];
        assert_eq!(unknown_detail("key", "lisetn", known), "unknown key; did you mean `listen`?");
        assert_eq!(
            unknown_detail("key", "colour", known),
            "unknown key; known are body_bytes_max, listen"
        );
    }

    #[test]
    fn the_distance_counts_edits() {
        for (left, right, distance) in
            [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }
}
