"""QuestDB, the production store: DDL and migrations, ILP writer, queries, ledgers, benchmark. The only place with its client."""
