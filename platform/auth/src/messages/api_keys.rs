//! API keys: credentials of programs, bound to one organisation and a set of permissions.

use serde::{Deserialize, Serialize};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::ids::{TenantId, UserId};
use troupe_kernel::pagination::PageRequest;
use utoipa::ToSchema;

use crate::secret::SecretText;

troupe_kernel::typed_id! {
    /// Which API key; also the session that its use counts as.
    ApiKeyId
}

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Which key.
    pub id: ApiKeyId,
    /// The organisation it works in.
    pub organisation: TenantId,
    /// Name to show.
    pub name: String,
    /// The start of the key, by which people tell keys apart.
    pub prefix: String,
    /// The most it may do; it never may more than the user who made it.
    pub permissions: Vec<String>,
    /// Who made it, and on whose behalf it acts.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
    /// When it was used last; exact to about a minute.
    pub last_used_at: Option<Timestamp>,
}

/// Makes a key in the caller's organisation with permissions that the caller holds.
///
/// Fails with `auth.api_key.invalid`, `authz.permission.unknown`, `auth.api_key.exceeds`
/// (forbidden) when a permission is not the caller's, `auth.api_key.limit` (conflict).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateApiKey {
    /// The organisation.
    pub organisation: TenantId,
    /// Who makes it.
    pub user: UserId,
    /// Name to show.
    pub name: String,
    /// The most it may do.
    pub permissions: Vec<String>,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
}

/// A new key; its secret is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedApiKey {
    /// Goes into `Authorization: Bearer`.
    pub secret: SecretText,
    /// The key as it is shown from now on.
    pub key: ApiKey,
}

/// Answers one key, or fails with `auth.api_key.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetApiKey {
    /// The organisation.
    pub organisation: TenantId,
    /// Which key.
    pub id: ApiKeyId,
}

/// Answers the keys of an organisation, newest first; revoked ones are left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListApiKeys {
    /// The organisation.
    pub organisation: TenantId,
    /// Which page.
    pub page: PageRequest,
}

/// Changes the name of a key, or fails with `auth.api_key.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenameApiKey {
    /// The organisation.
    pub organisation: TenantId,
    /// Which key.
    pub id: ApiKeyId,
    /// The new name.
    pub name: String,
}

/// Ends a key, or fails with `auth.api_key.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeApiKey {
    /// The organisation.
    pub organisation: TenantId,
    /// Which key.
    pub id: ApiKeyId,
}
