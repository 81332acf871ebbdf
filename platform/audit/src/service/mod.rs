//! The actors of this module.
//!
//! | actor | mailbox | restart | a crash loses |
//! |---|---|---|---|
//! | [`Sealer`], single | 64 | permanent | nothing: a step is one transaction and is done again |
//! | [`Intake`], single, in batches | configured | permanent | the batch in hand; its askers are told |
//! | [`Trail`], a pool | 1024 | permanent | nothing: it only reads |
//! | [`Verifier`], single | 16 | permanent | the verification in hand; its asker is told |

mod intake;
mod sealer;
mod trail;
mod verifier;

pub use intake::Intake;
pub use sealer::{Sealer, SealerSetup};
pub use trail::{Trail, export};
pub use verifier::Verifier;

use std::sync::{Arc, OnceLock};

use crate::config::AuditConfig;
use crate::error::AuditError;
use crate::signing::{PublicKey, SigningKey};

/// The keys of the trail, read when the first actor needs them: not while the module is wired.
#[derive(Clone)]
pub struct Keys {
    config: Arc<AuditConfig>,
    own: Arc<OnceLock<Arc<SigningKey>>>,
}

impl Keys {
    /// The keys that a configuration names.
    #[must_use]
    pub fn new(config: AuditConfig) -> Self {
        Self { config: Arc::new(config), own: Arc::default() }
    }

    /// The key that signs.
    ///
    /// # Errors
    /// When there is none that can be used.
    pub fn own(&self) -> Result<Arc<SigningKey>, AuditError> {
        if let Some(key) = self.own.get() {
            return Ok(key.clone());
        }
        let key = Arc::new(self.config.signing_key()?);
        Ok(self.own.get_or_init(|| key).clone())
    }

    /// The keys that verify.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn public(&self) -> Result<Vec<PublicKey>, AuditError> {
        let mut keys = vec![self.own()?.public().clone()];
        for text in &self.config.former_keys {
            keys.push(PublicKey::from_pem(text)?);
        }
        Ok(keys)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &AuditConfig {
        &self.config
    }
}
