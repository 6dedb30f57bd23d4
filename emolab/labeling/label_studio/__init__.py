"""A client for Label Studio's HTTP API: connection, retry, and one file per kind of resource."""
