"""Steps that look after a workspace: status and the checks of ``emolab doctor``."""
