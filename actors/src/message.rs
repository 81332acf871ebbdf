//! What an actor understands: plain data with a name, a version and a list of secret fields.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The typed protocol of a service: an enum of requests and notices. Write it with [`protocol!`](crate::protocol).
pub trait Message: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the protocol, for example `blog`.
    const PROTOCOL: &'static str;
    /// Version of the schema; a peer with another version is refused.
    const VERSION: u16;
    /// Names of fields whose values never leave the actor, at any depth.
    const REDACT: &'static [&'static str];

    /// Name of the variant.
    fn kind(&self) -> &'static str;
}

/// One message of a protocol that has an answer.
pub trait Request: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The protocol it belongs to.
    type Protocol: Message + From<Self>;
    /// What the answer is when it succeeds.
    type Reply: Serialize + DeserializeOwned + Send + 'static;

    /// The request as a message of its protocol.
    fn into_protocol(self) -> Self::Protocol {
        Self::Protocol::from(self)
    }
}

/// Writes the data types of a protocol: the enum, `From` for each part, [`Message`] and [`Request`].
///
/// A part with `=> Reply` is a request; without it is told and never answered. Each part is a
/// struct of the same name in scope.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// pub struct Add { pub amount: u64 }
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// pub struct Reset;
///
/// troupe_actors::protocol! {
///     /// A counter.
///     pub enum CounterMessage("counter", 1) redact [] {
///         /// Adds and answers the sum.
///         Add => u64,
///         /// Starts again at zero.
///         Reset,
///     }
/// }
/// ```
#[macro_export]
macro_rules! protocol {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident($protocol:literal, $version:literal)
        redact [$($secret:literal),* $(,)?] {
            $( $(#[$part_meta:meta])* $part:ident $(=> $reply:ty)? ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, ::serde::Serialize, ::serde::Deserialize)]
        $visibility enum $name {
            $(
                $(#[$part_meta])*
                #[doc = concat!("See [`", stringify!($part), "`].")]
                $part($part),
            )*
        }

        impl $crate::Message for $name {
            const PROTOCOL: &'static str = $protocol;
            const VERSION: u16 = $version;
            const REDACT: &'static [&'static str] = &[$($secret),*];

            fn kind(&self) -> &'static str {
                match self {
                    $( Self::$part(_) => stringify!($part), )*
                }
            }
        }

        $(
            impl From<$part> for $name {
                fn from(part: $part) -> Self {
                    Self::$part(part)
                }
            }

            $(
                impl $crate::Request for $part {
                    type Protocol = $name;
                    type Reply = $reply;
                }
            )?
        )*
    };
}

/// Sends a value through its wire encoding and back, as a hop between nodes would.
///
/// # Errors
/// When the value cannot be encoded or does not decode to the same type: a defect of its serde
/// implementation that only distribution would show.
pub fn through_wire<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, Failure> {
    let bytes = encode(value)?;
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes.as_slice());
    erased_serde::deserialize(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut reader))
        .map_err(|error| wire_fault("decoded", &error))
}

// The format is known by its trait objects only: it is compiled once, and not for every message.
fn encode(value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut writer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    value
        .erased_serialize(&mut <dyn erased_serde::Serializer>::erase(&mut writer))
        .map_err(|error| wire_fault("encoded", &error))?;
    Ok(bytes)
}

fn wire_fault(step: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::internal("actors.wire.broken", format!("a message could not be {step}: {error}"))
}
