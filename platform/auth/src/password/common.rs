//! Passwords that are tried first: base words and the rules by which people vary them.
//!
//! A list of millions of leaked passwords is mostly a few hundred words with digits, years,
//! doubled words, letters replaced by figures, and runs along the keyboard. So the words are kept
//! and the rules are computed: a password is common when nothing is left of it after its words,
//! runs, years and repetitions are taken away. The words were written down for this file; they
//! come from no other project's list.

use std::sync::LazyLock;

/// Fewer different characters than this are no password.
const DIFFERENT_MIN: usize = 5;
/// A password of this many base words or fewer, whatever is put around them, is common.
const WORDS_MAX: usize = 2;

/// Words that passwords are made of, folded (see [`fold`]).
static WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("words.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect()
});

/// Rows of keyboards and the orders everybody knows; runs along them in either direction count.
const RUNS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "!@#$%^&*()",
    "!\"§$%&/()=",
];
/// Shortest run that counts as one.
const RUN_MIN: usize = 3;

/// A text in the form in which words are compared: lower case, accents of the Latin letters that
/// keyboards offer removed, figures and signs that stand for letters replaced.
#[must_use]
pub fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(fold_letter).collect()
}

fn fold_letter(letter: char) -> char {
    match letter {
        '0' | 'ö' | 'ó' | 'ò' | 'ô' | 'ø' => 'o',
        '1' | '!' | '|' | 'í' | 'ì' | 'î' => 'i',
        '3' | '€' | 'é' | 'è' | 'ê' | 'ë' => 'e',
        '4' | '@' | 'ä' | 'á' | 'à' | 'â' | 'å' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        'ü' | 'ú' | 'ù' | 'û' => 'u',
        'ñ' => 'n',
        'ç' => 'c',
        other => other,
    }
}

/// Whether a password is one of those that are tried first.
#[must_use]
pub fn is_common(password: &str) -> bool {
    let letters: Vec<char> = password.chars().flat_map(char::to_lowercase).collect();
    if different(&letters) < DIFFERENT_MIN || is_repetition(&letters) {
        return true;
    }
    let folded: Vec<char> = letters.iter().copied().map(fold_letter).collect();
    let shape = Shape { plain: &letters, folded: &folded };
    shape.words_needed(0, WORDS_MAX)
}

fn different(letters: &[char]) -> usize {
    let mut seen = letters.to_vec();
    seen.sort_unstable();
    seen.dedup();
    seen.len()
}

/// Whether the text is a shorter one written several times, the last perhaps in part.
fn is_repetition(letters: &[char]) -> bool {
    (1..=letters.len() / 2).any(|period| {
        period <= 6 && letters.iter().zip(&letters[period..]).all(|(first, later)| first == later)
    })
}

struct Shape<'a> {
    plain: &'a [char],
    folded: &'a [char],
}

impl Shape<'_> {
    /// Whether the rest from `at` can be taken apart into at most `words` base words and any
    /// number of cheap parts (runs, years, single digits and signs, repeated characters).
    fn words_needed(&self, at: usize, words: usize) -> bool {
        // The fewest words with which each place can be reached; none when it cannot.
        let mut fewest: Vec<Option<usize>> = vec![None; self.plain.len() + 1];
        fewest[at] = Some(0);
        for place in at..self.plain.len() {
            let Some(used) = fewest[place] else { continue };
            let mut reach = |to: usize, cost: usize| {
                let total = used + cost;
                if total <= words && fewest[to].is_none_or(|known| total < known) {
                    fewest[to] = Some(total);
                }
            };
            for length in self.cheap_parts(place) {
                reach(place + length, 0);
            }
            for word in WORDS.iter() {
                if self.stands_at(place, word) {
                    // Words of one to three letters are glue and count as nothing.
                    let length = word.chars().count();
                    reach(place + length, usize::from(length > 3));
                }
            }
        }
        fewest[self.plain.len()].is_some()
    }

    fn stands_at(&self, place: usize, word: &str) -> bool {
        let mut rest = self.folded[place..].iter();
        word.chars().all(|letter| rest.next() == Some(&letter))
    }

    fn cheap_parts(&self, place: usize) -> Vec<usize> {
        let rest = &self.plain[place..];
        let mut lengths = Vec::new();
        if rest.first().is_some_and(|first| !first.is_alphabetic()) {
            lengths.push(1);
        }
        let same = rest.iter().take_while(|letter| Some(*letter) == rest.first()).count();
        if same >= RUN_MIN {
            lengths.push(same);
        }
        let longest = RUNS.iter().map(|row| run_length(rest, row)).max().unwrap_or(0);
        lengths.extend(RUN_MIN..=longest);
        lengths
    }
}

/// How many characters from the start follow the row, forwards or backwards, from any place in it.
fn run_length(text: &[char], row: &str) -> usize {
    let forwards: Vec<char> = row.chars().collect();
    let backwards: Vec<char> = forwards.iter().rev().copied().collect();
    [forwards, backwards]
        .iter()
        .flat_map(|row| (0..row.len()).map(|start| common_start(text, &row[start..])))
        .max()
        .unwrap_or(0)
}

fn common_start(text: &[char], row: &[char]) -> usize {
    text.iter().zip(row).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_first_guesses_are_common() {
        for bad in [
            "password1234",
            "Password2024!",
            "P@ssw0rd12345",
            "passwordpassword",
            "123456789012",
            "1234567890qwerty",
            "qwertyuiop[]",
            "qwertyuiopasdf",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "iloveyou2019!",
            "Summer2025!!!",
            "dragonmonkey1",
            "letmein-letmein",
            "Welcome.2026.Admin",
            "troupe-admin-2026",
            "changeme!changeme",
            "zyxwvutsrqponm",
            "!!!football!!!",
            "00000superman00000",
            "mein-passwort-1",
            "sunshine&sunshine",
        ] {
            assert!(is_common(bad), "{bad}");
        }
    }

    #[test]
    fn three_words_that_do_not_belong_together_are_not_common() {
        for good in [
            "dragon butter hockey",
            "monkey-piano-forest",
            "gravel lantern oboe",
            "vTq8zLmK4xpd",
            "eleven quiet foxes",
        ] {
            assert!(!is_common(good), "{good}");
        }
    }

    #[test]
    fn every_word_is_written_in_its_folded_form() {
        for word in WORDS.iter() {
            assert_eq!(fold(word), *word, "the list is compared with folded text");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_check(text in "\\PC{0,128}") {
            let _verdict: bool = is_common(&text);
        }

        #[test]
        fn a_base_word_with_digits_and_signs_around_it_is_common(
            index in 0..WORDS.len(), before in "[0-9!?.]{0,4}", after in "[0-9!?.]{0,8}", shout in any::<bool>(),
        ) {
            let word = if shout { WORDS[index].to_uppercase() } else { WORDS[index].to_owned() };
            let common = format!("{before}{word}{after}");
            prop_assert!(is_common(&common), "{common}");
        }
    }
}
