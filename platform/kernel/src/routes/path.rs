//! Path templates: literal segments, `{name}` for one segment, `{*name}` for all that remain.

use std::fmt;

/// A template that is taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
    Rest(String),
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PathFault {
    detail: String,
}

impl PathFault {
    fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into() }
    }
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When it does not start with `/`, has an empty segment, a parameter twice, or braces in the
    /// middle of a segment.
    pub fn parse(path: &str) -> Result<Self, PathFault> {
        let inner =
            path.strip_prefix('/').ok_or_else(|| PathFault::new("the path must start with `/`"))?;
        if inner.is_empty() {
            return Ok(Self { segments: Vec::new() });
        }
        let mut template = Self { segments: Vec::new() };
        let mut parts = inner.split('/').peekable();
        while let Some(part) = parts.next() {
            let segment = segment(part)?;
            if matches!(segment, Segment::Rest(_)) && parts.peek().is_some() {
                return Err(PathFault::new(format!("`{part}` must be the last segment")));
            }
            if let Some(name) = segment.name()
                && template.parameters().any(|known| known == name)
            {
                return Err(PathFault::new(format!("the parameter `{name}` comes twice")));
            }
            template.segments.push(segment);
        }
        Ok(template)
    }

    /// Names of the parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// The same template without the names of its parameters: two routes with the same shape and
    /// method are one.
    #[must_use]
    pub fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            shape.push('/');
            shape.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Parameter(_) => "{}",
                Segment::Rest(_) => "{*}",
            });
        }
        if shape.is_empty() { "/".to_owned() } else { shape }
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}

fn segment(part: &str) -> Result<Segment, PathFault> {
    if part.is_empty() {
        return Err(PathFault::new("the path has an empty segment"));
    }
    let Some(inner) = part.strip_prefix('{') else {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if part.bytes().all(plain) {
            return Ok(Segment::Literal(part.to_owned()));
        }
        return Err(PathFault::new(format!(
            "the segment `{part}` may hold letters, digits and -._~ only, or be one `{{parameter}}`"
        )));
    };
    let name = inner
        .strip_suffix('}')
        .ok_or_else(|| PathFault::new(format!("`{part}` must be a parameter as a whole")))?;
    let (name, rest) = name.strip_prefix('*').map_or((name, false), |name| (name, true));
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(word) {
        return Err(PathFault::new(format!("`{part}` needs a name in lower case")));
    }
    let name = name.to_owned();
    Ok(if rest { Segment::Rest(name) } else { Segment::Parameter(name) })
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return formatter.write_str("/");
        }
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(formatter, "/{text}")?,
                Segment::Parameter(name) => write!(formatter, "/{{{name}}}")?,
                Segment::Rest(name) => write!(formatter, "/{{*{name}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_taken_apart_and_put_together_again() {
        for path in
            ["/", "/v1/posts/{id}", "/v1/{a}/b/{c_2}", "/media/{*key}", "/.well-known/x.json"]
        {
            assert_eq!(PathTemplate::parse(path).unwrap().to_string(), path);
        }
        let template = PathTemplate::parse("/v1/{a}/b/{*rest}").unwrap();
        assert_eq!(template.parameters().collect::<Vec<_>>(), ["a", "rest"]);
        assert_eq!(template.shape(), "/v1/{}/b/{*}");
    }

    #[test]
    fn faulty_templates_are_refused() {
        for path in [
            "", "v1", "/v1//a", "/v1/", "/a{b}", "/{b}c", "/{}", "/{*}", "/{B}", "/{a}/{a}",
            "/{*a}/b", "/a b",
        ] {
            assert!(PathTemplate::parse(path).is_err(), "{path}");
        }
    }
}
