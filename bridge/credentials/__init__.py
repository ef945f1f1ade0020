"""Credentials: keys, tokens, users, and the signing keys behind them. The only room that knows PyJWT and argon2."""
