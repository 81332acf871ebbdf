//! What a part takes anew while the node runs.
//!
//! A reload has two steps. First every part looks at the new configuration and says what it would
//! change, without changing anything; only when none has a fault are the changes made, and making
//! them cannot fail. Parts that name no key here take theirs at the next start.

use std::sync::Arc;

use crate::config::{ConfigFault, ConfigSection, ConfigTree};
use crate::ports::BoxFuture;

/// What a part answers that has looked at its new section.
pub type Looked = Result<Change, Vec<ConfigFault>>;

type Look = dyn Fn(&ConfigTree) -> BoxFuture<'static, Looked> + Send + Sync;

/// A part that takes keys of its section anew.
#[derive(Clone)]
pub struct Reload {
    section: &'static str,
    keys: &'static [&'static str],
    look: Arc<Look>,
}

impl Reload {
    /// A part that takes these keys of the section `T`. `look` says what would change, and faults
    /// with paths relative to the section.
    pub fn new<T: ConfigSection>(
        keys: &'static [&'static str],
        look: impl Fn(T) -> BoxFuture<'static, Looked> + Send + Sync + 'static,
    ) -> Self {
        let read = move |tree: &ConfigTree| -> BoxFuture<'static, Looked> {
            match tree.section::<T>() {
                Ok(section) => look(section),
                Err(faults) => Box::pin(std::future::ready(Err(faults))),
            }
        };
        Self { section: T::NAME, keys, look: Arc::new(read) }
    }

    /// The section.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.section
    }

    /// Whether this key, with the name of its section, is one that the part takes.
    #[must_use]
    pub fn takes(&self, key: &str) -> bool {
        let inside = key.strip_prefix(self.section).and_then(|rest| rest.strip_prefix('.'));
        inside.is_some_and(|key| {
            let below =
                |taken: &str| key.strip_prefix(taken).is_some_and(|rest| rest.starts_with('.'));
            self.keys.iter().any(|taken| *taken == key || below(taken))
        })
    }

    /// Looks at the new configuration. The caller bounds it in time.
    ///
    /// # Errors
    /// Everything that is wrong, with whole paths.
    pub async fn look(&self, tree: &ConfigTree) -> Looked {
        let whole = |key: String| format!("{}.{key}", self.section);
        match (self.look)(tree).await {
            Ok(mut change) => {
                change.keys = change.keys.into_iter().map(whole).collect();
                change.later = change.later.into_iter().map(whole).collect();
                Ok(change)
            }
            Err(mut faults) => {
                let begin = format!("{}.", self.section);
                for fault in &mut faults {
                    if fault.path != self.section && !fault.path.starts_with(&begin) {
                        fault.path = whole(std::mem::take(&mut fault.path));
                    }
                }
                Err(faults)
            }
        }
    }
}

/// What a part would change.
#[must_use = "a change is made by `make`"]
#[derive(Default)]
pub struct Change {
    keys: Vec<String>,
    later: Vec<String>,
    make: Vec<Box<dyn FnOnce() + Send>>,
}

impl Change {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Gives this key of the section its new value by `make`, which waits for nothing.
    pub fn of(mut self, key: &str, make: impl FnOnce() + Send + 'static) -> Self {
        self.keys.push(key.to_owned());
        self.make.push(Box::new(make));
        self
    }

    /// The new value of this key is taken at the next start only.
    pub fn later(mut self, key: &str) -> Self {
        self.later.push(key.to_owned());
        self
    }

    /// The keys that change.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The keys that would change at the next start.
    #[must_use]
    pub fn keys_later(&self) -> &[String] {
        &self.later
    }

    /// Changes it.
    pub fn make(self) {
        for make in self.make {
            make();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::config::Layers;

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Lamp {
        brightness: u32,
        place: Place,
    }

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Place {
        room: String,
    }

    impl ConfigSection for Lamp {
        const NAME: &'static str = "lamp";
    }

    fn lamp(brightness: &Arc<AtomicU32>) -> Reload {
        let shared = brightness.clone();
        Reload::new(&["brightness", "place"], move |lamp: Lamp| {
            let shared = shared.clone();
            Box::pin(async move {
                if lamp.brightness > 9 {
                    return Err(vec![ConfigFault::new("brightness", "is at most 9")]);
                }
                let make = move || shared.store(lamp.brightness, Ordering::Relaxed);
                Ok(Change::none().of("brightness", make).later("place.room"))
            })
        })
    }

    async fn looked(reload: &Reload, text: &str) -> Looked {
        let tree = Layers::new().file("troupe.toml", text).build().unwrap();
        reload.look(&tree).await
    }

    #[tokio::test]
    async fn looking_changes_nothing_and_making_does() {
        let brightness = Arc::new(AtomicU32::new(1));
        let reload = lamp(&brightness);
        let change = looked(&reload, "[lamp]\nbrightness = 5").await.unwrap();
        assert_eq!(change.keys(), ["lamp.brightness"]);
        assert_eq!(change.keys_later(), ["lamp.place.room"]);
        assert_eq!(brightness.load(Ordering::Relaxed), 1);
        change.make();
        assert_eq!(brightness.load(Ordering::Relaxed), 5);
    }

    #[tokio::test]
    async fn faults_have_their_whole_path_whoever_finds_them() {
        let reload = lamp(&Arc::default());
        for (text, path) in [
            ("[lamp]\nbrightness = 10", "lamp.brightness"),
            ("[lamp]\nplace.rom = \"hall\"", "lamp.place.rom"),
        ] {
            let faults = looked(&reload, text).await.map(drop).unwrap_err();
            assert_eq!(faults[0].path, path);
        }
    }

    #[test]
    fn a_part_takes_its_keys_and_what_is_below_them() {
        let reload = lamp(&Arc::default());
        assert!(reload.takes("lamp.brightness") && reload.takes("lamp.place.room"));
        for other in ["lamp.placement", "lamp", "lamps.brightness", "brightness"] {
            assert!(!reload.takes(other), "{other}");
        }
    }
}
