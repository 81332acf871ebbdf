//! In which tenant a message acts, and for whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use troupe_actors::Scope;
use troupe_kernel::{Failure, Principal, Question, Resource, TenantId};

use super::Shared;
use crate::error::FileError;
use crate::permissions::{FILE_DELETE, RESOURCE_FILE};
use crate::repository::FileRow;

/// Who acts.
pub(super) fn principal(scope: &Scope) -> Result<&Arc<Principal>, FileError> {
    scope.principal().ok_or(FileError::NoPrincipal)
}

/// The tenant that the message acts in.
pub(super) fn tenant(scope: &Scope) -> Result<TenantId, FileError> {
    principal(scope)?.tenant.map(TenantId).ok_or(FileError::NoTenant)
}

/// Refuses unless the authorizer lets the caller delete the file.
pub(super) async fn may_delete(
    shared: &Shared,
    scope: &Scope,
    row: &FileRow,
) -> Result<(), Failure> {
    let resource = Resource {
        kind: RESOURCE_FILE.to_owned(),
        id: row.id.0.to_string(),
        tenant: Some(row.tenant_id.0),
        owner: Some(row.owner_id.0),
        attributes: BTreeMap::new(),
    };
    let principal = principal(scope)?.as_ref().clone();
    let question = Question { principal, action: FILE_DELETE.to_owned(), resource };
    let decision = shared.authorizer.decide(question, scope).await?;
    if decision.allowed { Ok(()) } else { Err(FileError::Denied(decision.reason).into()) }
}
