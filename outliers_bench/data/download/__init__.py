"""Files from the web onto the disk: fetched, checked against what is published, unpacked."""
