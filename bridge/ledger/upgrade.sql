-- From version 1, whose groups came as JSON altogether, and whose index on agents had the status.
DROP VIEW groups;
DROP INDEX pops_of_agent;
CREATE INDEX pops_of_agent ON pops (customer, agent, number);
