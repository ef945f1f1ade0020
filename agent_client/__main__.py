"""`python -m agent_client`: the same as the command agent-client."""

from agent_client.cli import main

main(prog_name="agent-client")
