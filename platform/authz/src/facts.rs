//! What a condition may look at: who acts, on what, when, and from where.

use std::net::IpAddr;
use std::sync::Arc;

use cel::Context;
use chrono::{Datelike, Timelike};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::permissions::Catalog;
use troupe_kernel::ports::Resource;
use troupe_kernel::{PermissionSet, Principal, PrincipalKind};

use crate::values;

/// Which variables a condition reads; only those are built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// `principal`
    pub principal: bool,
    /// `resource`
    pub resource: bool,
    /// `request`
    pub request: bool,
    /// `action`
    pub action: bool,
    /// `permitted(…)`
    pub permitted: bool,
}

impl Uses {
    /// What either of two conditions reads.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            principal: self.principal || other.principal,
            resource: self.resource || other.resource,
            request: self.request || other.request,
            action: self.action || other.action,
            permitted: self.permitted || other.permitted,
        }
    }
}

/// The facts of one decision.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Who acts.
    pub principal: &'a Principal,
    /// Key of the permission the action needs.
    pub action: &'a str,
    /// The thing.
    pub resource: &'a Resource,
    /// The time.
    pub now: Timestamp,
    /// The network address the request came from.
    pub address: Option<IpAddr>,
    /// What `permitted(…)` answers from.
    pub permissions: &'a Arc<PermissionSet>,
    /// Names the bits.
    pub catalog: &'a Arc<Catalog>,
}

impl Facts<'_> {
    /// Puts the variables in `uses` into a context.
    pub(crate) fn bind(&self, context: &mut Context<'static, 'static>, uses: Uses) {
        if uses.principal {
            context.add_variable_from_value("principal", self.principal());
        }
        if uses.resource {
            context.add_variable_from_value("resource", self.resource());
        }
        if uses.request {
            context.add_variable_from_value("request", self.request());
        }
        if uses.action {
            context.add_variable_from_value("action", values::text(self.action));
        }
        if uses.permitted {
            let (permissions, catalog) = (self.permissions.clone(), self.catalog.clone());
            context
                .add_function("permitted", move |key: Arc<String>| {
                    catalog.bit(&key).is_some_and(|bit| permissions.contains(bit))
                })
                .expect("the standard environment declares no function `permitted`");
        }
    }

    fn principal(&self) -> cel::Value {
        let kind = match self.principal.kind {
            PrincipalKind::User => "user",
            PrincipalKind::Service => "service",
            PrincipalKind::System => "system",
        };
        values::map([
            ("id", values::text(&self.principal.subject.to_string())),
            ("kind", values::text(kind)),
            ("tenant", values::optional(self.principal.tenant.map(|id| id.to_string()))),
            ("session", values::optional(self.principal.session.map(|id| id.to_string()))),
            ("label", values::text(&self.principal.label)),
        ])
    }

    fn resource(&self) -> cel::Value {
        values::map([
            ("kind", values::text(&self.resource.kind)),
            ("id", values::text(&self.resource.id)),
            ("tenant", values::optional(self.resource.tenant.map(|id| id.to_string()))),
            ("owner", values::optional(self.resource.owner.map(|id| id.to_string()))),
            ("attributes", values::from_attributes(&self.resource.attributes)),
        ])
    }

    fn request(&self) -> cel::Value {
        let time = self.now.to_datetime();
        values::map([
            ("time", values::text(&self.now.to_string())),
            ("hour", cel::Value::Int(i64::from(time.hour()))),
            ("weekday", cel::Value::Int(i64::from(time.weekday().number_from_monday()))),
            ("address", values::optional(self.address.map(|address| address.to_string()))),
        ])
    }
}
