//! Other secrets of the clients at the providers while the node runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use troupe_kernel::config::Secret;
use troupe_kernel::reload::{Change, Reload};

use super::provider::Provider;
use crate::config::{AuthConfig, OidcProviderConfig};

/// Takes other secrets; which providers there are and everything else about them is decided at the start.
/// A secret cannot be tried without a person who signs in: a provider that refuses it says so at the
/// next sign-in.
#[must_use]
pub fn of(providers: Vec<Arc<Provider>>) -> Reload {
    Reload::new(&["oidc"], move |config: AuthConfig| {
        let change = change(&providers, config.oidc);
        Box::pin(std::future::ready(Ok(change)))
    })
}

fn change(providers: &[Arc<Provider>], mut others: BTreeMap<String, OidcProviderConfig>) -> Change {
    let mut change = Change::none();
    for provider in providers {
        let path = |key: &str| format!("oidc.{}.{key}", provider.name());
        let Some(other) = others.remove(provider.name()) else {
            change = change.later(&format!("oidc.{}", provider.name()));
            continue;
        };
        let later = differences(provider.config(), &other);
        // The secret of another client is of no use before that client.
        let is_other = later.iter().any(|key| key == "issuer" || key == "client_id");
        for key in later {
            change = change.later(&path(&key));
        }
        let (key, secret) = (path("client_secret"), other.client_secret);
        if secret.expose() == provider.secret().expose() {
            continue;
        }
        let provider = provider.clone();
        change = match is_other {
            true => change.later(&key),
            false => change.of(&key, move || provider.take_secret(secret)),
        };
    }
    others.keys().fold(change, |change, name| change.later(&format!("oidc.{name}")))
}

/// The keys beside the secret whose values differ.
fn differences(one: &OidcProviderConfig, other: &OidcProviderConfig) -> Vec<String> {
    let fields = |config: &OidcProviderConfig| {
        let config = OidcProviderConfig { client_secret: Secret::default(), ..config.clone() };
        match serde_json::to_value(config) {
            Ok(Value::Object(fields)) => fields,
            _ => unreachable!("a section is an object"),
        }
    };
    let (one, other) = (fields(one), fields(other));
    one.into_iter().filter(|(key, value)| other[key] != *value).map(|(key, _)| key).collect()
}
