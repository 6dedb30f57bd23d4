"""The database under the catalog: its schema, its engine, migrations, and queries in chunks."""
