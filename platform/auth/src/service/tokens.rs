//! Makes sessions and the tokens that belong to them. Shared by login, refresh and switch.

use troupe_actors::Scope;
use troupe_database::{DbError, DbTimestamp, DbUuid, UnitOfWork};
use troupe_identity_messages::{ListMembershipsOf, MembershipOf, OrganisationStatus};
use troupe_kernel::error::Failure;
use troupe_kernel::ids::{SessionId, TenantId, UserId};

use super::{Desk, address_of, unrepeated};
use crate::config::TokenConfig;
use crate::error;
use crate::messages::Tokens;
use crate::repository::refresh_tokens::{self, RefreshRow};
use crate::repository::sessions::SessionRow;
use crate::secret::{SecretText, digest};
use crate::token::{Claims, sign};

/// Characters of a `User-Agent` that are kept.
const DEVICE_CHARACTERS_MAX: usize = 200;
/// How the access token is used.
pub(super) const TOKEN_KIND: &str = "Bearer";

/// Who logs in, where to, from where.
#[derive(Debug, Clone)]
pub(super) struct NewSession {
    pub(super) user: UserId,
    pub(super) tenant: Option<TenantId>,
    pub(super) device: Option<String>,
}

/// The row of a new session that starts now.
pub(super) fn session_row(uow: &UnitOfWork, new: NewSession, config: &TokenConfig) -> SessionRow {
    let now = uow.now();
    SessionRow {
        id: uow.new_id(),
        user_id: DbUuid::of(new.user),
        tenant_id: new.tenant.map(DbUuid::of),
        device: shortened(new.device),
        address: address_of(uow.scope()),
        created_at: DbTimestamp(now),
        last_seen_at: DbTimestamp(now),
        idle_expires_at: DbTimestamp(now.plus(config.idle)),
        expires_at: DbTimestamp(now.plus(config.absolute)),
        ended_at: None,
        end_reason: None,
    }
}

/// A `User-Agent` cut to what is kept.
pub(super) fn shortened(device: Option<String>) -> Option<String> {
    device
        .map(|text| {
            text.chars().filter(|one| !one.is_control()).take(DEVICE_CHARACTERS_MAX).collect()
        })
        .filter(|text: &String| !text.is_empty())
}

/// Stores the digest of a new refresh token of a session.
pub(super) async fn store_refresh(
    uow: &mut UnitOfWork,
    session: &SessionRow,
    token: &SecretText,
) -> Result<(), DbError> {
    let row = RefreshRow {
        token_hash: digest(token.expose()).to_vec(),
        session_id: session.id,
        issued_at: DbTimestamp(uow.now()),
        expires_at: DbTimestamp(session.ends_at()),
        used_at: None,
    };
    refresh_tokens::insert(uow.conn(), &row).await
}

/// Refuses before anything is changed when no token could be issued afterwards.
pub(super) fn ensure_key(desk: &Desk) -> Result<(), Failure> {
    desk.keys.load().signing(desk.now()).map(|_| ()).ok_or_else(error::no_signing_key)
}

/// An access token of a session and the seconds until it ends.
pub(super) fn access_token(
    desk: &Desk,
    session: &SessionRow,
) -> Result<(SecretText, u64), Failure> {
    let now = desk.now();
    let keys = desk.keys.load();
    let key = keys.signing(now).ok_or_else(error::no_signing_key)?;
    // A token must not outlive its key's public half, nor its session.
    let ends =
        now.plus(desk.config.tokens.access).min(session.expires_at.0).min(key.lifetime().ends_at);
    let claims = Claims {
        iss: desk.config.token_issuer().to_owned(),
        sub: session.user_id.0,
        tid: session.tenant_id.map(|tenant| tenant.0),
        sid: session.id.0,
        iat: now.as_secs(),
        exp: ends.as_secs(),
        nbf: None,
    };
    let seconds = u64::try_from(claims.exp.saturating_sub(claims.iat)).unwrap_or(0);
    Ok((sign(&claims, key), seconds))
}

/// The answer with a session's new pair.
pub(super) fn pair(
    desk: &Desk,
    session: &SessionRow,
    refresh_token: SecretText,
) -> Result<Tokens, Failure> {
    let (access_token, expires_in) = access_token(desk, session)?;
    Ok(Tokens {
        access_token,
        token_type: TOKEN_KIND.to_owned(),
        expires_in,
        refresh_token,
        refresh_expires_at: session.ends_at(),
        session: session.id.to::<SessionId>(),
        user: session.user_id.to(),
        organisation: session.tenant_id.map(DbUuid::to),
    })
}

/// The organisation a user may work in: the one asked for, or the one joined first.
pub(super) async fn choose_organisation(
    desk: &Desk,
    scope: &Scope,
    user: UserId,
    wanted: Option<TenantId>,
) -> Result<Option<TenantId>, Failure> {
    let scope = unrepeated(scope);
    let Some(organisation) = wanted else {
        let memberships = desk.identity.ask(&scope, ListMembershipsOf { user }).await?;
        let first = memberships
            .into_iter()
            .find(|membership| membership.status == OrganisationStatus::Active);
        return Ok(first.map(|membership| membership.organisation));
    };
    let membership = desk.identity.ask(&scope, MembershipOf { user, organisation }).await?;
    match membership {
        Some(membership) if membership.status == OrganisationStatus::Active => {
            Ok(Some(organisation))
        }
        _ => Err(error::organisation_unavailable()),
    }
}
