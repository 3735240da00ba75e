"""Collection of images from the web into class folders, with the source of each image."""
