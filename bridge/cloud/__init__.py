"""Cloud: the rules of the Cloud API: licences, external links, the vendor's envelope. Pure."""
