"""The first and the last moments of a gateway, in the process that watches its workers."""
