//! The typed container: what one module provides and another requires, resolved at start.
//!
//! Keys are types; `dyn Trait` is allowed. There is no global state: the container lives as long
//! as the node's composition and is not reachable from a handler.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::Arc;

/// Nothing of this type was provided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing provides {type_name}; add the module that does to the dependencies of this one")]
pub struct MissingService {
    /// The type that was asked for.
    pub type_name: &'static str,
}

/// What the modules offer each other, by type.
#[derive(Default)]
pub struct Container {
    entries: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    duplicates: Vec<&'static str>,
}

impl Container {
    /// An empty container.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a value to the modules that come later. The first one of a type stays; a second is
    /// remembered and refused when the parts are validated.
    pub fn provide<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) {
        match self.entries.entry(TypeId::of::<T>()) {
            std::collections::hash_map::Entry::Occupied(_) => {
                self.duplicates.push(type_name::<T>())
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Box::new(value));
            }
        }
    }

    /// Takes a value that another module offered.
    ///
    /// # Errors
    /// [`MissingService`] when nobody did.
    pub fn require<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>, MissingService> {
        self.find().ok_or(MissingService { type_name: type_name::<T>() })
    }

    /// Takes a value that another module may have offered.
    #[must_use]
    pub fn find<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.entries.get(&TypeId::of::<T>())?.downcast_ref::<Arc<T>>().cloned()
    }

    /// The types that were provided more than once.
    #[must_use]
    pub fn duplicates(&self) -> &[&'static str] {
        &self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    trait Greeter: Send + Sync {
        fn greet(&self) -> String;
    }

    struct Polite;

    impl Greeter for Polite {
        fn greet(&self) -> String {
            "good day".to_owned()
        }
    }

    #[test]
    fn a_trait_object_comes_back_as_it_was_provided() {
        let mut container = Container::new();
        container.provide::<dyn Greeter>(Arc::new(Polite));
        container.provide(Arc::new(7_u32));
        assert_eq!(container.require::<dyn Greeter>().unwrap().greet(), "good day");
        assert_eq!(*container.require::<u32>().unwrap(), 7);
    }

    #[test]
    fn a_missing_type_is_named() {
        let missing = Container::new().require::<String>().unwrap_err();
        assert!(missing.to_string().contains("alloc::string::String"), "{missing}");
    }

    #[test]
    fn the_first_of_a_type_stays_and_the_second_is_remembered() {
        let mut container = Container::new();
        container.provide(Arc::new(1_u8));
        container.provide(Arc::new(2_u8));
        assert_eq!(*container.require::<u8>().unwrap(), 1);
        assert_eq!(container.duplicates(), ["u8"]);
    }
}
