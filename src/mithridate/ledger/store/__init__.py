"""The ledger's database, through SQLAlchemy: SQLite in its folder, or PostgreSQL for several servers."""
