"""Who may do what: keys, tokens and sessions, scopes, limits for one client, and proxies."""
