DROP TABLE audit_queue;
DROP TABLE idempotency;
DROP TABLE jobs;
DROP TABLE inbox;
DROP TABLE consumer_offsets;
DROP TABLE outbox;
