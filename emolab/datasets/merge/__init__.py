"""An open dataset into the workspace: its labels mapped to classes, conflicts reported, votes stored."""
