"""Votes of people in the app: which face is next, what they said, and how that reaches Label Studio and the ledger."""
