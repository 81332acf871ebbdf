//! The typed protocols of auth: one for each service, so that each has its own mailbox and bound.
//!
//! [`AccountMessage`], [`LoginMessage`], [`OidcMessage`], [`PasskeyMessage`],
//! [`SecondFactorMessage`], [`SessionMessage`], [`ApiKeyMessage`] and [`KeyMessage`] are what routes,
//! jobs, subscriptions and the command line ask; [`PasswordMessage`] stays inside the module. Fields that are secret have the type [`SecretText`](crate::secret::SecretText) and
//! stand on the redact list of their protocol.

mod accounts;
mod api_keys;
mod internal;
mod oidc;
mod pages;
mod passkeys;
mod second_factor;
mod sessions;

use troupe_actors::protocol;
use troupe_kernel::pagination::Page;

pub use accounts::{
    AdminCreateUser, AdminResetSetup, ChangePassword, CompleteSetup, ConfirmPasswordReset,
    CreatedAccount, DiscardResets, GetSetupState, Login, PrepareSetup, ProvePassword, Register,
    RequestPasswordReset, SetupLink, SetupState,
};
pub use api_keys::{
    ApiKey, ApiKeyId, CreateApiKey, CreatedApiKey, GetApiKey, ListApiKeys, RenameApiKey,
    RevokeApiKey,
};
pub use internal::{
    FindKey, GetPublicKeys, HashPassword, ReloadKeys, RotateKeys, Rotation, Verdict, VerifyPassword,
};
pub use oidc::{
    Arrival, BeginLink, BeginSignIn, Departure, ExternalIdentity, ExternalIdentityId, FinishSignIn,
    ListIdentities, ListProviders, ProviderInfo, StartSession, UnlinkIdentity,
};
pub use pages::{GetPage, PageName};
pub use passkeys::{
    AddPasskey, AddedPasskey, AnswerWithPasskey, BeginPasskey, BeginPasskeyLogin, BeginProof,
    FactorProof, FinishPasskeyLogin, ListPasskeys, Passkey, PasskeyAnswer, PasskeyId,
    PasskeyQuestion, RemovePasskey, RenamePasskey, StartPasskeySession,
};
pub use second_factor::{
    AdminResetSecondFactor, AnswerChallenge, Challenge, ConfirmTotp, DisableTotp, EnrolTotp,
    GetSecondFactor, ProveCode, RecoveryCodes, RenewRecoveryCodes, ResetSecondFactor, SecondFactor,
    SignIn, TotpEnrolment,
};
pub use sessions::{
    EndMembership, EndTenant, EndUser, ListSessions, Logout, LogoutEverywhere, NoteUse, Refresh,
    RevokeSession, Session, Sweep, Swept, Switch, Switched, Tokens,
};

use crate::keys::PublicKeySet;

protocol! {
    /// Accounts: set-up, registration, passwords.
    pub enum AccountMessage("auth.accounts", 1)
    redact ["email", "password", "current_password", "new_password", "token"] {
        /// Answers whether the platform waits for its set-up.
        GetSetupState => SetupState,
        /// Makes the first administrator and the first organisation.
        CompleteSetup => CreatedAccount,
        /// Makes an account.
        Register => CreatedAccount,
        /// Changes a password with the current one.
        ChangePassword => (),
        /// Mails a one-time link, if there is such an account.
        RequestPasswordReset => (),
        /// Sets a password with a mailed token.
        ConfirmPasswordReset => (),
        /// Ends the reset links of a user whose address changed.
        DiscardResets => (),
        /// Answers the external identities of a user.
        ListIdentities => Vec<ExternalIdentity>,
        /// Removes an external identity of a user.
        UnlinkIdentity => (),
        /// Makes an account, from the command line.
        AdminCreateUser => CreatedAccount,
        /// Makes a new set-up link, from the command line.
        AdminResetSetup => SetupLink,
        /// Makes a set-up link if nobody has an account, when the node starts.
        PrepareSetup => Option<SetupLink>,
    }
}

protocol! {
    /// Logins, and other proofs of a password or a code; those of one account are handled one after
    /// the other.
    pub enum LoginMessage("auth.login", 3)
    redact [
        "email", "password", "challenge", "code", "ceremony", "credential", "access_token",
        "refresh_token"
    ] {
        /// Starts a session with e-mail and password, or asks for the second step.
        Login => SignIn,
        /// Starts a session of somebody whom a provider has proven, or asks for the second step.
        StartSession => SignIn,
        /// Starts a session with the second step.
        AnswerChallenge => Tokens,
        /// Starts a session with a passkey as the second step.
        AnswerWithPasskey => Tokens,
        /// Starts a session of somebody whose passkey answered.
        StartPasskeySession => Tokens,
        /// Proves that whoever has a session also has the password.
        ProvePassword => (),
        /// Proves that whoever has a session also has the second factor.
        ProveCode => (),
    }
}

protocol! {
    /// Logins with external providers.
    pub enum OidcMessage("auth.oidc", 1)
    redact [
        "state", "code", "cookies", "cookie", "location", "current_password", "challenge",
        "access_token", "refresh_token", "email"
    ] {
        /// Answers the providers of this platform.
        ListProviders => Vec<ProviderInfo>,
        /// Sends a browser to a provider, to log in.
        BeginSignIn => Departure,
        /// Sends a browser to a provider, to link an identity.
        BeginLink => Departure,
        /// Takes what a browser brings back.
        FinishSignIn => Arrival,
    }
}

protocol! {
    /// Passkeys, and logins with a passkey alone.
    pub enum PasskeyMessage("auth.passkeys", 1)
    redact [
        "current_password", "factor", "ceremony", "credential", "recovery_codes", "access_token",
        "refresh_token"
    ] {
        /// Answers the passkeys of a user.
        ListPasskeys => Vec<Passkey>,
        /// Asks for a new passkey of a user.
        BeginPasskey => PasskeyQuestion,
        /// Keeps the passkey that a browser answered with.
        AddPasskey => AddedPasskey,
        /// Gives a passkey another name.
        RenamePasskey => Passkey,
        /// Removes a passkey.
        RemovePasskey => (),
        /// Asks somebody who has a session for a proof.
        BeginProof => PasskeyQuestion,
        /// Asks whoever it is for a login.
        BeginPasskeyLogin => PasskeyQuestion,
        /// Starts a session with a passkey alone.
        FinishPasskeyLogin => Tokens,
    }
}

protocol! {
    /// Authenticator apps and recovery codes.
    pub enum SecondFactorMessage("auth.second_factor", 2)
    redact ["current_password", "code", "codes", "factor", "uri", "secret"] {
        /// Answers whether a user has a second factor.
        GetSecondFactor => SecondFactor,
        /// Makes a secret for an app; the only answer that shows it.
        EnrolTotp => TotpEnrolment,
        /// Confirms the secret with a code of the app.
        ConfirmTotp => RecoveryCodes,
        /// Makes new recovery codes; the only answer that shows them.
        RenewRecoveryCodes => RecoveryCodes,
        /// Removes the app.
        DisableTotp => (),
        /// Removes the second factor of somebody who lost it.
        ResetSecondFactor => (),
        /// Removes the second factor of an account, from the command line.
        AdminResetSecondFactor => (),
    }
}

protocol! {
    /// Sessions and their tokens.
    pub enum SessionMessage("auth.sessions", 1)
    redact ["refresh_token", "access_token"] {
        /// Exchanges a refresh token.
        Refresh => Tokens,
        /// Answers the sessions of a user.
        ListSessions => Vec<Session>,
        /// Ends one session of a user.
        RevokeSession => (),
        /// Ends the caller's session.
        Logout => (),
        /// Ends all sessions of a user.
        LogoutEverywhere => (),
        /// Answers an access token for another organisation.
        Switch => Switched,
        /// Ends the sessions and keys of a user who is barred or gone.
        EndUser => (),
        /// Ends the sessions and keys of a user in an organisation they left.
        EndMembership => (),
        /// Ends the sessions and keys of an organisation that is barred or closed.
        EndTenant => (),
        /// Deletes what is past its time.
        Sweep => Swept,
        /// Notes that sessions and API keys were used.
        NoteUse,
    }
}

protocol! {
    /// API keys of an organisation.
    pub enum ApiKeyMessage("auth.api_keys", 1) redact ["secret"] {
        /// Makes a key; the only answer that shows it.
        CreateApiKey => CreatedApiKey,
        /// Answers one key, without its secret.
        GetApiKey => ApiKey,
        /// Answers the keys of an organisation.
        ListApiKeys => Page<ApiKey>,
        /// Changes the name of a key.
        RenameApiKey => ApiKey,
        /// Ends a key.
        RevokeApiKey => (),
    }
}

protocol! {
    /// Signing keys.
    pub enum KeyMessage("auth.keys", 1) redact [] {
        /// Answers the public keys.
        GetPublicKeys => PublicKeySet,
        /// Publishes the next key when it is time, and deletes those past their time.
        RotateKeys => Rotation,
        /// Answers whether a key is known, after reading the keys anew if it is not.
        FindKey => bool,
        /// Reads the keys anew.
        ReloadKeys,
    }
}

protocol! {
    /// The pages behind links.
    pub enum PageMessage("auth.pages", 1) redact [] {
        /// Answers the text of a page.
        GetPage => String,
    }
}

protocol! {
    /// Password hashes, computed on a bounded pool.
    pub enum PasswordMessage("auth.passwords", 1) redact ["password", "hash"] {
        /// Hashes a password.
        HashPassword => String,
        /// Checks a password against a hash.
        VerifyPassword => Verdict,
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
