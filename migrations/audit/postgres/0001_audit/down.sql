DROP TABLE audit_seal;
DROP TABLE audit_checkpoint_heads;
DROP TABLE audit_checkpoints;
DROP TABLE audit_heads;
DROP TABLE audit_entries;
DROP FUNCTION audit_refuse_change();
