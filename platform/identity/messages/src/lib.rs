//! The typed protocol of the identity service, data only.
//!
//! Other services ask identity with these messages and read its events with these payloads. The
//! crate holds no behaviour: validation is the service's. `Get` answers the thing or fails with
//! not-found; `Find` answers an option; commands with an id given by the caller are idempotent.

mod events;
mod organisation;
mod user;

use troupe_actors::protocol;

pub use events::{
    INVITATION_ACCEPTED, INVITATION_CREATED, INVITATION_DECLINED, INVITATION_RESENT,
    INVITATION_REVOKED, InvitationEvent, MEMBER_JOINED, MEMBER_REMOVED, MEMBER_ROLE_CHANGED,
    MemberEvent, ORGANISATION_CLOSED, ORGANISATION_CREATED, ORGANISATION_REINSTATED,
    ORGANISATION_SUSPENDED, ORGANISATION_UPDATED, OrganisationEvent, USER_ANONYMISED, USER_CREATED,
    USER_DELETION_CANCELLED, USER_DELETION_REQUESTED, USER_EMAIL_CHANGED, USER_EMAIL_VERIFIED,
    USER_REINSTATED, USER_SUSPENDED, USER_UPDATED, UserEvent,
};
pub use organisation::{
    CreateOrganisation, FindOrganisationBySlug, GetOrganisation, ListMembershipsOf, Membership,
    MembershipOf, Organisation, OrganisationStatus,
};
pub use user::{
    CreateUser, FindUserByEmail, GetUser, ListUserNames, MarkEmailVerified, User, UserName,
    UserStatus,
};

/// The role of a member who may do everything in the organisation; every organisation has one.
pub const ROLE_OWNER: &str = "owner";

/// Memberships one user may hold; [`ListMembershipsOf`] answers at most so many.
pub const MEMBERSHIPS_MAX: usize = 100;

/// Ids one [`ListUserNames`] may name.
pub const USER_NAMES_MAX: usize = 100;

protocol! {
    /// What identity answers to the other services.
    pub enum IdentityMessage("identity", 1) redact ["email"] {
        /// Creates a user under the caller's id; the same id and address again answer the same user.
        CreateUser => User,
        /// Answers one user.
        GetUser => User,
        /// Answers the user with an e-mail address, compared without case.
        FindUserByEmail => Option<User>,
        /// Answers the names to show for a set of users; unknown ids are left out.
        ListUserNames => Vec<UserName>,
        /// Records that an address was proven by another way, for example a password reset.
        MarkEmailVerified => User,
        /// Creates an organisation under the caller's id, with its first owner.
        CreateOrganisation => Organisation,
        /// Answers one organisation.
        GetOrganisation => Organisation,
        /// Answers the organisation with a slug; served from memory, at most a minute old.
        FindOrganisationBySlug => Option<Organisation>,
        /// Answers how a user belongs to an organisation.
        MembershipOf => Option<Membership>,
        /// Answers every organisation a user belongs to.
        ListMembershipsOf => Vec<Membership>,
    }
}

#[cfg(test)]
mod tests {
    use troupe_actors::Message;
    use troupe_kernel::ids::UserId;
    use uuid::Uuid;

    use super::{FindUserByEmail, GetUser, IdentityMessage};

    #[test]
    fn a_message_survives_its_wire_encoding() {
        let message = IdentityMessage::from(GetUser { id: UserId::from(Uuid::from_u128(7)) });
        let text = serde_json::to_string(&message).expect("messages are plain data");
        assert_eq!(text, r#"{"GetUser":{"id":"00000000-0000-0000-0000-000000000007"}}"#);
        let back: IdentityMessage = serde_json::from_str(&text).expect("decodes its own encoding");
        assert_eq!(back.kind(), "GetUser");
    }

    #[test]
    fn addresses_are_redacted_from_observation() {
        let message = IdentityMessage::from(FindUserByEmail { email: "a@example.org".into() });
        let value = serde_json::to_value(&message).expect("messages are plain data");
        assert!(value["FindUserByEmail"]["email"].is_string());
        assert!(IdentityMessage::REDACT.contains(&"email"));
    }
}
