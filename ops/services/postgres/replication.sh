#!/bin/sh
# Lets a replica in the same network copy and follow the primary (the image allows queries only).
set -eu
echo 'host replication all all trust' >> "${PGDATA}/pg_hba.conf"
