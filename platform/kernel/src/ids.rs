//! Identifiers: UUIDv7 (RFC 9562) from a clock, and newtypes so that one id is never taken for another.

use rand::RngCore as _;
use uuid::Uuid;

use crate::clock::Clock;

/// A new id that sorts by time of creation.
///
/// The 12 bits after the millisecond hold its fraction (RFC 9562, section 6.2, method 3), so ids
/// made a few microseconds apart keep their order; the remaining 62 bits are random.
#[must_use]
pub fn new_id(clock: &dyn Clock) -> Uuid {
    let micros = u64::try_from(clock.now().as_micros()).unwrap_or(0);
    let fraction = (micros % 1_000) * 4_096 / 1_000;
    let mut tail = [0; 10];
    let (order, random) = tail.split_at_mut(2);
    order.copy_from_slice(&u16::try_from(fraction).unwrap_or(0).to_be_bytes());
    rand::rng().fill_bytes(random);
    uuid::Builder::from_unix_timestamp_millis(micros / 1_000, &tail).into_uuid()
}

/// Declares an id type: a newtype over [`Uuid`] with serde, `Display`, `FromStr`, `From` and an
/// OpenAPI schema. It holds data only.
///
/// ```
/// troupe_kernel::typed_id! {
///     /// Which post.
///     PostId
/// }
/// let id = PostId::new(&troupe_kernel::clock::SystemClock);
/// assert_eq!(id.to_string().parse::<PostId>(), Ok(id));
/// ```
#[macro_export]
macro_rules! typed_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $crate::Uuid);

        impl $name {
            /// A new id that sorts by time of creation.
            #[must_use]
            pub fn new(clock: &dyn $crate::clock::Clock) -> Self {
                Self($crate::ids::new_id(clock))
            }

            /// The id without its type.
            #[must_use]
            pub const fn uuid(self) -> $crate::Uuid {
                self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::ids::NotAnId;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                $crate::ids::parse(text).map(Self)
            }
        }

        impl From<$crate::Uuid> for $name {
            fn from(id: $crate::Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for $crate::Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl $crate::utoipa::PartialSchema for $name {
            fn schema() -> $crate::utoipa::openapi::RefOr<$crate::utoipa::openapi::schema::Schema> {
                $crate::ids::schema()
            }
        }

        impl $crate::utoipa::ToSchema for $name {
            fn name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(::std::stringify!($name))
            }
        }
    };
}

/// A text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id; ids are UUIDs like 0194f3b2-7c1a-7def-8a3b-5c6d7e8f9012")]
pub struct NotAnId;

/// Reads the hyphenated form of an id and no other.
///
/// # Errors
/// [`NotAnId`] for any other text, also for the braced and the simple form of a UUID: an id has one
/// form, so that a URL names a thing in one way.
pub fn parse(text: &str) -> Result<Uuid, NotAnId> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(NotAnId);
    }
    Uuid::try_parse(text).map_err(|_| NotAnId)
}

/// The OpenAPI schema of an id.
#[must_use]
pub fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .into()
}

typed_id! {
    /// Which user.
    UserId
}

typed_id! {
    /// Which tenant; a tenant is an organisation.
    TenantId
}

typed_id! {
    /// Which session, the unit of revocation.
    SessionId
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn ids_are_version_7_and_sort_by_microsecond() {
        let clock = ManualClock::default();
        let mut last = new_id(&clock);
        assert_eq!(last.get_version_num(), 7);
        for _ in 0..3_000 {
            clock.advance(Duration::from_micros(1));
            let next = new_id(&clock);
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }

    #[test]
    fn ids_of_one_microsecond_differ() {
        let clock = ManualClock::default();
        assert_ne!(new_id(&clock), new_id(&clock));
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = UserId::new(&ManualClock::default());
        assert_eq!(id.to_string().parse(), Ok(id));
        let simple = id.uuid().simple().to_string();
        for text in ["", "1", simple.as_str(), &format!("{{{id}}}"), &format!("urn:uuid:{id}")] {
            assert_eq!(text.parse::<UserId>(), Err(NotAnId), "{text}");
        }
    }

    #[test]
    fn an_id_is_a_plain_string_in_json() {
        let id = TenantId::new(&ManualClock::default());
        assert_eq!(serde_json::to_value(id).unwrap(), serde_json::json!(id.to_string()));
    }
}
