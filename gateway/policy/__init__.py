"""Policies that need a memory shared by workers and replicas: the circuit, leases, idempotency, reconciliation."""
