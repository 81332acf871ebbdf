//! Reads a query string into a type: all faults name their parameter, all unknown ones are listed.
//!
//! A struct says which parameters it takes. `cursor` and `limit` belong to pagination and are left
//! alone when the type does not ask for them. A list takes a parameter that is repeated.

use std::borrow::Cow;
use std::fmt::Display;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::{Failure, FailureKind};

/// Parameters of pagination, read by [`HttpRequest::page`](super::HttpRequest::page).
const PAGINATION: [&str; 2] = ["cursor", "limit"];
/// More parameters than this are refused unread.
const PARAMETERS_MAX: usize = 64;

/// Reads a query string.
///
/// # Errors
/// `kernel.query.malformed` with the parameters that are unknown, missing or of another type.
pub fn from_query<T: DeserializeOwned>(query: &str) -> Result<T, Failure> {
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        form_urlencoded::parse(query.as_bytes()).take(PARAMETERS_MAX + 1).collect();
    if pairs.len() > PARAMETERS_MAX {
        return Err(malformed(vec![QueryFault::new(
            "",
            format!("send at most {PARAMETERS_MAX} parameters"),
        )]));
    }
    if let Some((name, _)) =
        pairs.iter().find(|(name, value)| name.contains('\0') || value.contains('\0'))
    {
        return Err(malformed(vec![QueryFault::new(name, "must not hold the NUL character")]));
    }
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in &pairs {
        match groups.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    T::deserialize(Query { groups: &groups }).map_err(|error| malformed(error.0))
}

fn malformed(faults: Vec<QueryFault>) -> Failure {
    let failure = Failure::new(
        FailureKind::Malformed,
        "kernel.query.malformed",
        "the query has parameters that this operation does not take; see `errors`",
    );
    faults.into_iter().fold(failure, |failure, fault| failure.field(fault.name, fault.detail))
}

#[derive(Debug)]
struct QueryFault {
    name: String,
    detail: String,
}

impl QueryFault {
    fn new(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), detail: detail.into() }
    }
}

#[derive(Debug)]
struct QueryError(Vec<QueryFault>);

impl Display for QueryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the query is malformed")
    }
}

impl std::error::Error for QueryError {}

impl de::Error for QueryError {
    fn custom<M: Display>(message: M) -> Self {
        Self(vec![QueryFault::new("", message.to_string())])
    }

    fn missing_field(field: &'static str) -> Self {
        Self(vec![QueryFault::new(field, "is needed")])
    }
}

struct Query<'a> {
    groups: &'a [(&'a str, Vec<&'a str>)],
}

impl<'a, 'de> Query<'a> {
    fn visit<V: Visitor<'de>>(
        &self,
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, QueryError> {
        let knows = |name: &str| fields.is_none_or(|fields| fields.contains(&name));
        let unknown: Vec<QueryFault> = self
            .groups
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !knows(name) && !PAGINATION.contains(name))
            .map(|name| {
                let known = fields.unwrap_or_default().iter().copied();
                QueryFault::new(name, crate::config::unknown_detail("parameter", name, known))
            })
            .collect();
        if !unknown.is_empty() {
            return Err(QueryError(unknown));
        }
        let entries = self
            .groups
            .iter()
            .filter(|(name, _)| knows(name))
            .map(|(name, values)| (Name(name), Values { name, values }));
        visitor.visit_map(MapDeserializer::new(entries))
    }
}

impl<'de> Deserializer<'de> for Query<'_> {
    type Error = QueryError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
        self.visit(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, QueryError> {
        self.visit(Some(fields), visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, QueryError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Name<'a>(&'a str);

impl<'a> IntoDeserializer<'_, QueryError> for Name<'a> {
    type Deserializer = StrDeserializer<'a, QueryError>;

    fn into_deserializer(self) -> Self::Deserializer {
        self.0.into_deserializer()
    }
}

/// The values of one parameter; one value is also a list of one.
#[derive(Clone, Copy)]
struct Values<'a> {
    name: &'a str,
    values: &'a [&'a str],
}

impl Values<'_> {
    fn fault(&self, detail: impl Into<String>) -> QueryError {
        QueryError(vec![QueryFault::new(self.name, detail)])
    }

    fn one(&self) -> Result<&str, QueryError> {
        match self.values {
            [value] => Ok(value),
            _ => Err(self.fault("is given more than once")),
        }
    }

    fn parse<T: std::str::FromStr>(&self, what: &str) -> Result<T, QueryError> {
        self.one()?.parse().map_err(|_| self.fault(format!("is not {what}")))
    }

    /// Puts the name of the parameter to a fault of the type itself.
    fn named<T>(&self, result: Result<T, QueryError>) -> Result<T, QueryError> {
        result.map_err(|mut error| {
            for fault in &mut error.0 {
                if fault.name.is_empty() {
                    fault.name = self.name.to_owned();
                }
            }
            error
        })
    }
}

impl<'a> IntoDeserializer<'_, QueryError> for Values<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $what:literal,)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
                let number = self.parse($what)?;
                self.named(visitor.$visit(number))
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Values<'_> {
    type Error = QueryError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
        let text = self.one()?;
        self.named(visitor.visit_str(text))
    }

    numbers! {
        deserialize_bool visit_bool "true or false",
        deserialize_i8 visit_i8 "a whole number of this range",
        deserialize_i16 visit_i16 "a whole number of this range",
        deserialize_i32 visit_i32 "a whole number of this range",
        deserialize_i64 visit_i64 "a whole number of this range",
        deserialize_u8 visit_u8 "a whole number of this range, zero or more",
        deserialize_u16 visit_u16 "a whole number of this range, zero or more",
        deserialize_u32 visit_u32 "a whole number of this range, zero or more",
        deserialize_u64 visit_u64 "a whole number of this range, zero or more",
        deserialize_f32 visit_f32 "a number",
        deserialize_f64 visit_f64 "a number",
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, QueryError> {
        self.named(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
        let items = (0..self.values.len())
            .map(|index| Values { name: self.name, values: &self.values[index..=index] });
        visitor.visit_seq(SeqDeserializer::new(items))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, QueryError> {
        let text = self.one()?;
        let variant: StrDeserializer<'_, QueryError> = text.into_deserializer();
        self.named(visitor.visit_enum(variant))
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Status {
        Draft,
        Published,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct ListPosts {
        status: Option<Status>,
        #[serde(default)]
        tag: Vec<String>,
        #[serde(default)]
        after: i64,
        #[serde(default)]
        deep: bool,
        author: Option<crate::UserId>,
    }

    fn faults(query: &str) -> Vec<(String, String)> {
        let failure = from_query::<ListPosts>(query).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Malformed);
        failure.fields().iter().map(|each| (each.pointer.clone(), each.detail.clone())).collect()
    }

    #[test]
    fn parameters_are_read_into_their_types() {
        let read: ListPosts =
            from_query("status=draft&tag=a&tag=b%20c&after=-7&deep=true&cursor=x&limit=5").unwrap();
        assert_eq!(
            read,
            ListPosts {
                status: Some(Status::Draft),
                tag: vec!["a".to_owned(), "b c".to_owned()],
                after: -7,
                deep: true,
                author: None,
            }
        );
        assert_eq!(from_query::<ListPosts>("").unwrap().status, None);
    }

    #[test]
    fn every_unknown_parameter_is_listed_with_a_suggestion() {
        let faults = faults("staus=draft&colour=red");
        assert_eq!(faults.len(), 2);
        assert_eq!(faults[0].0, "staus");
        assert!(faults[0].1.contains("did you mean `status`"), "{faults:?}");
    }

    #[test]
    fn a_faulty_value_names_its_parameter() {
        for (query, name) in [
            ("status=gone", "status"),
            ("after=soon", "after"),
            ("after=1&after=2", "after"),
            ("deep=yes", "deep"),
            ("author=me", "author"),
            ("tag=%00", "tag"),
        ] {
            assert_eq!(faults(query)[0].0, name, "{query}");
        }
    }

    #[test]
    fn a_missing_parameter_is_named() {
        #[derive(Debug, Deserialize)]
        struct Search {
            #[expect(dead_code, reason = "only its absence is tested")]
            text: String,
        }
        let failure = from_query::<Search>("").unwrap_err();
        assert_eq!(failure.fields()[0].pointer, "text");
    }

    #[test]
    fn too_many_parameters_are_refused() {
        let query = "tag=a&".repeat(PARAMETERS_MAX + 1);
        assert!(faults(&query)[0].1.contains("at most"));
    }
}
