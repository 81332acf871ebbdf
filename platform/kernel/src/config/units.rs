//! Durations and sizes as people write them: `30s`, `1 MiB`.
//!
//! Use with serde: `#[serde(with = "troupe_kernel::config::units::duration")]`.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads `250ms`, `30s`, `5m`, `12h`, `7d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATION_UNITS).map(Duration::from_millis)
}

/// Writes a duration in the largest unit that holds it whole; below a millisecond it is cut.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    format(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATION_UNITS)
}

/// Reads `512B`, `64KiB`, `1 MiB`, `2GB`.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZE_UNITS)
}

/// Writes a size in the largest binary unit that holds it whole.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    format(bytes, &SIZE_UNITS[..4])
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn format(value: u64, units: &[(&str, u64)]) -> String {
    let (name, factor) = units
        .iter()
        .rev()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor))
        .unwrap_or(&units[0]);
    format!("{}{name}", value / factor)
}

/// A [`Duration`] as text: `30s`.
pub mod duration {
    use std::borrow::Cow;
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*value))
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the text is not a number and a unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        super::parse_duration(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is not a duration; write a whole number and ms, s, m, h or d, like 30s"
            ))
        })
    }
}

/// A number of bytes as text: `1MiB`; a plain number is taken as bytes.
pub mod size {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_size(*value))
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written<'a> {
        Number(u64),
        #[serde(borrow)]
        Text(Cow<'a, str>),
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the text is neither a number nor a number and a unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let fault = |text: &str| {
            de::Error::custom(format!(
                "`{text}` is not a size; write a whole number and B, KiB, MiB or GiB, like 1MiB"
            ))
        };
        match Written::deserialize(deserializer).map_err(|_| fault("the value"))? {
            Written::Number(bytes) => Ok(bytes),
            Written::Text(text) => super::parse_size(&text).ok_or_else(|| fault(&text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_back_as_they_are_written() {
        for text in ["0ms", "1ms", "1500ms", "30s", "5m", "12h", "7d"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["0B", "1B", "1000B", "64KiB", "1MiB", "3GiB"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_size("2 MB"), Some(2_000_000));
    }

    #[test]
    fn what_is_no_duration_or_size_is_refused() {
        for text in ["", "s", "30", "-1s", "1.5s", "30 parsecs", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for text in ["", "MiB", "1 TiBit", "99999999999999999999B", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
