"""CRM: asks the CRM, by OAuth 2.0 JWT bearer (RFC 7523). Nothing leaves but the POST for a token, and GETs."""
