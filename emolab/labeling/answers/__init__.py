"""From Label Studio's annotations to votes: read, checked, compared with the ledger, stored."""
