"""What is tested of the desktop client."""
