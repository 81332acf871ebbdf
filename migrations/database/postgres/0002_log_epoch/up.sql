-- What is added to the id of a transaction for its place in the log. It rises when the database was
-- restored into a cluster whose transactions are behind those of the cluster it comes from.
CREATE TABLE log_epoch (
    is_only BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (is_only),
    base    BIGINT NOT NULL
);
INSERT INTO log_epoch (base) VALUES (0);
