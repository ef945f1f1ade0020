"""CloudSync: from CRM events to the live floor, quarter hours and agent days."""
