//! The failures auth answers, in one place so that their codes stay stable.
//!
//! None says which part of a credential was wrong, and none repeats what was sent.

use std::time::Duration;

use troupe_kernel::error::{Failure, FailureKind};

use crate::keys::SealFault;
use crate::passkey::PasskeyFault;
use crate::password::hash::HashFault;
use crate::secret::NoRandomness;

impl From<NoRandomness> for Failure {
    fn from(fault: NoRandomness) -> Self {
        tracing::error!(%fault, "no secret can be made");
        Self::unavailable("auth.random.unavailable", "no secret can be made now; try again later")
    }
}

impl From<HashFault> for Failure {
    fn from(fault: HashFault) -> Self {
        tracing::error!(%fault, "a password could not be hashed");
        Self::unavailable(
            "auth.password.unhashed",
            "the password cannot be hashed now; try again later",
        )
    }
}

impl From<SealFault> for Failure {
    fn from(fault: SealFault) -> Self {
        Self::internal(
            "auth.key.sealed",
            format!(
                "{fault}; restore auth.key_encryption_key or the key file with which this database was used"
            ),
        )
    }
}

impl From<PasskeyFault> for Failure {
    fn from(fault: PasskeyFault) -> Self {
        let cause = std::error::Error::source(&fault).map(ToString::to_string);
        tracing::error!(%fault, cause, "a passkey cannot be handled");
        Self::internal("auth.passkey.broken", "the passkey cannot be handled")
    }
}

/// E-mail or password is wrong, or there is no such account.
#[must_use]
pub fn login_refused() -> Failure {
    Failure::unauthenticated("auth.login.refused", "the e-mail address or the password is wrong")
}

/// Too many failed attempts.
#[must_use]
pub fn locked(wait: Duration) -> Failure {
    Failure::new(
        FailureKind::RateLimited,
        "auth.login.locked",
        "too many failed attempts; wait, or reset the password",
    )
    .retry_after(wait)
}

/// The password is right, the account is barred.
#[must_use]
pub fn suspended() -> Failure {
    Failure::forbidden("auth.account.suspended", "this account is barred; ask the administrators")
}

/// The current password is wrong.
#[must_use]
pub fn password_wrong() -> Failure {
    Failure::forbidden("auth.password.wrong", "the current password is wrong")
        .field("/current_password", "is not the current password")
}

/// The code is wrong, or was used before; there is no session yet.
#[must_use]
pub fn code_refused() -> Failure {
    Failure::unauthenticated(
        "auth.code.refused",
        "the code is wrong or was used before; wait for the next one of your app",
    )
    .field("/code", "is not a code that can be used now")
}

/// The code is wrong, or was used before.
#[must_use]
pub fn code_wrong() -> Failure {
    Failure::forbidden(
        "auth.code.wrong",
        "the code is wrong or was used before; wait for the next one of your app",
    )
    .field("/code", "is not a code that can be used now")
}

/// A challenge that leads nowhere.
#[must_use]
pub fn challenge_refused() -> Failure {
    Failure::unauthenticated(
        "auth.challenge.refused",
        "this login waited too long or was finished; begin again",
    )
}

/// There is an authenticator app already.
#[must_use]
pub fn totp_enrolled() -> Failure {
    Failure::conflict(
        "auth.totp.enrolled",
        "this account has an authenticator app; switch it off before you set up another",
    )
}

/// There is no secret to confirm.
#[must_use]
pub fn totp_not_begun() -> Failure {
    Failure::conflict(
        "auth.totp.not_begun",
        "there is no authenticator app to confirm, or it waited too long; set it up again",
    )
}

/// There is no authenticator app.
#[must_use]
pub fn totp_not_enrolled() -> Failure {
    Failure::conflict("auth.totp.not_enrolled", "this account has no authenticator app")
}

/// A sensitive wish without the second factor of the account.
#[must_use]
pub fn factor_missing() -> Failure {
    Failure::invalid(
        "auth.factor.missing",
        "give a code of your app, a recovery code or the answer of a passkey as well",
    )
    .field("/code", "is needed, or passkey: this account has a second factor")
}

/// Two proofs of one second factor.
#[must_use]
pub fn factor_twice() -> Failure {
    Failure::invalid("auth.factor.twice", "give a code or the answer of a passkey, not both")
        .field("/code", "must be left out when passkey is given")
}

/// This platform has no domain.
#[must_use]
pub fn passkey_unavailable() -> Failure {
    Failure::conflict(
        "auth.passkey.unavailable",
        "this platform has no passkeys, because it has no domain name; log in another way",
    )
}

/// A passkey that opens nothing here, or an answer that does not prove it; there is no session yet.
#[must_use]
pub fn passkey_refused() -> Failure {
    Failure::unauthenticated(
        "auth.passkey.refused",
        "this passkey does not sign in here; use another one, or log in another way",
    )
}

/// The same of somebody who has a session.
#[must_use]
pub fn passkey_wrong() -> Failure {
    Failure::forbidden(
        "auth.passkey.wrong",
        "this passkey proves nothing; use another one or a code",
    )
    .field("/passkey", "does not prove that it is you")
}

/// What came is no answer of a browser.
#[must_use]
pub fn passkey_malformed() -> Failure {
    Failure::invalid("auth.passkey.malformed", "this is no answer of a browser about a passkey")
        .field("/credential", "must be what PublicKeyCredential.toJSON() makes")
}

/// An answer that makes no passkey.
#[must_use]
pub fn passkey_unproven() -> Failure {
    Failure::invalid(
        "auth.passkey.unproven",
        "no passkey was made: this is not the answer to the question, or the device did not recognise its owner; begin again",
    )
    .field("/credential", "does not prove a new passkey")
}

/// A question about a passkey that was answered or is too old; there is no session yet.
#[must_use]
pub fn ceremony_refused() -> Failure {
    Failure::unauthenticated(
        "auth.ceremony.refused",
        "this login waited too long or was finished; begin again",
    )
}

/// The same of somebody who has a session.
#[must_use]
pub fn ceremony_ended() -> Failure {
    Failure::conflict("auth.ceremony.ended", "this waited too long or was finished; begin again")
}

/// The passkey is known already.
#[must_use]
pub fn passkey_taken() -> Failure {
    Failure::conflict("auth.passkey.taken", "this passkey is known already")
}

/// As many passkeys as an account may have.
#[must_use]
pub fn passkey_limit(most: i64) -> Failure {
    Failure::conflict(
        "auth.passkey.limit",
        format!("an account has at most {most} passkeys; remove one first"),
    )
}

/// There is no passkey that could answer.
#[must_use]
pub fn passkey_none() -> Failure {
    Failure::conflict("auth.passkey.none", "this account has no passkey; use a code")
}

/// No such passkey of this user.
#[must_use]
pub fn passkey_not_found() -> Failure {
    Failure::not_found("auth.passkey.not_found", "you have no such passkey")
}

/// The last way to log in.
#[must_use]
pub fn passkey_last() -> Failure {
    Failure::conflict(
        "auth.passkey.last",
        "you could not log in any more; set a password by a password reset first",
    )
}

/// A refresh token that gives nothing.
#[must_use]
pub fn refresh_refused() -> Failure {
    Failure::unauthenticated(
        "auth.refresh.refused",
        "this refresh token is not valid; log in again",
    )
}

/// A refresh token that was exchanged a moment ago.
#[must_use]
pub fn refresh_superseded() -> Failure {
    Failure::conflict(
        "auth.refresh.superseded",
        "this refresh token was exchanged a moment ago; use the tokens of that answer",
    )
}

/// A session that has ended.
#[must_use]
pub fn session_ended() -> Failure {
    Failure::unauthenticated("auth.session.ended", "this session has ended; log in again")
}

/// A token for an organisation that its session has left.
#[must_use]
pub fn session_moved() -> Failure {
    Failure::unauthenticated(
        "auth.session.moved",
        "this session works in another organisation now; refresh the access token",
    )
}

/// No such session of this user.
#[must_use]
pub fn session_not_found() -> Failure {
    Failure::not_found("auth.session.not_found", "you have no such session")
}

/// An access token that is not accepted.
#[must_use]
pub fn token_refused() -> Failure {
    Failure::unauthenticated("auth.token.invalid", "the access token is not valid; log in again")
}

/// An access token past its time.
#[must_use]
pub fn token_expired() -> Failure {
    Failure::unauthenticated("auth.token.expired", "the access token has expired; refresh it")
}

/// An API key that is not accepted.
#[must_use]
pub fn api_key_refused() -> Failure {
    Failure::unauthenticated("auth.api_key.refused", "the API key is not valid or was revoked")
}

/// No such API key in this organisation.
#[must_use]
pub fn api_key_not_found() -> Failure {
    Failure::not_found("auth.api_key.not_found", "the organisation has no such API key")
}

/// An organisation the user cannot work in.
#[must_use]
pub fn organisation_unavailable() -> Failure {
    Failure::forbidden(
        "auth.organisation.unavailable",
        "you are not a member of this organisation, or it is not in use",
    )
}

/// A set-up token that gives nothing.
#[must_use]
pub fn setup_refused() -> Failure {
    Failure::forbidden(
        "auth.setup.token",
        "this set-up link is not valid any more; restart the node or run `troupe admin setup-link` for a new one",
    )
}

/// A set-up that was interrupted after it had made its user.
#[must_use]
pub fn setup_begun(email: &str) -> Failure {
    Failure::conflict(
        "auth.setup.begun",
        "this set-up was begun with another address and interrupted; go on with that one",
    )
    .field("/email", format!("must be {email}"))
}

/// Nobody can register before the set-up.
#[must_use]
pub fn setup_needed() -> Failure {
    Failure::conflict(
        "auth.setup.needed",
        "the platform must be set up first; open the set-up link",
    )
}

/// Registration is switched off.
#[must_use]
pub fn registration_closed() -> Failure {
    Failure::forbidden("auth.registration.closed", "registration is closed on this platform")
}

/// A password-reset token that gives nothing.
#[must_use]
pub fn reset_refused() -> Failure {
    Failure::forbidden("auth.reset.token", "this link is not valid any more; ask for a new one")
}

/// No key signs now.
#[must_use]
pub fn no_signing_key() -> Failure {
    Failure::unavailable("auth.key.missing", "no token can be issued now; try again shortly")
        .retry_after(Duration::from_secs(1))
}

/// Only people have sessions and passwords.
#[must_use]
pub fn not_a_person() -> Failure {
    Failure::forbidden(
        "auth.principal.not_a_user",
        "this is for people with a session; an API key cannot do it",
    )
}

/// The account has a password, which was not given.
#[must_use]
pub fn password_missing() -> Failure {
    Failure::invalid("auth.password.missing", "give your password as well")
        .field("/current_password", "is needed: this account has a password")
}

/// The account has no password, and the login was long ago.
#[must_use]
pub fn session_stale() -> Failure {
    Failure::forbidden(
        "auth.session.stale",
        "log in again and repeat this within ten minutes; this account has no password to ask for",
    )
}

/// No such provider.
#[must_use]
pub fn provider_unknown() -> Failure {
    Failure::not_found("auth.provider.unknown", "this platform has no such provider")
}

/// The provider does not answer.
#[must_use]
pub fn provider_unavailable(name: &str, wait: Duration) -> Failure {
    Failure::unavailable(
        "auth.provider.unavailable",
        format!("the provider {name} does not answer; try again later, or log in another way"),
    )
    .retry_after(wait)
}

/// The provider proved nobody.
#[must_use]
pub fn provider_refused(name: &str) -> Failure {
    Failure::unauthenticated(
        "auth.provider.refused",
        format!("the answer of the provider {name} proves nobody; begin again"),
    )
}

/// The provider sent the browser back without a code.
#[must_use]
pub fn provider_denied(name: &str) -> Failure {
    Failure::unauthenticated(
        "auth.provider.denied",
        format!("the login at the provider {name} was cancelled or refused there; begin again"),
    )
}

/// A way to a provider and back that leads nowhere.
#[must_use]
pub fn sign_in_refused() -> Failure {
    Failure::unauthenticated(
        "auth.sign_in.refused",
        "this login was not begun in this browser, waited too long or was finished; begin again",
    )
}

/// The provider tells no proven address.
#[must_use]
pub fn identity_unproven() -> Failure {
    Failure::forbidden(
        "auth.identity.unproven",
        "the provider tells no confirmed e-mail address; confirm yours there, or log in another way and link the identity",
    )
}

/// There is an account that this identity may not be linked to by itself.
#[must_use]
pub fn identity_unlinked() -> Failure {
    Failure::conflict(
        "auth.identity.unlinked",
        "there is an account with this e-mail address; log in to it and link the identity there",
    )
}

/// The identity is linked already.
#[must_use]
pub fn identity_taken() -> Failure {
    Failure::conflict("auth.identity.taken", "this identity is linked to an account already")
}

/// No such identity of this user.
#[must_use]
pub fn identity_not_found() -> Failure {
    Failure::not_found("auth.identity.not_found", "you have no such identity")
}

/// The last way to log in.
#[must_use]
pub fn identity_last() -> Failure {
    Failure::conflict(
        "auth.identity.last",
        "you could not log in any more; set a password by a password reset first",
    )
}
