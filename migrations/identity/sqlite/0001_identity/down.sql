DROP TABLE identity_email_tokens;
DROP TABLE identity_invitations;
DROP TABLE identity_memberships;
DROP TABLE identity_organisations;
DROP TABLE identity_users;
