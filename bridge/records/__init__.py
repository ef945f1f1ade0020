"""Records: which record is open at which agent, and what an agent put aside. Rules only."""
