"""Which Label Studio a workspace uses, and the embedded one: installed, started, stopped."""
