"""Annotations in JSON as tables of boxes: COCO, MegaDetector and Label Studio."""
