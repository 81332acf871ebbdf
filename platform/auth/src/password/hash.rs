//! Password hashes: argon2id (RFC 9106) in the PHC string form, which names its own parameters.
//!
//! Hashing takes tens of milliseconds and megabytes by design: only the password pool calls this.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, Salt, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use crate::secret::{NoRandomness, random_bytes};

const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// Cost of one hash. The defaults are the least that OWASP advises for argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes; more than one helps only when the pool is smaller than the cores.
    pub parallelism: u32,
}

impl Default for HashCost {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl HashCost {
    /// Whether argon2 accepts these values.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.params().is_some()
    }

    fn params(&self) -> Option<Params> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(OUTPUT_BYTES)).ok()
    }
}

/// Why no hash could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashFault {
    /// No randomness for the salt.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Argon2 refused.
    #[error("argon2 refused: {0}")]
    Refused(String),
}

/// Hashes passwords at one cost.
#[derive(Debug, Clone)]
pub struct Hasher {
    cost: HashCost,
    params: Params,
}

impl Hasher {
    /// A hasher at this cost; none when argon2 does not accept it.
    #[must_use]
    pub fn new(cost: HashCost) -> Option<Self> {
        Some(Self { cost, params: cost.params()? })
    }

    /// The hash of a password, with a salt of its own.
    ///
    /// # Errors
    /// When the operating system gives no randomness or not enough memory is left.
    pub fn hash(&self, password: &str) -> Result<String, HashFault> {
        let salt = salt()?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        argon
            .hash_password(password.as_bytes(), Salt::from(&salt))
            .map(|hash| hash.to_string())
            .map_err(refused)
    }

    /// Whether the password has this hash. A hash that is not one answers no.
    #[must_use]
    pub fn verify(&self, password: &str, hash: &str) -> bool {
        PasswordHash::new(hash).is_ok_and(|parsed| {
            Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
        })
    }

    /// Whether the hash was made at another cost and should be made anew.
    #[must_use]
    pub fn is_outdated(&self, hash: &str) -> bool {
        let Ok(parsed) = PasswordHash::new(hash) else { return true };
        let Ok(params) = Params::try_from(&parsed) else { return true };
        parsed.algorithm != Algorithm::Argon2id.ident()
            || params.m_cost() != self.cost.memory_kib
            || params.t_cost() != self.cost.iterations
            || params.p_cost() != self.cost.parallelism
    }

    /// A hash that no password has and that costs as much to check as a real one. Login checks it
    /// when there is no such account, so that the time of the answer tells nothing.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn decoy(&self) -> Result<String, HashFault> {
        let output = argon2::password_hash::Output::new(&random_bytes::<OUTPUT_BYTES>()?)
            .map_err(refused)?;
        let salt = salt()?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: (&self.params).try_into().map_err(refused)?,
            salt: Some(Salt::from(&salt)),
            hash: Some(output),
        };
        Ok(hash.to_string())
    }
}

fn salt() -> Result<SaltString, HashFault> {
    SaltString::encode_b64(&random_bytes::<SALT_BYTES>()?).map_err(refused)
}

fn refused(error: argon2::password_hash::Error) -> HashFault {
    HashFault::Refused(error.to_string())
}

#[cfg(test)]
mod tests {

    use super::*;

    fn hasher(memory_kib: u32) -> Hasher {
        Hasher::new(HashCost { memory_kib, iterations: 1, parallelism: 1 }).expect("possible")
    }

    #[test]
    fn only_the_right_password_has_the_hash() {
        let hasher = hasher(64);
        let hash = hasher.hash("a quiet harbour").expect("hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(hasher.verify("a quiet harbour", &hash));
        assert!(!hasher.verify("a quiet harbou", &hash));
        assert!(!hasher.verify("a quiet harbour", "$argon2id$broken"));
        assert_ne!(hash, hasher.hash("a quiet harbour").expect("hashes"), "a salt of its own");
    }

    #[test]
    fn a_hash_of_another_cost_is_outdated_but_still_verifies() {
        let old = hasher(64).hash("a quiet harbour").expect("hashes");
        let hasher = hasher(128);
        assert!(hasher.is_outdated(&old));
        assert!(hasher.verify("a quiet harbour", &old));
        assert!(!hasher.is_outdated(&hasher.hash("a quiet harbour").expect("hashes")));
        assert!(hasher.is_outdated("$2b$12$abcdefghijklmnopqrstuv"));
        assert!(hasher.is_outdated("nothing"));
    }

    #[test]
    fn the_decoy_costs_as_much_as_a_real_hash_and_matches_nothing() {
        let hasher = hasher(8_192);
        let decoy = hasher.decoy().expect("randomness");
        assert!(!hasher.is_outdated(&decoy), "same cost as a real one: {decoy}");
        let real = hasher.hash("a quiet harbour").expect("hashes");
        // What a verification costs is in the hash itself: algorithm, version, memory, passes, lanes.
        let cost = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(&decoy), cost(&real));
        assert_eq!(decoy.len(), real.len(), "salt and output are as long");
        assert!(!hasher.verify("a quiet harbour", &decoy));
    }

    #[test]
    fn an_impossible_cost_is_refused() {
        assert!(Hasher::new(HashCost { memory_kib: 1, iterations: 0, parallelism: 0 }).is_none());
        assert!(HashCost::default().is_possible());
    }
}
