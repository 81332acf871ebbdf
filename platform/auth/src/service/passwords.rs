//! The password pool: hashes and checks, a few at once, each on a blocking thread.
//!
//! A worker handles one hash at a time and awaits it, so the pool's size bounds both the processor
//! time and the memory that hashing takes. A full mailbox answers 503: guessing slows down logins,
//! never the node. Permanent; a crash loses the hash being computed.

use troupe_actors::{ChildSpec, Context, Handled, Lent, Service, ServiceRef, Spec, System};
use troupe_kernel::error::Failure;

use crate::config::PoolConfig;
use crate::messages::{PasswordMessage, Verdict};
use crate::password::hash::{HashFault, Hasher};
use crate::secret::SecretText;

/// One worker of the pool.
pub struct Passwords {
    hasher: Hasher,
}

impl Passwords {
    /// The pool's reference and specification.
    #[must_use]
    pub fn pool(
        system: &System,
        hasher: &Hasher,
        pool: &PoolConfig,
    ) -> (ServiceRef<PasswordMessage>, ChildSpec) {
        let hasher = hasher.clone();
        Spec::new(system, "passwords", move || Self { hasher: hasher.clone() })
            .workers(pool.workers)
            .capacity(pool.queue)
            .build()
    }

    async fn hash(&self, password: SecretText) -> Result<String, Failure> {
        let hasher = self.hasher.clone();
        computed(move || hasher.hash(password.expose())).await
    }

    async fn verify(&self, password: SecretText, hash: Option<String>) -> Result<Verdict, Failure> {
        let hasher = self.hasher.clone();
        computed(move || {
            let Some(hash) = hash else {
                let decoy = hasher.decoy()?;
                let matches = hasher.verify(password.expose(), &decoy);
                debug_assert!(!matches, "no password has a random hash");
                return Ok(Verdict { matches: false, renewed: None });
            };
            let matches = hasher.verify(password.expose(), &hash);
            let renewed = (matches && hasher.is_outdated(&hash))
                .then(|| hasher.hash(password.expose()))
                .transpose()?;
            Ok(Verdict { matches, renewed })
        })
        .await
    }
}

async fn computed<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HashFault> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => {
            tracing::error!(%error, "a password computation did not end");
            Err(Failure::internal("auth.password.unhashed", "the password could not be hashed"))
        }
    }
}

impl Service for Passwords {
    type Message = PasswordMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<PasswordMessage>,
        ctx: &mut Context<PasswordMessage>,
    ) -> Handled {
        match &**message {
            PasswordMessage::HashPassword(request) => {
                let hash = self.hash(request.password.clone()).await?;
                ctx.reply(request, hash)
            }
            PasswordMessage::VerifyPassword(request) => {
                let verdict = self.verify(request.password.clone(), request.hash.clone()).await?;
                ctx.reply(request, verdict)
            }
        }
    }
}
