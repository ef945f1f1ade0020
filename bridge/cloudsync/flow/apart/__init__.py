"""Apart: the processor in a process of its own, so that its work and the pops' are not done by one interpreter."""
