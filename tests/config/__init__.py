"""What is tested of the configuration."""
