//! The contracts every part of Troupe is written against: modules, ports, routes, ids, errors,
//! configuration. No I/O.
//!
//! A service crate needs this crate, the actor kit and the database crate, and nothing else of ours.

pub mod audit;
pub mod blob;
pub mod clock;
pub mod config;
pub mod container;
pub mod error;
pub mod event;
pub mod health;
pub mod http;
pub mod ids;
pub mod invalidation;
pub mod job;
pub mod lifecycle;
pub mod mail;
pub mod migration;
pub mod module;
pub mod pagination;
pub mod parts;
pub mod permissions;
pub mod policies;
pub mod ports;
pub mod reload;
pub mod routes;
pub mod secret_text;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use bytes::Bytes;
pub use utoipa;
pub use uuid::Uuid;

pub use self::http::{Encoded, HttpRequest, HttpResponse, Kept};
pub use audit::{AuditRecord, Outcome};
pub use clock::{Clock, ManualClock, SharedClock, SystemClock, Timestamp};
pub use config::{ConfigFault, ConfigSection, ConfigTree, Layers, Secret};
pub use container::{Container, MissingService};
pub use error::{Failure, FailureKind, Problem, http_status};
pub use event::Event;
pub use health::HealthCheck;
pub use ids::{SessionId, TenantId, UserId, new_id};
pub use invalidation::{
    InvalidationMessage, Invalidations, PermissionsChanged, RevokeSession, RevokeSubject,
};
pub use job::Job;
pub use mail::{Mail, NoticeDef};
pub use migration::{Migration, Script};
pub use module::{
    Declarations, Declared, InitFault, Manifest, Module, ModuleContext, Surroundings,
};
pub use pagination::{Cursor, Page, PageRequest};
pub use parts::{JobContext, JobHandler, Parts, Subscription};
pub use permissions::{Catalog, PermissionDef, RoleDef};
pub use policies::{PolicyDef, PolicyEffect};
pub use ports::{
    AuditLog, Authenticated, Authenticator, Authorizer, Blob, BlobContent, BlobInfo, BlobLink,
    BlobReader, BlobStore, BoxFuture, Cache, Credential, Decision, EventBus, LinkUse, NewBlob,
    Notifier, Question, QuotaLedger, Reauthentication, Reauthenticator, Resource, Scheduler,
    SecretSealer, Spending,
};
pub use reload::{Change, Reload};
pub use routes::{Access, Route};
pub use secret_text::SecretText;
pub use troupe_actors::{PermissionSet, Principal, PrincipalKind, Scope};
