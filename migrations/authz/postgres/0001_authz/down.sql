DROP TABLE authz_guards;
DROP TABLE authz_memberships;
DROP TABLE authz_bindings;
DROP TABLE authz_roles;
