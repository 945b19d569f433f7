"""The only door to SQL: schema, rows and statements, one file per noun."""
