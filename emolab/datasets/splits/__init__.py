"""Train, valid and test: who is assigned where, so that subjects and copies never cross."""
